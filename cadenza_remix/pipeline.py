"""The method: what happens to a song, a scene and a score. No files, no configuration."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cadenza_remix.amplify.base import Amplifier
from cadenza_remix.amplify.nalr import Nalr
from cadenza_remix.audio import Float, check_finite, resample, rms
from cadenza_remix.closed_loop.base import ClosedLoop
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
    closed_loop: ClosedLoop | None = None,
) -> npt.NDArray[Float]:
    """Amplify a rebalanced scene for a listener and fit it into the output format.

    Args:
        remixed: (2, samples).
        listener: whose ears it is for.
        amplifier: makes it audible.
        limiter: fits it into full scale.
        sample_rate: Hz, of `remixed`.
        output_sample_rate: Hz, of the result.
        closed_loop: fits what the limiter gives to the ear; without it that stays as it is.

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
