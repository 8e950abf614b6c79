"""The method: what happens to a song, a scene and a score. No files, no configuration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from cadenza_remix.amplify.base import Amplifier
from cadenza_remix.amplify.nalr import Nalr
from cadenza_remix.audio import Float, check_finite, resample, rms
from cadenza_remix.demix.base import Separator, Stems
from cadenza_remix.demix.correction import Correction
from cadenza_remix.errors import AudioError, ConfigError
from cadenza_remix.hrtf import Head, to_microphones
from cadenza_remix.limit import Limiter
from cadenza_remix.listener import Listener
from cadenza_remix.loudness import amplitude, integrated_loudness, matching_gain_db
from cadenza_remix.metrics.base import Metric, score_each
from cadenza_remix.output import Enhanced
from cadenza_remix.remix import MixtureBlend, remix
from cadenza_remix.search import evolve

# The ideal signal that every system is scored against; nothing a user sets can reach it.
REFERENCE_AMPLIFIER = Nalr(nfir=220)
REFERENCE_LEVEL_DB_SPL = 65  # of the rebalanced music before amplification


def prepare_song(
    dry: npt.NDArray[Float], head: Head, *, sample_rate: int, gain_db: float | None = None
) -> npt.NDArray[Float]:
    """Bring one dry stereo signal to the microphones, at the loudness it had or by a given gain.

    Without `gain_db` every stem and the mixture are levelled on their own, as the challenge's data were; so
    the stems at the microphones do not quite sum to the mixture there. With one gain for all they do.
    """
    at_mic = to_microphones(dry, head)
    if gain_db is None:
        gain_db = lost_loudness_db(dry, at_mic, sample_rate=sample_rate)
    return at_mic * at_mic.dtype.type(amplitude(gain_db))


def lost_loudness_db(dry: npt.NDArray[Float], at_mic: npt.NDArray[Float], *, sample_rate: int) -> float:
    """By how much a dry stereo signal is louder than at the microphones; 0 where it has no loudness."""
    loudness_lufs = integrated_loudness(dry, sample_rate=sample_rate)
    return matching_gain_db(at_mic, loudness_lufs, sample_rate=sample_rate)


def separate(separator: Separator, mixture: npt.NDArray[np.float32], *, sample_rate: int) -> Stems:
    """Take a mixture apart and check that the separator kept its contract.

    Raises:
        ConfigError: if the separator works at another rate or number of channels.
        AudioError: if it returned other stems or shapes than it promised, or numbers that are none.
    """
    if (separator.sample_rate, separator.channels) != (sample_rate, len(mixture)):
        raise ConfigError(
            f"The separator takes {separator.channels} channels at {separator.sample_rate} Hz; the mixture "
            f"has {len(mixture)} at {sample_rate} Hz: choose another separator or resample the music."
        )
    stems = separator(mixture)
    _check_stems(stems, separator.sources, mixture, "separator")
    return stems


def correct(corrections: Iterable[Correction], stems: Stems, mixture: npt.NDArray[np.float32]) -> Stems:
    """Improve separated stems, one correction after the other.

    Raises:
        AudioError: if a correction does not fit the stems, or does not keep its contract.
    """
    for correction in corrections:
        corrected = correction(stems, mixture)
        _check_stems(corrected, stems, mixture, "correction")
        stems = corrected
    return stems


def check_corrections(corrections: Iterable[Correction], sources: Iterable[str]) -> None:
    """Check that corrections fit the stems that there will be, before there are any.

    Raises:
        AudioError: if one does not.
    """
    nothing = np.zeros((2, 1), np.float32)
    correct(corrections, dict.fromkeys(sources, nothing), nothing)


def _check_stems(stems: Stems, sources: Iterable[str], mixture: npt.NDArray[np.float32], maker: str) -> None:
    shapes = {source: stem.shape for source, stem in stems.items()}
    if shapes != dict.fromkeys(sources, mixture.shape):
        raise AudioError(
            f"The {maker} returned {shapes}; expected {list(sources)}, each {mixture.shape}: "
            f"mend the {maker}."
        )
    for source, stem in stems.items():
        check_finite(stem, f"The stem {source!r} of the {maker}")


def remix_scene(
    stems: Mapping[str, npt.NDArray[Float]],
    gains_db: Mapping[str, float],
    mixture: npt.NDArray[np.float32],
    *,
    sample_rate: int,
    blend: MixtureBlend | None = None,
) -> npt.NDArray[Float]:
    """Rebalance stems as a scene asks, at the mixture's loudness.

    Raises:
        AudioError: if the scene asks for sources that are not among the stems.
    """
    check_sources(stems, gains_db)
    return remix(stems, gains_db, mixture, sample_rate=sample_rate, blend=blend)


def check_sources(sources: Iterable[str], gains_db: Mapping[str, float]) -> None:
    """Check that a scene asks for the stems that there are.

    Raises:
        AudioError: if it names others.
    """
    if set(gains_db) != set(sources):
        raise AudioError(
            f"The scene has gains for {sorted(gains_db)}, the stems are {sorted(sources)}; "
            "both must name the same sources."
        )


def enhance_scene(
    remixed: npt.NDArray[Float],
    listener: Listener,
    *,
    amplifier: Amplifier,
    limiter: Limiter,
    sample_rate: int,
    output_sample_rate: int,
    closed_loop: "ClosedLoop | None" = None,
) -> npt.NDArray[Float]:
    """Amplify a rebalanced scene for a listener and fit it into the output format.

    Args:
        remixed: (2, samples).
        listener: whose ears it is for.
        amplifier: makes it audible.
        limiter: fits it into full scale.
        sample_rate: Hz, of `remixed`.
        output_sample_rate: Hz, of the result.
        closed_loop: chooses the limiter's settings; without it they stay as they are.

    Returns:
        (2, samples) at `output_sample_rate`, within ±1.

    Raises:
        AudioError: if the limiter let something through.
    """
    amplified = amplifier(remixed, listener, sample_rate=sample_rate)
    amplified = resample(amplified, sample_rate, output_sample_rate)
    if closed_loop and all(ear.any() for ear in remixed):  # silence has no score
        limited = closed_loop(
            limiter,
            amplified,
            listener,
            sample_rate=output_sample_rate,
            level_of_rms_1_db_spl=levels_of_rms_1_db_spl(remixed),
        )
    else:
        limited = limiter(amplified, listener, sample_rate=output_sample_rate)
    check_finite(limited, "The enhanced signal")
    peak = float(np.abs(limited).max())
    if limited.shape != amplified.shape or peak > 1:
        raise AudioError(
            f"The limiter returned shape {limited.shape} with peak {peak:.3f}; expected {amplified.shape} "
            "within full scale: mend the limiter."
        )
    return limited


@dataclass(frozen=True)
class ClosedLoop:
    """Searches a limiter's settings for each ear by the score of what it lets through.

    The limited signal is scored against the same signal before the limiter, so nothing is needed but the
    system's own output and the audiogram. The search hears the loudest excerpt; on the whole piece its result
    has to beat the settings chosen before. The limiter must treat the ears apart, as `Multiband` does; one
    that links them would be torn.

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
        """Limit a `(2, samples)` signal with the settings that are best for each ear; see `Limiter`."""
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


