"""What every limiter offers."""

from typing import Protocol

from numpy.typing import NDArray

from cadenza_remix.audio import Float
from cadenza_remix.listener import Listener


class Limiter(Protocol):
    """Keeps a signal within ±1 at the output's sample rate."""

    def __call__(self, signal: NDArray[Float], listener: Listener, *, sample_rate: int) -> NDArray[Float]:
        """Limit a `(2, samples)` signal to |y| ≤ 1, keeping its shape."""
        ...
