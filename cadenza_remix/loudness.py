"""Loudness by ITU-R BS.1770, and decibels."""

import math
import warnings

import numpy as np
import numpy.typing as npt
import pyloudnorm

from cadenza_remix.audio import Float
from cadenza_remix.errors import AudioError

GATING_BLOCK_S = 0.4  # BS.1770-4, section 2.8


def amplitude(gain_db: float) -> float:
    """The factor that a gain in dB stands for."""
    return float(10 ** (gain_db / 20))


def integrated_loudness(signal: npt.NDArray[np.floating], *, sample_rate: int) -> float:
    """Gated loudness of a whole signal, in LUFS.

    ITU-R BS.1770-4 with pyloudnorm's default K-weighting, the one that the challenge's levels were made
    with.

    Args:
        signal: (channels, samples).
        sample_rate: Hz.

    Returns:
        LUFS; minus infinity where nothing rises above the -70 LUFS gate.

    Raises:
        AudioError: if the signal is shorter than one 400 ms gating block.
    """
    duration_s = signal.shape[-1] / sample_rate
    if duration_s < GATING_BLOCK_S:
        raise AudioError(
            f"The signal lasts {duration_s:.3f} s; loudness needs at least {GATING_BLOCK_S} s: "
            "use a longer excerpt."
        )
    meter = pyloudnorm.Meter(sample_rate)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Without a block above the gate pyloudnorm averages an empty list on its way to -inf.
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        return float(meter.integrated_loudness(signal.T.astype(np.float64)))


def match_loudness(signal: npt.NDArray[Float], target_lufs: float, *, sample_rate: int) -> npt.NDArray[Float]:
    """Scale `signal` to an integrated loudness.

    Args:
        signal: (channels, samples).
        target_lufs: LUFS; minus infinity means that the model to be matched is silent.
        sample_rate: Hz.

    Returns:
        (channels, samples). The signal comes back unchanged where it or its model is too quiet to have a
        loudness, since no gain could be right.

    Raises:
        AudioError: if the signal is shorter than one 400 ms gating block.
    """
    gain_db = matching_gain_db(signal, target_lufs, sample_rate=sample_rate)
    return signal * signal.dtype.type(amplitude(gain_db))


def matching_gain_db(signal: npt.NDArray[np.floating], target_lufs: float, *, sample_rate: int) -> float:
    """The gain in dB that `match_loudness` applies; 0 where no gain could be right."""
    gain_db = target_lufs - integrated_loudness(signal, sample_rate=sample_rate)
    return gain_db if math.isfinite(gain_db) else 0.0
