"""Stage 5: bring an amplified signal within full scale, last before it is quantised."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cadenza_remix.audio import Float
from cadenza_remix.listener import Listener


class Limiter(Protocol):
    """Keeps a signal within ±1 at the output's sample rate."""

    def __call__(self, signal: NDArray[Float], listener: Listener, *, sample_rate: int) -> NDArray[Float]:
        """Limit a `(2, samples)` signal to |y| ≤ 1, keeping its shape."""
        ...


@dataclass(frozen=True)
class HardClip:
    """Cut off whatever exceeds full scale, as the challenge's baseline does."""

    def __call__(
        self,
        signal: NDArray[Float],
        listener: Listener,  # noqa: ARG002 (the contract)
        *,
        sample_rate: int,  # noqa: ARG002
    ) -> NDArray[Float]:
        """Limit a `(2, samples)` signal to |y| ≤ 1."""
        return np.clip(signal, -1, 1)


@dataclass(frozen=True)
class Tanh:
    """Bend the signal into full scale by tanh, the reference recipe's `soft_clip`."""

    def __call__(
        self,
        signal: NDArray[Float],
        listener: Listener,  # noqa: ARG002 (the contract)
        *,
        sample_rate: int,  # noqa: ARG002
    ) -> NDArray[Float]:
        """Limit a `(2, samples)` signal to |y| < 1."""
        return np.tanh(signal)
