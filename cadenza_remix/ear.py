"""The cochlear model of Kates: what a loss does to the auditory filters and the compression behind them.

Sound goes through a middle-ear filter, then through 32 gammatone bands from 80 Hz to 8 kHz. In each band a
wide control filter sets the bandwidth of the signal filter (louder is wider) and the gain of the outer hair
cells' compression; the inner hair cells attenuate and adapt. This module holds what is computed once per band
or ear; what runs for every sample is in `cochlea`.

Arrays of 32 values go from the lowest band to the highest. Everything is checked against pyclarity 0.9.0
(`clarity/evaluator/haspi/eb.py`), whose order of operations is kept where a result is sensitive to rounding.

References:
    Kates (2013): An auditory model for intelligibility and quality predictions. POMA 19, 050184.
    Kates & Arehart (2016): The Hearing-Aid Audio Quality Index (HAAQI). IEEE/ACM TASLP 24(2), 354–365.
    Moore & Glasberg (1983): Formulae for auditory-filter bandwidths. JASA 74, 750–753.
    Slaney (1993): Patterson–Holdsworth auditory filter bank. Apple Technical Report 35.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, lfilter

from cadenza_remix.listener import Audiogram

Floats = npt.NDArray[np.float64]

SAMPLE_RATE = 24000  # Hz, of the whole model
N_BANDS = 32
LOWEST_HZ, HIGHEST_HZ = 80, 8000
EAR_Q, MIN_BANDWIDTH_HZ = 9.26449, 24.7  # equivalent rectangular bandwidth = f / Q + minimum
GAMMATONE_BANDWIDTH = 1.019  # of a fourth-order gammatone, in equivalent rectangular bandwidths
AUDIOGRAM_HZ = (250, 500, 1000, 2000, 4000, 6000)  # the loss is read here and interpolated between
CONTROL_LOSS_DB_HL = 100  # the control filters are those of an ear with this loss: as wide as filters get
NORMAL_KNEE_DB_SPL, UPPER_KNEE_DB_SPL = 30, 100  # between them a normal ear compresses
WIDENING_DB_SPL = (50, 100)  # control levels where the signal filters begin and cease to widen
COMPRESSION_CUTOFF_HZ = 800  # low-pass of the compression gain: a delay of 0.2 ms
SILENCE = 1e-30  # amplitude that stands for none


class CochlearLoss(NamedTuple):
    """A hearing loss, shared between outer and inner hair cells; (32,) each.

    Attributes:
        outer_attenuation_db: at the input of the compression.
        bandwidths: of the signal filters at low level, relative to normal ones.
        lower_knees_db_spl: where compression begins.
        compression_slopes: by how much the gain falls per dB of level, 1 - 1 / compression ratio.
        inner_attenuation_db: behind the compression.
    """

    outer_attenuation_db: Floats
    bandwidths: Floats
    lower_knees_db_spl: Floats
    compression_slopes: Floats
    inner_attenuation_db: Floats


class Gammatone(NamedTuple):
    """One demodulated gammatone filter, [1, b1, b2] / [1, a1, a2, a3, a4], with its gain at the centre."""

    b1: float
    b2: float
    a1: float
    a2: float
    a3: float
    a4: float
    gain: float


class Compression(NamedTuple):
    """Outer hair cells of one band: above the lower knee, gain falls by `slope` dB per dB of level."""

    level_of_rms_1_db_spl: float
    attenuation_db: float
    lower_knee_db_spl: float
    upper_knee_db_spl: float
    slope: float
    low_pass_b: float
    low_pass_a1: float


@cache
def center_frequencies_hz() -> Floats:
    """The 32 bands' centres, equally spaced in equivalent rectangular bandwidths (Slaney 1993)."""
    offset = EAR_Q * MIN_BANDWIDTH_HZ
    span = -np.log(HIGHEST_HZ + offset) + np.log(LOWEST_HZ + offset)
    steps = np.exp(np.arange(1, N_BANDS) * span / (N_BANDS - 1))
    centers = np.append(np.flip(-offset + steps * (HIGHEST_HZ + offset)), HIGHEST_HZ)
    centers.flags.writeable = False
    return centers


def bandwidths_hz() -> Floats:
    """Equivalent rectangular bandwidths of normal auditory filters (Moore & Glasberg 1983)."""
    return MIN_BANDWIDTH_HZ + center_frequencies_hz() / EAR_Q


def cochlear_loss(losses_db_hl: Floats) -> CochlearLoss:
    """Share a loss between the hair cells: four fifths to the outer ones while they last (Kates 2013).

    Args:
        losses_db_hl: at `AUDIOGRAM_HZ`. Better-than-normal hearing counts as normal.
    """
    centers_hz = center_frequencies_hz()
    loss_db = np.maximum(np.interp(centers_hz, AUDIOGRAM_HZ, losses_db_hl), 0)
    normal_ratio = 1.25 + 2.25 * np.arange(N_BANDS) / (N_BANDS - 1)
    range_db = UPPER_KNEE_DB_SPL - NORMAL_KNEE_DB_SPL
    most_db = 1.25 * (range_db * (1 - 1 / normal_ratio))  # the loss that leaves no compression
    shared_db = np.minimum(loss_db, most_db)
    outer_db = 0.8 * shared_db
    inner_db = 0.2 * shared_db + (loss_db - shared_db)
    lower_knee = outer_db + NORMAL_KNEE_DB_SPL
    highest_output = NORMAL_KNEE_DB_SPL + range_db / normal_ratio
    ratio = (UPPER_KNEE_DB_SPL - lower_knee) / (highest_output + outer_db - lower_knee)
    widening = outer_db / 50
    return CochlearLoss(outer_db, 1 + widening + 2 * widening**6, lower_knee, 1 - 1 / ratio, inner_db)


