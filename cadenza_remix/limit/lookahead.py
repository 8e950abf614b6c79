"""A limiter that turns down before a peak arrives.

The gain that a sample needs is held for all samples within half the look-ahead (a moving minimum), then
averaged over windows that reach as far. Every average so takes in only gains that are low enough for the
sample in its middle: the result is smooth and never lets a peak through, whatever the signal.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.signal import resample_poly

from cadenza_remix.audio import Float
from cadenza_remix.compiled import compiled
from cadenza_remix.limit.smoothing import hann_average
from cadenza_remix.listener import Listener

Floats = npt.NDArray[np.float64]

OVERSAMPLING = 4  # as ITU-R BS.1770 asks for
SILENCE = 1e-12  # amplitude that stands for none


@dataclass(frozen=True)
class LookAhead:
    """Look-ahead peak limiter.

    Of an excess over full scale the gain may take only a share, in dB, and leave the rest to be cut off: a
    quiet ear can lose more by being turned down than by short clipping. With `share` 1 and `most_db` infinite
    nothing is cut off. Causal but for `look_ahead_ms`: up to 5 ms it suits live use.

    Attributes:
        look_ahead_ms: from when the limiter sees a sample to when it plays it, and so the time of the attack.
        release_ms: time constant by which the gain recovers after a peak; 0: as fast as the look-ahead.
        drive_db: gain before the limiter.
        knee_db: width of the range around full scale in which the limiter begins to act.
        true_peak: heed peaks between the samples too, found by fourfold oversampling, whose filter looks 10
            samples further ahead.
        share: of the excess in dB that the gain takes; 0 to 1.
        most_db: excess that counts; the gain goes no lower for more.
        linked: both ears get the lower of their two gains, which keeps the sound's direction.
    """

    look_ahead_ms: float = 5.0
    release_ms: float = 0.0
    drive_db: float = 0.0
    knee_db: float = 0.0
    true_peak: bool = False
    share: float = 1.0
    most_db: float = float("inf")
    linked: bool = False

    def __call__(
        self,
        signal: NDArray[Float],
        listener: Listener,  # noqa: ARG002 (the contract)
        *,
        sample_rate: int,
    ) -> NDArray[Float]:
        """Limit a `(2, samples)` signal to |y| ≤ 1; what stays below comes back unchanged."""
        driven = signal.astype(np.float64) * 10 ** (self.drive_db / 20)
        gains = self.gains(driven, sample_rate=sample_rate)
        return np.clip(driven * gains, -1, 1).astype(signal.dtype)

    def gains(self, signal: Floats, *, sample_rate: int) -> Floats:
        """The gain of every sample.

        Args:
            signal: (ears, samples).
            sample_rate: Hz.

        Returns:
            (ears, samples), or (1, samples) if the ears are linked; above 0, at most 1.
        """
        peaks = between_samples(signal) if self.true_peak else np.abs(signal)
        if self.linked:
            peaks = peaks.max(axis=0, keepdims=True)
        level_db = 20 * np.log10(np.maximum(peaks, SILENCE))
        needed = 10 ** (-self.share / 20 * np.minimum(excess_db(level_db, self.knee_db), self.most_db))
        reach = round(self.look_ahead_ms * sample_rate / 2000)
        held = minimum_filter1d(needed, 2 * reach + 1, axis=-1, mode="nearest")
        if self.release_ms:
            recovery = 1 - math.exp(-1000 / (self.release_ms * sample_rate))
            held = np.stack([recovered(ear, recovery) for ear in held])
        return np.minimum(1 - hann_average(1 - held, reach), 1)  # exactly 1 where nothing is turned down


def excess_db(level_db: Floats, knee_db: float) -> Floats:
    """By how much levels re full scale exceed it, bent into 0 by a quadratic curve over the knee's width.

    Within the knee it is more than the level itself, so that gains made of it keep peaks within full scale.
    """
    if not knee_db:
        return np.maximum(level_db, 0)
    within = np.clip(level_db + knee_db / 2, 0, knee_db)
    return np.asarray(np.maximum(level_db - knee_db / 2, 0) + within**2 / (2 * knee_db))


def between_samples(signal: Floats) -> Floats:
    """Highest magnitude within half a sample of each sample of `(ears, samples)`, by oversampling."""
    finer = np.abs(resample_poly(signal, OVERSAMPLING, 1, axis=-1))
    peaks = maximum_filter1d(finer, OVERSAMPLING + 1, axis=-1)[:, ::OVERSAMPLING]
    return np.maximum(peaks, np.abs(signal))


@compiled
def recovered(gains: Floats, recovery: float) -> Floats:
    """Follow a fall of the gain at once, and a rise by the share `recovery` of what is missing per sample."""
    result = np.empty_like(gains)
    gain = 1.0
    for i in range(len(gains)):
        gain = min(gains[i], gain + recovery * (1.0 - gain))
        result[i] = gain
    return result
