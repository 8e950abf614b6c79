"""Files of small networks in the published layouts, where the real sizes would take too long."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cadenza_remix.demix import dttnet, mdxnet, tfc_tdf
from cadenza_remix.demix.convtasnet import ConvTasNet, Sizes

SMALL = Sizes(
    filters=16, filter_length=20, bottleneck=8, hidden=16, kernel=3, blocks=4, stacks=2, sources=2, channels=2
)


def write_convtasnet(path: Path, *, causal: bool, sources: int = 2) -> Path:
    torch.manual_seed(0)
    torch.save(ConvTasNet(replace(SMALL, sources=sources), causal=causal).state_dict(), path)
    return path


def shrink_mdxnet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdxnet, "BINS", 32)
    monkeypatch.setattr(tfc_tdf, "WIDTH", 4)


def write_mdxnet(folder: Path) -> Path:
    """A Lightning checkpoint for each source, and the mixer of the submission."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    for source in mdxnet.SOURCES:
        state = mdxnet.target(source, levels=1).state_dict()
        torch.save({"state_dict": state, "epoch": 3}, folder / f"{source}.ckpt")
    torch.save({"linear.weight": torch.rand(8, 10) / 10}, folder / "mixer.ckpt")
    return folder


def shrink_dttnet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dttnet, "BINS", dict.fromkeys(dttnet.SOURCES, 32))
    monkeypatch.setattr(dttnet, "REPEATS", 1)
    monkeypatch.setattr(dttnet, "GROUP", 2)


def write_dttnet(folder: Path) -> Path:
    """A Lightning checkpoint for each source."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    for source in dttnet.SOURCES:
        torch.save({"state_dict": published_names(dttnet.target(source))}, folder / f"{source}.ckpt")
    return folder


def published_names(network: tfc_tdf.TfcTdfUNet) -> dict[str, torch.Tensor]:
    """DTTNet's tensors as its authors name them."""
    names = {"bottleneck_block.0.": "bottleneck_block1.", "bottleneck_block.1.": "bottleneck_block2."}
    state = network.state_dict()
    for own, published in names.items():
        state = {name.replace(own, published): x for name, x in state.items()}
    return state
