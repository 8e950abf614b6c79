"""Conv-TasNet in stereo: masks on a learnt filterbank, from stacks of dilated convolutions.

One network for the second Cadenza challenge's separators of vocals, causal and not, and for the speech
enhancement of an entry to the Clarity challenge of 2023; its sizes are read from the weights. Checked against
the networks of claritychallenge/clarity (9df6486f) and ooshyun/Speech-Enhancement-Pytorch (92e1b35a), the
latter with its published weights.

References:
    Luo & Mesgarani (2019), "Conv-TasNet: Surpassing ideal time-frequency magnitude masking for speech
    separation", IEEE/ACM Trans. Audio Speech Lang. Process. 27(8), 1256.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cadenza_remix.demix.network import NetworkSeparator, make_of_its_size
from cadenza_remix.demix.weights import Published, find_weights, read_tensors
from cadenza_remix.errors import WeightsError

BLOCKS = "separator.network.2"
HUGGING_FACE = "https://huggingface.co/cadenzachallenge/ConvTasNet_LyricsSeparation_"
CAUSAL, NONCAUSAL = (
    Published(
        "convtasnet",
        f"{HUGGING_FACE}{kind}/resolve/main/model.safetensors",
        saved_as=f"convtasnet_lyrics_{kind.lower()}.safetensors",
    )
    for kind in ("Causal", "NonCausal")
)
CLARITY = Published(
    "convtasnet",
    "https://github.com/ooshyun/ClarityChallenge2023/raw/f5072fb2f40a4cedd41ae6e58d93ca17f28ea19d/result/model/"
    "conv-tasnet/20230220-100114/checkpoints/model_0018_loss_0.32211965.pth",
    saved_as="convtasnet_clarity.pth",
    sha256="c2e0197de6e7160adbf0d6183232c3a67208b8ee67152a3d24fcdfc53bf5c7cf",
)


def convtasnet(
    weights: str | None, *, allow_download: bool, sources: Sequence[str], causal: bool, **how: Any
) -> NetworkSeparator:
    """The separator of music, its weights found.

    Args:
        weights: where they are, as `find_weights` understands it.
        allow_download: fetch them if they are nowhere.
        sources: what it separates, in the order that it was trained with.
        causal: whether its convolutions reach back only, and each frame is normalised on its own.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there, or nobody has published such.
        ConfigError: if the device is not.
    """
    if weights is None and tuple(sources) != ("vocals", "background"):
        raise WeightsError(
            f"No weights of Conv-TasNet for {', '.join(sources)} are published; say separator.weights=PATH."
        )
    found = find_weights([CAUSAL if causal else NONCAUSAL], given=weights, allow_download=allow_download)
    return NetworkSeparator(
        Load(len(sources), causal), found, tuple(sources), standardised=False, causal=causal, **how
    )


def convtasnet_clarity(weights: str | None, *, allow_download: bool, **how: Any) -> NetworkSeparator:
    """Speech enhancement at 16 kHz, with the weights of an entry to the Clarity challenge of 2023.

    Args:
        weights: where they are, as `find_weights` understands it.
        allow_download: fetch them if they are nowhere.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there.
        ConfigError: if the device is not.
    """
    found = find_weights([CLARITY], given=weights, allow_download=allow_download)
    sources = ("target", "interferer")
    load = Load(len(sources), causal=False)
    return NetworkSeparator(
        load, found, sources, standardised=True, channelwise=True, sample_rate=16000, **how
    )


@dataclass(frozen=True)
class Load:
    """Makes the network from its file.

    Attributes:
        n_sources: how many sources the file should separate.
        causal: whether it should be of a causal network.
    """

    n_sources: int
    causal: bool

    def __call__(self, paths: tuple[Path, ...]) -> nn.Module:
        """The network with the weights of one file.

        Raises:
            WeightsError: if they are not such a network's.
        """
        (path,) = paths
        tensors = {_renamed(name): tensor for name, tensor in read_tensors(path).items()}
        sizes = Sizes.of(tensors, path)
        # Dropping what its padding adds at the end takes a causal network a module of its own.
        causal = f"{BLOCKS}.0.0.net.3.net.4.weight" in tensors
        if (sizes.sources, causal) != (self.n_sources, self.causal):
            raise WeightsError(
                f"{path} is of a {'causal' if causal else 'non-causal'} network for {sizes.sources} sources; "
                "correct separator.causal and separator.sources, or give other weights."
            )
        return make_of_its_size(lambda: ConvTasNet(sizes, causal=causal), tensors, path)


def _renamed(name: str) -> str:
    """A tensor's name in the Cadenza layout; the Clarity entry's differs in one."""
    return name.replace(".pointwise_conv.", ".net.3.")


@dataclass(frozen=True)
class Sizes:
    """How large a Conv-TasNet is; the paper's letters in brackets.

    Attributes:
        filters: of the filterbank (N).
        filter_length: their samples (L), twice the hop.
        bottleneck: channels between the blocks (B).
        hidden: channels within a block (H).
        kernel: frames that a block's convolution takes (P).
        blocks: in a stack, each with twice the dilation of the last (X).
        stacks: repetitions of those (R).
        sources: that are separated (C).
        channels: of the sound.
    """

    filters: int
    filter_length: int
    bottleneck: int
    hidden: int
    kernel: int
    blocks: int
    stacks: int
    sources: int
    channels: int

    @classmethod
    def of(cls, tensors: dict[str, Tensor], path: Path) -> "Sizes":
        """The sizes of the network that these weights belong to.

        Raises:
            WeightsError: if they belong to none.
        """

        def present(name: str) -> int:
            return len(
                list(takewhile(lambda i: f"{BLOCKS}.{name.format(i)}.net.0.weight" in tensors, count()))
            )

        try:
            filters, channels, filter_length = tensors["encoder.conv1d_U.weight"].shape
            hidden, bottleneck, _ = tensors[f"{BLOCKS}.0.0.net.0.weight"].shape
            kernel = tensors[f"{BLOCKS}.0.0.net.3.net.0.weight"].shape[2]
            sources = len(tensors["separator.network.3.weight"]) // filters
        except (KeyError, ValueError, IndexError) as error:
            raise WeightsError(
                f"{path} holds no Conv-TasNet ({error}); give the weights of this network."
            ) from error
        return cls(
            filters,
            filter_length,
            bottleneck,
            hidden,
            kernel,
            blocks=present("0.{}"),
            stacks=present("{}.0"),
            sources=sources,
            channels=channels,
        )


class ConvTasNet(nn.Module):
    """Waveforms to waveforms; attributes are named as in the published files."""

    def __init__(self, sizes: Sizes, *, causal: bool) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.encoder = Encoder(sizes)
        self.separator = Separator(sizes, causal=causal)
        self.decoder = Decoder(sizes)
        self.filter_length = sizes.filter_length

    def valid_length(self, n_samples: int) -> int:
        """The least that it takes for so many samples: a filter's length."""
        return max(n_samples, self.filter_length)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (batch, channels, samples), a filter's length or more, into (batch, sources, …)."""
        frames = self.encoder(mixture)
        masks = self.separator(frames)
        estimates: Tensor = self.decoder(masks * frames[:, None])
        # What does not fill a hop at the end of the mixture was not heard.
        return nn.functional.pad(estimates, (0, mixture.shape[2] - estimates.shape[3]))


