"""A trained network as a separator.

The separator travels to worker processes as plain values; each loads the network when its first song comes,
and keeps it. Only the modules of networks import PyTorch, so that a run without one does not wait for it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cadenza_remix.demix.base import Stems
from cadenza_remix.demix.segments import Segments
from cadenza_remix.demix.weights import WeightsFile
from cadenza_remix.device import check_device_name
from cadenza_remix.errors import ConfigError, WeightsError

Array = npt.NDArray[np.float32]
MAX_SHIFT_S = 0.5  # as in demucs
GPU_BATCH = 4  # segments; Hybrid Demucs then takes some 12 GB with its 44 s
MOST_NETWORKS = 8  # that a process keeps: MDX-Net has four, an ensemble more


@dataclass(frozen=True)
class NetworkSeparator:
    """A network, its weights, and how a track goes through it.

    Attributes:
        load: makes the network from the paths of its weights; it maps (batch, channels, samples) to
            (batch, sources, channels, samples), each item on its own account. If it has a method
            `valid_length`, as some of `demucs` and all that take no snippets, every segment is given to it
            with so many samples, its own in the middle. It may be an `nn.ModuleList` of networks, which are
            averaged.
        weights: the files, found and hashed.
        sources: names of the stems, in the order that the network gives them.
        standardised: whether the network was trained on mixtures with mean 0 and standard deviation 1; every
            stem then gets the mixture's mean back, as in the reference implementation.
        channelwise: whether that was so in each channel, rather than in what the channels have in common.
        segments: how a long track is cut.
        shifts: go through the track so often, each time with up to 0.5 s of silence before it so that it is
            cut elsewhere, and average; 0: once, as it is.
        seed: of the lengths of that silence.
        swap_channels: average with what left and right exchanged give.
        flip_polarity: average with what the negated mixture gives.
        blend: for each of several networks what its stems weigh in the average; None: it is one network.
        batch_size: segments that go through the network at once; None: one on a CPU, `GPU_BATCH` elsewhere.
            The stems do not depend on it but for rounding.
        device: where it runs, as `choose_device` understands it.
        threads: of the CPU; the same number gives the same stems in every process, another one the same up
            to rounding.
        training_data: what the weights were learnt from.
        allowed_by_rules: whether the challenge admits that.
        licence: what is known of the terms that the weights are given under.
        source_url: where their authors publish them.

    Raises:
        ConfigError: if the device is misspelt or not there, or a number is out of range.
    """

    load: Callable[[tuple[Path, ...]], nn.Module] = field(repr=False)
    weights: tuple[WeightsFile, ...]
    sources: tuple[str, ...]
    standardised: bool
    segments: Segments
    shifts: int
    seed: int
    swap_channels: bool
    flip_polarity: bool
    batch_size: int | None = field(repr=False)
    device: str = field(repr=False)
    threads: int = field(repr=False)
    training_data: str
    allowed_by_rules: bool
    licence: str = field(repr=False)
    source_url: str = field(repr=False)
    sample_rate: int = 44100
    channels: int = 2
    causal: bool = False
    blend: tuple[tuple[float, ...], ...] | None = None
    channelwise: bool = False

    def __post_init__(self) -> None:
        """Notice a device that is not there before any work starts, and numbers that mean nothing."""
        choose_device(self.device)
        if self.shifts < 0:
            raise ConfigError(f"shifts={self.shifts} should be at least 0; 0 goes through the track once.")
        if self.batch_size is not None and self.batch_size < 1:
            raise ConfigError(f"batch_size={self.batch_size} should be at least 1; null chooses one.")

    @property
    def weights_sha256(self) -> list[str]:
        """What the stems are made with; goes into the manifest."""
        return [file.sha256 for file in self.weights]

    def __call__(self, mixture: Array) -> Stems:
        """Separate a `(channels, samples)` mixture at `sample_rate` into stems of the same shape."""
        stems = np.zeros((len(self.sources), *mixture.shape), np.float32)
        if not mixture.any():  # of which a network with biases would make some sound
            return dict(zip(self.sources, stems, strict=True))
        mean, scale = self._mean_and_scale(mixture)
        # A mixture without any change in it stays as it is, and its stems are as flat.
        heard = mixture - mean
        heard /= np.where(scale > 0, scale, 1)
        passes = self._passes()
        for network, share in self._networks():
            for one in passes:
                self._add(stems, network, share, heard, one)
        stems *= scale / np.float32(len(passes))
        stems += mean
        return dict(zip(self.sources, stems, strict=True))

    def _mean_and_scale(self, mixture: Array) -> tuple[Array, Array]:
        """What is taken off a mixture, and what the rest is divided by: (1 or channels, 1) each."""
        if not self.standardised:
            return np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
        together = mixture[:, None] if self.channelwise else mixture[None]
        mean, scale = np.array([_mean_and_scale(channels) for channels in together], np.float32).T
        return mean[:, None], scale[:, None]

    def _networks(self) -> Iterator[tuple[nn.Module, Array]]:
        """The networks with what each source of theirs counts, (sources, 1, 1)."""
        loaded = _loaded(self.load, tuple(file.path for file in self.weights), choose_device(self.device))
        networks = loaded if isinstance(loaded, nn.ModuleList) else [loaded]
        weights = np.array(self.blend or [[1.0] * len(self.sources)], np.float32)
        return zip(networks, (weights / weights.sum(0))[..., None, None], strict=True)

    def _passes(self) -> list["Pass"]:
        """The ways through the track that are averaged."""
        longest = round(MAX_SHIFT_S * self.sample_rate)
        shifts = np.random.RandomState(self.seed).randint(0, longest + 1, self.shifts) if self.shifts else [0]
        orders = [slice(None), slice(None, None, -1)] if self.swap_channels else [slice(None)]
        signs = (1, -1) if self.flip_polarity else (1,)
        return [Pass(int(shift), order, sign) for shift in shifts for order in orders for sign in signs]

    def _add(self, stems: Array, network: nn.Module, share: Array, heard: Array, one: "Pass") -> None:
        """Add the share of what a network makes of a track, going through it in one way."""
        device = next(network.parameters()).device
        size = self.batch_size or (1 if device.type == "cpu" else GPU_BATCH)
        turned, added = heard[one.channels], stems[:, one.channels]
        samples = heard.shape[1]
        windows = self.segments.windows(samples + one.shift, sample_rate=self.sample_rate)
        valid_length: Callable[[int], int] | None = getattr(network, "valid_length", None)
        if valid_length:
            windows = (_widened(segment, valid_length) for segment in windows)
        for batch in _batches(windows, size):
            starts = [start - one.shift for start, _ in batch]
            cuts = [
                _cut(turned, start, len(window)) for start, (_, window) in zip(starts, batch, strict=True)
            ]
            estimates = _run(network, one.sign * np.stack(cuts), self.threads)
            for start, (_, window), estimate in zip(starts, batch, estimates, strict=True):
                estimate *= one.sign * window * share
                first, stop = (min(max(edge, 0), samples) for edge in (start, start + len(window)))
                added[..., first:stop] += estimate[..., first - start : stop - start]


@dataclass(frozen=True)
class Pass:
    """One way through a track.

    Attributes:
        shift: samples of silence before it.
        channels: their order.
        sign: 1, or −1 for the opposite polarity.
    """

    shift: int
    channels: slice
    sign: int


def choose_device(device: str) -> torch.device:
    """The device that is meant; of several GPUs, the worker processes take one after the other.

    Args:
        device: `auto` (a CUDA GPU where there is one), `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        ConfigError: if it is misspelt or not in this machine, with what could be said instead.
    """
    check_device_name(device)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cpu", *["cuda"][:gpus], *(f"cuda:{i}" for i in range(gpus))]
    there += ["mps"] if torch.backends.mps.is_available() else []
    if device == "auto" and not gpus:
        return torch.device("cpu")
    if device in ("auto", "cuda") and gpus:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % gpus)
    if device not in there:
        raise ConfigError(
            f"device={device} is not in this machine, or PyTorch {torch.__version__} was built without it; "
            f"say device={' or device='.join(there)}."
        )
    return torch.device(device)


def load_state(network: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Put named tensors into a network; those that it has no place for are ignored.

    Raises:
        WeightsError: if a tensor is missing or has another shape, naming the first.
    """
    wanted = _wanted(network, tensors, path)
    network.load_state_dict({name: tensors[name] for name in wanted}, strict=False)


def make_of_its_size(
    make: Callable[[], nn.Module], tensors: dict[str, torch.Tensor], path: Path
) -> nn.Module:
    """A network of the sizes that a file states, with its tensors; no larger than they are.

    It is first made without memory, since a file may also state a network that no memory holds.

    Raises:
        WeightsError: as `load_state`.
    """
    with torch.device("meta"):
        _wanted(make(), tensors, path)
    network = make()
    load_state(network, tensors, path)
    return network


def _wanted(network: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> list[str]:
    """The names of a network's tensors, each of which is there in the right shape."""
    own = network.state_dict()
    # The counters of batch normalisation are used in training only; old files lack them.
    wanted = {name: x for name, x in own.items() if not name.endswith("num_batches_tracked")}
    for name, tensor in wanted.items():
        found = tuple(tensors[name].shape) if name in tensors else "nothing"
        if found != tuple(tensor.shape):
            raise WeightsError(
                f"{path} does not fit the network: {name} should be {tuple(tensor.shape)}, there is {found}; "
                "give the weights of this network."
            )
    return list(wanted)


@lru_cache(maxsize=MOST_NETWORKS)
def _loaded(
    load: Callable[[tuple[Path, ...]], nn.Module], paths: tuple[Path, ...], device: torch.device
) -> nn.Module:
    """The network, loaded once in each process unless a separator has more than `MOST_NETWORKS`."""
    return load(paths).eval().to(device)


def _batches(windows: Iterator[tuple[int, Array]], size: int) -> Iterator[list[tuple[int, Array]]]:
    """Successive segments of one length, up to `size` together."""
    for _, alike in groupby(windows, key=lambda segment: len(segment[1])):
        while batch := list(islice(alike, size)):
            yield batch


def _widened(segment: tuple[int, Array], valid_length: Callable[[int], int]) -> tuple[int, Array]:
    """A segment in the middle of as much as its network wants to hear."""
    start, window = segment
    try:
        missing = valid_length(len(window)) - len(window)
    except ValueError as error:
        raise ConfigError(f"The network takes no segments so long ({error}); set segment_s lower.") from error
    return start - missing // 2, np.pad(window, (missing // 2, missing - missing // 2))


def _cut(track: Array, start: int, length: int) -> Array:
    """A piece of a track, which may begin before it and end after it."""
    before = min(max(-start, 0), length)
    inside = track[:, start + before : start + length]
    return np.pad(inside, ((0, 0), (before, length - before - inside.shape[1])))


def _run(network: nn.Module, heard: Array, threads: int) -> Array:
    """A batch through the network: (batch, channels, samples) to (batch, sources, channels, samples)."""
    torch.set_num_threads(threads)
    device = next(network.parameters()).device
    with torch.inference_mode():
        estimates: Array = network(torch.from_numpy(heard).to(device)).cpu().numpy()
    return estimates


def _mean_and_scale(mixture: Array) -> tuple[float, float]:
    """Mean and standard deviation of the mean of both channels over the whole track.

    Where the channels cancel, the deviation is that within the channels; 0 only where nothing changes.
    """
    mono = mixture.mean(axis=0, dtype=np.float64)
    rounding = np.finfo(np.float32).eps * np.abs(mixture).max()
    scale = mono.std()
    if scale <= rounding:
        scale = np.sqrt(mixture.var(axis=1, dtype=np.float64).mean())
    return float(mono.mean()), float(scale) if scale > rounding else 0.0
