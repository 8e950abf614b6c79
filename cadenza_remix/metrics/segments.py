"""From one band's compressed signals to what HAAQI keeps of them: smoothed envelopes and segment covariances.

The band is streamed through in blocks: align, convert to dB above threshold, let the inner hair cells adapt, add the
noise that stands for the threshold, delay, and cut into half-overlapping segments. Nothing as long as the signal is
made here. The half segment at the start and the first whole one do not overlap: whole segments begin at hop 1, 2, …, as
in pyclarity. Rows 0 and 1 are the reference and the processed signal, as in `cochlea`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cadenza_remix.cochlea import DB_PER_NEPER, SILENCE
from cadenza_remix.compiled import compiled
from cadenza_remix.elementary import natural_log
from cadenza_remix.noise import NormalStream, fill_normal

Floats = npt.NDArray[np.float64]

ENVELOPE_HOP = 96  # samples: half a segment of 8 ms
MOTION_HOP = 192  # samples: half a segment of 16 ms
MAX_LAG = 24  # samples: 1 ms
N_LAGS = 2 * MAX_LAG + 1
PADDED_LAGS = 56  # whole vectors
BLOCK_HOPS = 16
BLOCK = BLOCK_HOPS * MOTION_HOP


class Adaptation(NamedTuple):
    """Inner hair cells' rapid and short-term adaptation, as a recursion over two voltages; see `adaptation`."""

    first_from_first: float
    first_from_second: float
    first_from_input: float
    second_from_first: float
    second_from_second: float
    second_from_input: float
    output_gain: float


class Placement(NamedTuple):
    """Where a band's samples go: how far each processed signal is read ahead, and how long the band waits."""

    envelope_delay: int
    motion_delay: int
    wait: int


class Threshold(NamedTuple):
    """Of hearing, in one band: the level of an amplitude of 1 above it, and the amplitude of its noise."""

    level_db: float
    noise_gain: float


class Scratch(NamedTuple):
    """One band's memory; `voltages` and `heard` must be zeros at its start.

    Attributes:
        amplitudes: (2, 3072), aligned envelopes.
        levels: (2, 3072), in dB above threshold.
        heard: (2, 192 + 3072), vibrations: the hop before the block, and the block.
        noise: (3072,).
        pairs: (3, 1538), for `fill_normal`.
        voltages: (2, 2), of the adaptation.
        segments: (3, 448), for `covariance`.
    """

    amplitudes: Floats
    levels: Floats
    heard: Floats
    noise: Floats
    pairs: Floats
    voltages: Floats
    segments: Floats


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


def adaptation(overshoot: float = 2.0, sample_rate: int = 24000) -> Adaptation:
    """Kates' equivalent circuit with time constants of 2 and 60 ms, by backward differences (Kates 2013)."""
    r1 = 1 / overshoot
    r2 = r3 = 0.5 * (1 - r1)
    rapid = 0.002 * (r1 + r2) * sample_rate  # r1 r2 c1 per sample
    short_term = 0.060 / (r1 + r2) * r2 * sample_rate  # r2 r3 c2 per sample
    a11, a12, a21, a22 = r1 + r2 + rapid, -r1, -r3, r2 + r3 + short_term
    scale = 1 / (a11 * a22 - a21 * a12)
    return Adaptation(
        scale * a22 * rapid,
        -scale * a12 * short_term,
        scale * a22 * r2,
        -scale * a21 * rapid,
        scale * a11 * short_term,
        -scale * a21 * r2,
        1 / r1,
    )


