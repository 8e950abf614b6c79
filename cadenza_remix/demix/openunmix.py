"""Open-Unmix, the challenge's other baseline: a network per target, joined by the mixture's phase.

The layout of the published weights (umxhq); each target's magnitudes are used as they come, without the
package's Wiener filter (`niter=0`), as in the baseline. The `openunmix` package is not used, since it needs
torchaudio, which a PyTorch for the CPU alone cannot import. Checked against openunmix 1.3.0 and pyclarity
0.9.0.

References:
    Stöter, Uhlich, Liutkus & Mitsufuji (2019), "Open-Unmix - a reference implementation for music source
    separation", J. Open Source Softw. 4(41), 1667.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cadenza_remix.demix.network import NetworkSeparator, load_state
from cadenza_remix.demix.weights import Published, find_weights, read_tensors

SOURCES = ("vocals", "drums", "bass", "other")
PUBLISHED = tuple(
    Published(source, f"https://zenodo.org/records/3370489/files/{source}-{sha256}.pth", "checkpoints")
    for source, sha256 in zip(SOURCES, ("b62c91ce", "9619578f", "8d85a5bd", "b52fbbf7"), strict=True)
)
WINDOW, HOP = 4096, 1024
BINS = WINDOW // 2 + 1
HEARD_BINS = 1487  # up to 16 kHz
CHANNELS = 2
HIDDEN = 512


def openunmix(weights: str | None, *, allow_download: bool, **how: Any) -> NetworkSeparator:
    """The separator, its weights found.

    Args:
        weights: where they are, as `find_weights` understands it.
        allow_download: fetch them if they are nowhere.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there.
        ConfigError: if the device is not.
    """
    found = find_weights(PUBLISHED, given=weights, allow_download=allow_download, one_for_all=True)
    return NetworkSeparator(load, found, SOURCES, standardised=False, **how)


def load(paths: tuple[Path, ...]) -> nn.Module:
    """The network with the weights of a file per target, or of one file for all.

    In one file a tensor's name begins with `target_models.<target>.`.

    Raises:
        WeightsError: if they are not this network's.
    """
    network = OpenUnmix()
    if len(paths) == 1:
        load_state(network, read_tensors(paths[0]), paths[0])
    else:
        for target, path in zip(network.target_models.values(), paths, strict=True):
            load_state(target, read_tensors(path), path)
    return network


class OpenUnmix(nn.Module):
    """Waveforms to waveforms."""

    window: Tensor

    def __init__(self) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.target_models = nn.ModuleDict({source: Target() for source in SOURCES})
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    @staticmethod
    def valid_length(n_samples: int) -> int:
        """The least that it takes for so many samples: more than half a window, which is mirrored."""
        return max(n_samples, WINDOW // 2 + 1)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (batch, 2, samples), longer than half a window, into (batch, 4, 2, samples)."""
        n_items, _, samples = mixture.shape
        spectrum = torch.stft(mixture.flatten(0, 1), WINDOW, HOP, window=self.window, return_complex=True)
        spectrum = spectrum.reshape(n_items, CHANNELS, BINS, -1)
        magnitude = spectrum.abs()
        phase = spectrum.angle()
        estimates = []
        for target in self.target_models.values():
            estimate = torch.polar(target(magnitude), phase).flatten(0, 1)
            waves = torch.istft(estimate, WINDOW, HOP, window=self.window, length=samples)
            estimates.append(waves.reshape(mixture.shape))
        return torch.stack(estimates, 1)


class Target(nn.Module):
    """The magnitudes of a mixture to those of one source; attributes are named as in the published files."""

    def __init__(self) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.input_mean = nn.Parameter(torch.zeros(HEARD_BINS))  # to be added
        self.input_scale = nn.Parameter(torch.ones(HEARD_BINS))  # to be multiplied by
        self.output_scale = nn.Parameter(torch.ones(BINS))
        self.output_mean = nn.Parameter(torch.zeros(BINS))
        self.fc1 = nn.Linear(CHANNELS * HEARD_BINS, HIDDEN, bias=False)
        self.bn1 = nn.BatchNorm1d(HIDDEN)
        self.lstm = nn.LSTM(HIDDEN, HIDDEN // 2, num_layers=3, bidirectional=True)
        self.fc2 = nn.Linear(2 * HIDDEN, HIDDEN, bias=False)
        self.bn2 = nn.BatchNorm1d(HIDDEN)
        self.fc3 = nn.Linear(HIDDEN, CHANNELS * BINS, bias=False)
        self.bn3 = nn.BatchNorm1d(CHANNELS * BINS)

    def forward(self, magnitude: Tensor) -> Tensor:
        """Estimate (batch, 2, bins, frames) from the mixture's."""
        x = magnitude.permute(3, 0, 1, 2)
        n_frames, n_items = x.shape[:2]
        heard = (x[..., :HEARD_BINS] + self.input_mean) * self.input_scale
        # Normalisation takes (n, features), the LSTM (frames, batch, features).
        bottleneck = torch.tanh(self.bn1(self.fc1(heard.flatten(2).flatten(0, 1))))
        unrolled = self.lstm(bottleneck.reshape(n_frames, n_items, HIDDEN))[0].flatten(0, 1)
        hidden = torch.relu(self.bn2(self.fc2(torch.cat([bottleneck, unrolled], 1))))
        gains = self.bn3(self.fc3(hidden)).reshape(n_frames, n_items, CHANNELS, BINS)
        gains = torch.relu(gains * self.output_scale + self.output_mean)
        return (gains * x).permute(1, 2, 3, 0)
