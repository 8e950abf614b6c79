"""What every amplifier offers."""

from typing import Protocol

from numpy.typing import NDArray

from cadenza_remix.audio import Float
from cadenza_remix.listener import Listener


class Amplifier(Protocol):
    """Makes a signal audible for a listener; compression belongs here too."""

    def __call__(self, signal: NDArray[Float], listener: Listener, *, sample_rate: int) -> NDArray[Float]:
        """Amplify a `(2, samples)` signal, left and right ear; a filter's tail may lengthen it."""
        ...
