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
from scipy.ndimage import minimum_filter1d
from scipy.signal import oaconvolve

from cadenza_remix.audio import Float
from cadenza_remix.compiled import compiled
from cadenza_remix.listener import Listener

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LookAhead:
    """Look-ahead peak limiter.

    Of an excess over full scale the gain may take only a share, in dB, and leave the rest to be cut off: a
    quiet ear can lose more by being turned down than by short clipping. With `share` 1 and `most_db` infinite
    nothing is cut off. Causal but for `look_ahead_ms`: up to 5 ms it suits live use.

    Attributes:
        look_ahead_ms: from when the limiter sees a sample to when it plays it.
        release_ms: time constant by which the gain recovers after a peak; 0: as fast as the look-ahead.
        drive_db: gain before the limiter.
        share: of the excess in dB that the gain takes; 0 to 1.
        most_db: excess that counts; the gain goes no lower for more.
        linked: both ears get the lower of their two gains, which keeps the sound's direction.
    """

    look_ahead_ms: float = 5.0
    release_ms: float = 0.0
    drive_db: float = 0.0
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
        excess = np.clip(np.abs(signal), 1, 10 ** (self.most_db / 20))
        needed = excess.max(axis=0, keepdims=True) if self.linked else excess
        needed = needed**-self.share
        reach = round(self.look_ahead_ms * sample_rate / 2000)
        held = minimum_filter1d(needed, 2 * reach + 1, axis=-1, mode="nearest")
        if self.release_ms:
            recovery = 1 - math.exp(-1000 / (self.release_ms * sample_rate))
            held = np.stack([recovered(ear, recovery) for ear in held])
        return moving_average(held, reach)


def moving_average(gains: Floats, reach: int) -> Floats:
    """Average `(ears, samples)` over a Hann window of `reach` samples to either side; ends are continued."""
    window = np.hanning(2 * reach + 3)[1:-1]
    padded = np.pad(gains, ((0, 0), (reach, reach)), mode="edge")
    averaged = 1 - oaconvolve(1 - padded, window[np.newaxis] / window.sum(), mode="valid", axes=-1)
    return np.asarray(np.minimum(averaged, 1))


@compiled
def recovered(gains: Floats, recovery: float) -> Floats:
    """Follow a fall of the gain at once, and a rise by the share `recovery` of what is missing per sample."""
    result = np.empty_like(gains)
    gain = 1.0
    for i in range(len(gains)):
        gain = min(gains[i], gain + recovery * (1.0 - gain))
        result[i] = gain
    return result