def scratch() -> Scratch:
    """Fresh memory for one band."""
    return Scratch(
        np.empty((2, BLOCK)),
        np.empty((2, BLOCK)),
        np.zeros((2, MOTION_HOP + BLOCK)),
        np.empty(BLOCK),
        np.empty((3, BLOCK // 2 + 2)),
        np.zeros((2, 2)),
        np.zeros((3, 2 * MOTION_HOP + 64)),
    )


def windows() -> Windows:
    """The windows of HAAQI's segments."""
    envelope, motion = np.hanning(2 * ENVELOPE_HOP), np.hanning(2 * MOTION_HOP)
    return Windows(envelope, motion, float(np.sum(motion**2)), lag_weights(motion), lag_weights(motion[MOTION_HOP:]))


def lag_weights(window: Floats) -> Floats:
    """One over a window's autocorrelation from -1 to 1 ms, padded with zeros."""
    middle = len(window) - 1
    correlation = np.correlate(window, window, "full")[middle - MAX_LAG : middle + MAX_LAG + 1]
    return np.concatenate((1 / correlation, np.zeros(PADDED_LAGS - N_LAGS)))


def n_segments(samples: int, hop: int) -> int:
    """Segments of two hops each, half overlapping, with half a segment at either end."""
    return 1 + samples // (2 * hop) + (samples - hop) // (2 * hop)


@compiled
def copy_aligned(source: Floats, first: int, count: int, out: Floats) -> None:
    """Copy `count` samples from `first` on, zeros where there are none."""
    begin = min(max(first, 0), first + count)
    end = max(min(first + count, len(source)), begin)
    out[: begin - first] = 0.0
    out[begin - first : end - first] = source[begin:end]
    out[end - first : count] = 0.0


@compiled
def to_sensation_level(envelope: Floats, level_db: float, out: Floats) -> None:
    """Amplitudes to dB above threshold, not below 0."""
    for i in range(len(out)):
        out[i] = max(level_db + DB_PER_NEPER * natural_log(envelope[i] + SILENCE), 0.0)


@compiled
def adapt(x_levels: Floats, y_levels: Floats, voltages: Floats, k: Adaptation) -> None:
    """Let the inner hair cells adapt to both signals, in place; `voltages` (2, 2) go on to the next block."""
    x1, x2, y1, y2 = voltages[0, 0], voltages[0, 1], voltages[1, 0], voltages[1, 1]
    for i in range(len(x_levels)):
        x, y = x_levels[i], y_levels[i]
        x1, x2 = (
            (k.first_from_input * x + k.first_from_second * x2) + k.first_from_first * x1,
            (k.second_from_input * x + k.second_from_first * x1) + k.second_from_second * x2,
        )
        y1, y2 = (
            (k.first_from_input * y + k.first_from_second * y2) + k.first_from_first * y1,
            (k.second_from_input * y + k.second_from_first * y1) + k.second_from_second * y2,
        )
        x_levels[i] = (x - x1) * k.output_gain
        y_levels[i] = (y - y1) * k.output_gain
    voltages[0, 0], voltages[0, 1], voltages[1, 0], voltages[1, 1] = x1, x2, y1, y2


@compiled
def drive(envelope: Floats, levels: Floats, noise: Floats, noise_gain: float, motion: Floats) -> None:
    """Give the motion its adapted level in dB as amplitude, and add noise; levels below 0 become 0."""
    for i in range(len(levels)):
        level = max(levels[i], 0.0)
        levels[i] = level
        motion[i] = motion[i] * ((level + SILENCE) / (envelope[i] + SILENCE)) + noise_gain * noise[i]


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
    """Window a segment, take its mean off, and return its sum of squares."""
    n = len(window)
    for i in range(n):
        out[i] = segment[i] * window[i]
    mean = total(out, n) / n
    for i in range(n):
        out[i] -= mean
    return sum_of_squares(out, n)


@compiled
def total(x: Floats, count: int) -> float:
    """Sum of the first samples, a multiple of eight, in eight strands that run side by side."""
    a = b = c = d = e = f = g = h = 0.0
    for i in range(0, count, 8):
        a += x[i]
        b += x[i + 1]
        c += x[i + 2]
        d += x[i + 3]
        e += x[i + 4]
        f += x[i + 5]
        g += x[i + 6]
        h += x[i + 7]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@compiled
def sum_of_squares(x: Floats, count: int) -> float:
    """Sum of the first squares, likewise."""
    a = b = c = d = e = f = g = h = 0.0
    for i in range(0, count, 8):
        a += x[i] * x[i]
        b += x[i + 1] * x[i + 1]
        c += x[i + 2] * x[i + 2]
        d += x[i + 3] * x[i + 3]
        e += x[i + 4] * x[i + 4]
        f += x[i + 5] * x[i + 5]
        g += x[i + 6] * x[i + 6]
        h += x[i + 7] * x[i + 7]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@compiled
def highest_correlation(x: Floats, padded: Floats, lag_weights: Floats, sums: Floats) -> float:
    """Largest absolute correlation over the lags.

    Args:
        x: (samples,), a multiple of eight.
        padded: (samples + 63,), the other signal from index 24 on, zeros around it.
        lag_weights: (56,).
        sums: (56,), scratch.
    """
    for lag in range(PADDED_LAGS):
        sums[lag] = 0.0
    for i in range(0, len(x), 8):
        x0, x1, x2, x3, x4, x5, x6, x7 = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        y = padded[i : i + PADDED_LAGS + 7]
        for lag in range(PADDED_LAGS):
            early = (x0 * y[lag] + x1 * y[lag + 1]) + (x2 * y[lag + 2] + x3 * y[lag + 3])
            late = (x4 * y[lag + 4] + x5 * y[lag + 5]) + (x6 * y[lag + 6] + x7 * y[lag + 7])
            sums[lag] += early + late
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
        scratch: (3, 448).
    """
    n = len(window)
    x_power = centre(x, window, scratch[0]) / window_power
    y_power = centre(y, window, scratch[1, MAX_LAG:]) / window_power
    scratch[1, :MAX_LAG] = 0.0
    scratch[1, MAX_LAG + n :] = 0.0
    if x_power <= SILENCE or y_power <= SILENCE:
        return 0.0, x_power
    highest = highest_correlation(scratch[0, :n], scratch[1], lag_weights, scratch[2])
    return min(highest / np.sqrt(x_power * y_power), 1.0), x_power


@compiled
def compare(motions: Floats, count: int, first_hop: int, w: Windows, scratch: Floats, out: Floats) -> None:
    """Covariances of the segments that end in a block, into `out` (2, segments).

    Args:
        motions: (2, 192 + samples), the hop before the block and the block.
        count: hops in the block.
        first_hop: its first hop.
        w: windows.
        scratch: (3, 448).
        out: covariances and mean squares.
    """
    last = out.shape[1] - 1
    for hop in range(first_hop, min(first_hop + count, last + 1)):
        start = (hop - first_hop) * MOTION_HOP
        x, y = motions[0, start : start + 2 * MOTION_HOP], motions[1, start : start + 2 * MOTION_HOP]
        if hop == 0:
            half = w.motion[MOTION_HOP:]
            out[0, 0], out[1, 0] = covariance(x[MOTION_HOP:], y[MOTION_HOP:], half, w.power / 2, w.half_lags, scratch)
        elif hop > 1:
            out[0, hop - 1], out[1, hop - 1] = covariance(x, y, w.motion, w.power, w.whole_lags, scratch)
        if hop == last:
            half = w.motion[:MOTION_HOP]
            out[0, last], out[1, last] = covariance(
                x[MOTION_HOP:], y[MOTION_HOP:], half, w.power / 2, w.half_lags, scratch
            )


@compiled
def hear_block(
    envelopes: Floats,
    motions: Floats,
    first: int,
    block: tuple[int, int],
    place: Placement,
    threshold: Threshold,
    k: Adaptation,
    streams: tuple[NormalStream, NormalStream],
    scratch: Scratch,
) -> None:
    """Align, adapt and add noise to the samples from `first` on; into `block` (begin, end) of `scratch`."""
    begin, end = block
    count = end - begin
    for row in range(2):
        amplitudes, levels = scratch.amplitudes[row, begin:end], scratch.levels[row, begin:end]
        heard = scratch.heard[row, MOTION_HOP + begin : MOTION_HOP + end]
        copy_aligned(envelopes[row], first + row * place.envelope_delay, count, amplitudes)
        copy_aligned(motions[row], first + row * place.motion_delay, count, heard)
        to_sensation_level(amplitudes, threshold.level_db, levels)
    adapt(scratch.levels[0, begin:end], scratch.levels[1, begin:end], scratch.voltages, k)
    for row in range(2):
        amplitudes, levels = scratch.amplitudes[row, begin:end], scratch.levels[row, begin:end]
        heard = scratch.heard[row, MOTION_HOP + begin : MOTION_HOP + end]
        fill_normal(streams[row], scratch.noise, count, scratch.pairs)
        drive(amplitudes, levels, scratch.noise, threshold.noise_gain, heard)


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
        envelopes: (2, samples), compressed.
        motions: (2, samples), likewise.
        place: the band's delays.
        threshold: of hearing.
        k: the inner hair cells' adaptation.
        streams: the noise of each signal, moved on.
        w: windows.
        scratch: see there.
        smoothed: (2, segments), zeros; gets the smoothed envelopes in dB above threshold.
        covariances: (2, segments), zeros; gets the covariances and the reference's mean squares.
    """
    n = envelopes.shape[1]
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        silent = min(max(place.wait - start, 0), count)
        for row in range(2):
            scratch.heard[row, :MOTION_HOP] = scratch.heard[row, BLOCK:]
            scratch.levels[row, :silent] = 0.0
            scratch.heard[row, MOTION_HOP : MOTION_HOP + silent] = 0.0
        first = start + silent - place.wait
        hear_block(envelopes, motions, first, (silent, count), place, threshold, k, streams, scratch)
        for row in range(2):
            smooth(scratch.levels[row, :count], start // ENVELOPE_HOP, w.envelope, smoothed[row])
        compare(scratch.heard, count // MOTION_HOP, start // MOTION_HOP, w, scratch.segments, covariances)
    finish_smoothing(smoothed, w.envelope)


@compiled
def finish_smoothing(smoothed: Floats, window: Floats) -> None:
    """Divide the sums by their windows', halves at either end."""
    whole, half = np.sum(window), np.sum(window[ENVELOPE_HOP:])
    last = smoothed.shape[1] - 1
    for row in range(2):
        smoothed[row, 0] /= half
        smoothed[row, last] /= half
        for i in range(1, last):
            smoothed[row, i] /= whole
