"""BS-RoFormer: bands as tokens, transformers along time and across the bands in turns, a complex mask.

The layout of ZFTurbo's published weights; the PyPI package `bs-roformer` has moved on from it. Checked
against ZFTurbo/Music-Source-Separation-Training (ccc011ab).

References:
    Lu, Wang, Kong & Hung (2024), "Music source separation with band-split RoPE transformer", Proc. ICASSP.
    Su, Ahmed, Lu, Pan, Bo & Liu (2024), "RoFormer: Enhanced transformer with rotary position embedding",
    Neurocomputing 568.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cadenza_remix.demix.network import NetworkSeparator, load_state
from cadenza_remix.demix.weights import Published, find_weights, read_tensors

WINDOW = 2048
BINS = WINDOW // 2 + 1
CHANNELS = 2
# Bins of each band, from below: 62 bands.
BAND_BINS = [2] * 24 + [4] * 12 + [12] * 8 + [24] * 8 + [48] * 8 + [128, 129]
BAND_FEATURES = [2 * CHANNELS * n_bins for n_bins in BAND_BINS]  # real and imaginary part of each channel
HEADS, HEAD_WIDTH = 8, 64


def bsroformer(
    weights: str | None,
    *,
    sources: Sequence[str],
    width: int,
    depth: int,
    hop: int,
    mask_expansion: int,
    allow_download: bool,
    source_url: str,
    **how: Any,
) -> NetworkSeparator:
    """The separator, its weights found.

    Args:
        weights: where they are, as `find_weights` understands it.
        sources: the stems in the order of the published masks.
        width: features of a token.
        depth: pairs of transformers.
        hop: samples from frame to frame.
        mask_expansion: hidden features of a mask's network, in widths.
        allow_download: fetch them if they are nowhere.
        source_url: the file, at its authors'.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there.
        ConfigError: if the device is not.
    """
    published = [Published("bs_roformer", source_url)]
    found = find_weights(published, given=weights, allow_download=allow_download)
    load = Load(len(sources), width, depth, hop, mask_expansion)
    return NetworkSeparator(load, found, tuple(sources), source_url=source_url, **how)


@dataclass(frozen=True)
class Load:
    """Makes a network of some size; see `bsroformer`."""

    n_sources: int
    width: int
    depth: int
    hop: int
    mask_expansion: int

    def __call__(self, paths: tuple[Path, ...]) -> nn.Module:
        """The network with the weights of one file.

        Raises:
            WeightsError: if they are not this network's.
        """
        (path,) = paths
        network = self.network()
        load_state(network, read_tensors(path), path)
        return network

    def network(self) -> "BsRoformer":
        """The network with weights that mean nothing yet."""
        return BsRoformer(self.n_sources, self.width, self.depth, self.hop, self.mask_expansion)


class BsRoformer(nn.Module):
    """Waveforms to waveforms; attributes are named as in the published files, here and below."""

    window: Tensor

    def __init__(self, n_sources: int, width: int, depth: int, hop: int, mask_expansion: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.hop = hop
        self.band_split = BandSplit(width)
        time, frequency = RotaryEmbedding(), RotaryEmbedding()  # each shared by all layers
        self.layers: Any = nn.ModuleList(  # its pairs have no type of their own
            nn.ModuleList([Transformer(width, time), Transformer(width, frequency)]) for _ in range(depth)
        )
        self.final_norm = RmsNorm(width)
        self.mask_estimators = nn.ModuleList(
            MaskEstimator(width, mask_expansion * width) for _ in range(n_sources)
        )
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    @staticmethod
    def valid_length(n_samples: int) -> int:
        """The least that it takes for so many samples: more than half a window, which is mirrored."""
        return max(n_samples, WINDOW // 2 + 1)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (batch, 2, samples), longer than half a window, into (batch, sources, 2, samples)."""
        n_items, _, n_samples = mixture.shape
        flat = mixture.flatten(0, 1)
        spectrum = torch.stft(flat, WINDOW, self.hop, window=self.window, return_complex=True)
        spectrum = spectrum.reshape(n_items, CHANNELS, BINS, -1)
        parts = torch.view_as_real(spectrum)  # (batch, 2, bins, frames, 2)
        features = parts.permute(0, 3, 2, 1, 4).flatten(2)  # (batch, frames, bins · 2 · 2)
        tokens = self.refine(self.band_split(features))
        masks = torch.stack([estimator(tokens) for estimator in self.mask_estimators], 1)
        masks = masks.reshape(*masks.shape[:3], BINS, CHANNELS, 2).permute(0, 1, 4, 3, 2, 5)
        estimates = torch.view_as_complex(masks.contiguous()) * spectrum[:, None]
        estimates[..., 0, :] = 0  # no source has a constant part
        waves = torch.istft(estimates.flatten(0, 2), WINDOW, self.hop, window=self.window, length=n_samples)
        return waves.reshape(n_items, -1, CHANNELS, n_samples)

    def refine(self, tokens: Tensor) -> Tensor:
        """Let tokens of (batch, frames, bands, width) see those of their band, then those of their frame."""
        n_items, n_frames, n_bands, width = tokens.shape
        for time, frequency in self.layers:
            rows = time(tokens.transpose(1, 2).reshape(n_items * n_bands, n_frames, width))
            columns = rows.reshape(n_items, n_bands, n_frames, width).transpose(1, 2)
            tokens = frequency(columns.reshape(n_items * n_frames, n_bands, width))
            tokens = tokens.reshape(n_items, n_frames, n_bands, width)
        refined: Tensor = self.final_norm(tokens)
        return refined


