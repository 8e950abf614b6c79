"""What the cochlear model does with every sample of one band, compiled.

Two signals always run together, the reference and the processed one (rows 0 and 1), because their recursions
do not wait for each other: two lanes of a vector take the time of one. Work goes in blocks that fit the
first-level cache: recursions first, then loops without dependence, which the compiler vectorises.
"""

import numpy as np
import numpy.typing as npt

from cadenza_remix.compiled import compiled
from cadenza_remix.ear import Compression, Gammatone
from cadenza_remix.elementary import exponential, natural_log
from cadenza_remix.lanes import Lanes, lane, pair

Floats = npt.NDArray[np.float64]
Delays = tuple[Lanes, Lanes, Lanes, Lanes]  # of two filters side by side
Coefficients = tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes]  # b1, b2, a1, a2, a3, -a4

BLOCK = 1024
DB_PER_NEPER = 20 / np.log(10)
NEPER_PER_DB = np.log(10) / 20
SILENCE = 1e-30


@compiled
def gammatone_step(x: Lanes, z: Delays, k: Coefficients) -> tuple[Lanes, Delays]:
    """One sample through a demodulated gammatone, in the order of operations of `scipy.signal.lfilter`."""
    b1, b2, a1, a2, a3, a4 = k
    y = z[0] + x
    return y, (z[1] + x * b1 - y * a1, z[2] + x * b2 - y * a2, z[3] - y * a3, y * a4)


@compiled
def coefficients(k: Gammatone, other: Gammatone) -> Coefficients:
    """Two filters as lanes; a4 with its sign turned."""
    return (
        pair(k.b1, other.b1),
        pair(k.b2, other.b2),
        pair(k.a1, other.a1),
        pair(k.a2, other.a2),
        pair(k.a3, other.a3),
        pair(-k.a4, -other.a4),
    )


@compiled
def load_pairs(states: Floats) -> Delays:
    """A filter's delays from (4, 2)."""
    return (
        pair(states[0, 0], states[0, 1]),
        pair(states[1, 0], states[1, 1]),
        pair(states[2, 0], states[2, 1]),
        pair(states[3, 0], states[3, 1]),
    )


@compiled
def keep_pairs(states: Floats, z: Delays) -> None:
    """A filter's delays into (4, 2)."""
    for i in range(4):
        states[i, 0], states[i, 1] = lane(z[i], 0), lane(z[i], 1)


@compiled
def control_energy(x: Floats, radians: float, k: Gammatone) -> float:
    """Sum of a control filter's squared envelope, for one signal; lanes are real and imaginary part."""
    turn_cos, turn_sin = np.cos(radians), np.sin(radians)
    cos, sin = 1.0, 0.0
    both = coefficients(k, k)
    total = pair(0.0, 0.0)
    delays = (total, total, total, total)
    for i in range(len(x)):
        out, delays = gammatone_step(pair(x[i] * cos, x[i] * sin), delays, both)
        total = total + out * out
        cos, sin = cos * turn_cos + sin * turn_sin, sin * turn_cos - cos * turn_sin
    energy: float = lane(total, 0) + lane(total, 1)
    return energy * k.gain * k.gain


@compiled
def control_powers(x: Floats, y: Floats, radians: float, k: Gammatone, powers: Floats) -> tuple[float, float]:
    """Squared envelopes of the control filters, into `powers` (2, samples), and their sums."""
    turn_cos, turn_sin = np.cos(radians), np.sin(radians)
    cos, sin = 1.0, 0.0
    both = coefficients(k, k)
    total = pair(0.0, 0.0)
    real_delays = imaginary_delays = (total, total, total, total)
    for i in range(len(x)):
        sample = pair(x[i], y[i])
        real, real_delays = gammatone_step(sample * pair(cos, cos), real_delays, both)
        imaginary, imaginary_delays = gammatone_step(sample * pair(sin, sin), imaginary_delays, both)
        power = real * real + imaginary * imaginary
        powers[0, i], powers[1, i] = lane(power, 0), lane(power, 1)
        total = total + power
        cos, sin = cos * turn_cos + sin * turn_sin, sin * turn_cos - cos * turn_sin
    return lane(total, 0) * k.gain * k.gain, lane(total, 1) * k.gain * k.gain


