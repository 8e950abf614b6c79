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
from cadenza_remix.lanes import Lanes, first_pair, join, lane, last_pair, pair

Floats = npt.NDArray[np.float64]
Delays = tuple[Lanes, Lanes, Lanes, Lanes]  # of filters side by side
Coefficients = tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes]  # b1, b2, a1, a2, a3, -a4
SignalState = tuple[Delays, Lanes, Lanes, float, float]  # of filters and gains; sums of powers; the carrier

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
def doubled(k: Coefficients) -> Coefficients:
    """The same for real parts and for imaginary ones."""
    b1, b2, a1, a2, a3, a4 = k
    return join(b1, b1), join(b2, b2), join(a1, a1), join(a2, a2), join(a3, a3), join(a4, a4)


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
    filters = doubled(coefficients(k, k))
    total = pair(0.0, 0.0)
    zero = join(total, total)
    delays = (zero, zero, zero, zero)
    for i in range(len(x)):
        sample = pair(x[i], y[i])
        turned = join(sample * pair(cos, cos), sample * pair(sin, sin))
        out, delays = gammatone_step(turned, delays, filters)
        real, imaginary = first_pair(out), last_pair(out)
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
    start: SignalState,
    gains: Floats,
    powers: Floats,
    motions: Floats,
) -> SignalState:
    """Filter a block of both signals and smooth its gains, all recursions side by side.

    Args:
        x: (samples,), of the reference.
        y: (samples,), of the processed signal.
        turn: cosine and sine of the carrier's advance per sample.
        k: the filters of both, doubled.
        low_pass: b and a1 of the gains' filter.
        start: the recursions before the block.
        gains: (2, samples), smoothed in place.
        powers: (2, samples), gets the squared envelopes without gain.
        motions: (2, samples), gets the motions without gain.

    Returns:
        The recursions behind the block.
    """
    b, a1 = pair(low_pass[0], low_pass[0]), pair(low_pass[1], low_pass[1])
    delays, kept, total, cos, sin = start
    for i in range(len(x)):
        sample, both_cos, both_sin = pair(x[i], y[i]), pair(cos, cos), pair(sin, sin)
        out, delays = gammatone_step(join(sample * both_cos, sample * both_sin), delays, k)
        real, imaginary = first_pair(out), last_pair(out)
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
    return delays, kept, total, cos, sin


@compiled
def compression_gains(powers: Floats, control_gain: float, c: Compression, gains: Floats) -> None:
    """Gain by a block of squared control envelopes: linear below the lower and above the upper knee."""
    scale = control_gain * control_gain
    for i in range(len(gains)):  # two loops: in one, each vector would wait for the whole of the one before
        level = c.level_of_rms_1_db_spl + 0.5 * DB_PER_NEPER * natural_log(
            max(powers[i] * scale, SILENCE * SILENCE)
        )
        above = max(min(level, c.upper_knee_db_spl), c.lower_knee_db_spl) - c.lower_knee_db_spl
        gains[i] = -c.attenuation_db - above * c.slope
    for i in range(len(gains)):
        gains[i] = exponential(gains[i] * NEPER_PER_DB)


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
    filters = doubled(coefficients(k[0], k[1]))
    none = pair(0.0, 0.0)
    nothing = join(none, none)
    state = ((nothing, nothing, nothing, nothing), none, none, 1.0, 0.0)
    powers, swings, gains = np.empty((2, BLOCK)), np.empty((2, BLOCK)), np.empty((2, BLOCK))
    for start in range(0, len(x), BLOCK):
        stop = min(start + BLOCK, len(x))
        count = stop - start
        for row in range(2):
            compression_gains(envelopes[row, start:stop], control_gain, c, gains[row, :count])
        low_pass = (c.low_pass_b, c.low_pass_a1)
        two = (x[start:stop], y[start:stop])
        state = signal_block(*two, turn, filters, low_pass, state, gains, powers, swings)
        for row in range(2):
            apply_gains(
                gains[row],
                k[row].gain,
                powers[row],
                swings[row],
                envelopes[row, start:stop],
                motions[row, start:stop],
            )
    total = state[2]
    return lane(total, 0) * k[0].gain * k[0].gain, lane(total, 1) * k[1].gain * k[1].gain
