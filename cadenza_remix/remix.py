"""Stage 3: from stems to a rebalanced stereo signal."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from cadenza_remix.audio import Float
from cadenza_remix.loudness import amplitude, integrated_loudness, match_loudness


def downmix(stems: Mapping[str, npt.NDArray[Float]], gains_db: Mapping[str, float]) -> npt.NDArray[Float]:
    """Sum the stems, each at its gain.

    The challenge asks for a change of a stem's loudness by `gains_db`; that is this plain gain, since
    loudness in dB follows a scale factor exactly.

    Args:
        stems: source name to (channels, samples).
        gains_db: gain in dB of every source.

    Returns:
        (channels, samples).
    """
    scaled = [stem * stem.dtype.type(amplitude(gains_db[name])) for name, stem in stems.items()]
    total: npt.NDArray[Float] = np.sum(scaled, axis=0)
    return total


def remix(
    stems: Mapping[str, npt.NDArray[Float]],
    gains_db: Mapping[str, float],
    mixture: npt.NDArray[np.floating],
    *,
    sample_rate: int,
) -> npt.NDArray[Float]:
    """Rebalance the stems and bring the result to the loudness of the mixture.

    Args:
        stems: source name to (channels, samples).
        gains_db: gain in dB of every source.
        mixture: (channels, samples) at the loudness wanted.
        sample_rate: Hz.

    Returns:
        (channels, samples).

    Raises:
        AudioError: if the mixture is shorter than 400 ms.
    """
    loudness_lufs = integrated_loudness(mixture, sample_rate=sample_rate)
    return match_loudness(downmix(stems, gains_db), loudness_lufs, sample_rate=sample_rate)
