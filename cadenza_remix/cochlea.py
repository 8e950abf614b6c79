"""What the cochlear model does with every sample of one band, compiled.

Two signals always run together, the reference and the processed one (rows 0 and 1), because their recursions
do not wait for each other and so share the processor's time. Work goes in blocks that fit the first-level
cache: recursions first, then loops without dependence, which the compiler vectorises.
"""

import numpy as np
import numpy.typing as npt

from cadenza_remix.compiled import compiled
from cadenza_remix.ear import Compression, Gammatone
from cadenza_remix.elementary import exponential, natural_log

Floats = npt.NDArray[np.float64]
State = tuple[float, float, float, float, float]  # a filter's last output and its four delays

BLOCK = 1024
DB_PER_NEPER = 20 / np.log(10)
SILENCE = 1e-30


@compiled
def gammatone_step(x: float, z: State, k: Gammatone) -> State:
    """One sample through a demodulated gammatone, in the order of operations of `scipy.signal.lfilter`."""
    y = z[1] + x
    return (y, z[2] + x * k.b1 - y * k.a1, z[3] + x * k.b2 - y * k.a2, z[4] - y * k.a3, -(y * k.a4))


@compiled
def load(states: Floats, row: int) -> State:
    """Take a filter's state out of its row."""
    return (states[row, 0], states[row, 1], states[row, 2], states[row, 3], states[row, 4])


@compiled
def keep(states: Floats, row: int, z: State) -> None:
    """Put a filter's state back into its row."""
    for i in range(5):
        states[row, i] = z[i]


@compiled
def control_energy(x: Floats, radians: float, k: Gammatone) -> float:
    """Sum of a control filter's squared envelope, for one signal."""
    turn_cos, turn_sin = np.cos(radians), np.sin(radians)
    cos, sin = 1.0, 0.0
    re = im = (0.0, 0.0, 0.0, 0.0, 0.0)
    total = 0.0
    for i in range(len(x)):
        re, im = gammatone_step(x[i] * cos, re, k), gammatone_step(x[i] * sin, im, k)
        total += re[0] * re[0] + im[0] * im[0]
        cos, sin = cos * turn_cos + sin * turn_sin, sin * turn_cos - cos * turn_sin
    return total * k.gain * k.gain


@compiled
def control_powers(x: Floats, y: Floats, radians: float, k: Gammatone, powers: Floats) -> tuple[float, float]:
    """Squared envelopes of the control filters, into `powers` (2, samples), and their sums."""
    turn_cos, turn_sin = np.cos(radians), np.sin(radians)
    cos, sin = 1.0, 0.0
    x_re = x_im = y_re = y_im = (0.0, 0.0, 0.0, 0.0, 0.0)
    x_total = y_total = 0.0
    for i in range(len(x)):
        x_re, x_im = gammatone_step(x[i] * cos, x_re, k), gammatone_step(x[i] * sin, x_im, k)
        y_re, y_im = gammatone_step(y[i] * cos, y_re, k), gammatone_step(y[i] * sin, y_im, k)
        powers[0, i] = x_re[0] * x_re[0] + x_im[0] * x_im[0]
        powers[1, i] = y_re[0] * y_re[0] + y_im[0] * y_im[0]
        x_total += powers[0, i]
        y_total += powers[1, i]
        cos, sin = cos * turn_cos + sin * turn_sin, sin * turn_cos - cos * turn_sin
    return x_total * k.gain * k.gain, y_total * k.gain * k.gain


