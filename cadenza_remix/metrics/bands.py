"""Two signals through the same ear, band by band, each band in a thread of its own.

What the bands must know of each other is found first (`hear`): the delays of the filters, which hang on the
reference's level, and where each band's noise begins in the one stream. After that they are independent, so
the number of threads changes nothing. References: as in `ear`; checked against pyclarity 0.9.0 (`ear_model`).
"""

from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cadenza_remix import cochlea, ear, noise
from cadenza_remix.errors import AudioError
from cadenza_remix.metrics import alignment, hair_cells, segments

Floats = npt.NDArray[np.float64]

NOISE_DB_SL = -10  # added to the vibration, so that what is below threshold does not correlate
SHORTEST = 600  # samples: 25 ms, more than the bands' delays and a segment


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
        longest_delay: samples, of the reference's slowest filter; the other bands wait for it.
        streams: 64, the noise of each band of the reference, then of the processed signal.
    """

    reference: Floats
    processed: Floats
    loss: ear.CochlearLoss
    level_of_rms_1_db_spl: float
    longest_delay: int
    streams: list[noise.NormalStream]


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
            f"The reference has {1000 * n / ear.SAMPLE_RATE:.1f} ms of sound where the processed signal "
            f"has samples too; give at least {1000 * SHORTEST / ear.SAMPLE_RATE:.0f} ms."
        )
    streams = pool.submit(noise.fork, stream, n, 2 * ear.N_BANDS)
    aligned = pool.submit(lambda: ear.middle_ear(alignment.align_broadband(reference, processed)[part]))
    heard = ear.middle_ear(reference[part])
    delay = longest_delay(heard, loss, level_of_rms_1_db_spl)
    return Pair(heard, aligned.result(), loss, level_of_rms_1_db_spl, delay, streams.result())


def longest_delay(reference: Floats, loss: ear.CochlearLoss, level_of_rms_1_db_spl: float) -> int:
    """Group delay in samples of the reference's slowest signal filter.

    Wider filters are faster: a band that is not the slowest with its narrowest filter is not measured.
    """
    longest = 0
    for band in range(ear.N_BANDS):
        narrowest = float(loss.bandwidths[band])
        if ear.group_delay(band, narrowest) >= longest:
            control = ear.gammatone(band, ear.widest(band))
            rms = np.sqrt(cochlea.control_energy(reference, ear.radians(band), control) / len(reference))
            width = ear.widened(rms, narrowest, ear.widest(band), level_of_rms_1_db_spl)
            longest = max(longest, ear.group_delay(band, width))
    return longest


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
    signals = (pair.reference, pair.processed, ear.radians(band))
    loss, level_db_spl = pair.loss, pair.level_of_rms_1_db_spl
    narrowest, widest = float(loss.bandwidths[band]), ear.widest(band)
    control = ear.gammatone(band, widest)
    control_rms = np.sqrt(np.array(cochlea.control_powers(*signals, control, envelopes)) / n)
    widths = [ear.widened(float(rms), narrowest, widest, level_db_spl) for rms in control_rms]
    filters = (ear.gammatone(band, widths[0]), ear.gammatone(band, widths[1]))
    compression = ear.compression(loss, band, level_db_spl)
    sums = cochlea.compress_band(*signals, filters, control.gain, compression, envelopes, motions)
    wait = pair.longest_delay - ear.group_delay(band, widths[0])
    place = hair_cells.Placement(*alignment.band_delays(envelopes, motions), wait)
    threshold = hair_cells.Threshold(
        level_db_spl - float(loss.inner_attenuation_db[band]), 10 ** ((NOISE_DB_SL - level_db_spl) / 20)
    )
    smoothed = np.zeros((2, segments.n_segments(n, segments.ENVELOPE_HOP)))
    covariances = np.zeros((2, segments.n_segments(n, segments.MOTION_HOP)))
    segments.hear_band(
        envelopes,
        motions,
        place,
        threshold,
        hair_cells.adaptation(),
        (pair.streams[band].copy(), pair.streams[ear.N_BANDS + band].copy()),
        segments.windows(),
        hair_cells.scratch(),
        smoothed,
        covariances,
    )
    return Band(smoothed, covariances[0], covariances[1], np.sqrt(np.array(sums) / n), control_rms)
