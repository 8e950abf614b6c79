"""The challenge's compressor behind another amplifier.

Its rule is kept exactly, since published results depend on it: while the level lies above the threshold, the
gain does not follow a ratio but moves towards a fixed *level*, taken as a gain. So a louder input can give a
quieter output: with the challenge's settings all that stays above 0.35 ends up about 9 dB down. Used on
everything it did not help in the challenge (system E025, below the baseline); the winner used it only where
the output would clip.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cadenza_remix.amplify.base import Amplifier
from cadenza_remix.audio import Float
from cadenza_remix.compiled import compiled
from cadenza_remix.errors import ConfigError
from cadenza_remix.listener import Listener

FLOOR = 1e-8  # added to the mean square


@dataclass(frozen=True)
class Compressed:
    """An amplifier whose output, ear by ear, goes through the challenge's compressor.

    Attributes:
        amplifier: what comes first.
        threshold: RMS above which the gain falls.
        attenuation: the weight of the RMS beside the threshold's in the level that the gain moves to.
        attack_ms: time constant of the gain above the threshold; below one sample it moves at once.
        release_ms: time constant below it.
        rms_window_s: seconds of the past that the RMS is taken over.
        makeup_gain: a factor on the output.
        only_if_clipping: leave an ear alone whose amplified signal stays within full scale.

    Raises:
        ConfigError: if a time is not positive.
    """

    amplifier: Amplifier
    threshold: float = 0.35
    attenuation: float = 0.1
    attack_ms: float = 50.0
    release_ms: float = 1000.0
    rms_window_s: float = 0.064
    makeup_gain: float = 1.0
    only_if_clipping: bool = False

    def __post_init__(self) -> None:
        """Refuse times that no filter could have."""
        for name in ("attack_ms", "release_ms", "rms_window_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"amplifier.{name} is {getattr(self, name)}; give a time above 0.")

    def __call__(
        self, signal: npt.NDArray[Float], listener: Listener, *, sample_rate: int
    ) -> npt.NDArray[Float]:
        """Amplify a `(2, samples)` signal, then compress each ear."""
        amplified = self.amplifier(signal, listener, sample_rate=sample_rate)
        return np.stack([self._compress(ear, sample_rate) for ear in amplified])

    def _compress(self, ear: npt.NDArray[Float], sample_rate: int) -> npt.NDArray[Float]:
        if self.only_if_clipping and np.abs(ear).max(initial=0) <= 1:
            return ear
        gain = compressor_gain(
            ear.astype(np.float64),
            max(int(self.rms_window_s * sample_rate), 1),
            self.threshold,
            self.attenuation,
            min(1000 / (self.attack_ms * sample_rate), 1),
            min(1000 / (self.release_ms * sample_rate), 1),
        )
        compressed: npt.NDArray[Float] = (ear * gain * self.makeup_gain).astype(ear.dtype)
        return compressed


@compiled
def compressor_gain(
    signal: npt.NDArray[np.float64],
    window: int,
    threshold: float,
    attenuation: float,
    attack: float,
    release: float,
) -> npt.NDArray[np.float64]:
    """The gain of the compressor at every sample, as pyclarity 0.9.0 `Compressor.process`, to 1e-9.

    Args:
        signal: (samples,).
        window: samples of the past that the RMS is taken over; before the signal there is silence.
        threshold: RMS.
        attenuation: weight of the RMS in the target.
        attack: how far a sample moves the gain to its target, 0 to 1, above the threshold.
        release: likewise to 1, below it.

    Returns:
        (samples,).
    """
    gains = np.empty(len(signal))
    gain, power = 1.0, 0.0
    for n in range(len(signal)):
        if n % window == 0:  # summed afresh, so that rounding errors do not pile up
            power = 0.0
            for k in range(max(n - window + 1, 0), n + 1):
                power += signal[k] ** 2
        else:
            power += signal[n] ** 2
            if n >= window:
                power -= signal[n - window] ** 2
        rms = np.sqrt(max(power, 0.0) / window + FLOOR)
        if rms > threshold:
            target = rms * attenuation + (1 - attenuation) * threshold
            gain = gain * (1 - attack) + target * attack
        else:
            gain = release + gain * (1 - release)
        gains[n] = gain
    return gains
