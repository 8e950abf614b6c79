"""KUIELab-MDX-Net: a TFC-TDF U-Net for each source, each with frames of its own length, then a mixer.

Checked against the networks of kuielab/mdx-net (branch Leaderboard_B, b3ec4f6a; those of Leaderboard_A have
the same layout).

References:
    Kim, Choi, Chung, Lee & Jung (2021), "KUIELab-MDX-Net: A two-stream neural network for music demixing",
    Proc. ISMIR MDX workshop.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cadenza_remix.demix.base import Stems
from cadenza_remix.demix.correction import mixed
from cadenza_remix.demix.network import NetworkSeparator, load_state
from cadenza_remix.demix.onnx import Step, read_steps
from cadenza_remix.demix.segments import OverlapAdd
from cadenza_remix.demix.tfc_tdf import Tfc, TfcTdfUNet, tdf
from cadenza_remix.demix.weights import Published, WeightsFile, find_weights, read_tensors
from cadenza_remix.errors import WeightsError

Array = npt.NDArray[np.float32]
N_FFT = {"bass": 16384, "drums": 4096, "other": 8192, "vocals": 6144}  # samples of a frame
SOURCES = tuple(N_FFT)  # in the mixer's order
BINS = 2048
LEVELS = 5
SAMPLE_RATE = 44100
ZENODO = "https://zenodo.org/records/5717356"
# Names in the submission's code, and in that of the training.
SUBMISSION = {
    r"^ds_dense\.(\d+)\.": r"encoding_blocks.\1.",
    r"^mid_dense\.": "bottleneck_block.",
    r"^us_dense\.(\d+)\.": r"decoding_blocks.\1.",
    r"(_blocks?\.(?:\d+\.)?)H\.": r"\1tfc.H.",
}
MIXER_NAMES = ("mixing_layer.weight", "linear.weight")  # likewise, in reverse
OPERATORS = {  # in ONNX
    nn.BatchNorm2d: "BatchNormalization",
    nn.Conv2d: "Conv",
    nn.ConvTranspose2d: "ConvTranspose",
    nn.Linear: "MatMul",
}
MIXER = Published("mixer", f"{ZENODO}/files/mixer.ckpt", saved_as="mdxnet_mixer.ckpt")
PUBLISHED = (
    *(Published(source, ZENODO, saved_as=f"mdxnet_{source}.onnx", by_hand=True) for source in SOURCES),
    MIXER,
)


def mdxnet(
    weights: str | None, *, allow_download: bool, segment_s: float, mixer: bool, **how: Any
) -> "MdxNet":
    """The separator, its weights found.

    Args:
        weights: where they are, as `find_weights` understands it: a folder with a file for each source and
            `mixer*`.
        allow_download: fetch what can be fetched if it is nowhere.
        segment_s: s, length of a segment; half a frame is dropped at each of its ends.
        mixer: whether the estimates go through the mixer; else its file is not needed.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there.
        ConfigError: if the device is not, or a number is out of range.
    """
    wanted = PUBLISHED if mixer else PUBLISHED[:-1]
    found = find_weights(wanted, given=weights, allow_download=allow_download)
    networks = tuple(
        NetworkSeparator(
            Load(source),
            (file,),
            (source,),
            standardised=False,
            segments=OverlapAdd(
                segment_s, overlap=0.0, fade=0.0, context_s=N_FFT[source] / 2 / SAMPLE_RATE, end="silence"
            ),
            **how,
        )
        for source, file in zip(SOURCES, found, strict=False)
    )
    return MdxNet(networks, found[-1] if mixer else None)


@dataclass(frozen=True)
class MdxNet:
    """Networks for one source each, and the matrix that improves their estimates together.

    Attributes:
        networks: in the order of `SOURCES`.
        mixer: the file of the matrix, which takes the estimates and the mixture, sample by sample, to better
            estimates; None: the estimates as they are.
    """

    networks: tuple[NetworkSeparator, ...]
    mixer: WeightsFile | None
    sources: tuple[str, ...] = SOURCES
    sample_rate: int = SAMPLE_RATE
    channels: int = 2
    causal: bool = False

    @property
    def training_data(self) -> str:
        """What the weights were learnt from."""
        return self.networks[0].training_data

    @property
    def allowed_by_rules(self) -> bool:
        """Whether the challenge admits that."""
        return self.networks[0].allowed_by_rules

    @property
    def licence(self) -> str:
        """What is known of the terms that the weights are given under."""
        return self.networks[0].licence

    @property
    def source_url(self) -> str:
        """Where the authors publish the weights."""
        return self.networks[0].source_url

    @property
    def weights_sha256(self) -> list[str]:
        """What the stems are made with; goes into the manifest."""
        mixer = [self.mixer.sha256] if self.mixer else []
        return [sha256 for network in self.networks for sha256 in network.weights_sha256] + mixer

    def __call__(self, mixture: Array) -> Stems:
        """Separate a `(channels, samples)` mixture at `sample_rate` into stems of the same shape.

        Raises:
            WeightsError: if a file is not of this network.
        """
        stems = {source: stem for network in self.networks for source, stem in network(mixture).items()}
        return mixed(read_mixer(self.mixer.path), stems, mixture) if self.mixer else stems


@dataclass(frozen=True)
class Load:
    """Makes the network of a source from its file."""

    source: str

    def __call__(self, paths: tuple[Path, ...]) -> nn.Module:
        """The network with the weights of one file.

        Raises:
            WeightsError: if they are not this network's.
        """
        (path,) = paths
        if path.suffix == ".onnx":
            steps = read_steps(path)
            network = self.network([operator for operator, _ in steps].count("ConvTranspose"), path)
            load_state(network, _named(steps, network, path), path)
            return network
        tensors = {_renamed(name): tensor for name, tensor in read_tensors(path).items()}
        levels = len({name.split(".")[1] for name in tensors if name.startswith("us.")})
        network = self.network(levels, path)
        load_state(network, tensors, path)
        return network

    def network(self, levels: int, path: Path) -> TfcTdfUNet:
        """The network with weights that mean nothing yet; some published ones have fewer levels."""
        if levels > LEVELS:
            raise WeightsError(
                f"{path} is of a network with {levels} levels; expected {LEVELS} at most: give the weights "
                "of this network."
            )
        return target(self.source, levels)


def _renamed(name: str) -> str:
    """A tensor's name in the training code; those in the code of the submission differ."""
    for submission, training in SUBMISSION.items():
        name = re.sub(submission, training, name)
    return name


