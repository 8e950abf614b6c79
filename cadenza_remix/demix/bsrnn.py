"""BandSplitRNN: a network per source that models a spectrum band by band, along time and across the bands.

No weights are published that can be used freely, so these networks wait for weights of yours. Whatever is
normalised is so over all frames of its segment, with parameters for each feature alone, so that a network
takes segments of any length; reimplementations that have parameters for each frame too fit none but theirs.

References:
    Luo & Yu (2023), "Music source separation with band-split RNN", IEEE/ACM Trans. Audio, Speech and Language
    Processing 31.
"""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cadenza_remix.demix.network import NetworkSeparator, load_state
from cadenza_remix.demix.weights import Published, find_weights, read_tensors
from cadenza_remix.errors import WeightsError

SAMPLE_RATE = 44100
WINDOW, HOP = 2048, 512
BINS = WINDOW // 2 + 1
CHANNELS = 2
# Up to some frequency, how wide the bands are, in Hz; what lies above is one band.
VOCALS = {1000: 100, 4000: 250, 8000: 500, 16000: 1000, 20000: 2000}
BASS = {500: 50, 1000: 100, 4000: 500, 8000: 1000, 16000: 2000}
DRUMS = {1000: 50, 2000: 100, 4000: 250, 8000: 500, 16000: 1000}
BANDS = {"vocals": VOCALS, "drums": DRUMS, "bass": BASS, "other": VOCALS}
SOURCES = tuple(BANDS)
WIDTH = 128  # features of a band
LSTM_WIDTH = 256  # in each direction
MASK_WIDTH = 512
DEPTH = 12  # pairs of recurrences


def bsrnn(weights: str | None, *, allow_download: bool, **how: Any) -> NetworkSeparator:
    """The separator with weights of the user's.

    Args:
        weights: a folder with a file per source, or one file in which a tensor's name begins with
            `networks.<source>.`.
        allow_download: changes nothing, as there is nothing to fetch.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if there are no weights.
        ConfigError: if the device is not there.
    """
    if weights is None:
        raise WeightsError("No weights of BandSplitRNN are published that fit; say separator.weights=PATH.")
    own = [Published(source, f"your weights for {source}") for source in SOURCES]
    found = find_weights(own, given=weights, allow_download=allow_download, one_for_all=True)
    return NetworkSeparator(load, found, SOURCES, **how)


def load(paths: tuple[Path, ...]) -> nn.Module:
    """The networks with the weights of a file per source, or of one file for all.

    Raises:
        WeightsError: if they are not these networks'.
    """
    networks = BandSplitRnns()
    if len(paths) == 1:
        load_state(networks, read_tensors(paths[0]), paths[0])
    else:
        for network, path in zip(networks.networks.values(), paths, strict=True):
            load_state(network, read_tensors(path), path)
    return networks


def band_bins(widths_hz: dict[int, int]) -> list[int]:
    """The bins of each band, from below; a bin belongs to the band that its frequency lies in."""
    edges_hz, begin_hz = [0], 0
    for end_hz, width_hz in widths_hz.items():
        edges_hz += range(begin_hz + width_hz, end_hz + 1, width_hz)
        begin_hz = end_hz
    edges = [math.ceil(edge_hz * WINDOW / SAMPLE_RATE) for edge_hz in edges_hz] + [BINS]
    return [stop - start for start, stop in pairwise(edges)]