class Encoder(nn.Module):
    """Sound to non-negative activations of a filterbank."""

    def __init__(self, sizes: Sizes) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.conv1d_U = nn.Conv1d(
            sizes.channels, sizes.filters, sizes.filter_length, stride=sizes.filter_length // 2, bias=False
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channels, samples) to (batch, filters, frames)."""
        return torch.relu(self.conv1d_U(mixture))


class Decoder(nn.Module):
    """Activations back to sound."""

    def __init__(self, sizes: Sizes) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.channels = sizes.channels
        self.basis_signals = nn.Linear(sizes.filters, sizes.channels * sizes.filter_length, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(batch, sources, filters, frames) to (batch, sources, channels, samples), overlapping by half."""
        pieces = self.basis_signals(frames.transpose(2, 3))  # (batch, sources, frames, channels · length)
        halves = torch.unflatten(pieces, 3, (self.channels, 2, -1)).permute(4, 0, 1, 3, 2, 5)
        first, second = halves  # (batch, sources, channels, frames, hop) each
        overlapped = nn.functional.pad(first, (0, 0, 0, 1)) + nn.functional.pad(second, (0, 0, 1, 0))
        return overlapped.flatten(3)


class Separator(nn.Module):
    """Activations of the mixture to a non-negative mask for each source."""

    def __init__(self, sizes: Sizes, *, causal: bool) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.n_sources = sizes.sources
        self.network = nn.Sequential(
            Norm(sizes.filters, framewise=True),
            nn.Conv1d(sizes.filters, sizes.bottleneck, 1, bias=False),
            nn.Sequential(
                *(
                    nn.Sequential(*(Block(sizes, dilation=2**i, causal=causal) for i in range(sizes.blocks)))
                    for _ in range(sizes.stacks)
                )
            ),
            nn.Conv1d(sizes.bottleneck, sizes.sources * sizes.filters, 1, bias=False),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(batch, filters, frames) to (batch, sources, filters, frames)."""
        return torch.unflatten(torch.relu(self.network(frames)), 1, (self.n_sources, -1))


class Block(nn.Module):
    """A dilated convolution in more channels, added to its input."""

    def __init__(self, sizes: Sizes, *, dilation: int, causal: bool) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(sizes.bottleneck, sizes.hidden, 1, bias=False),
            nn.PReLU(),
            Norm(sizes.hidden, framewise=causal),
            DepthwiseSeparable(sizes, dilation=dilation, causal=causal),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, bottleneck, frames) to the same shape."""
        added: Tensor = self.net(x)
        return x + added


class DepthwiseSeparable(nn.Module):
    """A convolution within each channel, then one across channels."""

    def __init__(self, sizes: Sizes, *, dilation: int, causal: bool) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        reach = (sizes.kernel - 1) * dilation
        depthwise = nn.Conv1d(
            sizes.hidden,
            sizes.hidden,
            sizes.kernel,
            dilation=dilation,
            padding=reach if causal else reach // 2,
            groups=sizes.hidden,
            bias=False,
        )
        self.net = nn.Sequential(
            depthwise,
            *([Chop(reach)] if causal else []),
            nn.PReLU(),
            Norm(sizes.hidden, framewise=causal),
            nn.Conv1d(sizes.hidden, sizes.bottleneck, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, hidden, frames) to (batch, bottleneck, frames)."""
        result: Tensor = self.net(x)
        return result


class Chop(nn.Module):
    """Drops the frames that a convolution padded on both sides has more than its input."""

    def __init__(self, frames: int) -> None:
        """Drop so many at the end."""
        super().__init__()
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) to fewer frames."""
        return x[..., : -self.frames]


class Norm(nn.Module):
    """Normalisation to mean 0 and variance 1, then a gain and an offset for each channel.

    Over each frame on its own (cLN in the published code, but without the paper's history), or over all
    frames together (gLN): every output sample then depends on all of the input.
    """

    def __init__(self, channels: int, *, framewise: bool) -> None:
        """Build it so that it only normalises."""
        super().__init__()
        self.over = (1,) if framewise else (1, 2)
        self.gamma = nn.Parameter(torch.ones(1, channels, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) to the same shape."""
        centered = x - x.mean(self.over, keepdim=True)
        variance = centered.square().mean(self.over, keepdim=True)
        return self.gamma * centered / (variance + 1e-8).sqrt() + self.beta
