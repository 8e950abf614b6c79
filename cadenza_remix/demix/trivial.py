"""The separator that does nothing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cadenza_remix.demix.base import SOURCES, Stems


@dataclass(frozen=True)
class EqualSplit:
    """Give every source an equal share of the mixture, so that any remix is the mixture again.

    The score of this "do nothing" system is the floor that every separator has to beat.
    """

    sources: tuple[str, ...] = SOURCES
    sample_rate: int = 44100
    channels: int = 2
    causal: bool = True
    training_data: str = "none"
    allowed_by_rules: bool = True

    def __call__(self, mixture: npt.NDArray[np.float32]) -> Stems:
        """Split a `(channels, samples)` mixture into stems that are all mixture / n."""
        share = mixture / np.float32(len(self.sources))
        return {source: share.copy() for source in self.sources}
