"""Delays between two signals: the lag of the highest cross-correlation.

References: as in `ear`; checked against pyclarity 0.9.0 (`input_align`, `envelope_align`).
"""

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft

from cadenza_remix.compiled import compiled
from cadenza_remix.ear import SAMPLE_RATE

Floats = npt.NDArray[np.float64]
Spectra = npt.NDArray[np.complex128]

DISPERSION = 48  # samples: 2 ms, kept before the best broadband alignment for the cochlea's dispersion
MAX_BAND_DELAY = SAMPLE_RATE // 10  # samples: 100 ms
BLOCK = 22500  # samples correlated at a time: their spectra stay within the second-level cache
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


@compiled
def copy_aligned(source: Floats, first: int, count: int, out: Floats) -> None:
    """Copy `count` samples from `first` on, zeros where there are none."""
    begin = min(max(first, 0), first + count)
    end = max(min(first + count, len(source)), begin)
    out[: begin - first] = 0.0
    out[begin - first : end - first] = source[begin:end]
    out[end - first : count] = 0.0


@compiled
def accumulate(spectra: Spectra, totals: Spectra) -> None:
    """Add the cross-spectra of rows 0 and 1, and of rows 2 and 3, to their totals."""
    for row in range(len(totals)):
        for i in range(totals.shape[1]):
            totals[row, i] += np.conj(spectra[2 * row, i]) * spectra[2 * row + 1, i]


def band_delays(envelopes: tuple[Floats, Floats], motions: tuple[Floats, Floats]) -> tuple[int, int]:
    """Delays of a band's processed envelope and motion behind the reference's, within ±100 ms.

    Only the lags wanted are computed: cross-spectra of blocks are added up (overlap-save) and turned back
    once.

    Args:
        envelopes: (samples,) each, reference and processed.
        motions: likewise.
    """
    n = len(envelopes[0])
    max_lag: int = min(MAX_BAND_DELAY, n)
    step = -(-n // -(-n // BLOCK))
    length = next_fast_len(step + 2 * max_lag, real=True)
    blocks = np.zeros((4, length))  # envelopes, then motions
    spectra = np.empty((4, length // 2 + 1), np.complex128)
    totals = np.zeros((2, length // 2 + 1), np.complex128)
    for start in range(0, n, step):
        count = min(step, n - start)
        for i, pair in enumerate((envelopes, motions)):
            copy_aligned(pair[0], start, count, blocks[2 * i])
            copy_aligned(pair[1], start - max_lag, count + 2 * max_lag, blocks[2 * i + 1])
        blocks[0::2, count:] = 0.0
        blocks[1::2, count + 2 * max_lag :] = 0.0
        np.fft.rfft(blocks, out=spectra)  # fresh memory for each block would cost half as much again
        accumulate(spectra, totals)
    correlations = irfft(totals, length)[:, int(max_lag == n) : 2 * max_lag]  # from the lowest delay up
    backwards = [int(np.argmax(correlation[::-1])) for correlation in correlations]
    return max_lag - 1 - backwards[0], max_lag - 1 - backwards[1]
