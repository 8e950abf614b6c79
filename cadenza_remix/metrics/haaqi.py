"""HAAQI, the Hearing-Aid Audio Quality Index, version 1: how good music sounds to an ear with a loss.

Reference and processed signal go through the cochlear model of the same ear (`ear`); the score is a
polynomial of how alike the outputs are: the fast modulations of their spectra, the fine structure of the
vibration, and the long-term spectra. The reference must already be amplified for the ear. What needs 32 bands
at once is no longer than a few values per segment, so memory holds one band per thread besides the signals.

Conventions: one ear is `(samples,)`; level_of_rms_1_db_spl says how loud an RMS of 1 is. Scores equal those
of pyclarity 0.9.0 `haaqi_v1(…, equalisation=2)` to 1e-6 with the same noise, whatever the number of threads.

References:
    Kates & Arehart (2016): The Hearing-Aid Audio Quality Index (HAAQI). IEEE/ACM TASLP 24(2), 354–365.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cadenza_remix import ear, noise
from cadenza_remix.errors import AudioError
from cadenza_remix.listener import Audiogram, Listener
from cadenza_remix.metrics import features
from cadenza_remix.metrics.bands import Band, Heard, analyse_bands, hear
from cadenza_remix.metrics.rates import check_rate, to_model_rate

Floats = npt.NDArray[np.float64]
# Of an RMS of 1: far more than 100 dB where 65 dB SPL are given to music that is very quiet in its file.
LEVELS_DB_SPL = (0, 400)


class HaaqiScore(NamedTuple):
    """HAAQI and what it is made of; each part is 1 where the signals are alike.

    Attributes:
        score: the index.
        nonlinear: from the first two parts.
        linear: from the last two.
        cepstral_correlation: of the spectra's modulations at 20–125 Hz (pyclarity `mel_cepstral_high`).
        vibration_coherence: of the basilar membrane's motion (`basilar_membrane_sync5`).
        spectrum_match: by absolute differences of the long-term spectra (`d_loud`).
        relative_spectrum_match: by relative ones (`d_norm`).
    """

    score: float
    nonlinear: float
    linear: float
    cepstral_correlation: float
    vibration_coherence: float
    spectrum_match: float
    relative_spectrum_match: float


@dataclass(frozen=True)
class Haaqi:
    """HAAQI of both ears as a metric.

    Attributes:
        sample_rate: Hz, of the signals it is given; HAAQI itself works at 24 kHz.
        threads: share the work; they change nothing but the speed.
    """

    sample_rate: int = ear.SAMPLE_RATE
    threads: int = field(default=1, repr=False, compare=False)

    def __call__(
        self,
        enhanced: npt.NDArray[np.floating],
        reference: npt.NDArray[np.floating],
        listener: Listener,
        *,
        level_of_rms_1_db_spl: Sequence[float],
        rng: np.random.RandomState,
    ) -> dict[str, float]:
        """Score both ears, left then right from the same noise stream; see `Metric`.

        Returns:
            left_score, right_score, their mean as score, and each ear's parts of `HaaqiScore`.
        """
        level = level_of_rms_1_db_spl
        return self.score_each([enhanced], reference, listener, level_of_rms_1_db_spl=level, rng=rng)[0]

    def score_each(
        self,
        enhanced: Sequence[npt.NDArray[np.floating]],
        reference: npt.NDArray[np.floating],
        listener: Listener,
        *,
        level_of_rms_1_db_spl: Sequence[float],
        rng: np.random.RandomState,
    ) -> list[dict[str, float]]:
        """Score several signals of the same length, the reference going through the ears once."""
        ears = [
            haaqi_each(
                reference[i],
                [signal[i] for signal in enhanced],
                audiogram,
                sample_rate=self.sample_rate,
                level_of_rms_1_db_spl=level_of_rms_1_db_spl[i],
                rng=rng,
                threads=self.threads,
            )
            for i, audiogram in enumerate(listener.ears)
        ]
        return [named(left, right) for left, right in zip(*ears, strict=True)]


def named(left: HaaqiScore, right: HaaqiScore) -> dict[str, float]:
    """Both ears' scores by name, as `Haaqi` gives them."""
    sides = {"left": left._asdict(), "right": right._asdict()}
    parts = {
        f"{side}_{name}": value for side, ear_parts in sides.items() for name, value in ear_parts.items()
    }
    return {
        "left_score": left.score,
        "right_score": right.score,
        "score": float(np.mean([left.score, right.score])),
        **parts,
    }


def haaqi(
    reference: npt.NDArray[np.floating],
    processed: npt.NDArray[np.floating],
    audiogram: Audiogram,
    *,
    sample_rate: int,
    level_of_rms_1_db_spl: float = 65.0,
    rng: np.random.RandomState | int = 0,
    threads: int = 1,
) -> HaaqiScore:
    """Quality of music in one ear.

    Args:
        reference: (samples,), clean and amplified for the ear. If the lengths differ, the end of the longer
            is cut.
        processed: (samples,), the hearing aid's output; any broadband delay is taken off.
        audiogram: of the ear.
        sample_rate: Hz, of both.
        level_of_rms_1_db_spl: the sound pressure level that an RMS of 1 stands for.
        rng: where the noise at the threshold comes from, or a seed for it; a generator is moved on as by
            pyclarity.
        threads: share the work.

    Returns:
        The score and its parts. Silence, if processed, gets the low score that the equations give.

    Raises:
        AudioError: if a signal is not a row of numbers, the reference silent or shorter than 25 ms, or the
            sample rate or level no such thing.
    """
    rng = rng if isinstance(rng, np.random.RandomState) else np.random.RandomState(rng)
    return haaqi_each(
        reference,
        [processed],
        audiogram,
        sample_rate=sample_rate,
        level_of_rms_1_db_spl=level_of_rms_1_db_spl,
        rng=rng,
        threads=threads,
    )[0]