@compiled
def signal_block(
    x: Floats,
    y: Floats,
    turn: tuple[float, float],
    k: tuple[Gammatone, Gammatone],
    low_pass: tuple[float, float],
    states: Floats,
    gains: Floats,
    powers: Floats,
    motions: Floats,
) -> None:
    """Filter a block of both signals and smooth its gains, all recursions side by side.

    Args:
        x: (samples,), of the reference.
        y: (samples,), of the processed signal.
        turn: cosine and sine of the carrier's advance per sample.
        k: the filter of each signal.
        low_pass: b and a1 of the gains' filter.
        states: (6, 5), of four filters, the carrier with the sums of powers, and the gains' filters.
        gains: (2, samples), smoothed in place.
        powers: (2, samples), gets the squared envelopes without gain.
        motions: (2, samples), gets the motions without gain.
    """
    b, a1 = low_pass
    cos, sin, x_total, y_total = states[4, 0], states[4, 1], states[4, 2], states[4, 3]
    x_re, x_im, y_re, y_im = load(states, 0), load(states, 1), load(states, 2), load(states, 3)
    x_kept, y_kept = states[5, 0], states[5, 1]
    for i in range(len(x)):
        x_re, x_im = gammatone_step(x[i] * cos, x_re, k[0]), gammatone_step(x[i] * sin, x_im, k[0])
        y_re, y_im = gammatone_step(y[i] * cos, y_re, k[1]), gammatone_step(y[i] * sin, y_im, k[1])
        powers[0, i] = x_re[0] * x_re[0] + x_im[0] * x_im[0]
        powers[1, i] = y_re[0] * y_re[0] + y_im[0] * y_im[0]
        x_total += powers[0, i]
        y_total += powers[1, i]
        motions[0, i] = x_re[0] * cos + x_im[0] * sin
        motions[1, i] = y_re[0] * cos + y_im[0] * sin
        cos, sin = cos * turn[0] + sin * turn[1], sin * turn[0] - cos * turn[1]
        x_gain, y_gain = b * gains[0, i], b * gains[1, i]
        gains[0, i], gains[1, i] = x_kept + x_gain, y_kept + y_gain
        x_kept, y_kept = x_gain - a1 * gains[0, i], y_gain - a1 * gains[1, i]
    keep(states, 0, x_re)
    keep(states, 1, x_im)
    keep(states, 2, y_re)
    keep(states, 3, y_im)
    states[4, 0], states[4, 1], states[4, 2], states[4, 3] = cos, sin, x_total, y_total
    states[5, 0], states[5, 1] = x_kept, y_kept


@compiled
def compression_gains(powers: Floats, control_gain: float, c: Compression, gains: Floats) -> None:
    """Gain by a block of squared control envelopes: linear below the lower and above the upper knee."""
    scale = control_gain * control_gain
    for i in range(len(gains)):
        level = c.level_of_rms_1_db_spl + 0.5 * DB_PER_NEPER * natural_log(
            max(powers[i] * scale, SILENCE * SILENCE)
        )
        above = max(min(level, c.upper_knee_db_spl), c.lower_knee_db_spl) - c.lower_knee_db_spl
        gains[i] = exponential((-c.attenuation_db - above * c.slope) / DB_PER_NEPER)


@compiled
def apply_gains(
    gains: Floats, filter_gain: float, powers: Floats, motions: Floats, envelope: Floats, motion: Floats
) -> None:
    """Scale a block to its envelope and motion."""
    for i in range(len(envelope)):
        envelope[i] = gains[i] * (filter_gain * np.sqrt(powers[i]))
        motion[i] = gains[i] * (filter_gain * motions[i])


@compiled
def compress_band(
    x: Floats,
    y: Floats,
    radians: float,
    k: tuple[Gammatone, Gammatone],
    control_gain: float,
    c: Compression,
    envelopes: Floats,
    motions: Floats,
) -> tuple[float, float]:
    """Filter and compress both signals in one band.

    Args:
        x: (samples,), the reference behind the middle ear.
        y: (samples,), the processed signal likewise.
        radians: the band's centre per sample.
        k: the signal filter of each.
        control_gain: of the control filters.
        c: the band's compression.
        envelopes: (2, samples), on entry the squared control envelopes without gain, then the compressed
            envelopes.
        motions: (2, samples), gets the compressed basilar-membrane motions.

    Returns:
        The sums of the squared envelopes before compression.
    """
    turn = (np.cos(radians), np.sin(radians))
    states = np.zeros((6, 5))
    states[4, 0] = 1.0
    powers, swings, gains = np.empty((2, BLOCK)), np.empty((2, BLOCK)), np.empty((2, BLOCK))
    for start in range(0, len(x), BLOCK):
        stop = min(start + BLOCK, len(x))
        count = stop - start
        for row in range(2):
            compression_gains(envelopes[row, start:stop], control_gain, c, gains[row, :count])
        low_pass = (c.low_pass_b, c.low_pass_a1)
        signal_block(x[start:stop], y[start:stop], turn, k, low_pass, states, gains, powers, swings)
        for row in range(2):
            apply_gains(
                gains[row],
                k[row].gain,
                powers[row],
                swings[row],
                envelopes[row, start:stop],
                motions[row, start:stop],
            )
    return states[4, 2] * k[0].gain * k[0].gain, states[4, 3] * k[1].gain * k[1].gain
