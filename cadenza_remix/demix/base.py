"""What every separator offers."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Stems = dict[str, npt.NDArray[np.float32]]
SOURCES = ("vocals", "drums", "bass", "other")


class Separator(Protocol):
    """Takes a mixture apart.

    Attributes:
        sample_rate: Hz; the rate of what goes in and comes out.
        sources: the names of the stems.
        channels: how many channels it takes, 2 for the two ears.
        causal: whether output at t needs no input beyond t + 5 ms.
        training_data: what its parameters were learnt from, "none" where nothing was learnt.
        allowed_by_rules: whether the challenge's rules admit that training data.
    """

    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def sources(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def channels(self) -> int: ...  # noqa: D102
    @property
    def causal(self) -> bool: ...  # noqa: D102
    @property
    def training_data(self) -> str: ...  # noqa: D102
    @property
    def allowed_by_rules(self) -> bool: ...  # noqa: D102

    def __call__(self, mixture: npt.NDArray[np.float32]) -> Stems:
        """Separate a `(channels, samples)` mixture at `sample_rate` into stems of the same shape."""
        ...
