"""The inner hair cells of one band, streamed in blocks: from compressed signals to what the nerve is given.

A block is aligned, converted to dB above threshold, adapted, and given the noise that stands for the
threshold. Row 0 is the reference, the others are processed signals, an even number in all; the references of
`cochlea` hold here too; checked against pyclarity 0.9.0 (`envelope_sl`, `inner_hair_cell_adaptation`,
`basilar_membrane_add_noise`).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cadenza_remix.cochlea import DB_PER_NEPER, SILENCE
from cadenza_remix.compiled import compiled
from cadenza_remix.elementary import natural_log
from cadenza_remix.metrics.correlation import copy_aligned
from cadenza_remix.noise import NormalStream, fill_normal

Floats = npt.NDArray[np.float64]
Delays = npt.NDArray[np.int64]  # samples

BLOCK = 3072  # samples worked on at a time: whole hops of every kind of segment
CARRY = 192  # samples kept before a block: the hop that its first segment began in


class Adaptation(NamedTuple):
    """Inner hair cells' rapid and short-term adaptation as a recursion of two voltages; see `adaptation`."""

    first_from_first: float
    first_from_second: float
    first_from_input: float
    second_from_first: float
    second_from_second: float
    second_from_input: float
    output_gain: float


class Placement(NamedTuple):
    """Where a band's samples go: how far each row is read ahead, and how long the band waits."""

    envelope_delays: Delays
    motion_delays: Delays
    wait: int


class Threshold(NamedTuple):
    """Of hearing, in one band: the level of an amplitude of 1 above it, and the amplitude of its noise."""

    level_db: float
    noise_gain: float


class Scratch(NamedTuple):
    """One band's memory; `voltages` and `heard` must be zeros at its start.

    Attributes:
        amplitudes: (rows, 3072), aligned envelopes.
        levels: (rows, 3072), in dB above threshold.
        heard: (rows, 192 + 3072), vibrations: the hop before the block, and the block.
        noise: (3072,).
        pairs: (3, 1538), for `fill_normal`.
        voltages: (rows, 2), of the adaptation.
        segments: (10, 448), for `covariance`; rows begin with lines of the cache.
    """

    amplitudes: Floats
    levels: Floats
    heard: Floats
    noise: Floats
    pairs: Floats
    voltages: Floats
    segments: Floats


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


def scratch(rows: int) -> Scratch:
    """Fresh memory for one band."""
    return Scratch(
        np.empty((rows, BLOCK)),
        np.empty((rows, BLOCK)),
        np.zeros((rows, CARRY + BLOCK)),
        np.empty(BLOCK),
        np.empty((3, BLOCK // 2 + 2)),
        np.zeros((rows, 2)),
        in_lines(10, 2 * CARRY + 64),
    )


def in_lines(rows: int, columns: int) -> Floats:
    """Zeros that begin with a line of the cache, 64 bytes; so does every row, columns being whole eights."""
    memory = np.zeros(rows * columns + 7)
    skipped = -(memory.ctypes.data // memory.itemsize) % 8
    return memory[skipped : skipped + rows * columns].reshape(rows, columns)


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
    rows = len(envelopes)
    for row in range(rows):
        amplitudes, levels = scratch.amplitudes[row, begin:end], scratch.levels[row, begin:end]
        heard = scratch.heard[row, CARRY + begin : CARRY + end]
        copy_aligned(envelopes[row], first + place.envelope_delays[row], count, amplitudes)
        copy_aligned(motions[row], first + place.motion_delays[row], count, heard)
        to_sensation_level(amplitudes, threshold.level_db, levels)
    for row in range(0, rows, 2):
        x, y = scratch.levels[row, begin:end], scratch.levels[row + 1, begin:end]
        adapt(x, y, scratch.voltages[row : row + 2], k)
    for row in range(rows):
        amplitudes, levels = scratch.amplitudes[row, begin:end], scratch.levels[row, begin:end]
        heard = scratch.heard[row, CARRY + begin : CARRY + end]
        if row < 2:  # all processed signals meet the same noise
            fill_normal(streams[row], scratch.noise, count, scratch.pairs)
        drive(amplitudes, levels, scratch.noise, threshold.noise_gain, heard)
