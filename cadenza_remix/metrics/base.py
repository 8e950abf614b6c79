"""What every metric offers."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cadenza_remix.listener import Listener


class Metric(Protocol):
    """Compares an enhanced signal with a reference, as a listener would."""

    @property
    def sample_rate(self) -> int:
        """Hz, at which the metric wants its signals."""
        ...

    def __call__(
        self,
        enhanced: npt.NDArray[np.floating],
        reference: npt.NDArray[np.floating],
        listener: Listener,
        *,
        level_of_rms_1_db_spl: Sequence[float],
        rng: np.random.RandomState,
    ) -> dict[str, float]:
        """Score two `(2, samples)` signals, left and right ear.

        Args:
            enhanced: what the listener hears.
            reference: what the listener should hear, already amplified for them.
            listener: whose ears.
            level_of_rms_1_db_spl: per ear, the sound pressure level that an RMS of 1 stands for.
            rng: where the metric's noise comes from; it is moved on.

        Returns:
            Scores by name, `score` the one that counts.
        """
        ...


@runtime_checkable
class SharesReference(Protocol):
    """A metric that is faster on several signals at once, since their reference is the same."""

    def score_each(
        self,
        enhanced: Sequence[npt.NDArray[np.floating]],
        reference: npt.NDArray[np.floating],
        listener: Listener,
        *,
        level_of_rms_1_db_spl: Sequence[float],
        rng: np.random.RandomState,
    ) -> list[dict[str, float]]:
        """For each of some equally long signals, what the metric gives for it alone with the same noise."""
        ...


def score_each(
    metric: Metric,
    enhanced: Sequence[npt.NDArray[np.floating]],
    reference: npt.NDArray[np.floating],
    listener: Listener,
    *,
    level_of_rms_1_db_spl: Sequence[float],
    rng: np.random.RandomState,
) -> list[dict[str, float]]:
    """Score several systems' signals against one reference, each as if it were the only one.

    Args:
        metric: what scores.
        enhanced: (2, samples) each.
        reference: (2, samples).
        listener: whose ears.
        level_of_rms_1_db_spl: per ear.
        rng: every signal meets the same noise; it is left as after one of them.

    Returns:
        The scores of each signal.
    """
    level, state = level_of_rms_1_db_spl, rng.get_state(legacy=False)
    if isinstance(metric, SharesReference) and len({signal.shape for signal in enhanced}) == 1:
        return metric.score_each(enhanced, reference, listener, level_of_rms_1_db_spl=level, rng=rng)
    scores = []
    for signal in enhanced:
        rng.set_state(state)
        scores.append(metric(signal, reference, listener, level_of_rms_1_db_spl=level, rng=rng))
    return scores
