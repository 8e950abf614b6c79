"""Settings of the limiter for each ear, found by the score of what it lets through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from cadenza_remix.audio import Float, resample
from cadenza_remix.closed_loop.evolution import evolve
from cadenza_remix.errors import ConfigError
from cadenza_remix.limit import Limiter
from cadenza_remix.listener import Listener
from cadenza_remix.metrics.base import Metric, score_each


@dataclass(frozen=True)
class Search:
    """Searches a limiter's settings for each ear by the score of what it lets through.

    The search hears the loudest excerpt; on the whole piece its result has to beat the settings chosen
    before. The limiter must treat the ears apart, as `Multiband` does; one that links them would be torn.

    Attributes:
        metric: gives `left_score` and `right_score`; the highest wins.
        ranges: lowest and highest value of each setting, by its name as an attribute of the limiter; one of
            several numbers is searched number by number.
        generations: of the search.
        offspring: settings tried in each.
        excerpt_s: length of the excerpt.

    Raises:
        ConfigError: if a range has nothing within.
    """

    metric: Metric
    ranges: Mapping[str, Sequence[float]]
    generations: int = 8
    offspring: int = 8
    excerpt_s: float = 3.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.ranges:
            raise ConfigError(
                "closed_loop.ranges is empty; give a setting its range, or say closed_loop=null."
            )
        for name, (low, high) in self.ranges.items():
            if not 0 < high - low < np.inf:
                raise ConfigError(
                    f"closed_loop.ranges.{name}=[{low}, {high}] should be a number and a higher one; say "
                    f"~closed_loop.ranges.{name} to keep the limiter's own."
                )

    def check(self, limiter: Limiter) -> None:
        """Refuse a limiter that has no such settings."""
        self.start(limiter)

    def start(self, limiter: Limiter) -> npt.NDArray[np.float64]:
        """(numbers,): the limiter's own settings within the ranges, 0 to 1.

        Raises:
            ConfigError: if it has no such settings.
        """
        try:
            own = {name: np.atleast_1d(getattr(limiter, name)) for name in self.ranges}
        except AttributeError as error:
            raise ConfigError(
                f"closed_loop.ranges does not fit the limiter {type(limiter).__name__} ({error}); give "
                "ranges of settings that it has, or choose limiter=multiband."
            ) from error
        places = [(own[name] - low) / (high - low) for name, (low, high) in self.ranges.items()]
        return np.asarray(np.clip(np.concatenate(places), 0, 1))

    def limited(
        self,
        limiter: Limiter,
        places: npt.NDArray[np.float64],
        signal: npt.NDArray[Float],
        listener: Listener,
        *,
        sample_rate: int,
    ) -> npt.NDArray[Float]:
        """Limit a `(2, samples)` signal, each ear beside a silent one with its own of (2, numbers)."""
        ears: list[npt.NDArray[Float]] = []
        for ear, place in enumerate(places):
            alone = np.zeros_like(signal)
            alone[ear] = signal[ear]
            one = replace(limiter, **self.settings(limiter, place))  # type: ignore[type-var]
            ears.append(one(alone, listener, sample_rate=sample_rate)[ear])
        return np.stack(ears)

    def settings(self, limiter: Limiter, place: npt.NDArray[np.float64]) -> dict[str, Any]:
        """The settings at a place within the ranges, (numbers,) from 0 to 1."""
        sizes = [np.size(getattr(limiter, name)) for name in self.ranges]
        parts = np.split(place, np.cumsum(sizes)[:-1])
        found = {
            name: (low + part * (high - low)).tolist()
            for (name, (low, high)), part in zip(self.ranges.items(), parts, strict=True)
        }
        return {
            name: numbers if np.ndim(getattr(limiter, name)) else numbers[0]
            for name, numbers in found.items()
        }

    def scores(
        self,
        signals: Sequence[npt.NDArray[Any]],
        unlimited: npt.NDArray[Any],
        listener: Listener,
        *,
        sample_rate: int,
        level_of_rms_1_db_spl: Sequence[float],
    ) -> npt.NDArray[np.float64]:
        """(signals, 2): how well each ear's part keeps what it was before the limiter."""
        results = score_each(
            self.metric,
            [resample(signal, sample_rate, self.metric.sample_rate) for signal in signals],
            resample(unlimited, sample_rate, self.metric.sample_rate),
            listener,
            level_of_rms_1_db_spl=level_of_rms_1_db_spl,
            rng=np.random.RandomState(0),
        )
        return np.array([[result["left_score"], result["right_score"]] for result in results])

    def __call__(
        self,
        limiter: Limiter,
        amplified: npt.NDArray[Float],
        listener: Listener,
        *,
        sample_rate: int,
        level_of_rms_1_db_spl: Sequence[float],
    ) -> npt.NDArray[Float]:
        """Limit a `(2, samples)` signal with the settings that are best for each ear; see `ClosedLoop`."""
        as_it_is = limiter(amplified, listener, sample_rate=sample_rate)
        if np.abs(amplified).max() <= 1:
            return as_it_is
        limited = partial(self.limited, limiter, listener=listener, sample_rate=sample_rate)
        scores = partial(
            self.scores,
            listener=listener,
            sample_rate=sample_rate,
            level_of_rms_1_db_spl=level_of_rms_1_db_spl,
        )
        excerpt = loudest(amplified, round(self.excerpt_s * sample_rate))
        found = evolve(
            lambda tried: scores([limited(places, excerpt) for places in tried], excerpt),
            np.stack([self.start(limiter)] * 2),
            generations=self.generations,
            offspring=self.offspring,
            rng=np.random.default_rng(0),
        )
        candidates = [as_it_is, limited(found, amplified)]
        best = scores(candidates, amplified).argmax(axis=0)
        return np.stack([candidates[which][ear] for ear, which in enumerate(best)])


def loudest(signal: npt.NDArray[Float], samples: int) -> npt.NDArray[Float]:
    """The `(2, samples)` with the most power; the whole of a shorter signal, or if an ear is silent there."""
    if signal.shape[1] <= samples:
        return signal
    energy = np.cumsum(np.pad(np.sum(signal.astype(np.float64) ** 2, axis=0), (1, 0)))
    start = int(np.argmax(energy[samples:] - energy[:-samples]))
    excerpt = signal[:, start : start + samples]
    return excerpt if excerpt.any(axis=1).all() else signal
