"""The method: what happens to a song, a scene and a score. No files, no configuration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cadenza_remix.amplify.base import Amplifier
from cadenza_remix.amplify.nalr import Nalr
from cadenza_remix.audio import Float, check_finite, resample, rms
from cadenza_remix.demix.base import Separator, Stems
from cadenza_remix.errors import AudioError, ConfigError
from cadenza_remix.hrtf import Head, to_microphones
from cadenza_remix.limit import Limiter
from cadenza_remix.listener import Listener
from cadenza_remix.loudness import amplitude, integrated_loudness, matching_gain_db
from cadenza_remix.metrics.base import Metric, score_each
from cadenza_remix.output import Enhanced
from cadenza_remix.remix import remix

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
    shapes = {source: stem.shape for source, stem in stems.items()}
    if shapes != dict.fromkeys(separator.sources, mixture.shape):
        raise AudioError(
            f"The separator returned {shapes}; expected {list(separator.sources)}, each {mixture.shape}: "
            "mend the separator."
        )
    for source, stem in stems.items():
        check_finite(stem, f"The separated stem {source!r}")
    return stems


def remix_scene(
    stems: Mapping[str, npt.NDArray[Float]],
    gains_db: Mapping[str, float],
    mixture: npt.NDArray[np.float32],
    *,
    sample_rate: int,
) -> npt.NDArray[Float]:
    """Rebalance stems as a scene asks, at the mixture's loudness.

    Raises:
        AudioError: if the scene asks for sources that are not among the stems.
    """
    check_sources(stems, gains_db)
    return remix(stems, gains_db, mixture, sample_rate=sample_rate)


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
    """Chooses a limiter's settings for each ear by the score of what it lets through.

    The limited signal is scored against the same signal before the limiter, so nothing is needed but the
    system's own output and the audiogram. The limiter must treat the ears apart, as `Multiband` does; one
    that links them would be torn.

    Attributes:
        metric: gives `left_score` and `right_score`; the highest wins.
        trials: the settings to try, each by the names of the attributes that change; `{}` changes nothing.
    """

    metric: Metric
    trials: Sequence[Mapping[str, Any]]

    def limiters(self, limiter: Limiter) -> list[Limiter]:
        """The limiter with each of the settings.

        Raises:
            ConfigError: if it has no such settings.
        """
        try:
            return [replace(limiter, **trial) for trial in self.trials]  # type: ignore[type-var]
        except TypeError as error:
            raise ConfigError(
                f"closed_loop.trials does not fit the limiter {type(limiter).__name__} ({error}); try "
                "settings that it has, or choose limiter=multiband."
            ) from error

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
        limited: list[Any] = [
            one(amplified, listener, sample_rate=sample_rate) for one in self.limiters(limiter)
        ]
        if all(np.array_equal(one, limited[0]) for one in limited):  # within full scale already
            return np.asarray(limited[0])
        rate = self.metric.sample_rate
        unlimited = resample(amplified, sample_rate, rate)
        scores = score_each(
            self.metric,
            [resample(one, sample_rate, rate) for one in limited],
            unlimited,
            listener,
            level_of_rms_1_db_spl=level_of_rms_1_db_spl,
            rng=np.random.RandomState(0),
        )
        best = [np.argmax([score[f"{side}_score"] for score in scores]) for side in ("left", "right")]
        return np.stack([limited[trial][ear] for ear, trial in enumerate(best)])


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