class BandSplitRnns(nn.Module):
    """Waveforms to waveforms, a network per source."""

    window: Tensor

    def __init__(self) -> None:
        """Build them with weights that mean nothing yet."""
        super().__init__()
        self.networks = nn.ModuleDict(
            {source: BandSplitRnn(band_bins(widths_hz)) for source, widths_hz in BANDS.items()}
        )
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    @staticmethod
    def valid_length(n_samples: int) -> int:
        """The least that it takes for so many samples: more than half a window, which is mirrored."""
        return max(n_samples, WINDOW // 2 + 1)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (batch, 2, samples), longer than half a window, into (batch, 4, 2, samples)."""
        flat = mixture.flatten(0, 1)
        spectrum = torch.stft(flat, WINDOW, HOP, window=self.window, return_complex=True)
        spectrum = spectrum.reshape(len(mixture), CHANNELS, BINS, -1)
        estimates = torch.stack([network(spectrum) * spectrum for network in self.networks.values()], 1)
        samples = mixture.shape[2]
        waves = torch.istft(estimates.flatten(0, 2), WINDOW, HOP, window=self.window, length=samples)
        return waves.reshape(len(mixture), len(SOURCES), CHANNELS, samples)


class BandSplitRnn(nn.Module):
    """A mixture's spectrum to the complex mask of one source."""

    def __init__(self, n_bins: list[int]) -> None:
        """Build it for the bins of each band, with weights that mean nothing yet."""
        super().__init__()
        n_features = [2 * CHANNELS * n for n in n_bins]  # real and imaginary part of each channel
        self.band_split = BandSplit(n_features)
        self.band_sequence = nn.Sequential(*(BandSequence() for _ in range(DEPTH)))
        self.mask_estimation = MaskEstimation(n_features)

    def forward(self, spectrum: Tensor) -> Tensor:
        """The mask for (batch, 2, bins, frames)."""
        parts = torch.view_as_real(spectrum)  # (batch, 2, bins, frames, 2)
        features = parts.permute(0, 2, 1, 4, 3).flatten(1, 3)  # (batch, bins · 2 · 2, frames)
        mask = self.mask_estimation(self.band_sequence(self.band_split(features)))
        mask = mask.reshape(len(mask), BINS, CHANNELS, 2, -1).permute(0, 2, 1, 4, 3)
        return torch.view_as_complex(mask.contiguous())


class BandSplit(nn.Module):
    """Brings each band to the same number of features."""

    def __init__(self, n_features: list[int]) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.n_features = n_features
        self.norms = nn.ModuleList(nn.GroupNorm(1, n) for n in n_features)
        self.linears = nn.ModuleList(nn.Linear(n, WIDTH) for n in n_features)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, features of all bands, frames) to (batch, bands, frames, width)."""
        bands = zip(torch.split(features, self.n_features, 1), self.norms, self.linears, strict=True)
        return torch.stack([linear(norm(band).transpose(1, 2)) for band, norm, linear in bands], 1)


class BandSequence(nn.Module):
    """Recurrence along time in each band, then across the bands in each frame."""

    def __init__(self) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.time, self.bands = Recurrence(), Recurrence()

    def forward(self, x: Tensor) -> Tensor:
        """Refine (batch, bands, frames, width)."""
        x = self.time(x.flatten(0, 1)).reshape(x.shape)
        across = x.transpose(1, 2)
        refined: Tensor = self.bands(across.flatten(0, 1))
        return refined.reshape(across.shape).transpose(1, 2)


class Recurrence(nn.Module):
    """A bidirectional LSTM beside a bypass."""

    def __init__(self) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.norm = nn.GroupNorm(1, WIDTH)
        self.lstm = nn.LSTM(WIDTH, LSTM_WIDTH, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * LSTM_WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Refine (sequences, steps, width)."""
        normalised = self.norm(x.transpose(1, 2)).transpose(1, 2)
        refined: Tensor = self.linear(self.lstm(normalised)[0])
        return x + refined


class MaskEstimation(nn.Module):
    """Makes of each band the mask of its bins."""

    def __init__(self, n_features: list[int]) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(1, WIDTH) for _ in n_features)
        self.linears = nn.ModuleList(
            nn.Sequential(
                nn.Linear(WIDTH, MASK_WIDTH),
                nn.Tanh(),
                nn.Linear(MASK_WIDTH, n),
                nn.Linear(n, 2 * n),  # the gated linear unit's values and gates
            )
            for n in n_features
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, bands, frames, width) to (batch, features of all bands, frames)."""
        masks = []
        for band, norm, linear in zip(x.unbind(1), self.norms, self.linears, strict=True):
            normalised = norm(band.transpose(1, 2)).transpose(1, 2)
            masks.append(functional.glu(linear(normalised), 2).transpose(1, 2))
        return torch.cat(masks, 1)
