"""What HAAQI keeps of one band: envelopes smoothed over 8 ms, and covariances of vibrations over 16 ms.

The band is streamed through in blocks, so nothing as long as the signal is made here. Segments overlap by
half, with half a segment at either end; the first half segment and the first whole one do not overlap, since
whole segments begin at hop 1, 2, …, as in pyclarity 0.9.0 (`env_smooth`, `bm_covary`), which this was checked
against. Row 0 is the reference, the others are processed signals.

References:
    Kates & Arehart (2016): The Hearing-Aid Audio Quality Index (HAAQI). IEEE/ACM TASLP 24(2), 354–365.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cadenza_remix.cochlea import SILENCE
from cadenza_remix.compiled import compiled
from cadenza_remix.lanes import WIDE, Lanes, lane, load, splat, store
from cadenza_remix.metrics.hair_cells import (
    BLOCK,
    CARRY,
    Adaptation,
    Placement,
    Scratch,
    Threshold,
    hear_block,
)
from cadenza_remix.noise import NormalStream

Floats = npt.NDArray[np.float64]

ENVELOPE_HOP = 96  # samples: half a segment of 8 ms
MOTION_HOP = CARRY  # samples: half a segment of 16 ms
MAX_LAG = 24  # samples: 1 ms
N_LAGS = 2 * MAX_LAG + 1
PADDED_LAGS = 56  # whole vectors


class Windows(NamedTuple):
    """Raised-cosine windows, and what undoes their effect on a covariance at each lag.

    Attributes:
        envelope: (192,).
        motion: (384,).
        power: sum of its squares.
        whole_lags: (56,), of a whole motion segment; zero behind the 49 lags from -1 to 1 ms.
        half_lags: (56,), of a half segment.
    """

    envelope: Floats
    motion: Floats
    power: float
    whole_lags: Floats
    half_lags: Floats


def windows() -> Windows:
    """The windows of HAAQI's segments."""
    envelope, motion = np.hanning(2 * ENVELOPE_HOP), np.hanning(2 * MOTION_HOP)
    return Windows(
        envelope, motion, float(np.sum(motion**2)), lag_weights(motion), lag_weights(motion[MOTION_HOP:])
    )


def lag_weights(window: Floats) -> Floats:
    """One over a window's autocorrelation from -1 to 1 ms, padded with zeros."""
    middle = len(window) - 1
    correlation = np.correlate(window, window, "full")[middle - MAX_LAG : middle + MAX_LAG + 1]
    return np.concatenate((1 / correlation, np.zeros(PADDED_LAGS - N_LAGS)))


def n_segments(samples: int, hop: int) -> int:
    """Segments of two hops each, half overlapping, with half a segment at either end."""
    return 1 + samples // (2 * hop) + (samples - hop) // (2 * hop)


