"""What can be done to separated stems before they are remixed, once the mixture is at hand.

All of it is linear, sample by sample, and knows nothing of the separator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cadenza_remix.demix.base import Stems
from cadenza_remix.errors import AudioError, ConfigError

Array = npt.NDArray[np.float32]


class Correction(Protocol):
    """Makes better stems of stems and their mixture."""

    def __call__(self, stems: Mapping[str, Array], mixture: Array) -> Stems:
        """Correct stems, each `(channels, samples)` as the mixture, into as many of the same names."""
        ...


@dataclass(frozen=True)
class Consistency:
    """Gives the stems what they lack of the mixture, so that they sum to it.

    Wisdom et al. (2019), "Differentiable consistency constraints for improved deep speech enhancement",
    eq. 5. Without shares it is the smallest change that does so.

    Attributes:
        shares: stem → how much of the lack it gets; None: all the same. Together they should be 1.

    Raises:
        ConfigError: if they are not.
    """

    shares: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        """Check that the whole lack is given away."""
        if self.shares is not None and not abs(sum(self.shares.values()) - 1) < 1e-6:
            raise ConfigError(
                f"correction.consistency.shares sum to {sum(self.shares.values()):g}; expected 1, so that "
                "the stems sum to the mixture: correct them, or leave them out for equal ones."
            )

    def __call__(self, stems: Mapping[str, Array], mixture: Array) -> Stems:
        """Correct stems; see `Correction`."""
        shares = self.shares or dict.fromkeys(stems, 1 / len(stems))
        check_names(shares, stems, "correction.consistency.shares")
        lack = mixture - total(stems)
        return {name: stem + np.float32(shares[name]) * lack for name, stem in stems.items()}


@dataclass(frozen=True)
class Residual:
    """Folds what all other stems leave of the mixture into one stem.

    The challenge's winner (T022, arXiv 2401.06203) did so with "other"; how much of it is not published.

    Attributes:
        ratio: 0: the stem as it is; 1: the residual in its place.
        into: the stem.

    Raises:
        ConfigError: if the ratio is not within 0 and 1.
    """

    ratio: float
    into: str = "other"

    def __post_init__(self) -> None:
        """Check the ratio."""
        if not 0 <= self.ratio <= 1:
            raise ConfigError(f"correction.residual.ratio is {self.ratio}; give a number from 0 to 1.")

    def __call__(self, stems: Mapping[str, Array], mixture: Array) -> Stems:
        """Correct stems; see `Correction`."""
        if self.into not in stems:
            raise AudioError(
                f"correction.residual.into={self.into} is none of the stems {', '.join(stems)}; name one."
            )
        lack = mixture - total(stems)  # beside the stem itself, this is the residual
        return dict(stems) | {self.into: stems[self.into] + np.float32(self.ratio) * lack}


@dataclass(frozen=True)
class Scales:
    """Multiplies each stem by a number of its own.

    The challenge made each file at the microphones as loud as it was dry, after a head that favours some
    stems. So those that the ideal remix is made of do not sum to the mixture, and a perfect separator of the
    mixture gives each at a wrong level.

    Attributes:
        scales: stem → number.

    Raises:
        ConfigError: if one is no number from 0 on.
    """

    scales: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, scale in self.scales.items():
            if not 0 <= scale < np.inf:
                raise ConfigError(f"The scale of {name} is {scale}; give a number from 0 on.")

    def __call__(
        self,
        stems: Mapping[str, Array],
        mixture: Array,  # noqa: ARG002 (the contract)
    ) -> Stems:
        """Correct stems; see `Correction`."""
        check_names(self.scales, stems, "The scales")
        return {name: stem * np.float32(self.scales[name]) for name, stem in stems.items()}


@dataclass(frozen=True)
class Mixer:
    """Makes every channel of every stem from all channels of all stems and of the mixture.

    As in KUIELab-MDX-Net (Kim et al. 2021), where it is the last layer; there are no biases.

    Attributes:
        sources: names and order of the stems.
        matrix: a row of numbers for each channel of each stem, one for each channel of each stem and of the
            mixture: 8 rows of 10 for four stems in stereo.

    Raises:
        ConfigError: if it has another shape, or numbers that are none.
    """

    sources: Sequence[str]
    matrix: Sequence[Sequence[float]]

    def __post_init__(self) -> None:
        """Check shape and numbers."""
        rows, columns = len(self.matrix), {len(row) for row in self.matrix}
        channels = rows // max(len(self.sources), 1)
        expected = (channels * len(self.sources), {channels * (len(self.sources) + 1)})
        if rows == 0 or (rows, columns) != expected or not np.isfinite(self.matrix).all():
            raise ConfigError(
                f"The mixer's matrix has {rows} rows of {sorted(columns)} numbers for "
                f"{len(self.sources)} stems; expected 8 rows of 10 finite numbers for 4 stems in stereo: "
                "make it with cadenza-remix fit."
            )

    def __call__(self, stems: Mapping[str, Array], mixture: Array) -> Stems:
        """Correct stems; see `Correction`.

        Raises:
            AudioError: if the stems or channels are not those of the matrix.
        """
        check_names(self.sources, stems, "The mixer's sources")
        channels = len(mixture) * (len(self.sources) + 1)
        if channels != len(self.matrix[0]):
            raise AudioError(
                f"The mixer takes {len(self.matrix[0])} channels of stems and mixture, and gets {channels}; "
                "make one for this music with cadenza-remix fit."
            )
        in_order = {name: stems[name] for name in self.sources}
        return mixed(np.asarray(self.matrix, np.float32), in_order, mixture)


def mixed(matrix: Array, stems: Mapping[str, Array], mixture: Array) -> Stems:
    """Stems by a matrix from all channels of the stems in their order, then those of the mixture."""
    stacked = matrix @ np.concatenate([*stems.values(), mixture])
    return dict(zip(stems, stacked.reshape(len(stems), *mixture.shape), strict=True))


def total(stems: Mapping[str, Array]) -> Array:
    """The sum of all stems."""
    summed: Array = np.sum(list(stems.values()), axis=0)
    return summed


def check_names(named: Sequence[str] | Mapping[str, float], stems: Mapping[str, Array], told: str) -> None:
    """Check that something is said of every stem and of nothing else.

    Raises:
        AudioError: if not.
    """
    if set(named) != set(stems):
        raise AudioError(
            f"{told} name {', '.join(named)}; the stems are {', '.join(stems)}: name all of them."
        )
