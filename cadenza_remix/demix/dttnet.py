"""DTTNet: a small TFC-TDF U-Net for each source, in its middle recurrent layers along time and frequency.

Checked against the networks of junyuchen-cjy/DTTNet-Pytorch (432d77a8).

References:
    Chen, Vekkot & Shukla (2024), "Music source separation based on a lightweight deep learning framework
    (DTTNet: Dual-path TFC-TDF UNet)", Proc. ICASSP, 656.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cadenza_remix.demix.network import NetworkSeparator, load_state
from cadenza_remix.demix.tfc_tdf import Tfc, TfcTdfUNet, tdf
from cadenza_remix.demix.weights import Published, find_weights, read_tensors

SOURCES = ("vocals", "drums", "bass", "other")
N_FFT = 6144
BINS = {"vocals": 2048, "drums": 2048, "bass": 864, "other": 2048}
REDUCTION = {"vocals": 8, "drums": 8, "bass": 2, "other": 8}  # of the bins, within layers along frequency
REPEATS = 4
HEADS = 2
GROUP = 16  # channels that are normalised together
PAGE = "https://github.com/junyuchen-cjy/DTTNet-Pytorch"  # links to files that no program may fetch
PUBLISHED = tuple(
    Published(source, PAGE, saved_as=f"dttnet_{source}.ckpt", by_hand=True) for source in SOURCES
)


def dttnet(weights: str | None, *, allow_download: bool, **how: Any) -> NetworkSeparator:
    """The separator, its weights found.

    Args:
        weights: where they are, as `find_weights` understands it: a folder with a file for each source.
        allow_download: fetch them if they are nowhere.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there.
        ConfigError: if the device is not.
    """
    found = find_weights(PUBLISHED, given=weights, allow_download=allow_download)
    return NetworkSeparator(load, found, SOURCES, standardised=False, **how)


def load(paths: tuple[Path, ...]) -> nn.Module:
    """The network with the weights of a file per source.

    Raises:
        WeightsError: if they are not this network's.
    """
    network = DTTNet()
    for target, path in zip(network.targets.values(), paths, strict=True):
        tensors = {_renamed(name): tensor for name, tensor in read_tensors(path).items()}
        load_state(target, tensors, path)
    return network


def _renamed(name: str) -> str:
    """A tensor's name in `TfcTdfUNet`, whose bottleneck is one module."""
    for published, own in {"bottleneck_block1.": "0.", "bottleneck_block2.": "1."}.items():
        name = name.replace(published, f"bottleneck_block.{own}")
    return name


class DTTNet(nn.Module):
    """Waveforms to waveforms."""

    def __init__(self) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.targets = nn.ModuleDict({source: target(source) for source in SOURCES})

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (batch, 2, samples) into (batch, 4, 2, samples)."""
        return torch.cat([target(mixture) for target in self.targets.values()], 1)


def target(source: str) -> TfcTdfUNet:
    """The network of one source."""

    def block(channels: int, bins: int) -> nn.Module:
        return ResidualTfcTdf(channels, bins, reduction=REDUCTION[source])

    def bottleneck(channels: int, bins: int) -> nn.Module:
        return nn.Sequential(block(channels, bins), DualPath(channels))

    return TfcTdfUNet(n_fft=N_FFT, bins=BINS[source], levels=2, block=block, bottleneck=bottleneck)


class ResidualTfcTdf(nn.Module):
    """Convolutions, layers along frequency and convolutions again, beside a short way (`TFC_TDF_Res2`)."""

    def __init__(self, channels: int, bins: int, *, reduction: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.tfc1 = Tfc(channels, layers=3)
        self.tfc2 = Tfc(channels, layers=3)
        self.res = Tfc(channels, layers=1)
        self.tdf = tdf(channels, bins, reduction=reduction)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames, bins) to the same shape."""
        h = self.tfc1(x)
        h = self.tfc2(h + self.tdf(h))
        result: Tensor = h + self.res(x)
        return result


class DualPath(nn.Module):
    """Recurrent layers along time and along frequency in turn, the same for each head."""

    def __init__(self, channels: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        size = channels // HEADS
        self.bsrnn = nn.ModuleList(
            # Along time, then along frequency; each leaves the two exchanged.
            nn.Sequential(Recurrent(size, hidden=channels), Recurrent(size, hidden=channels))
            for _ in range(REPEATS)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames, bins) to the same shape."""
        heads = torch.unflatten(x, 1, (HEADS, -1)).flatten(0, 1)
        h = heads.permute(0, 3, 2, 1)  # (batch · heads, bins, frames, channels of a head)
        for layer in self.bsrnn:
            h = layer(h)
        return torch.unflatten(h.permute(0, 3, 2, 1), 0, (-1, HEADS)).flatten(1, 2)


class Recurrent(nn.Module):
    """A recurrent layer in both directions, added to its input."""

    def __init__(self, size: int, *, hidden: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.groupnorm = nn.GroupNorm(size // GROUP, size)
        self.rnn = nn.LSTM(size, hidden, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, size)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sequences, steps, size) to (batch, steps, sequences, size); every sequence on its own."""
        sequences = x.flatten(0, 1)
        normalised = self.groupnorm(sequences.transpose(1, 2)).transpose(1, 2)
        added = self.fc(self.rnn(normalised)[0])
        return torch.unflatten(sequences + added, 0, x.shape[:2]).transpose(1, 2)
