"""Limiters without memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cadenza_remix.audio import Float
from cadenza_remix.listener import Listener


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


@dataclass(frozen=True)
class Scale:
    """Turn the whole signal down, both ears alike, so that its highest peak is at full scale.

    Attributes:
        most_db: how far it is turned down at most; what then still exceeds full scale is cut off.
    """

    most_db: float = float("inf")

    def __call__(
        self,
        signal: NDArray[Float],
        listener: Listener,  # noqa: ARG002 (the contract)
        *,
        sample_rate: int,  # noqa: ARG002
    ) -> NDArray[Float]:
        """Limit a `(2, samples)` signal to |y| ≤ 1; what is within full scale comes back unchanged."""
        peak = np.abs(signal).max(initial=1)
        gain = max(float(1 / peak), 10 ** (-self.most_db / 20))
        scaled: NDArray[Float] = signal * signal.dtype.type(gain)
        return np.clip(scaled, -1, 1)
