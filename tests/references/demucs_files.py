"""Small networks of the Demucs family, in files as their authors publish them."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from torch import nn

SOURCES = ["drums", "bass", "other", "vocals"]
TIME = (Demucs, {"sources": SOURCES, "channels": 4})
HYBRID = (HDemucs, {"sources": SOURCES, "channels": 8})
TRANSFORMER = (
    HTDemucs,
    {
        "sources": SOURCES,
        "channels": 8,
        "bottom_channels": 32,
        "t_heads": 4,
        "t_layers": 2,
        "dconv_mode": 3,
        "segment": Fraction(3, 2),
    },
)


def package(kind: tuple[type[nn.Module], dict[str, Any]], seed: int) -> dict[str, Any]:
    """A network as its authors publish it, with half the precision."""
    network_class, kwargs = kind
    torch.manual_seed(seed)
    state = {name: x.half() for name, x in network_class(**kwargs).state_dict().items()}
    return {
        "klass": network_class,
        "args": (),
        "kwargs": kwargs | {"gone": 1},
        "state": state,
        "training_args": {},
    }


def write_network(path: Path, kind: tuple[type[nn.Module], dict[str, Any]], seed: int = 0) -> None:
    torch.save(package(kind, seed), path)