def _named(steps: list[Step], network: TfcTdfUNet, path: Path) -> dict[str, Tensor]:
    """The tensors of an ONNX file by their names in the network, which the file has lost.

    Its graph applies them in the network's order; where a normalisation after a convolution is missing, it is
    in the convolution's weights.

    Raises:
        WeightsError: if the graph is that of another network.
    """
    tensors: dict[str, Tensor] = {}
    left = list(reversed(steps))
    for name, layer in network.layers_in_order():
        following = left[-1][0] if left else "nothing"
        if isinstance(layer, nn.BatchNorm2d) and following != OPERATORS[nn.BatchNorm2d]:
            weights = list(_identity(layer))
        elif following == OPERATORS[type(layer)]:
            weights = left.pop()[1]
        else:
            raise WeightsError(
                f"{path} does not fit the network: {name} should be {OPERATORS[type(layer)]}, there is "
                f"{following}; give the weights of this network."
            )
        if isinstance(layer, nn.Linear):
            weights = [weights[0].T]
        names = [key for key in layer.state_dict() if key != "num_batches_tracked"]
        tensors |= {f"{name}.{key}": x for key, x in zip(names, weights, strict=False)}
    return tensors


def _identity(layer: nn.BatchNorm2d) -> tuple[Tensor, ...]:
    """Gain, offset, mean and variance of a normalisation that changes nothing."""
    ones, zeros = torch.ones(layer.num_features), torch.zeros(layer.num_features)
    return ones, zeros, zeros, ones - layer.eps


def target(source: str, levels: int = LEVELS) -> TfcTdfUNet:
    """The network of one source."""
    return TfcTdfUNet(n_fft=N_FFT[source], bins=BINS, levels=levels, block=TfcTdf, bottleneck=TfcTdf)


class TfcTdf(nn.Module):
    """Convolutions, and layers along frequency added to them."""

    def __init__(self, channels: int, bins: int) -> None:
        """Build it with weights that mean nothing yet."""
        super().__init__()
        self.tfc = Tfc(channels, layers=3)
        self.tdf = tdf(channels, bins, reduction=8)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames, bins) to the same shape."""
        h = self.tfc(x)
        result: Tensor = h + self.tdf(h)
        return result


def read_mixer(path: Path) -> Array:
    """The matrix from four estimates and the mixture to four estimates, left before right: (8, 10).

    Raises:
        WeightsError: if the file holds no such matrix.
    """
    matrix = next((x for name, x in read_tensors(path).items() if name in MIXER_NAMES), None)
    if matrix is None or matrix.shape != (8, 10):
        raise WeightsError(
            f"{path} holds no matrix of shape (8, 10); give KUIELab's mixer, or say separator.mixer=false."
        )
    result: Array = matrix.float().numpy()
    return result
