"""What fits separated stems best to the true ones, from sums of products over all samples of some songs.

Such a sum is small whatever a song's length, and those of several songs add up; so leaving a song out costs
nothing. A Gram matrix here holds, for one true stem, the products of the signals that it may be made of, then
of what it should become.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from cadenza_remix.demix.base import Stems
from cadenza_remix.demix.correction import Mixer, Scales
from cadenza_remix.demix.ensemble import Ensemble

Signal = npt.NDArray[np.float32]
Gram = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float64]
BLOCK = 2**17  # samples in double precision at once
DEPENDENT = 1e-7  # -70 dB: of the power of what is that close to a sum of others, nothing is learnt


class Fit(Protocol):
    """What is fitted, each stem on its own."""

    def signals(
        self, source: str, members: Sequence[Stems], mixture: Signal, true: Signal
    ) -> Sequence[Signal]:
        """What a stem of a song may be made of, then what it should become, as `gram` takes them.

        Args:
            source: the stem.
            members: what each separated, every stem (channels, samples).
            mixture: (channels, samples).
            true: the true stem, (channels, samples).
        """
        ...

    def weights(self, gram: Gram) -> Weights:
        """What fits best, (targets, signals); NaN where nothing can be learnt."""
        ...

    def before(self, source: str) -> dict[str, Weights]:
        """The weights that a stem has as it was separated; of an ensemble, by each member."""
        ...

    def numbers(self, source: str, weights: Weights) -> dict[str, float]:
        """The weights by name, if they are few enough to look at."""
        ...

    def choice(self, weights: Mapping[str, Weights]) -> dict[str, Any]:
        """The component with these weights of each stem, as its YAML names it."""
        ...


@dataclass(frozen=True)
class FitShares:
    """Of the members of an ensemble; none is below 0.

    Attributes:
        members: stem → those that separate it, in the order in which their stems are given.
    """

    members: Mapping[str, Sequence[str]]

    def signals(
        self,
        source: str,
        members: Sequence[Stems],
        mixture: Signal,  # noqa: ARG002 (the contract)
        true: Signal,
    ) -> Sequence[Signal]:
        """See `Fit`; all channels count as one signal, so that a share is the same for all of them."""
        return [*(stems[source] for stems in members if source in stems), true]

    def weights(self, gram: Gram) -> Weights:
        """See `Fit`."""
        return nonnegative(gram)

    def before(self, source: str) -> dict[str, Weights]:
        """See `Fit`."""
        return {
            name: row[np.newaxis] for name, row in self._by_name(source, np.eye(len(self.members[source])))
        }

    def numbers(self, source: str, weights: Weights) -> dict[str, float]:
        """See `Fit`."""
        return dict(self._by_name(source, weights[0]))

    def choice(self, weights: Mapping[str, Weights]) -> dict[str, Any]:
        """See `Fit`."""
        names = dict.fromkeys(name for able in self.members.values() for name in able)
        return {
            "defaults": [*(f"{name}@members.{name}" for name in names), "_self_"],
            "_target_": _path(Ensemble),
            "shares": {source: self.numbers(source, each) for source, each in weights.items()},
        }

    def _by_name(self, source: str, values: npt.NDArray[np.float64]) -> Iterable[tuple[str, Any]]:
        return zip(self.members[source], values, strict=True)


@dataclass(frozen=True)
class FitScales:
    """Of every stem; none is below 0."""

    def signals(
        self,
        source: str,
        members: Sequence[Stems],
        mixture: Signal,  # noqa: ARG002 (the contract)
        true: Signal,
    ) -> Sequence[Signal]:
        """See `Fit`; all channels count as one signal, so that a scale is the same for all of them."""
        (stems,) = members
        return [stems[source], true]

    def weights(self, gram: Gram) -> Weights:
        """See `Fit`."""
        return nonnegative(gram)

    def before(self, source: str) -> dict[str, Weights]:  # noqa: ARG002 (the contract)
        """See `Fit`."""
        return {"before": np.eye(1)}

    def numbers(self, source: str, weights: Weights) -> dict[str, float]:  # noqa: ARG002
        """See `Fit`."""
        return {"scale": weights[0, 0]}

    def choice(self, weights: Mapping[str, Weights]) -> dict[str, Any]:
        """See `Fit`."""
        return {"_target_": _path(Scales), "scales": {name: each[0, 0] for name, each in weights.items()}}


@dataclass(frozen=True)
class FitMixer:
    """Of all channels of all stems and of the mixture, into each of the stems.

    Attributes:
        sources: the stems.
        channels: of each.
    """

    sources: Sequence[str]
    channels: int = 2

    def signals(
        self,
        source: str,  # noqa: ARG002 (the contract)
        members: Sequence[Stems],
        mixture: Signal,
        true: Signal,
    ) -> Sequence[Signal]:
        """See `Fit`; every channel is a signal of its own, in the order of `correction.mixed`."""
        (stems,) = members
        return [
            channel for each in (*(stems[name] for name in self.sources), mixture, true) for channel in each
        ]

    def weights(self, gram: Gram) -> Weights:
        """See `Fit`."""
        return unconstrained(gram, self.channels)

    def before(self, source: str) -> dict[str, Weights]:
        """See `Fit`."""
        first = self.sources.index(source) * self.channels
        return {"before": np.eye(self.channels * (len(self.sources) + 1))[first : first + self.channels]}

    def numbers(self, source: str, weights: Weights) -> dict[str, float]:  # noqa: ARG002
        """See `Fit`."""
        return {}

    def choice(self, weights: Mapping[str, Weights]) -> dict[str, Any]:
        """See `Fit`."""
        matrix = np.vstack([weights[source] for source in self.sources])
        return {"_target_": _path(Mixer), "sources": list(self.sources), "matrix": matrix.tolist()}


def _path(component: type) -> str:
    return f"{component.__module__}.{component.__qualname__}"


def gram(signals: Sequence[Signal]) -> Gram:
    """(signals, signals): the products of signals of one shape, summed in double precision.

    Args:
        signals: each (channels, samples) or (samples,); channels are summed over, too.
    """
    summed = np.zeros((len(signals), len(signals)))
    for start in range(0, signals[0].shape[-1], BLOCK):
        block = np.array([signal[..., start : start + BLOCK].ravel() for signal in signals], np.float64)
        summed += block @ block.T
    return summed


def nonnegative(gram: Gram) -> Weights:
    """(1, signals): the weights, none of them below 0, with which the signals sum best to the last one.

    Lawson and Hanson (1974), "Solving least squares problems", chapter 23, by SciPy.

    Returns:
        NaN where nothing can be learnt, as what is heard or what it should become is silent.
    """
    factor, wanted, level = _factored(gram, 1)
    return np.asarray(nnls(factor, wanted[:, 0])[0] / level)[np.newaxis]


def unconstrained(gram: Gram, channels: int) -> Weights:
    """(channels, signals): the weights with which the signals sum best to each of the last channels.

    Signals that are nearly sums of others share a weight, the smallest that does.

    Returns:
        NaN where nothing can be learnt, as what is heard or what it should become is silent.
    """
    factor, wanted, level = _factored(gram, channels)
    return np.asarray((np.linalg.pinv(factor) @ wanted).T / level)


def _factored(gram: Gram, targets: int) -> tuple[Gram, Gram, Gram]:
    """A small least-squares problem with the same solution as that of the whole signals, each at level 1.

    Returns:
        (rank, signals) and (rank, targets): what is heard and what it should become; (signals,): the levels.
    """
    heard, crossed = gram[:-targets, :-targets], gram[:-targets, -targets:]
    level = np.sqrt(np.diag(heard))
    if not level.any() or not gram[-targets:, -targets:].any():
        level = np.full(len(level), np.nan)
        return np.zeros((1, len(level))), np.zeros((1, targets)), level
    level = np.where(level > 0, level, np.inf)  # what is silent counts for nothing
    values, vectors = np.linalg.eigh(heard / level / level[:, np.newaxis])
    told = values > DEPENDENT * values[-1]
    root = np.sqrt(values[told])[:, np.newaxis]
    return root * vectors[:, told].T, vectors[:, told].T @ (crossed / level[:, np.newaxis]) / root, level


def energies(gram: Gram, weights: Weights) -> tuple[float, float]:
    """The energy of what the signals should become, and that of what weights leave of it."""
    targets = len(weights)
    wanted = np.trace(gram[-targets:, -targets:])
    error = np.hstack([weights, -np.eye(targets)])
    return float(wanted), float(np.maximum(0, np.sum(error @ gram * error)))
