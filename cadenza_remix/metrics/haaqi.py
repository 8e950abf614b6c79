"""HAAQI, the Hearing-Aid Audio Quality Index, version 1: how music sounds to an ear with a hearing loss, 0 to 1.

Reference and processed signal go through the cochlear model of the same ear (`ear`); the score is a polynomial of how
alike the outputs are: the fast modulations of their spectra, the fine structure of the vibration, and the long-term
spectra. The reference must already be amplified for the ear. What needs 32 bands at once is no longer than a few
values per segment, so memory holds one band per thread besides the signals.

Conventions: one ear is `(samples,)`; level_of_rms_1_db_spl says how loud an RMS of 1 is. Scores equal those of
pyclarity 0.9.0 `haaqi_v1(…, equalisation=2)` to 1e-6 with the same noise, whatever the number of threads.

References:
    Kates & Arehart (2016): The Hearing-Aid Audio Quality Index (HAAQI). IEEE/ACM TASLP 24(2), 354–365.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cadenza_remix import cochlea, ear, noise
from cadenza_remix.errors import AudioError
from cadenza_remix.listener import Audiogram, Listener
from cadenza_remix.metrics import alignment, features, segments
from cadenza_remix.metrics.rates import check_rate, to_model_rate

Floats = npt.NDArray[np.float64]

NOISE_DB_SL = -10  # added to the vibration, so that what is below threshold does not correlate
SHORTEST = 600  # samples: 25 ms, more than the bands' delays and a segment


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


class Band(NamedTuple):
    """What is kept of one band; rows are reference and processed.

    Attributes:
        smoothed_db: (2, segments), envelopes above threshold.
        covariances: (segments,), of the vibrations.
        mean_squares: (segments,), of the reference's vibration.
        signal_rms: (2,), of the signal filters' envelopes.
        control_rms: (2,), of the control filters' envelopes.
    """

    smoothed_db: Floats
    covariances: Floats
    mean_squares: Floats
    signal_rms: Floats
    control_rms: Floats


class Pair(NamedTuple):
    """Two signals behind the middle ear and the ear that hears them.

    Attributes:
        reference: (samples,) at 24 kHz.
        processed: (samples,), aligned to it.
        loss: of the ear.
        level_of_rms_1_db_spl: calibration.
        bandwidths: (32,), of the reference's filters.
        waits: (32,), samples by which each band waits for the slowest.
        streams: 64, the noise of each band of the reference, then of the processed signal.
    """

    reference: Floats
    processed: Floats
    loss: ear.CochlearLoss
    level_of_rms_1_db_spl: float
    bandwidths: Floats
    waits: npt.NDArray[np.int64]
    streams: list[noise.NormalStream]


@dataclass(frozen=True)
class Haaqi:
    """HAAQI of both ears as a metric.

    Attributes:
        sample_rate: Hz, of the signals it is given; HAAQI itself works at 24 kHz.
        threads: share the work; they change nothing but the speed.
    """

    sample_rate: int = ear.SAMPLE_RATE
    threads: int = 1

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
        ears = [
            haaqi(
                reference[i],
                enhanced[i],
                audiogram,
                sample_rate=self.sample_rate,
                level_of_rms_1_db_spl=level_of_rms_1_db_spl[i],
                rng=rng,
                threads=self.threads,
            )
            for i, audiogram in enumerate(listener.ears)
        ]
        left, right = (
            {f"{side}_{name}": value for name, value in one._asdict().items()}
            for side, one in zip(("left", "right"), ears, strict=True)
        )
        mean = float(np.mean([one.score for one in ears]))
        return {"left_score": ears[0].score, "right_score": ears[1].score, "score": mean, **left, **right}


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
        reference: (samples,), clean and amplified for the ear. If the lengths differ, the end of the longer is cut.
        processed: (samples,), the hearing aid's output; any broadband delay is taken off.
        audiogram: of the ear.
        sample_rate: Hz, of both.
        level_of_rms_1_db_spl: the sound pressure level that an RMS of 1 stands for.
        rng: where the noise at the threshold comes from, or a seed for it; a generator is moved on as by pyclarity.
        threads: share the work.

    Returns:
        The score and its parts. Silence, if processed, gets the low score that the equations give.

    Raises:
        AudioError: if a signal is not a row of numbers, the reference silent or shorter than 25 ms, or the sample rate
            or level no such thing.
    """
    check_rate(sample_rate)
    check_level(level_of_rms_1_db_spl)
    reference = to_model_rate(checked(reference, "reference"), sample_rate)
    processed = to_model_rate(checked(processed, "processed signal"), sample_rate)
    rng = rng if isinstance(rng, np.random.RandomState) else np.random.RandomState(rng)
    stream = noise.stream_of(rng)
    n = min(len(reference), len(processed))
    with ThreadPoolExecutor(threads) as pool:
        pair = hear(pool, reference[:n], processed[:n], ear.loss_of(audiogram), level_of_rms_1_db_spl, stream)
        bands = analyse_bands(pool, pair, threads)
    result, drawn = compare(bands, pair)
    noise.skip_normal(stream, drawn)
    noise.hand_back(rng, stream)
    return result


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
    """Refuse a calibration that is not a number.

    Raises:
        AudioError: naming it.
    """
    if not np.isfinite(level_of_rms_1_db_spl):
        raise AudioError(
            f"The level of an RMS of 1 is {level_of_rms_1_db_spl} dB SPL; give a number, such as 65 for signals "
            "whose RMS of 1 is meant to be 65 dB SPL."
        )


