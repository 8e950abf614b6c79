"""What a closed loop is.

It compares the limited signal with the same signal before the limiter, as the listener's ear hears them, so
that nothing is needed but the system's own output and the audiogram.
"""

from collections.abc import Sequence
from typing import Protocol

from numpy.typing import NDArray

from cadenza_remix.audio import Float
from cadenza_remix.limit import Limiter
from cadenza_remix.listener import Listener


class ClosedLoop(Protocol):
    """Limits amplified music so that it sounds as much as possible as if it had not been limited."""

    def __call__(
        self,
        limiter: Limiter,
        amplified: NDArray[Float],
        listener: Listener,
        *,
        sample_rate: int,
        level_of_rms_1_db_spl: Sequence[float],
    ) -> NDArray[Float]:
        """Limit a signal; it must not be silent in either ear.

        Args:
            limiter: where the loop starts from.
            amplified: (2, samples), left ear first.
            listener: whose ears these are.
            sample_rate: Hz, of `amplified`.
            level_of_rms_1_db_spl: for each ear the sound pressure level that an RMS of 1 stands for.

        Returns:
            (2, samples) within ±1; an ear within full scale comes back as the limiter leaves it.
        """
        ...