@compiled
def smooth(levels: Floats, first_hop: int, window: Floats, out: Floats) -> None:
    """Add a block's hops to the weighted sums of the segments they belong to."""
    for hop in range(first_hop, min(first_hop + len(levels) // ENVELOPE_HOP, len(out))):
        start = (hop - first_hop) * ENVELOPE_HOP
        rise0 = rise1 = fall0 = fall1 = 0.0
        for i in range(0, ENVELOPE_HOP, 2):
            a, b = levels[start + i], levels[start + i + 1]
            rise0 += a * window[i]
            rise1 += b * window[i + 1]
            fall0 += a * window[ENVELOPE_HOP + i]
            fall1 += b * window[ENVELOPE_HOP + i + 1]
        if hop != 0:
            out[hop] += rise0 + rise1
        if hop != 1:
            out[max(hop - 1, 0)] += fall0 + fall1


@compiled
def centre(segment: Floats, window: Floats, out: Floats) -> float:
    """Window a segment of whole eights, take its mean off, and return its sum of squares."""
    n = len(window)
    total = power = splat(0.0)
    for i in range(0, n, WIDE):
        windowed = load(segment, i) * load(window, i)
        store(out, i, windowed)
        total = total + windowed
    mean = splat(sum_of(total) / n)
    for i in range(0, n, WIDE):
        centred = load(out, i) - mean
        store(out, i, centred)
        power = power + centred * centred
    return sum_of(power)


@compiled
def sum_of(lanes: Lanes) -> float:
    """The sum of eight lanes."""
    left: float = (lane(lanes, 0) + lane(lanes, 1)) + (lane(lanes, 2) + lane(lanes, 3))
    right: float = (lane(lanes, 4) + lane(lanes, 5)) + (lane(lanes, 6) + lane(lanes, 7))
    return left + right


@compiled
def highest_correlation(x: Floats, shifted: Floats, lag_weights: Floats, sums: Floats) -> float:
    """Largest absolute correlation over the lags.

    Args:
        x: (samples,), a multiple of eight.
        shifted: (8, 448), the other signal from index 24 on, zeros around it, and its copies one to seven
            samples earlier: read from them, every vector lies within a line of the cache, twice as fast.
        lag_weights: (56,).
        sums: (56,), scratch.
    """
    columns = shifted.shape[1]
    y = shifted.ravel()
    for row in range(1, 8):
        for i in range(0, columns - WIDE, WIDE):
            store(y, row * columns + i, load(y, row + i))
    for lag in range(PADDED_LAGS):
        sums[lag] = 0.0
    for i in range(0, len(x), 8):
        x0, x1, x2, x3 = splat(x[i]), splat(x[i + 1]), splat(x[i + 2]), splat(x[i + 3])
        x4, x5, x6, x7 = splat(x[i + 4]), splat(x[i + 5]), splat(x[i + 6]), splat(x[i + 7])
        for lag in range(0, PADDED_LAGS, WIDE):
            at = i + lag
            early = (x0 * load(y, at) + x1 * load(y, at + columns)) + (
                x2 * load(y, at + 2 * columns) + x3 * load(y, at + 3 * columns)
            )
            late = (x4 * load(y, at + 4 * columns) + x5 * load(y, at + 5 * columns)) + (
                x6 * load(y, at + 6 * columns) + x7 * load(y, at + 7 * columns)
            )
            store(sums, lag, load(sums, lag) + (early + late))
    highest = 0.0
    for lag in range(N_LAGS):
        highest = max(highest, abs(sums[lag] * lag_weights[lag]))
    return highest


@compiled
def covariance(
    x: Floats, y: Floats, window: Floats, window_power: float, lag_weights: Floats, scratch: Floats
) -> tuple[float, float]:
    """Normalised covariance of two segments, 0 to 1, and the first one's mean square.

    Args:
        x: (samples,).
        y: (samples,).
        window: (samples,).
        window_power: its sum of squares.
        lag_weights: (56,).
        scratch: (10, 448).
    """
    n = len(window)
    x_power = centre(x, window, scratch[0]) / window_power
    y_power = centre(y, window, scratch[2, MAX_LAG:]) / window_power
    scratch[2, :MAX_LAG] = 0.0
    scratch[2, MAX_LAG + n :] = 0.0
    if x_power <= SILENCE or y_power <= SILENCE:
        return 0.0, x_power
    highest = highest_correlation(scratch[0, :n], scratch[2:], lag_weights, scratch[1])
    return min(highest / np.sqrt(x_power * y_power), 1.0), x_power


@compiled
def compare(
    x_motion: Floats, y_motion: Floats, count: int, first_hop: int, w: Windows, scratch: Floats, out: Floats
) -> None:
    """Covariances of the segments that end in a block, into `out` (2, segments).

    Args:
        x_motion: (192 + samples,), the hop before the block and the block.
        y_motion: likewise.
        count: hops in the block.
        first_hop: its first hop.
        w: windows.
        scratch: (10, 448).
        out: covariances and mean squares.
    """
    last = out.shape[1] - 1
    for hop in range(first_hop, min(first_hop + count, last + 1)):
        start = (hop - first_hop) * MOTION_HOP
        x, y = x_motion[start : start + 2 * MOTION_HOP], y_motion[start : start + 2 * MOTION_HOP]
        if hop == 0:
            half = w.motion[MOTION_HOP:]
            out[0, 0], out[1, 0] = covariance(
                x[MOTION_HOP:], y[MOTION_HOP:], half, w.power / 2, w.half_lags, scratch
            )
        elif hop > 1:
            out[0, hop - 1], out[1, hop - 1] = covariance(x, y, w.motion, w.power, w.whole_lags, scratch)
        if hop == last:
            half = w.motion[:MOTION_HOP]
            out[0, last], out[1, last] = covariance(
                x[MOTION_HOP:], y[MOTION_HOP:], half, w.power / 2, w.half_lags, scratch
            )


@compiled
def hear_band(
    envelopes: Floats,
    motions: Floats,
    place: Placement,
    threshold: Threshold,
    k: Adaptation,
    streams: tuple[NormalStream, NormalStream],
    w: Windows,
    scratch: Scratch,
    smoothed: Floats,
    covariances: Floats,
) -> None:
    """Stream one band to its smoothed envelopes and covariances.

    Args:
        envelopes: (rows, samples), compressed; an even number of rows.
        motions: (rows, samples), likewise.
        place: the band's delays.
        threshold: of hearing.
        k: the inner hair cells' adaptation.
        streams: the noise of the reference and of any processed signal, moved on.
        w: windows.
        scratch: see there.
        smoothed: (rows, segments), zeros; gets the smoothed envelopes in dB above threshold.
        covariances: (processed signals, 2, segments), zeros; gets the covariances and the reference's mean
            squares.
    """
    n = envelopes.shape[1]
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        silent = min(max(place.wait - start, 0), count)
        for row in range(len(envelopes)):
            scratch.heard[row, :MOTION_HOP] = scratch.heard[row, BLOCK:]
            scratch.levels[row, :silent] = 0.0
            scratch.heard[row, MOTION_HOP : MOTION_HOP + silent] = 0.0
        first = start + silent - place.wait
        hear_block(envelopes, motions, first, (silent, count), place, threshold, k, streams, scratch)
        for row in range(len(envelopes)):
            smooth(scratch.levels[row, :count], start // ENVELOPE_HOP, w.envelope, smoothed[row])
        hops = count // MOTION_HOP
        for i in range(len(covariances)):
            x, y = scratch.heard[0], scratch.heard[i + 1]
            compare(x, y, hops, start // MOTION_HOP, w, scratch.segments, covariances[i])
    finish_smoothing(smoothed, w.envelope)


@compiled
def finish_smoothing(smoothed: Floats, window: Floats) -> None:
    """Divide the sums by their windows', halves at either end."""
    whole, half = np.sum(window), np.sum(window[ENVELOPE_HOP:])
    last = smoothed.shape[1] - 1
    for row in range(len(smoothed)):
        smoothed[row, 0] /= half
        smoothed[row, last] /= half
        for i in range(1, last):
            smoothed[row, i] /= whole
