"""What KUIELab-MDX-Net and DTTNet have in common: a U-Net that maps spectrograms to a source's spectrogram.

Its blocks alternate time-frequency convolutions (TFC) with layers that are fully connected along frequency
and the same at each time (time-distributed fully-connected, TDF). Attributes are named as in the published
files.

References:
    Choi, Kim, Chung, Lee & Jung (2020), "Investigating U-Nets with various intermediate blocks for
    spectrogram-based singing voice separation", Proc. ISMIR, 192.
    Kim, Choi, Chung, Lee & Jung (2021), "KUIELab-MDX-Net: A two-stream neural network for music demixing",
    Proc. ISMIR MDX workshop.
"""

from collections.abc import Callable, Iterator
from math import ceil

import torch
from torch import Tensor, nn

HOP = 1024
CHANNELS = 2
PARTS = 2 * CHANNELS  # left real, left imaginary, right real, right imaginary
WIDTH = 32  # channels of the first level, and how many each level adds


class TfcTdfUNet(nn.Module):
    """The waveform of a mixture to that of one source."""

    window: Tensor
    freq_pad: Tensor

    def __init__(
        self,
        *,
        n_fft: int,
        bins: int,
        levels: int,
        block: Callable[[int, int], nn.Module],
        bottleneck: Callable[[int, int], nn.Module],
    ) -> None:
        """Build it with weights that mean nothing yet.

        Args:
            n_fft: samples of a frame.
            bins: how many of the lowest ones are heard; the source is silent above.
            levels: how often time and frequency are halved.
            block: makes what maps (batch, channels, frames, bins) to the same shape at every level, from the
                number of channels and bins.
            bottleneck: makes that of the lowest level.
        """
        super().__init__()
        self.multiple = 2**levels
        # Published files hold these two as well, and they are always so.
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("freq_pad", torch.zeros(1, PARTS, n_fft // 2 + 1 - bins, 1), persistent=False)
        widths = [(WIDTH * (level + 1), bins // 2**level) for level in range(levels + 1)]
        down, up = widths[:-1], widths[-2::-1]
        self.first_conv = nn.Sequential(nn.Conv2d(PARTS, WIDTH, 1), nn.BatchNorm2d(WIDTH), nn.ReLU())
        self.encoding_blocks = nn.ModuleList(block(*width) for width in down)
        self.ds = nn.ModuleList(halve(channels) for channels, _ in down)
        self.bottleneck_block = bottleneck(*widths[-1])
        self.us = nn.ModuleList(double(channels) for channels, _ in up)
        self.decoding_blocks = nn.ModuleList(block(*width) for width in up)
        self.final_conv = nn.Sequential(nn.Conv2d(WIDTH, PARTS, 1))

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (batch, 2, samples) into (batch, 1, 2, samples); silence fills up to whole frames."""
        samples = mixture.shape[2]
        frames = ceil((ceil(samples / HOP) + 1) / self.multiple) * self.multiple
        filled = nn.functional.pad(mixture, (0, HOP * (frames - 1) - samples))
        return self.waveform(self.estimate(self.spectrogram(filled)))[:, None, :, :samples]

    def spectrogram(self, mixture: Tensor) -> Tensor:
        """(batch, 2, samples) to (batch, 4, bins, frames)."""
        n_fft = len(self.window)
        spectrum = torch.stft(mixture.flatten(0, 1), n_fft, HOP, window=self.window, return_complex=True)
        parts = torch.view_as_real(spectrum)
        parts = torch.unflatten(parts, 0, (-1, CHANNELS))  # (batch, 2, all bins, frames, 2)
        heard = n_fft // 2 + 1 - self.freq_pad.shape[2]
        return parts.permute(0, 1, 4, 2, 3).flatten(1, 2)[:, :, :heard]

    def waveform(self, parts: Tensor) -> Tensor:
        """(batch, 4, bins, frames) to (batch, 2, samples)."""
        n_items, _, _, frames = parts.shape
        parts = torch.cat([parts, self.freq_pad.expand(n_items, -1, -1, frames)], 2)
        pairs = torch.unflatten(parts, 1, (CHANNELS, 2)).permute(0, 1, 3, 4, 2)
        spectrum = torch.view_as_complex(pairs.contiguous())
        wave = torch.istft(spectrum.flatten(0, 1), len(self.window), HOP, window=self.window)
        return torch.unflatten(wave, 0, (n_items, CHANNELS))

    def estimate(self, parts: Tensor) -> Tensor:
        """The source's (batch, 4, bins, frames) from the mixture's; there is no mask."""
        x = self.first_conv(parts).transpose(2, 3)  # (batch, channels, frames, bins) from here on
        skipped = []
        for block, halved in zip(self.encoding_blocks, self.ds, strict=True):
            x = block(x)
            skipped.append(x)
            x = halved(x)
        x = self.bottleneck_block(x)
        for doubled, block in zip(self.us, self.decoding_blocks, strict=True):
            x = block(doubled(x) * skipped.pop())
        result: Tensor = self.final_conv(x.transpose(2, 3))
        return result

    def layers_in_order(self) -> Iterator[tuple[str, nn.Module]]:
        """The layers that have weights, with their names, as `estimate` applies them."""
        levels = range(len(self.ds))
        parts = ["first_conv"]
        parts += [f"{part}.{level}" for level in levels for part in ("encoding_blocks", "ds")]
        parts += ["bottleneck_block"]
        parts += [f"{part}.{level}" for level in levels for part in ("us", "decoding_blocks")]
        for part in [*parts, "final_conv"]:
            for name, layer in self.get_submodule(part).named_modules(prefix=part):
                if list(layer.parameters(recurse=False)):
                    yield name, layer


class Tfc(nn.Module):
    """Time-frequency convolutions."""

    def __init__(self, channels: int, *, layers: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.H = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()
                )
                for _ in range(layers)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames, bins) to the same shape."""
        result: Tensor = self.H(x)
        return result


def tdf(channels: int, bins: int, *, reduction: int) -> nn.Sequential:
    """Fully connected layers along frequency, through `bins / reduction` values; the same at each time."""
    return nn.Sequential(
        nn.Linear(bins, bins // reduction, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Linear(bins // reduction, bins, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def halve(channels: int) -> nn.Sequential:
    """Half as many frames and bins, in more channels."""
    wider = channels + WIDTH
    return nn.Sequential(nn.Conv2d(channels, wider, 2, stride=2), nn.BatchNorm2d(wider), nn.ReLU())


def double(channels: int) -> nn.Sequential:
    """Twice as many frames and bins, in fewer channels; the inverse of `halve(channels)` in shape."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels + WIDTH, channels, 2, stride=2), nn.BatchNorm2d(channels), nn.ReLU()
    )
