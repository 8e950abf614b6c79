"""Bring a signal to the ear model's 24 kHz as HAAQI does it: polyphase, then the level it had.

As pyclarity 0.9.0 `resample_24khz` for 16, 32 and 48 kHz; other rates are converted by their true ratio,
where pyclarity rounds them to whole kHz.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.signal import cheby2, lfilter, resample_poly

from cadenza_remix.ear import SAMPLE_RATE
from cadenza_remix.errors import AudioError

Floats = npt.NDArray[np.float64]

RATES_HZ = (8000, 192000)  # lowest and highest
ANALYSED_HZ = 10500  # levels are matched below it when the rate is lowered
LEVEL_FILTER_ORDER, LEVEL_FILTER_STOPBAND_DB = 7, 30


def check_rate(sample_rate: int) -> None:
    """Refuse a rate that audio does not have.

    Raises:
        AudioError: naming it.
    """
    low, high = RATES_HZ
    if sample_rate != int(sample_rate) or not low <= sample_rate <= high:
        raise AudioError(
            f"The sample rate is {sample_rate}; give the signals' in Hz, a whole number from {low} to {high}."
        )


def to_model_rate(signal: Floats, sample_rate: int) -> Floats:
    """Convert a `(samples,)` signal to 24 kHz; silence stays silence."""
    if sample_rate == SAMPLE_RATE or not signal.any():
        return (
            signal if sample_rate == SAMPLE_RATE else np.zeros(-(-len(signal) * SAMPLE_RATE // sample_rate))
        )
    divisor = math.gcd(SAMPLE_RATE, sample_rate)
    converted = np.asarray(resample_poly(signal, SAMPLE_RATE // divisor, sample_rate // divisor))
    if sample_rate < SAMPLE_RATE:
        return rms(signal) / rms(converted) * converted
    before = rms(below_analysis_limit(signal, sample_rate))
    return before / rms(below_analysis_limit(converted, SAMPLE_RATE)) * converted


def below_analysis_limit(signal: Floats, sample_rate: int) -> Floats:
    """The part of a signal below 10.5 kHz."""
    cutoff = ANALYSED_HZ / (0.5 * sample_rate)
    b, a = cheby2(LEVEL_FILTER_ORDER, LEVEL_FILTER_STOPBAND_DB, cutoff)
    return np.asarray(lfilter(b, a, signal))


def rms(signal: Floats) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(signal**2)))
