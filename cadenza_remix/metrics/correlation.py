"""Cross-correlations of long signals at short lags, as sums over blocks, by a Fourier transform of our own.

Two blocks go through one complex transform, as its real and its imaginary part: the real part of the
correlation of two such sums is the sum of the blocks' correlations. Since spectra are only multiplied with
each other, they stay in the order in which the transform leaves them, and only what is added up is put in
order, once. The transform is Gentleman & Sande's in radix 4: 128 KiB for each part stay in the second-level
cache, then 8 KiB in the first. Its last passes would combine neighbours, too near for vectors, so rows of 16
are turned into columns before (Bailey 1990).

References:
    Gentleman & Sande (1966): Fast Fourier transforms – for fun and profit. AFIPS 29, 563–578.
    Bailey (1990): FFTs in external or hierarchical memory. J. Supercomputing 4, 23–35.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cadenza_remix.compiled import compiled
from cadenza_remix.lanes import WIDE, Lanes, load, store

Floats = npt.NDArray[np.float64]

LENGTH = 16384  # of the transform
SUB = 1024  # what is left of it after two passes
APART = 72  # samples: lines of the cache, an odd number
ROW = 16  # what is left of that after three more


class Plan(NamedTuple):
    """What a transform needs to know.

    Attributes:
        twiddles: (6, span / 4) for each pass but the last, cosines and sines of one, two and three times an
            angle.
        ones: (6, 64), for the last.
        order: (16384,), the frequency that each place of the spectrum stands for.
    """

    twiddles: tuple[Floats, ...]
    ones: Floats
    order: npt.NDArray[np.int64]


@cache
def plan() -> Plan:
    """The one plan; its order is read from the spectrum of an impulse one sample late."""
    columns = SUB // ROW
    turns = [turned(span) for span in (LENGTH, LENGTH // 4, SUB, SUB // 4, SUB // 16)]
    turns.append(turned(ROW, columns))
    ones = turned(4, columns)
    unordered = Plan(tuple(turns), ones, np.zeros(0, np.int64))
    real, imaginary = np.zeros((2, LENGTH)), np.zeros((2, LENGTH))
    real[0, 1] = 1.0
    transform(real[0], imaginary[0], unordered, real[1], imaginary[1])
    order = np.rint(np.arctan2(-imaginary[1], real[1]) * (LENGTH / (2 * np.pi))).astype(np.int64) % LENGTH
    return Plan(tuple(turns), ones, order)


def turned(span: int, repeats: int = 1) -> Floats:
    """Twiddle factors of a pass, in the order of their use; apart, they would share places in the cache."""
    angles = -2 * np.pi / span * np.outer((1, 2, 3), np.repeat(np.arange(span // 4), repeats))
    factors = np.concatenate((np.cos(angles), np.sin(angles)))
    return factors.reshape(6, -1, WIDE).swapaxes(0, 1).ravel()


@compiled
def butterflies(real: Floats, imaginary: Floats, twiddles: Floats) -> None:
    """Split a transform into four of a quarter of its length, in place."""
    quarter = len(twiddles) // 6
    for a in range(0, quarter, WIDE):
        b, c, d = a + quarter, a + 2 * quarter, a + 3 * quarter
        even_re, even_im = load(real, a) + load(real, c), load(imaginary, a) + load(imaginary, c)
        odd_re, odd_im = load(real, a) - load(real, c), load(imaginary, a) - load(imaginary, c)
        sum_re, sum_im = load(real, b) + load(real, d), load(imaginary, b) + load(imaginary, d)
        left_re, left_im = load(real, b) - load(real, d), load(imaginary, b) - load(imaginary, d)
        store(real, a, even_re + sum_re)
        store(imaginary, a, even_im + sum_im)
        rotate(real, imaginary, b, odd_re + left_im, odd_im - left_re, twiddles, 6 * a + 0)
        rotate(real, imaginary, c, even_re - sum_re, even_im - sum_im, twiddles, 6 * a + 8)
        rotate(real, imaginary, d, odd_re - left_im, odd_im + left_re, twiddles, 6 * a + 16)


@compiled
def rotate(
    real: Floats, imaginary: Floats, place: int, re: Lanes, im: Lanes, twiddles: Floats, first: int
) -> None:
    """Turn lanes by an angle and store them."""
    cos, sin = load(twiddles, first), load(twiddles, first + 3 * WIDE)
    store(real, place, re * cos - im * sin)
    store(imaginary, place, re * sin + im * cos)


@compiled
def turn_rows(rows: Floats, columns: Floats) -> None:
    """Rows of 16 to 16 rows of columns."""
    count = len(rows) // ROW
    for i in range(count):
        for j in range(ROW):
            columns[j * count + i] = rows[i * ROW + j]


@compiled
def transform(real: Floats, imaginary: Floats, p: Plan, real_out: Floats, imaginary_out: Floats) -> None:
    """Fourier transform (16384,) of a complex signal, which is overwritten, in the plan's order."""
    butterflies(real, imaginary, p.twiddles[0])
    for start in range(0, LENGTH, LENGTH // 4):
        quarter = slice(start, start + LENGTH // 4)
        butterflies(real[quarter], imaginary[quarter], p.twiddles[1])
    for start in range(0, LENGTH, SUB):
        transform_sub(
            real[start : start + SUB],
            imaginary[start : start + SUB],
            p,
            real_out[start : start + SUB],
            imaginary_out[start : start + SUB],
        )


@compiled
def transform_sub(real: Floats, imaginary: Floats, p: Plan, real_out: Floats, imaginary_out: Floats) -> None:
    """The same of 1024 samples, within the first-level cache."""
    butterflies(real, imaginary, p.twiddles[2])
    for start in range(0, SUB, SUB // 4):
        quarter = slice(start, start + SUB // 4)
        butterflies(real[quarter], imaginary[quarter], p.twiddles[3])
    for start in range(0, SUB, SUB // 16):
        sixteenth = slice(start, start + SUB // 16)
        butterflies(real[sixteenth], imaginary[sixteenth], p.twiddles[4])
    turn_rows(real, real_out)
    turn_rows(imaginary, imaginary_out)
    butterflies(real_out, imaginary_out, p.twiddles[5])
    for start in range(0, SUB, SUB // 4):
        quarter = slice(start, start + SUB // 4)
        butterflies(real_out[quarter], imaginary_out[quarter], p.ones)


@compiled
def copy_aligned(source: Floats, first: int, count: int, out: Floats) -> None:
    """Copy `count` samples from `first` on, zeros where there are none."""
    begin = min(max(first, 0), first + count)
    end = max(min(first + count, len(source)), begin)
    out[: begin - first] = 0.0
    out[begin - first : end - first] = source[begin:end]
    out[end - first : count] = 0.0


@compiled
def part(memory: Floats, number: int) -> Floats:
    """One of several arrays (16384,), so far apart that they do not share places in the cache."""
    start = number * (LENGTH + APART)
    return memory[start : start + LENGTH]


@compiled
def correlate_rows(rows: Floats, count: int, max_lag: int, p: Plan) -> Floats:
    """Cross-correlations (count, 2 × max_lag) of row 0 with the `count` next ones, from lag -max_lag up."""
    step = LENGTH - 2 * max_lag
    work, totals = np.empty(8 * (LENGTH + APART)), np.zeros(2 * count * (LENGTH + APART))
    x, x_spectrum = (part(work, 0), part(work, 1)), (part(work, 2), part(work, 3))
    y, y_spectrum = (part(work, 4), part(work, 5)), (part(work, 6), part(work, 7))
    for start in range(0, rows.shape[1], 2 * step):
        for half in range(2):
            copy_aligned(rows[0], start + half * step, step, x[half])
            x[half][step:] = 0.0
        transform(x[0], x[1], p, x_spectrum[0], x_spectrum[1])
        for i in range(count):
            for half in range(2):
                copy_aligned(rows[i + 1], start + half * step - max_lag, LENGTH, y[half])
            transform(y[0], y[1], p, y_spectrum[0], y_spectrum[1])
            accumulate(x_spectrum, y_spectrum, (part(totals, 2 * i), part(totals, 2 * i + 1)))
    correlations = np.empty((count, 2 * max_lag))
    for i in range(count):
        for place in range(LENGTH):
            for half in range(2):
                x[half][p.order[place]] = part(totals, 2 * i + half)[place]
        transform(x[0], x[1], p, x_spectrum[0], x_spectrum[1])
        for place in range(LENGTH):  # the real part, turned back: the totals are conjugate already
            if p.order[place] < 2 * max_lag:
                correlations[i, p.order[place]] = x_spectrum[0][place] / LENGTH
    return correlations


@compiled
def accumulate(x: tuple[Floats, Floats], y: tuple[Floats, Floats], total: tuple[Floats, Floats]) -> None:
    """Add x times the conjugate of y; each is a real and an imaginary part."""
    for i in range(0, LENGTH, WIDE):
        x_re, x_im, y_re, y_im = load(x[0], i), load(x[1], i), load(y[0], i), load(y[1], i)
        store(total[0], i, load(total[0], i) + (x_re * y_re + x_im * y_im))
        store(total[1], i, load(total[1], i) + (x_im * y_re - x_re * y_im))
