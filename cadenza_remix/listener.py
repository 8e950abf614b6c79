"""Who listens: pure-tone thresholds of both ears."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cadenza_remix.errors import MetadataError

LEVEL_RANGE_DB_HL = (-20.0, 120.0)  # what an audiometer can measure


@dataclass(frozen=True)
class Audiogram:
    """Hearing thresholds of one ear.

    Attributes:
        frequencies_hz: ascending, at least one.
        levels_db_hl: the threshold at each frequency, -20 to 120 dB HL; higher is a larger loss.

    Raises:
        MetadataError: if the two differ in length, a frequency is not above the one before it, or a
            threshold is not a number an audiometer can give.
    """

    frequencies_hz: tuple[float, ...]
    levels_db_hl: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is not an audiogram."""
        frequencies, levels = self.frequencies_hz, self.levels_db_hl
        if not frequencies or len(frequencies) != len(levels):
            raise MetadataError(
                f"The audiogram has {len(frequencies)} frequencies and {len(levels)} thresholds; "
                "give one threshold per frequency."
            )
        ascending = all(low < high for low, high in pairwise(frequencies))
        if not (ascending and frequencies[0] > 0 and math.isfinite(frequencies[-1])):
            raise MetadataError(
                f"The audiogram's frequencies are {list(frequencies)} Hz; list each once, in ascending order."
            )
        low, high = LEVEL_RANGE_DB_HL
        for frequency, level in zip(frequencies, levels, strict=True):
            if not low <= level <= high:
                raise MetadataError(
                    f"The audiogram's threshold at {frequency:g} Hz is {level} dB HL; "
                    f"give a number from {low:g} to {high:g}."
                )

    def at(self, frequencies_hz: Sequence[float]) -> npt.NDArray[np.float64]:
        """Thresholds in dB HL at other frequencies.

        Interpolated linearly over log frequency and constant beyond the ends, as pyclarity 0.9.0
        `Audiogram.resample`.
        """
        return np.interp(
            np.log(np.asarray(frequencies_hz, dtype=np.float64)),
            np.log(np.asarray(self.frequencies_hz, dtype=np.float64)),
            np.asarray(self.levels_db_hl, dtype=np.float64),
        )


@dataclass(frozen=True)
class Listener:
    """A person: a name and an audiogram per ear."""

    name: str
    left: Audiogram
    right: Audiogram

    @property
    def ears(self) -> tuple[Audiogram, Audiogram]:
        """Left and right, in the order of the channels."""
        return self.left, self.right
