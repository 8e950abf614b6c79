"""SCNet: a spectrum whose bands are compressed the more the less is in them.

The layout of the published weights. Those of ZFTurbo were learnt by a copy of the network without the
standardisation inside that the authors' own has; both are here. Checked against starrytong/SCNet (5d95bf96)
and ZFTurbo/Music-Source-Separation-Training (ccc011ab).

References:
    Tong, Zhu, Chen, Kang, Jiang, Li, Wu & Meng (2024), "SCNet: Sparse compression network for music source
    separation", Proc. ICASSP.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cadenza_remix.demix.network import NetworkSeparator, load_state
from cadenza_remix.demix.weights import Published, find_weights, read_tensors

SOURCES = ("drums", "bass", "other", "vocals")
WINDOW, HOP = 4096, 1024
CHANNELS = 2
PARTS = 2 * CHANNELS  # real and imaginary part of each channel
# Of the low, middle and high band: how far its bins are compressed, by what kernel, and how many convolution
# modules follow.
STRIDES, KERNELS, DEPTHS = (1, 4, 16), (3, 4, 16), (3, 2, 1)


def scnet(
    weights: str | None,
    *,
    widths: Sequence[int],
    band_shares: Sequence[float],
    standardised_inside: bool,
    allow_download: bool,
    source_url: str,
    **how: Any,
) -> NetworkSeparator:
    """The separator, its weights found.

    Args:
        weights: where they are, as `find_weights` understands it.
        widths: channels after each of the three compressions.
        band_shares: of all bins, those in the low and those in the middle band.
        standardised_inside: whether the network standardises each segment's spectrum, as the authors' own.
        allow_download: fetch them if they are nowhere.
        source_url: the file, at its authors'.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there.
        ConfigError: if the device is not.
    """
    found = find_weights([Published("scnet", source_url)], given=weights, allow_download=allow_download)
    load = Load(tuple(widths), tuple(band_shares), standardised_inside)
    return NetworkSeparator(load, found, SOURCES, source_url=source_url, **how)


@dataclass(frozen=True)
class Load:
    """Makes a network of some size; see `scnet`."""

    widths: tuple[int, ...]
    band_shares: tuple[float, ...]
    standardised_inside: bool

    def __call__(self, paths: tuple[Path, ...]) -> nn.Module:
        """The network with the weights of one file.

        Raises:
            WeightsError: if they are not this network's.
        """
        (path,) = paths
        network = self.network()
        load_state(network, read_tensors(path), path)
        return network

    def network(self) -> "Scnet":
        """The network with weights that mean nothing yet."""
        return Scnet(self.widths, self.band_shares, standardised_inside=self.standardised_inside)


class Scnet(nn.Module):
    """Waveforms to waveforms; attributes are named as in the published files, here and below."""

    window: Tensor

    def __init__(
        self, widths: Sequence[int], band_shares: Sequence[float], *, standardised_inside: bool
    ) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.standardised_inside = standardised_inside
        ins, outs = [PARTS, *widths[:-1]], [len(SOURCES) * PARTS, *widths[:-1]]
        self.encoder = nn.ModuleList(
            SparseDown(n_in, n_out, band_shares) for n_in, n_out in zip(ins, widths, strict=True)
        )
        self.separation_net = Separation(widths[-1])
        self.decoder: Any = nn.ModuleList(  # its pairs have no type of their own
            nn.ModuleList([Fusion(n_in), SparseUp(n_in, n_out)])
            for n_in, n_out in zip(reversed(widths), reversed(outs), strict=True)
        )
        self.register_buffer("window", torch.ones(WINDOW), persistent=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (batch, 2, samples) into (batch, 4, 2, samples)."""
        n_items, _, n_samples = mixture.shape
        # The Fourier transforms along time, further in, need an even number of frames.
        n_hops = max(n_samples // HOP + 1, 3)
        n_hops += 1 - n_hops % 2
        padded = functional.pad(mixture.flatten(0, 1), (0, n_hops * HOP - n_samples))
        spectrum = torch.stft(
            padded, WINDOW, HOP, window=self.window, normalized=True, return_complex=True
        )  # (batch · 2, bins, frames)
        x = torch.view_as_real(spectrum).movedim(-1, 1).reshape(n_items, PARTS, *spectrum.shape[1:])
        x = self.standardised(x) if self.standardised_inside else self.estimate(x)
        x = x.reshape(n_items * len(SOURCES) * CHANNELS, 2, *spectrum.shape[1:])
        estimates = torch.view_as_complex(x.movedim(1, -1).contiguous())
        waves = torch.istft(estimates, WINDOW, HOP, window=self.window, normalized=True)
        return waves.reshape(n_items, len(SOURCES), CHANNELS, -1)[..., :n_samples]

    def estimate(self, x: Tensor) -> Tensor:
        """Estimate the sources' (batch, 4 · 4, bins, frames) from the mixture's (batch, 4, bins, frames)."""
        passed_over = []
        for down in self.encoder:
            x, skip, bands = down(x)
            passed_over.append((skip, bands))
        x = self.separation_net(x)
        for fusion, up in self.decoder:
            skip, bands = passed_over.pop()
            x = up(fusion(x, skip), bands)
        return x

    def standardised(self, x: Tensor) -> Tensor:
        """Estimate from a spectrum of mean 0 and deviation 1, and undo that."""
        mean, scale = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), keepdim=True)
        return self.estimate((x - mean) / (1e-5 + scale)) * scale + mean


# For each band, its bins before the compression and after it.
Bands = list[tuple[int, int]]