def haaqi_each(
    reference: npt.NDArray[np.floating],
    processed: Sequence[npt.NDArray[np.floating]],
    audiogram: Audiogram,
    *,
    sample_rate: int,
    level_of_rms_1_db_spl: float,
    rng: np.random.RandomState,
    threads: int = 1,
) -> list[HaaqiScore]:
    """Quality of several processed signals, the reference going through the ear once.

    Args:
        reference: as in `haaqi`, like all that is not said here.
        processed: (samples,) each, all of the same length.
        audiogram: of the ear.
        sample_rate: Hz, of all.
        level_of_rms_1_db_spl: the sound pressure level that an RMS of 1 stands for.
        rng: every processed signal meets the same noise; it is moved on as by one of them.
        threads: share the work.

    Returns:
        For each processed signal what `haaqi` gives for it alone.

    Raises:
        AudioError: as `haaqi`.
    """
    check_rate(sample_rate)
    check_level(level_of_rms_1_db_spl)
    reference = to_model_rate(checked(reference, "reference"), sample_rate)
    heard_signals = [to_model_rate(checked(one, "processed signal"), sample_rate) for one in processed]
    stream = noise.stream_of(rng)
    n = min(map(len, [reference, *heard_signals]))
    cut = [one[:n] for one in heard_signals]
    with ThreadPoolExecutor(threads) as pool:
        heard = hear(pool, reference[:n], cut, ear.loss_of(audiogram), level_of_rms_1_db_spl, stream)
        bands = analyse_bands(pool, heard, threads)
    noise.skip_normal(stream, normals_drawn_in_vain(bands))
    noise.hand_back(rng, stream)
    return [compare(bands, heard, row) for row in range(1, len(processed) + 1)]


def checked(signal: npt.NDArray[np.floating], name: str) -> Floats:
    """A signal in float64.

    Raises:
        AudioError: if it is not a row of finite numbers, at least one.
    """
    signal = np.asarray(signal)
    if signal.ndim != 1:
        raise AudioError(f"The {name} has shape {signal.shape}; expected (samples,): give one ear at a time.")
    if not signal.size:
        raise AudioError(f"The {name} holds no samples; give at least 25 ms of sound.")
    bad = np.flatnonzero(~np.isfinite(signal))
    if bad.size:
        raise AudioError(
            f"The {name} holds NaN or infinity, first at sample {bad[0]}; every sample must be a number."
        )
    return np.ascontiguousarray(signal, dtype=np.float64)


def check_level(level_of_rms_1_db_spl: float) -> None:
    """Refuse a calibration that no sound has.

    Raises:
        AudioError: naming it.
    """
    low, high = LEVELS_DB_SPL
    if not low <= level_of_rms_1_db_spl <= high:
        raise AudioError(
            f"The level of an RMS of 1 is {level_of_rms_1_db_spl} dB SPL; give a number from {low} to "
            f"{high}, such as 65."
        )


def normals_drawn_in_vain(bands: Sequence[Band]) -> int:
    """How many normals pyclarity draws for the envelopes, only to multiply them by zero."""
    audible = len(features.audible_segments(np.stack([band.smoothed_db[0] for band in bands])))
    return 2 * ear.N_BANDS * audible if audible > 1 else 0


def compare(bands: Sequence[Band], heard: Heard, row: int) -> HaaqiScore:
    """The score of the processed signal in a row."""
    reference_db, processed_db = (np.stack([band.smoothed_db[i] for band in bands]) for i in (0, row))
    cepstral = features.cepstral_correlation(reference_db, processed_db)
    coherence = features.vibration_coherence(
        np.stack([band.covariances[row - 1] for band in bands]),
        np.stack([band.mean_squares for band in bands]),
    )
    spectra = [
        ear.sensation_levels_db(
            np.array([band.signal_rms[i] for band in bands]),
            np.array([band.control_rms[i] for band in bands]),
            heard.loss,
            heard.level_of_rms_1_db_spl,
        )
        for i in (0, row)
    ]
    return polynomial(cepstral, coherence, *features.spectral_similarities(*spectra))


def polynomial(
    cepstral: float, coherence: float, spectrum_match: float, relative_spectrum_match: float
) -> HaaqiScore:
    """HAAQI from its four parts (Kates & Arehart 2016; coefficients of pyclarity's version 1)."""
    nonlinear = 0.754 * cepstral**3 + 0.246 * coherence
    linear = 0.329 * spectrum_match + 0.671 * relative_spectrum_match
    score = 0.336 * nonlinear + 0.001 * linear + 0.501 * nonlinear**2 + 0.161 * linear**2
    return HaaqiScore(score, nonlinear, linear, cepstral, coherence, spectrum_match, relative_spectrum_match)