def loss_of(audiogram: Audiogram) -> CochlearLoss:
    """The loss of an ear with this audiogram."""
    return cochlear_loss(audiogram.at(AUDIOGRAM_HZ))


@cache
def control_bandwidths() -> Floats:
    """Relative bandwidths of the control filters."""
    return cochlear_loss(np.full(len(AUDIOGRAM_HZ), float(CONTROL_LOSS_DB_HL))).bandwidths


def widest(band: int) -> float:
    """Relative bandwidth of a band's control filter."""
    return float(control_bandwidths()[band])


def gammatone(band: int, bandwidth: float) -> Gammatone:
    """Design a band's filter of a relative bandwidth (Cooke's impulse-invariant gammatone, demodulated)."""
    radians_per_hz = 2 * np.pi / SAMPLE_RATE
    a = np.exp(-(bandwidth * radians_per_hz * bandwidths_hz()[band] * GAMMATONE_BANDWIDTH))
    a1, a2, a3, a4, b2 = 4.0 * a, -6.0 * a * a, 4.0 * a * a * a, -a * a * a * a, 4.0 * a * a
    gain = 2.0 * (1 - a1 - a2 - a3 - a4) / (1 + a1 + b2)
    return Gammatone(*(float(value) for value in (a1, b2, -a1, -a2, -a3, -a4, gain)))


def group_delay(band: int, bandwidth: float) -> int:
    """Group delay in samples of a band's filter of a relative bandwidth, at its centre frequency.

    It comes from a ratio of nearly vanishing polynomials, so the operations are those of
    `scipy.signal.group_delay` at frequency zero, one by one.
    """
    radians_per_hz = 2 * np.pi / SAMPLE_RATE
    a = np.exp(-(radians_per_hz * GAMMATONE_BANDWIDTH * bandwidth * bandwidths_hz()[band]))
    numerator = [1.0, 4.0 * a, 4.0 * a * a]
    denominator = [1.0, -4.0 * a, 6.0 * a * a, -4.0 * a * a * a, a * a * a * a]
    c = np.convolve(numerator, denominator[::-1])
    weighted, plain = 0.0, 0.0
    for i in range(len(c) - 1, -1, -1):  # Horner's scheme at z = 1
        weighted = weighted + c[i] * i
        plain = plain + c[i]
    return int(np.rint(weighted / plain - len(denominator) + 1))


def middle_ear(signal: Floats) -> Floats:
    """Filter by the middle ear."""
    for b, a in middle_ear_filters():
        signal = lfilter(b, a, signal)
    return signal


def middle_ear_filters() -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """5 kHz low-pass of order 1 and 350 Hz high-pass of order 2 (Kates 2013), in their order."""
    nyquist_hz = 0.5 * SAMPLE_RATE
    return butter(1, 5000 / nyquist_hz), butter(2, 350 / nyquist_hz, "high")


@cache
def compression_low_pass() -> tuple[float, float]:
    """Coefficients b and a1 of the compression gain's filter [b, b] / [1, a1]."""
    b, a = butter(1, COMPRESSION_CUTOFF_HZ / (0.5 * SAMPLE_RATE))
    return float(b[0]), float(a[1])


def compression(loss: CochlearLoss, band: int, level_of_rms_1_db_spl: float) -> Compression:
    """The compression of one band."""
    return Compression(
        float(level_of_rms_1_db_spl),
        float(loss.outer_attenuation_db[band]),
        float(loss.lower_knees_db_spl[band]),
        float(UPPER_KNEE_DB_SPL),
        float(loss.compression_slopes[band]),
        *compression_low_pass(),
    )


def amplitude_db(amplitude: Floats | float) -> Floats:
    """20 log10 of an amplitude, never below that of silence."""
    return np.asarray(20 * np.log10(np.maximum(amplitude, SILENCE)))


def widened(control_rms: float, narrowest: float, widest: float, level_of_rms_1_db_spl: float) -> float:
    """Relative bandwidth of a signal filter at the level its control filter measures (Kates 2013)."""
    low, high = WIDENING_DB_SPL
    level_db_spl = float(amplitude_db(control_rms)) + level_of_rms_1_db_spl
    if level_db_spl < low:
        return narrowest
    if level_db_spl > high:
        return widest
    return narrowest + ((level_db_spl - low) / (high - low)) * (widest - narrowest)


def sensation_levels_db(
    signal_rms: Floats, control_rms: Floats, loss: CochlearLoss, level_of_rms_1_db_spl: float
) -> Floats:
    """Long-term levels of the bands above the impaired threshold, after compression.

    Args:
        signal_rms: (32,), of the signal filters' envelopes.
        control_rms: (32,), of the control filters' envelopes.
        loss: of the ear.
        level_of_rms_1_db_spl: calibration.

    Returns:
        (32,), 0 for what is not heard.
    """
    control_db_spl = np.minimum(level_of_rms_1_db_spl + amplitude_db(control_rms), UPPER_KNEE_DB_SPL)
    above_knee_db = np.maximum(control_db_spl, loss.lower_knees_db_spl) - loss.lower_knees_db_spl
    gain_db = -loss.outer_attenuation_db - above_knee_db * loss.compression_slopes
    signal_db_spl = np.maximum(level_of_rms_1_db_spl + amplitude_db(signal_rms), 0)
    return np.asarray(np.maximum(signal_db_spl + gain_db - loss.inner_attenuation_db, 0))


def radians(band: int) -> float:
    """A band's centre frequency in radians per sample."""
    return float(2 * np.pi / SAMPLE_RATE * center_frequencies_hz()[band])