@compiled
def signal_block(
    x: Floats,
    y: Floats,
    turn: tuple[float, float],
    k: Coefficients,
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
        k: the filters of both.
        low_pass: b and a1 of the gains' filter.
        states: (11, 2), four delays of the real parts and four of the imaginary ones, the gains' filters, the
            sums of powers, and cosine and sine of the carrier.
        gains: (2, samples), smoothed in place.
        powers: (2, samples), gets the squared envelopes without gain.
        motions: (2, samples), gets the motions without gain.
    """
    b, a1 = pair(low_pass[0], low_pass[0]), pair(low_pass[1], low_pass[1])
    real_delays, imaginary_delays = load_pairs(states[:4]), load_pairs(states[4:8])
    kept, total = pair(states[8, 0], states[8, 1]), pair(states[9, 0], states[9, 1])
    cos, sin = states[10, 0], states[10, 1]
    for i in range(len(x)):
        sample, both_cos, both_sin = pair(x[i], y[i]), pair(cos, cos), pair(sin, sin)
        real, real_delays = gammatone_step(sample * both_cos, real_delays, k)
        imaginary, imaginary_delays = gammatone_step(sample * both_sin, imaginary_delays, k)
        power = real * real + imaginary * imaginary
        total = total + power
        motion = real * both_cos + imaginary * both_sin
        gain = b * pair(gains[0, i], gains[1, i])
        smoothed = kept + gain
        kept = gain - a1 * smoothed
        powers[0, i], powers[1, i] = lane(power, 0), lane(power, 1)
        motions[0, i], motions[1, i] = lane(motion, 0), lane(motion, 1)
        gains[0, i], gains[1, i] = lane(smoothed, 0), lane(smoothed, 1)
        cos, sin = cos * turn[0] + sin * turn[1], sin * turn[0] - cos * turn[1]
    keep_pairs(states[:4], real_delays)
    keep_pairs(states[4:8], imaginary_delays)
    states[8, 0], states[8, 1] = lane(kept, 0), lane(kept, 1)
    states[9, 0], states[9, 1] = lane(total, 0), lane(total, 1)
    states[10, 0], states[10, 1] = cos, sin


@compiled
def compression_gains(powers: Floats, control_gain: float, c: Compression, gains: Floats) -> None:
    """Gain by a block of squared control envelopes: linear below the lower and above the upper knee."""
    scale = control_gain * control_gain
    for i in range(len(gains)):
        level = c.level_of_rms_1_db_spl + 0.5 * DB_PER_NEPER * natural_log(
            max(powers[i] * scale, SILENCE * SILENCE)
        )
        above = max(min(level, c.upper_knee_db_spl), c.lower_knee_db_spl) - c.lower_knee_db_spl
        gains[i] = exponential((-c.attenuation_db - above * c.slope) * NEPER_PER_DB)


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
    both = coefficients(k[0], k[1])
    states = np.zeros((11, 2))
    states[10, 0] = 1.0
    powers, swings, gains = np.empty((2, BLOCK)), np.empty((2, BLOCK)), np.empty((2, BLOCK))
    for start in range(0, len(x), BLOCK):
        stop = min(start + BLOCK, len(x))
        count = stop - start
        for row in range(2):
            compression_gains(envelopes[row, start:stop], control_gain, c, gains[row, :count])
        low_pass = (c.low_pass_b, c.low_pass_a1)
        signal_block(x[start:stop], y[start:stop], turn, both, low_pass, states, gains, powers, swings)
        for row in range(2):
            apply_gains(
                gains[row],
                k[row].gain,
                powers[row],
                swings[row],
                envelopes[row, start:stop],
                motions[row, start:stop],
            )
    return states[9, 0] * k[0].gain * k[0].gain, states[9, 1] * k[1].gain * k[1].gain
