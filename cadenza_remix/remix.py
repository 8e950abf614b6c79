"""Stage 3: from stems to a rebalanced stereo signal."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cadenza_remix.audio import Float
from cadenza_remix.errors import ConfigError
from cadenza_remix.loudness import amplitude, integrated_loudness, match_loudness


@dataclass(frozen=True)
class MixtureBlend:
    """Brings some of the mixture back into the remix, which hides what the separation has spoilt.

    After USTC's entry (T003), whose paper says that both are mixed "with a weight of 0.15" before the
    loudness is matched; conf/mixture_blend has both readings of that.

    Attributes:
        remix: the weight of the rebalanced stems.
        mixture: the weight of the mixture.

    Raises:
        ConfigError: if both are 0, or one is no number from 0 on.
    """

    remix: float
    mixture: float

    def __post_init__(self) -> None:
        """Check the weights."""
        if not (0 <= self.remix < np.inf and 0 <= self.mixture < np.inf and self.remix + self.mixture > 0):
            raise ConfigError(
                f"mixture_blend has weights {self.remix} and {self.mixture}; give two numbers, not below 0 "
                "and not both 0."
            )

    def __call__(self, remixed: npt.NDArray[Float], mixture: npt.NDArray[np.floating]) -> npt.NDArray[Float]:
        """Blend two `(channels, samples)`."""
        blended = self.remix * remixed + self.mixture * mixture
        return blended.astype(remixed.dtype)


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
    blend: MixtureBlend | None = None,
) -> npt.NDArray[Float]:
    """Rebalance the stems and bring the result to the loudness of the mixture.

    Args:
        stems: source name to (channels, samples).
        gains_db: gain in dB of every source.
        mixture: (channels, samples) at the loudness wanted.
        sample_rate: Hz.
        blend: brings some of the mixture back in, if it is to.

    Returns:
        (channels, samples).

    Raises:
        AudioError: if the mixture is shorter than 400 ms.
    """
    loudness_lufs = integrated_loudness(mixture, sample_rate=sample_rate)
    rebalanced = downmix(stems, gains_db)
    if blend:
        rebalanced = blend(rebalanced, mixture)
    return match_loudness(rebalanced, loudness_lufs, sample_rate=sample_rate)
