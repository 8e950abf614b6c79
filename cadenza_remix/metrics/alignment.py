"""Delays between two signals: the lag of the highest cross-correlation.

References: as in `ear`; checked against pyclarity 0.9.0 (`input_align`, `envelope_align`).
"""

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft

from cadenza_remix.ear import SAMPLE_RATE
from cadenza_remix.metrics.correlation import correlate_rows, plan

Floats = npt.NDArray[np.float64]

DISPERSION = 48  # samples: 2 ms, kept before the best broadband alignment for the cochlea's dispersion
MAX_BAND_DELAY = SAMPLE_RATE // 10  # samples: 100 ms
AUDIBLE = 0.001  # of the reference's peak: what is less at either end is cut off


def align_broadband(reference: Floats, processed: Floats) -> Floats:
    """Shift the processed signal to 2 ms behind the reference, zeros in the gap; lengths are equal."""
    n = len(reference)
    length = next_fast_len(2 * n - 1, real=True)
    spectrum = rfft(reference - reference.mean(), length)
    other = rfft(processed - processed.mean(), length)
    spectrum *= np.conj(other, out=other)  # in place, as below: for a long track this is the peak of memory
    del other
    correlation = irfft(spectrum, length, overwrite_x=True)
    del spectrum
    np.abs(correlation, out=correlation)
    behind, ahead = correlation[length - n + 1 :], correlation[:n]  # lags from 1 - n, and from 0 to n - 1
    first, second = int(np.argmax(behind)), int(np.argmax(ahead))
    lag = first + 1 - n if behind[first] >= ahead[second] else second
    return shift(processed, -lag - DISPERSION)


def shift(signal: Floats, delay: int) -> Floats:
    """Take a delay off a signal, or add one if it is negative; the length stays."""
    shifted = np.zeros_like(signal)
    n = len(signal)
    if delay > 0:
        shifted[: max(n - delay, 0)] = signal[delay:]
    else:
        shifted[-delay:] = signal[: max(n + delay, 0)]
    return shifted


def audible_part(reference: Floats) -> slice:
    """From the first to the last sample within 60 dB of the peak."""
    magnitude = np.abs(reference)
    above = np.flatnonzero(magnitude > AUDIBLE * magnitude.max())
    return slice(int(above[0]), int(above[-1]) + 1)


def band_delays(rows: Floats, n_processed: int) -> npt.NDArray[np.int64]:
    """Delays (n_processed,) of a band's processed signals behind the reference in row 0, within ±100 ms.

    Args:
        rows: (more than n_processed, samples), envelopes or motions.
        n_processed: how many rows to compare with the first.
    """
    n = rows.shape[1]
    max_lag = min(MAX_BAND_DELAY, n)
    correlations = correlate_rows(rows, n_processed, max_lag, plan())[:, int(max_lag == n) :]
    return np.asarray(max_lag - 1 - np.argmax(correlations[:, ::-1], axis=1))