def reference_scene(
    remixed: npt.NDArray[Float], listener: Listener, *, sample_rate: int
) -> npt.NDArray[Float]:
    """The ideal signal for a listener: the true stems' remix, amplified and never limited."""
    return REFERENCE_AMPLIFIER(remixed, listener, sample_rate=sample_rate)


def evaluate_scene(
    enhanced: Sequence[Enhanced],
    ideal_remix: npt.NDArray[np.float64],
    listener: Listener,
    *,
    metric: Metric,
    sample_rate: int,
    rng: np.random.RandomState,
) -> list[dict[str, float]]:
    """Score enhanced signals, one per system, against the ideal one that they share.

    Args:
        enhanced: each (2, samples) at the rate it declares.
        ideal_remix: (2, samples), the remix of the true stems, before amplification.
        listener: whose ears score.
        metric: compares the two at its own rate.
        sample_rate: Hz, of `ideal_remix`.
        rng: where the metric's noise comes from, the same for every signal.

    Returns:
        The metric's scores by name, for each signal.

    Raises:
        AudioError: if an ear of the ideal remix is silent, so that nothing can be compared with it.
    """
    if not all(channel.any() for channel in ideal_remix):
        raise AudioError(
            "The ideal remix is silent in one ear, so no quality is defined; leave the scene out."
        )
    ideal = reference_scene(ideal_remix, listener, sample_rate=sample_rate)
    reference = resample(ideal, sample_rate, metric.sample_rate)
    levels_db_spl = levels_of_rms_1_db_spl(ideal_remix)
    processed = [resample(one.signal, one.sample_rate, metric.sample_rate) for one in enhanced]
    return score_each(metric, processed, reference, listener, level_of_rms_1_db_spl=levels_db_spl, rng=rng)


def levels_of_rms_1_db_spl(remixed: npt.NDArray[Float]) -> list[float]:
    """Per ear, the sound pressure level that an RMS of 1 stands for, as the remix is played at 65 dB SPL."""
    return [float(REFERENCE_LEVEL_DB_SPL - 20 * np.log10(rms(ear))) for ear in remixed]
