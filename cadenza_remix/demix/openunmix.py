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
    found = find_weights(PUBLISHED, given=weights, allow_download=allow_download)
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

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (1, 2, samples), longer than half a window, into (1, 4, 2, samples)."""
        spectrum = torch.stft(mixture[0], WINDOW, HOP, window=self.window, return_complex=True)
        magnitude = spectrum.abs()
        phase = spectrum.angle()
        estimates = [
            torch.istft(
                torch.polar(target(magnitude), phase),
                WINDOW,
                HOP,
                window=self.window,
                length=mixture.shape[2],
            )
            for target in self.target_models.values()
        ]
        return torch.stack(estimates)[None]


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
        """Estimate (2, bins, frames) from the mixture's."""
        x = magnitude.permute(2, 0, 1)
        n_frames = len(x)
        heard = (x[..., :HEARD_BINS] + self.input_mean) * self.input_scale
        bottleneck = torch.tanh(self.bn1(self.fc1(heard.reshape(n_frames, -1))))
        unrolled = self.lstm(bottleneck)[0]
        hidden = torch.relu(self.bn2(self.fc2(torch.cat([bottleneck, unrolled], 1))))
        gains = self.bn3(self.fc3(hidden)).reshape(n_frames, CHANNELS, BINS)
        gains = torch.relu(gains * self.output_scale + self.output_mean)
        return (gains * x).permute(1, 2, 0)
