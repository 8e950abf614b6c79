"""A trained network as a separator.

The separator travels to worker processes as plain values; each loads the network when its first song comes,
and keeps it. Only the modules of networks import PyTorch, so that a run without one does not wait for it.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cadenza_remix.demix.base import Stems
from cadenza_remix.demix.segments import Segments
from cadenza_remix.demix.weights import WeightsFile
from cadenza_remix.errors import ConfigError, WeightsError

Array = npt.NDArray[np.float32]
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")


@dataclass(frozen=True)
class NetworkSeparator:
    """A network, its weights, and how a track goes through it.

    Attributes:
        load: makes the network from the paths of its weights; it maps (1, channels, samples) to
            (1, sources, channels, samples).
        weights: the files, found and hashed.
        sources: names of the stems, in the order that the network gives them.
        standardised: whether the network was trained on mixtures with mean 0 and standard deviation 1; every
            stem then gets the mixture's mean back, as in the reference implementation.
        segments: how a long track is cut.
        device: where it runs, as `choose_device` understands it.
        threads: of the CPU; the same number gives the same stems in every process, another one the same up
            to rounding.
        training_data: what the weights were learnt from.
        allowed_by_rules: whether the challenge admits that.

    Raises:
        ConfigError: if the device is misspelt or not there.
    """

    load: Callable[[tuple[Path, ...]], nn.Module] = field(repr=False)
    weights: tuple[WeightsFile, ...]
    sources: tuple[str, ...]
    standardised: bool
    segments: Segments
    device: str = field(repr=False)
    threads: int = field(repr=False)
    training_data: str
    allowed_by_rules: bool
    sample_rate: int = 44100
    channels: int = 2
    causal: bool = False

    def __post_init__(self) -> None:
        """Notice a device that is not there before any work starts."""
        choose_device(self.device)

    @property
    def weights_sha256(self) -> list[str]:
        """What the stems are made with; goes into the manifest."""
        return [file.sha256 for file in self.weights]

    def __call__(self, mixture: Array) -> Stems:
        """Separate a `(channels, samples)` mixture at `sample_rate` into stems of the same shape."""
        network = _loaded(self.load, tuple(file.path for file in self.weights), choose_device(self.device))
        mean, scale = _mean_and_scale(mixture) if self.standardised else (0.0, 1.0)
        # A mixture without any change in it stays as it is, and its stems are as flat.
        heard = (mixture - np.float32(mean)) / np.float32(scale or 1)
        stems = np.zeros((len(self.sources), *mixture.shape), np.float32)
        for start, window in self.segments.windows(mixture.shape[1], sample_rate=self.sample_rate):
            stop = start + len(window)
            stems[..., start:stop] += _run(network, heard[:, start:stop], self.threads) * window
        stems *= np.float32(scale)
        stems += np.float32(mean)
        return dict(zip(self.sources, stems, strict=True))


def choose_device(device: str) -> torch.device:
    """The device that is meant; of several GPUs, the worker processes take one after the other.

    Args:
        device: `auto` (a CUDA GPU where there is one), `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        ConfigError: if it is misspelt or not in this machine, with what could be said instead.
    """
    if not DEVICE.fullmatch(device):
        raise ConfigError(f"device={device} is not known; say auto, cpu, cuda, cuda:0 (a number) or mps.")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cpu", *["cuda"][:gpus], *(f"cuda:{i}" for i in range(gpus))]
    there += ["mps"] if torch.backends.mps.is_available() else []
    if device == "auto" and not gpus:
        return torch.device("cpu")
    if device in ("auto", "cuda") and gpus:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % gpus)
    if device not in there:
        raise ConfigError(
            f"device={device} is not in this machine, or PyTorch {torch.__version__} was built without it; "
            f"say device={' or device='.join(there)}."
        )
    return torch.device(device)


def load_state(network: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Put named tensors into a network; those that it has no place for are ignored.

    Raises:
        WeightsError: if a tensor is missing or has another shape, naming the first.
    """
    own = network.state_dict()
    # The counters of batch normalisation are used in training only; old files lack them.
    wanted = {name: x for name, x in own.items() if not name.endswith("num_batches_tracked")}
    for name, tensor in wanted.items():
        found = tuple(tensors[name].shape) if name in tensors else "nothing"
        if found != tuple(tensor.shape):
            raise WeightsError(
                f"{path} does not fit the network: {name} should be {tuple(tensor.shape)}, there is {found}; "
                "give the weights of this network."
            )
    network.load_state_dict({name: tensors[name] for name in wanted}, strict=False)


@lru_cache(maxsize=1)
def _loaded(
    load: Callable[[tuple[Path, ...]], nn.Module], paths: tuple[Path, ...], device: torch.device
) -> nn.Module:
    """The network, loaded once in each process."""
    return load(paths).eval().to(device)


def _run(network: nn.Module, heard: Array, threads: int) -> Array:
    """One segment through the network: (channels, samples) to (sources, channels, samples)."""
    torch.set_num_threads(threads)
    device = next(network.parameters()).device
    with torch.inference_mode():
        estimates: Array = network(torch.from_numpy(heard)[None].to(device))[0].cpu().numpy()
    return estimates


def _mean_and_scale(mixture: Array) -> tuple[float, float]:
    """Mean and standard deviation of the mean of both channels over the whole track.

    Where the channels cancel, the deviation is that within the channels; 0 only where nothing changes.
    """
    mono = mixture.mean(axis=0, dtype=np.float64)
    rounding = np.finfo(np.float32).eps * np.abs(mixture).max()
    scale = mono.std()
    if scale <= rounding:
        scale = np.sqrt(mixture.var(axis=1, dtype=np.float64).mean())
    return float(mono.mean()), float(scale) if scale > rounding else 0.0