class BandSplit(nn.Module):
    """Makes a token of each band of a frame."""

    def __init__(self, width: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.to_features = nn.ModuleList(
            nn.Sequential(RmsNorm(n_features), nn.Linear(n_features, width)) for n_features in BAND_FEATURES
        )

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, features of all bands) to (batch, frames, bands, width)."""
        bands = zip(torch.split(features, BAND_FEATURES, 2), self.to_features, strict=True)
        return torch.stack([to_features(band) for band, to_features in bands], 2)


class Transformer(nn.Module):
    """Attention and a feed-forward network, each beside a bypass."""

    def __init__(self, width: int, rotary_embed: "RotaryEmbedding") -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        pair = nn.ModuleList([Attention(width, rotary_embed), FeedForward(width)])
        self.layers: Any = nn.ModuleList([pair])

    def forward(self, x: Tensor) -> Tensor:
        """Refine (sequences, positions, width)."""
        for attention, feed_forward in self.layers:
            x = x + attention(x)
            x = x + feed_forward(x)
        return x


class Attention(nn.Module):
    """Self-attention that knows distances by rotation, with a gate for each head."""

    def __init__(self, width: int, rotary_embed: "RotaryEmbedding") -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.rotary_embed = rotary_embed
        self.norm = RmsNorm(width)
        self.to_qkv = nn.Linear(width, 3 * HEADS * HEAD_WIDTH, bias=False)
        self.to_gates = nn.Linear(width, HEADS)
        self.to_out = nn.Sequential(nn.Linear(HEADS * HEAD_WIDTH, width, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Refine (sequences, positions, width)."""
        x = self.norm(x)
        n_sequences, n_positions, _ = x.shape
        qkv = self.to_qkv(x).reshape(n_sequences, n_positions, 3, HEADS, HEAD_WIDTH)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (sequences, heads, positions, features) each
        query, key = self.rotary_embed(query), self.rotary_embed(key)
        heard = functional.scaled_dot_product_attention(query, key, value)
        gated = heard.transpose(1, 2) * torch.sigmoid(self.to_gates(x))[..., None]
        out: Tensor = self.to_out(gated.flatten(2))
        return out


class FeedForward(nn.Module):
    """The network that each token goes through on its own."""

    def __init__(self, width: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        nothing = nn.Identity()  # dropout of 0 in its place keeps the names
        self.net = nn.Sequential(
            RmsNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nothing, nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine (sequences, positions, width)."""
        refined: Tensor = self.net(x)
        return refined


class RotaryEmbedding(nn.Module):
    """Turns pairs of features by angles that grow with the position, so that products know distances."""

    def __init__(self) -> None:
        """Build it with the usual frequencies; the published files bring theirs."""
        super().__init__()
        n_pairs = HEAD_WIDTH // 2
        self.freqs = nn.Parameter(10000.0 ** (-torch.arange(n_pairs) / n_pairs))  # radians per position

    def forward(self, x: Tensor) -> Tensor:
        """Turn (…, positions, features)."""
        angles = torch.arange(x.shape[-2], device=x.device)[:, None] * self.freqs
        cosine, sine = angles.cos(), angles.sin()
        first, second = x[..., ::2], x[..., 1::2]  # neighbors are a pair
        turned = torch.stack([first * cosine - second * sine, second * cosine + first * sine], -1)
        return turned.flatten(-2)


class RmsNorm(nn.Module):
    """Scales features to a root mean square of 1, then each by a gain."""

    def __init__(self, n_features: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(n_features))

    def forward(self, x: Tensor) -> Tensor:
        """Scale (…, features)."""
        normalised: Tensor = functional.normalize(x, dim=-1) * x.shape[-1] ** 0.5
        return normalised * self.gamma


class MaskEstimator(nn.Module):
    """A source's complex mask from the tokens, band by band."""

    def __init__(self, width: int, hidden: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.to_freqs = nn.ModuleList(
            nn.Sequential(
                nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 2 * n_features)),
                nn.GLU(),
            )
            for n_features in BAND_FEATURES
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, frames, bands, width) to (batch, frames, features of all bands)."""
        bands = zip(tokens.unbind(2), self.to_freqs, strict=True)
        return torch.cat([to_freqs(token) for token, to_freqs in bands], 2)
