"""A long track through a network, piece by piece.

What is cut out, and how the pieces fade into each other, is a plan: windows with their first samples. All
plans go through the same loop, so memory holds a few pieces at a time whatever the track's length.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cadenza_remix.errors import ConfigError

Array = npt.NDArray[np.float32]
ENDS = ("reach_back", "short", "silence")


class Segments(Protocol):
    """How a track is cut."""

    def windows(self, samples: int, *, sample_rate: int) -> Iterator[tuple[int, Array]]:
        """Yield, for each segment of a track, its first sample and its window.

        A segment may begin before the track and end after it; there is silence. Within the track the windows
        should sum to 1.
        """
        ...


@dataclass(frozen=True)
class OverlapAdd:
    """Overlapping segments that fade into each other.

    Unless `end` says otherwise every segment has the full length, the last one reaching back into the track,
    so that no network meets a snippet; a track shorter than a segment goes through whole. With the defaults
    the windows are triangles, as in `demucs`; with `end="short"` the segments are exactly those of its
    `apply_model` (demucs 4.1).

    Attributes:
        segment_s: s, length of a segment.
        overlap: 0 to below 1, the part of a segment that the next one shares.
        fade: 0 to 0.5, the part of a segment over which it fades in, and out: 0.5 is a triangle, 0 plain
            averaging.
        context_s: s at each end of a segment that the network hears and that are not kept; silence beyond
            the track.
        end: how segments meet the track's end: `reach_back`; `short`: the last ones are cut off; `silence`:
            they go on in silence.

    Raises:
        ConfigError: if a value is out of range.
    """

    segment_s: float
    overlap: float
    fade: float = 0.5
    context_s: float = 0.0
    end: str = "reach_back"

    def __post_init__(self) -> None:
        """Check the values."""
        _check(self.segment_s)
        if not 0 <= self.overlap < 1:
            raise ConfigError(f"overlap={self.overlap} should be at least 0 and below 1; try 0.25.")
        if not 0 <= self.fade <= 0.5:
            raise ConfigError(f"fade={self.fade} should be from 0 to 0.5; try 0.5.")
        if not 0 <= self.context_s < self.segment_s / 2:
            raise ConfigError(
                f"context_s={self.context_s} should be at least 0 and below half of segment_s; try 0."
            )
        if self.end not in ENDS:
            raise ConfigError(f"end={self.end} is not known; say {', '.join(ENDS)}.")

    def windows(self, samples: int, *, sample_rate: int) -> Iterator[tuple[int, Array]]:
        """Windows, divided by what overlaps so that they sum to 1."""
        context = round(self.context_s * sample_rate)
        length = round(self.segment_s * sample_rate) - 2 * context  # that is kept
        _check_samples("segment_s", self.segment_s, length, sample_rate)
        if self.end == "reach_back":
            length = min(length, samples)
        step = max(round((1 - self.overlap) * length), 1)
        starts = [*range(0, samples, step)]
        if self.end == "reach_back":
            starts = [*range(0, samples - length, step), samples - length]
        window = self._window(length)
        total: Array = np.zeros(samples, np.float32)
        for start in starts:
            total[start : start + length] += window[: samples - start]
        for start in starts:
            kept = window[: samples - start] / total[start : start + length]
            missing = 0 if self.end == "short" else length - len(kept)
            yield start - context, np.pad(kept, (context, context + missing))

    def _window(self, length: int) -> Array:
        """A trapezoid, nowhere 0."""
        from_end: Array = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float32)
        trapezoid: Array = np.minimum(from_end / np.float32(max(self.fade * length, 1)), 1)
        return trapezoid


@dataclass(frozen=True)
class SlidingWindow:
    """Segments at short steps, of each of which only the newest step is kept; of the first one, all.

    As a network runs that hears a stream and must know a fixed length of it.

    Attributes:
        segment_s: s, length of a segment; a shorter track goes on in silence.
        step_s: s, above 0, from a segment to the next.

    Raises:
        ConfigError: if a value is out of range.
    """

    segment_s: float
    step_s: float

    def __post_init__(self) -> None:
        """Check the values."""
        _check(self.segment_s)
        if not 0 < self.step_s <= self.segment_s:
            raise ConfigError(f"step_s={self.step_s} should be above 0 and at most segment_s; try 0.032.")

    def windows(self, samples: int, *, sample_rate: int) -> Iterator[tuple[int, Array]]:
        """Ones where a segment is kept, else zeros."""
        length, step = round(self.segment_s * sample_rate), round(self.step_s * sample_rate)
        _check_samples("step_s", self.step_s, step, sample_rate)
        window = np.ones(length, np.float32)
        yield 0, window
        newest = np.where(np.arange(length) < length - step, window * 0, window)
        for start in range(step, samples - length + step, step):
            yield start, newest


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
        _check_samples("segment_s", self.segment_s, chunk - fade, sample_rate)
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
    if not 0 < segment_s < inf:
        raise ConfigError(f"segment_s={segment_s} should be above 0 and finite; try 10.")


def _check_samples(name: str, value_s: float, samples: int, sample_rate: int) -> None:
    """A plan that goes on by no sample at a time would never end."""
    if samples < 1:
        raise ConfigError(f"{name}={value_s} leaves no sample to keep at {sample_rate} Hz; set it higher.")
