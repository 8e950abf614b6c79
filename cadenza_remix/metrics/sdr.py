"""How well stems were separated: signal-to-distortion ratios against the true stems, in dB.

Both channels count as one signal. uSDR and SI-SDR take the whole song at once, as the Music Demixing
challenges do, and were checked against torchmetrics 1.9.0 to 1e-9 dB; cSDR takes it second by second, and was
checked against museval 0.4.1 to 1e-9 dB.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

STABILITY = 1e-7  # added to both energies by the Music Demixing challenges


def sdr_db(true: npt.NDArray[np.floating], estimate: npt.NDArray[np.floating]) -> float:
    """The Music Demixing challenge's SDR, "uSDR" of later papers: 10 log₁₀ (Σ s² / Σ (s - ŝ)²).

    Mitsufuji et al. (2022), "Music Demixing Challenge 2021". A wrong level counts as distortion.

    Args:
        true: (channels, samples).
        estimate: (channels, samples).

    Returns:
        dB; very low where something was found in a silent stem, 0 where nothing was.
    """
    return sdr_of_energies_db(*_energies(true, estimate))


def sdr_of_energies_db(energy: float, distortion: float) -> float:
    """The same of energies: of the true signal, and of what differs from it."""
    return float(10 * np.log10((energy + STABILITY) / (distortion + STABILITY)))


def si_sdr_db(true: npt.NDArray[np.floating], estimate: npt.NDArray[np.floating]) -> float:
    """Scale-invariant SDR: that of the true stem at the level that fits the estimate best.

    Le Roux et al. (2019), "SDR - half-baked or well done?". One factor for both channels.

    Args:
        true: (channels, samples).
        estimate: (channels, samples).

    Returns:
        dB; NaN where either is silent, as no level fits then; infinity for a perfect estimate.
    """
    s, s_hat = (signal.astype(np.float64).ravel() for signal in (true, estimate))
    if not s.any() or not s_hat.any():
        return float("nan")
    target = s * (s_hat @ s / (s @ s))
    distortion = s_hat - target
    with np.errstate(divide="ignore"):
        return float(10 * np.log10((target @ target) / (distortion @ distortion)))


def sdr_by_second_db(
    true: npt.NDArray[np.floating], estimate: npt.NDArray[np.floating], *, sample_rate: int
) -> npt.NDArray[np.float64]:
    """BSS Eval v4's SDR of each whole second, of which `csdr_db` takes the median.

    Vincent et al. (2007), "First stereo audio source separation evaluation campaign"; Stöter, Liutkus & Ito
    (2018), "The 2018 signal separation evaluation campaign". BSS Eval fits filters to tell what the
    distortion consists of; whatever they are, its parts add up to ŝ - s, so that the SDR needs none of them.

    Args:
        true: (channels, samples).
        estimate: (channels, samples).
        sample_rate: Hz.

    Returns:
        (seconds,) dB; the rest at the end is left out, and a song of less than a second is one frame. NaN
        where either is silent, or would be in mono, which is how museval tells; infinity for a perfect
        estimate.
    """
    starts = range(0, max(true.shape[1] - sample_rate, 0) + 1, sample_rate)
    frames = [slice(start, start + sample_rate) for start in starts]
    return np.array([_frame_sdr_db(true[:, frame], estimate[:, frame]) for frame in frames])


def csdr_db(by_second: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, float]:
    """The SDR of the Signal Separation Evaluation Campaigns, "cSDR" of later papers: the median over seconds.

    As museval, it leaves out for every stem the seconds in which one of them is silent. museval refuses a
    song with a stem that is silent throughout; here that stem has no score, and the others are scored
    without it.

    Args:
        by_second: of each stem, as `sdr_by_second_db` gives it.

    Returns:
        dB of each stem; NaN if it is silent throughout, or no second is left.
    """
    silent = {stem for stem, sdrs in by_second.items() if np.isnan(sdrs).all()}
    together = np.array([sdrs for stem, sdrs in by_second.items() if stem not in silent])
    counts = np.atleast_1d(~np.isnan(together).any(axis=0))
    return {
        stem: float("nan") if stem in silent or not counts.any() else float(np.median(sdrs[counts]))
        for stem, sdrs in by_second.items()
    }


def _frame_sdr_db(true: npt.NDArray[np.floating], estimate: npt.NDArray[np.floating]) -> float:
    if not true.sum(axis=0).any() or not estimate.sum(axis=0).any():
        return float("nan")
    energy, distortion = _energies(true, estimate)
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(energy / distortion))


def _energies(
    true: npt.NDArray[np.floating], estimate: npt.NDArray[np.floating]
) -> tuple[np.float64, np.float64]:
    """Of the true stem, and of what the estimate adds to it."""
    energy = np.sum(np.square(true, dtype=np.float64))
    return energy, np.sum(np.square(np.subtract(true, estimate, dtype=np.float64)))