def hear(
    pool: ThreadPoolExecutor,
    reference: Floats,
    processed: Floats,
    loss: ear.CochlearLoss,
    level_of_rms_1_db_spl: float,
    stream: noise.NormalStream,
) -> Pair:
    """Align two equally long signals, bring them through the middle ear, and find what all bands must know.

    Raises:
        AudioError: if the reference is silent or too short.
    """
    if not reference.any():
        raise AudioError("The reference is silent, so no quality is defined; leave this signal out.")
    part = alignment.audible_part(reference)
    n = part.stop - part.start
    if n < SHORTEST:
        raise AudioError(
            f"The reference has {1000 * n / ear.SAMPLE_RATE:.1f} ms of sound in common with the processed signal; "
            f"give at least {1000 * SHORTEST / ear.SAMPLE_RATE:.0f} ms."
        )
    streams = pool.submit(noise.fork, stream, n, 2 * ear.N_BANDS)
    aligned = pool.submit(lambda: ear.middle_ear(alignment.align_broadband(reference, processed)[part]))
    heard = ear.middle_ear(reference[part])
    bandwidths = np.array(
        list(
            pool.map(
                lambda band: reference_bandwidth(heard, loss, level_of_rms_1_db_spl, band), range(ear.N_BANDS)
            )
        )
    )
    waits = ear.group_delays(bandwidths)
    return Pair(heard, aligned.result(), loss, level_of_rms_1_db_spl, bandwidths, waits, streams.result())


def reference_bandwidth(
    reference: Floats, loss: ear.CochlearLoss, level_of_rms_1_db_spl: float, band: int
) -> float:
    """Bandwidth of the reference's signal filter."""
    widest = float(ear.control_bandwidths()[band])
    control = ear.gammatone(band, widest)
    rms = np.sqrt(cochlea.control_energy(reference, ear.radians(band), control) / len(reference))
    return ear.widened(rms, float(loss.bandwidths[band]), widest, level_of_rms_1_db_spl)


