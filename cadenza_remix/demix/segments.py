"""A long track through a network, piece by piece.

What is cut out, and how the pieces fade into each other, is a plan: windows with their first samples. All
plans go through the same loop, so memory holds one piece at a time whatever the track's length.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cadenza_remix.errors import ConfigError

Array = npt.NDArray[np.float32]


class Segments(Protocol):
    """How a track is cut."""

    def windows(self, samples: int, *, sample_rate: int) -> Iterator[tuple[int, Array]]:
        """Yield, for each segment of a track, its first sample and its window; windows should sum to 1."""
        ...


@dataclass(frozen=True)
class OverlapAdd:
    """Overlapping segments with triangular windows, as `demucs` separates tracks.

    Every segment has the full length, the last one reaching back into the track, so that no network meets a
    snippet; a track shorter than a segment goes through whole.

    Attributes:
        segment_s: s, length of a segment.
        overlap: 0 to below 1, the part of a segment that the next one shares.

    Raises:
        ConfigError: if a value is out of range.
    """

    segment_s: float
    overlap: float

    def __post_init__(self) -> None:
        """Check the values."""
        _check(self.segment_s)
        if not 0 <= self.overlap < 1:
            raise ConfigError(f"overlap={self.overlap} should be at least 0 and below 1; try 0.25.")

    def windows(self, samples: int, *, sample_rate: int) -> Iterator[tuple[int, Array]]:
        """Triangles, divided by what overlaps so that they sum to 1."""
        length = min(round(self.segment_s * sample_rate), samples)
        step = max(round((1 - self.overlap) * length), 1)
        starts = [*range(0, samples - length, step), samples - length]
        rising = np.arange(1, length + 1, dtype=np.float32)
        triangle: Array = np.minimum(rising, rising[::-1])
        total: Array = np.zeros(samples, np.float32)
        for start in starts:
            total[start : start + length] += triangle
        for start in starts:
            window: Array = triangle / total[start : start + length]
            yield start, window


@dataclass(frozen=True)
class BaselineChunks:
    """The reference implementation's chunks with short linear fades, its defect included.

    Reproduces `separate_sources` of pyclarity 0.9.0, checked against it. The fade at the end of a chunk is
    left out only where a *next* chunk is found to be the last; so a track of one chunk, as every 10-s excerpt
    of the challenge, fades out over its last 0.1 s. A track not longer than a fade stays silent.

    Attributes:
        segment_s: s; a chunk is longer by the share `overlap`.
        overlap: that share, and the length of a fade in s; above 0 and below 1.

    Raises:
        ConfigError: if a value is out of range.
    """

    segment_s: float
    overlap: float

    def __post_init__(self) -> None:
        """Check the values."""
        _check(self.segment_s)
        if not 0 < self.overlap < 1:
            raise ConfigError(f"overlap={self.overlap} should be above 0 and below 1; try 0.1.")

    def windows(self, samples: int, *, sample_rate: int) -> Iterator[tuple[int, Array]]:
        """Ones with linear fades at the ends that have a neighbor, or seem to."""
        chunk = int(sample_rate * self.segment_s * (1 + self.overlap))
        fade = int(self.overlap * sample_rate)
        rising = np.linspace(0, 1, fade, dtype=np.float32)
        start, stop = 0, chunk
        while start < samples - fade:
            window = np.ones(min(stop, samples) - start, np.float32)
            if start > 0:
                window[:fade] = rising
            if start == 0 or stop < samples:
                window[-fade:] *= 1 - rising
            yield start, window
            start, stop = stop - fade, stop + chunk


def _check(segment_s: float) -> None:
    if not segment_s > 0:
        raise ConfigError(f"segment_s={segment_s} should be above 0; try 10.")