class SparseDown(nn.Module):
    """The paper's SD block: compresses the bins of each band in its own measure, then joins the bands."""

    def __init__(self, n_in: int, n_out: int, band_shares: Sequence[float]) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.band_shares = band_shares
        self.SDlayer = BandConvolutions(n_in, n_out)
        self.conv_modules = nn.ModuleList(ConvolutionModule(n_out, depth) for depth in DEPTHS)
        self.globalconv = nn.Conv2d(n_out, n_out, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Bands]:
        """Compress (batch, channels, bins, frames); gives also the skip and what the bands were."""
        low, middle = self.band_shares
        n_bins = x.shape[2]
        edges = [0, math.ceil(low * n_bins), math.ceil((low + middle) * n_bins), n_bins]
        before = [x[:, :, start:stop] for start, stop in pairwise(edges)]
        after = []
        for band, conv_module in zip(self.SDlayer(before), self.conv_modules, strict=True):
            n_items, n_channels, n_rows, n_frames = band.shape
            rows = band.transpose(1, 2).reshape(n_items * n_rows, n_channels, n_frames)
            rows = conv_module(rows).reshape(n_items, n_rows, n_channels, n_frames)
            after.append(functional.gelu(rows.transpose(1, 2)))
        skip = torch.cat(after, 2)
        bands = [(b.shape[2], a.shape[2]) for b, a in zip(before, after, strict=True)]
        return self.globalconv(skip), skip, bands


class BandConvolutions(nn.Module):
    """A convolution along frequency for each band, whose stride is the compression."""

    def __init__(self, n_in: int, n_out: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(n_in, n_out, (kernel, 1), (stride, 1))
            for kernel, stride in zip(KERNELS, STRIDES, strict=True)
        )

    def forward(self, bands: list[Tensor]) -> list[Tensor]:
        """Compress each (batch, channels, bins, frames)."""
        compressed = []
        for band, conv, kernel, stride in zip(bands, self.convs, KERNELS, STRIDES, strict=True):
            missing = kernel - 1 if stride == 1 else -band.shape[2] % stride
            padding = (0, 0, missing // 2, missing - missing // 2)
            compressed.append(conv(functional.pad(band, padding)))
        return compressed


class ConvolutionModule(nn.Module):
    """Residual convolutions along time, for each row of bins on its own."""

    def __init__(self, n_channels: int, depth: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        hidden = n_channels // 4
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, n_channels),
                nn.Conv1d(n_channels, 2 * hidden, 3, padding=1),
                nn.GLU(1),
                nn.Conv1d(hidden, hidden, 3, padding=1, groups=hidden),
                nn.GroupNorm(1, hidden),
                nn.SiLU(),
                nn.Conv1d(hidden, n_channels, 1),
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine (rows, channels, frames)."""
        for layer in self.layers:
            x = x + layer(x)
        return x


class Separation(nn.Module):
    """Dual-path networks that see, in turns, the frames and their Fourier transform along time."""

    def __init__(self, width: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        # In the transform, the imaginary part doubles the channels.
        self.dp_modules = nn.ModuleList(DualPath(width * (1 + i % 2)) for i in range(6))

    def forward(self, x: Tensor) -> Tensor:
        """Refine (batch, channels, rows, frames); the frames must be even."""
        for i, dual_path in enumerate(self.dp_modules):
            x = dual_path(x)
            if i % 2:
                real, imaginary = x.chunk(2, 1)
                x = torch.fft.irfft(torch.complex(real, imaginary), dim=3, norm="ortho")
            else:
                spectrum = torch.fft.rfft(x, dim=3, norm="ortho")
                x = torch.cat([spectrum.real, spectrum.imag], 1)
        return x


class DualPath(nn.Module):
    """Recurrence along frequency, then along time, each beside a bypass."""

    def __init__(self, width: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.norm_layers = nn.ModuleList(nn.GroupNorm(1, width) for _ in range(2))
        self.lstm_layers = nn.ModuleList(
            nn.LSTM(width, width, batch_first=True, bidirectional=True) for _ in range(2)
        )
        self.linear_layers = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Refine (batch, channels, rows, frames)."""
        for axis, (norm, lstm, linear) in enumerate(
            zip(self.norm_layers, self.lstm_layers, self.linear_layers, strict=True)
        ):
            along = norm(x).movedim(1, 3)  # (batch, rows, frames, channels)
            sequences = along if axis else along.transpose(1, 2)
            refined = linear(lstm(sequences.flatten(0, 1))[0]).reshape(sequences.shape)
            x = x + (refined if axis else refined.transpose(1, 2)).movedim(3, 1)
        return x


class Fusion(nn.Module):
    """Joins what comes from below with what the encoder passed over."""

    def __init__(self, n_channels: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.conv = nn.Conv2d(2 * n_channels, 2 * n_channels, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Join two of (batch, channels, rows, frames)."""
        return functional.glu(self.conv((x + skip).repeat(1, 2, 1, 1)), 1)


class SparseUp(nn.Module):
    """Brings each band back to the bins it had."""

    def __init__(self, n_in: int, n_out: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.convtrs = nn.ModuleList(
            nn.ConvTranspose2d(n_in, n_out, (kernel, 1), (stride, 1))
            for kernel, stride in zip(KERNELS, STRIDES, strict=True)
        )

    def forward(self, x: Tensor, bands: Bands) -> Tensor:
        """Expand (batch, channels, rows, frames) to the bins of the bands."""
        compressed = torch.split(x, [after for _, after in bands], 2)
        expanded = []
        for band, conv, (n_bins, _) in zip(compressed, self.convtrs, bands, strict=True):
            wide = conv(band)
            start = (wide.shape[2] - n_bins) // 2
            expanded.append(wide[:, :, start : start + n_bins])
        return torch.cat(expanded, 2)