def analyse_bands(pool: ThreadPoolExecutor, pair: Pair, threads: int) -> list[Band]:
    """Analyse all bands; each thread keeps its memory from band to band, for fresh pages cost time."""
    free: SimpleQueue[tuple[Floats, Floats]] = SimpleQueue()
    for _ in range(threads):
        free.put((np.empty((2, len(pair.reference))), np.empty((2, len(pair.reference)))))

    def work(band: int) -> Band:
        envelopes, motions = free.get()
        try:
            return analyse(pair, band, envelopes, motions)
        finally:
            free.put((envelopes, motions))

    return list(pool.map(work, range(ear.N_BANDS)))


def analyse(pair: Pair, band: int, envelopes: Floats, motions: Floats) -> Band:
    """Everything that concerns one band alone; `envelopes` and `motions` (2, samples) are overwritten."""
    n = len(pair.reference)
    loss, level_db_spl = pair.loss, pair.level_of_rms_1_db_spl
    widest = float(ear.control_bandwidths()[band])
    control, radians = ear.gammatone(band, widest), ear.radians(band)
    control_rms = np.sqrt(
        np.array(cochlea.control_powers(pair.reference, pair.processed, radians, control, envelopes)) / n
    )
    processed_bandwidth = ear.widened(
        float(control_rms[1]), float(loss.bandwidths[band]), widest, level_db_spl
    )
    filters = (ear.gammatone(band, float(pair.bandwidths[band])), ear.gammatone(band, processed_bandwidth))
    compression = ear.compression(loss, band, level_db_spl)
    sums = cochlea.compress_band(
        pair.reference, pair.processed, radians, filters, control.gain, compression, envelopes, motions
    )
    place = segments.Placement(*alignment.band_delays(envelopes, motions), int(pair.waits[band]))
    smoothed = np.zeros((2, segments.n_segments(n, segments.ENVELOPE_HOP)))
    covariances = np.zeros((2, segments.n_segments(n, segments.MOTION_HOP)))
    segments.hear_band(
        envelopes,
        motions,
        place,
        segments.Threshold(
            level_db_spl - float(loss.inner_attenuation_db[band]), 10 ** ((NOISE_DB_SL - level_db_spl) / 20)
        ),
        segments.adaptation(),
        (pair.streams[band].copy(), pair.streams[ear.N_BANDS + band].copy()),
        segments.windows(),
        segments.scratch(),
        smoothed,
        covariances,
    )
    return Band(smoothed, covariances[0], covariances[1], np.sqrt(np.array(sums) / n), control_rms)


def compare(bands: Sequence[Band], pair: Pair) -> tuple[HaaqiScore, int]:
    """The score, and how many more normals pyclarity draws for it and multiplies by zero."""
    reference_db, processed_db = (np.stack([band.smoothed_db[row] for band in bands]) for row in range(2))
    cepstral = features.cepstral_correlation(reference_db, processed_db)
    coherence = features.vibration_coherence(
        np.stack([band.covariances for band in bands]), np.stack([band.mean_squares for band in bands])
    )
    spectra = [
        ear.sensation_levels_db(
            np.array([band.signal_rms[row] for band in bands]),
            np.array([band.control_rms[row] for band in bands]),
            pair.loss,
            pair.level_of_rms_1_db_spl,
        )
        for row in range(2)
    ]
    audible = len(features.audible_segments(reference_db))
    drawn = 2 * ear.N_BANDS * audible if audible > 1 else 0
    return polynomial(cepstral, coherence, *features.spectral_similarities(*spectra)), drawn


def polynomial(
    cepstral: float, coherence: float, spectrum_match: float, relative_spectrum_match: float
) -> HaaqiScore:
    """HAAQI from its four parts (Kates & Arehart 2016; coefficients of pyclarity's version 1)."""
    nonlinear = 0.754 * cepstral**3 + 0.246 * coherence
    linear = 0.329 * spectrum_match + 0.671 * relative_spectrum_match
    score = 0.336 * nonlinear + 0.001 * linear + 0.501 * nonlinear**2 + 0.161 * linear**2
    return HaaqiScore(
        score, nonlinear, linear, cepstral, coherence, spectrum_match, relative_spectrum_match
    )
