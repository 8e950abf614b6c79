"""What HAAQI reads from the cochlea's output: cepstral correlation, coherence, and spectral differences.

Arrays are (32 bands, segments). Equations are those of Kates & Arehart (2016), IEEE/ACM TASLP 24(2), 354–365;
checked against pyclarity 0.9.0 (`melcor9`, `ave_covary2`, `spectrum_diff`).
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.signal import convolve, firwin

from cadenza_remix.ear import center_frequencies_hz

Floats = npt.NDArray[np.float64]

AUDIBLE_DB_SL = 2.5  # segments and tiles of the reference below it are left out
N_CEPSTRAL = 6
MODULATION_NYQUIST_HZ = 125  # envelopes are sampled every 4 ms
MODULATION_EDGES_HZ = (20.0, 32.0, 50.0, 80.0)  # the upper four of eight modulation bands; the last is open
MODULATION_TAPS = 129
SYNCHRONY_CUTOFF_HZ, SYNCHRONY_ORDER = 3500.0, 5  # of the inner hair cells' loss of synchrony
SILENCE = 1e-30


def audible_segments(levels_db: Floats) -> npt.NDArray[np.intp]:
    """Segments whose loudness, averaged over bands, is above the threshold."""
    loudness = np.sum(10 ** (levels_db / 20), axis=0) / len(levels_db)
    audible: npt.NDArray[np.intp] = np.flatnonzero(20 * np.log10(loudness) > AUDIBLE_DB_SL)
    return audible


def cepstral_basis(bands: int) -> Floats:
    """(bands, 6): cosines of unit length over the bands."""
    basis = np.cos(np.outer(np.arange(bands), np.arange(N_CEPSTRAL)) * np.pi / (bands - 1))
    return np.asarray(basis / np.linalg.norm(basis, axis=0, keepdims=True))


def cepstra(levels_db: Floats) -> Floats:
    """(6, segments): the spectra's mel cepstra, each without its mean."""
    cepstrum = np.asarray(cepstral_basis(len(levels_db)).T @ levels_db)
    return np.asarray(cepstrum - cepstrum.mean(axis=1, keepdims=True))


def modulation_filters() -> list[Floats]:
    """Linear-phase filters for envelope modulations of 20–32, 32–50, 50–80 and 80–125 Hz."""
    edges = [edge / MODULATION_NYQUIST_HZ for edge in MODULATION_EDGES_HZ]
    bands = [
        firwin(MODULATION_TAPS, [low, high], window="hann", pass_zero="bandpass")
        for low, high in pairwise(edges)
    ]
    return [*bands, firwin(MODULATION_TAPS, edges[-1], window="hann", pass_zero="highpass")]


def modulation(cepstrum: Floats, taps: Floats) -> Floats:
    """Cepstra (coefficients, segments) filtered in time, without delay and mean."""
    delay = len(taps) // 2
    filtered = convolve(cepstrum, taps[np.newaxis], mode="full")[:, delay : delay + cepstrum.shape[1]]
    return np.asarray(filtered - filtered.mean(axis=1, keepdims=True))


def cepstral_correlation(reference_db: Floats, processed_db: Floats) -> float:
    """Correlation of the fast modulations (20–125 Hz) of cepstral coefficients 2 to 6.

    Args:
        reference_db: (32, segments), smoothed envelopes in dB above threshold.
        processed_db: likewise.

    Returns:
        0 to 1; 0 if the reference has fewer than two audible segments.
    """
    audible = audible_segments(reference_db)
    if len(audible) <= 1:
        return 0.0
    reference = cepstra(reference_db[:, audible])[1:]
    processed = cepstra(processed_db[:, audible])[1:]
    total = 0.0
    for taps in modulation_filters():
        x, y = modulation(reference, taps), modulation(processed, taps)
        x_power, y_power = np.sum(x**2, axis=1), np.sum(y**2, axis=1)
        heard = (x_power >= SILENCE) & (y_power >= SILENCE)
        total += np.sum(np.abs(np.sum(x * y, axis=1)[heard]) / np.sqrt(x_power[heard] * y_power[heard]))
    return float(total / (len(MODULATION_EDGES_HZ) * (N_CEPSTRAL - 1)))


def synchrony() -> Floats:
    """(32,): how far the inner hair cells' firing follows the vibration."""
    cutoff, order = SYNCHRONY_CUTOFF_HZ, 2 * SYNCHRONY_ORDER
    return np.asarray(np.sqrt(cutoff**order / (cutoff**order + center_frequencies_hz() ** order)))


def vibration_coherence(covariances: Floats, reference_mean_squares: Floats) -> float:
    """Coherence of the basilar membrane's vibration, weighted by the inner hair cells' synchrony.

    Args:
        covariances: (32, segments), of reference and processed vibration, 0 to 1.
        reference_mean_squares: (32, segments), of the reference's vibration in dB above threshold.

    Returns:
        0 to 1; 0 if the reference has fewer than two audible segments.
    """
    levels_db = np.sqrt(2.0 * reference_mean_squares)
    audible = audible_segments(levels_db)
    if len(audible) <= 1:
        return 0.0
    weights = np.where(levels_db[:, audible] > AUDIBLE_DB_SL, synchrony()[:, np.newaxis], 0.0)
    return float(np.sum(weights * covariances[:, audible]) / np.sum(weights))


def spectral_similarities(reference_db: Floats, processed_db: Floats) -> tuple[float, float]:
    """How alike two long-term spectra are, by their absolute and by their relative differences.

    Args:
        reference_db: (32,), in dB above threshold.
        processed_db: likewise.

    Returns:
        Both 0 to 1; 1 for equal spectra, whatever their levels.
    """
    reference, processed = 10 ** (reference_db / 20), 10 ** (processed_db / 20)
    reference, processed = reference / reference.sum(), processed / processed.sum()
    difference = reference - processed
    absolute = len(difference) * np.std(difference)
    relative = len(difference) * np.std(difference / (reference + processed))
    return float(np.clip(1 - absolute / 2.5, 0, 1)), float(np.clip(1 - relative / 25, 0, 1))
