"""Stage 1: from loudspeakers to the microphones of the hearing aids."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import oaconvolve

from cadenza_remix.audio import Float


@dataclass(frozen=True, eq=False)
class Head:
    """How a head in front of two loudspeakers hears them.

    Attributes:
        left_loudspeaker: (2, taps); impulse responses from the left loudspeaker to the left and right ear.
        right_loudspeaker: (2, taps); those from the right loudspeaker.
    """

    left_loudspeaker: npt.NDArray[np.floating]
    right_loudspeaker: npt.NDArray[np.floating]


def to_microphones(signal: npt.NDArray[Float], head: Head) -> npt.NDArray[Float]:
    """Play a stereo signal over the loudspeakers and pick it up at both ears.

    ear = left channel * h(left loudspeaker, ear) + right channel * h(right loudspeaker, ear), cut to the
    length of the signal, as the challenge's at-microphone music was made.

    Args:
        signal: (2, samples), left and right loudspeaker.
        head: impulse responses at the signal's sample rate.

    Returns:
        (2, samples), left and right ear.
    """
    left, right = signal[:1].astype(np.float64), signal[1:].astype(np.float64)
    at_ears = oaconvolve(left, head.left_loudspeaker, axes=-1)
    at_ears += oaconvolve(right, head.right_loudspeaker, axes=-1)
    return at_ears[:, : signal.shape[1]].astype(signal.dtype)
