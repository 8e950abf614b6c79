"""Demucs as of 2020: in the time domain only, convolutions and a recurrence at twice the sample rate.

The layout of the weights of version 2, with its convolutions, which take their surroundings from the track
and not from zeros; later versions of the package make nearly the same of these weights. Checked against
demucs 2.0.3.

References:
    Défossez, Usunier, Bottou & Bach (2019), "Music source separation in the waveform domain",
    arXiv:1911.13254.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from julius.resample import resample_frac
from torch import Tensor, nn
from torch.nn import functional

from cadenza_remix.demix.network import NetworkSeparator, load_state
from cadenza_remix.demix.weights import Published, find_weights, read_tensors

PUBLISHED = Published(
    "demucs", "https://dl.fbaipublicfiles.com/demucs/v3.0/demucs-e07c671f.th", library_cache="checkpoints"
)
SOURCES = ("drums", "bass", "other", "vocals")
CHANNELS = 2
DEPTH = 6
KERNEL, STRIDE = 8, 4
CONTEXT = 3  # steps that a decoder looks at
UPSAMPLING = 2


def demucs_v2(weights: str | None, *, width: int, allow_download: bool, **how: Any) -> NetworkSeparator:
    """The separator, its weights found.

    Args:
        weights: where they are, as `find_weights` understands it.
        width: channels of the first layer.
        allow_download: fetch them if they are nowhere.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there.
        ConfigError: if the device is not.
    """
    found = find_weights([PUBLISHED], given=weights, allow_download=allow_download)
    return NetworkSeparator(Load(width), found, SOURCES, standardised=True, **how)


@dataclass(frozen=True)
class Load:
    """Makes a network of some width, in channels of its first layer."""

    width: int

    def __call__(self, paths: tuple[Path, ...]) -> nn.Module:
        """The network with the weights of one file.

        Raises:
            WeightsError: if they are not this network's.
        """
        (path,) = paths
        network = DemucsV2(self.width)
        load_state(network, {name: x.float() for name, x in read_tensors(path).items()}, path)
        return network


class DemucsV2(nn.Module):
    """Waveforms to waveforms; attributes are named as in the published files, here and below."""

    def __init__(self, width: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        widths = [width * 2**level for level in range(DEPTH)]
        ins, outs = [CHANNELS, *widths[:-1]], [len(SOURCES) * CHANNELS, *widths[:-1]]
        self.encoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(n_in, n_out, KERNEL, STRIDE), nn.ReLU(), nn.Conv1d(n_out, 2 * n_out, 1), nn.GLU(1)
            )
            for n_in, n_out in zip(ins, widths, strict=True)
        )
        self.lstm = Recurrence(widths[-1])
        self.decoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(n_in, 2 * n_in, CONTEXT),
                nn.GLU(1),
                nn.ConvTranspose1d(n_in, n_out, KERNEL, STRIDE),
                *([nn.ReLU()] if level else []),
            )
            for level, n_in, n_out in reversed(list(zip(range(DEPTH), widths, outs, strict=True)))
        )

    def valid_length(self, n_samples: int) -> int:
        """Of how many samples the middle ones, so many, are estimated without anything missing."""
        n_steps = UPSAMPLING * n_samples
        for _ in range(DEPTH):
            n_steps = max(math.ceil((n_steps - KERNEL) / STRIDE) + 1, 1) + CONTEXT - 1
        for _ in range(DEPTH):
            n_steps = (n_steps - 1) * STRIDE + KERNEL
        return math.ceil(n_steps / UPSAMPLING)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (batch, 2, samples), a valid length, into (batch, 4, 2, samples), the outermost zeros."""
        x = resample_frac(mixture / (1 + 1e-5), 1, UPSAMPLING)
        passed_over = []
        for encode in self.encoder:
            x = encode(x)
            passed_over.append(x)
        x = self.lstm(x)
        for decode in self.decoder:
            x = decode(x + _middle(passed_over.pop(), x.shape[2]))
        x = resample_frac(x, UPSAMPLING, 1)
        missing = mixture.shape[2] - x.shape[2]
        x = functional.pad(x, (missing // 2, missing - missing // 2))
        return x.reshape(len(x), len(SOURCES), CHANNELS, -1)


class Recurrence(nn.Module):
    """Two bidirectional LSTMs along time, brought back to the width they began with."""

    def __init__(self, width: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.lstm = nn.LSTM(width, width, num_layers=2, bidirectional=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Refine (batch, width, steps)."""
        refined: Tensor = self.linear(self.lstm(x.permute(2, 0, 1))[0])
        return refined.permute(1, 2, 0)


def _middle(x: Tensor, length: int) -> Tensor:
    """The middle of (…, steps)."""
    return x.narrow(-1, (x.shape[-1] - length) // 2, length)
