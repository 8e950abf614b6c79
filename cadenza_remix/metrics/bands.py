"""A reference and what is compared with it through the same ear, each band in a thread of its own.

What the bands must know of each other is found first (`hear`): the delays of the filters, which hang on the
reference's level, and where each band's noise begins in the one stream. After that they are independent, so
the number of threads changes nothing. References: as in `ear`; checked against pyclarity 0.9.0 (`ear_model`).
"""

from collections.abc import Sequence
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
    """What is kept of one band; row 0 is the reference, the others are the processed signals.

    Attributes:
        smoothed_db: (rows, segments), envelopes above threshold.
        covariances: (processed signals, segments), of the reference's vibration with each processed signal's.
        mean_squares: (segments,), of the reference's vibration.
        signal_rms: (rows,), of the signal filters' envelopes.
        control_rms: (rows,), of the control filters' envelopes.
    """

    smoothed_db: Floats
    covariances: Floats
    mean_squares: Floats
    signal_rms: Floats
    control_rms: Floats


class Heard(NamedTuple):
    """Signals behind the middle ear and the ear that hears them.

    Attributes:
        signals: (rows, samples) at 24 kHz, the reference and, aligned to it, each processed signal. Rows go
            through the cochlea in twos, so silence joins an odd one out.
        n_processed: how many rows after the first are signals.
        loss: of the ear.
        level_of_rms_1_db_spl: calibration.
        longest_delay: samples, of the reference's slowest filter; the other bands wait for it.
        streams: 64, the noise of each band of the reference, then of any processed signal.
    """

    signals: Floats
    n_processed: int
    loss: ear.CochlearLoss
    level_of_rms_1_db_spl: float
    longest_delay: int
    streams: list[noise.NormalStream]


def hear(
    pool: ThreadPoolExecutor,
    reference: Floats,
    processed: Sequence[Floats],
    loss: ear.CochlearLoss,
    level_of_rms_1_db_spl: float,
    stream: noise.NormalStream,
) -> Heard:
    """Align equally long signals, bring them through the middle ear, and find what all bands must know.

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
    signals = np.zeros((len(processed) + 1 + (len(processed) + 1) % 2, n))

    def align(row: int) -> None:
        signals[row] = ear.middle_ear(alignment.align_broadband(reference, processed[row - 1])[part])

    aligned = pool.map(align, range(1, len(processed) + 1))
    signals[0] = ear.middle_ear(reference[part])
    delay = longest_delay(signals[0], loss, level_of_rms_1_db_spl)
    list(aligned)
    return Heard(signals, len(processed), loss, level_of_rms_1_db_spl, delay, streams.result())


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


def analyse_bands(pool: ThreadPoolExecutor, heard: Heard, threads: int) -> list[Band]:
    """Analyse all bands; each thread keeps its memory from band to band, for fresh pages cost time."""
    free: SimpleQueue[tuple[Floats, Floats]] = SimpleQueue()
    for _ in range(threads):
        free.put((np.empty_like(heard.signals), np.empty_like(heard.signals)))

    def work(band: int) -> Band:
        envelopes, motions = free.get()
        try:
            return analyse(heard, band, envelopes, motions)
        finally:
            free.put((envelopes, motions))

    return list(pool.map(work, range(ear.N_BANDS)))


def analyse(heard: Heard, band: int, envelopes: Floats, motions: Floats) -> Band:
    """Everything that concerns one band alone; `envelopes` and `motions` (rows, samples) are overwritten."""
    rows, n = heard.signals.shape
    signal_rms, control_rms, widths = compress(heard, band, envelopes, motions)
    delays = np.zeros((2, rows), np.int64)
    for kind, signals in enumerate((envelopes, motions)):
        delays[kind, 1 : heard.n_processed + 1] = alignment.band_delays(signals, heard.n_processed)
    wait = heard.longest_delay - ear.group_delay(band, widths[0])
    level_db_spl = heard.level_of_rms_1_db_spl
    threshold = hair_cells.Threshold(
        level_db_spl - float(heard.loss.inner_attenuation_db[band]),
        10 ** ((NOISE_DB_SL - level_db_spl) / 20),
    )
    smoothed = np.zeros((rows, segments.n_segments(n, segments.ENVELOPE_HOP)))
    covariances = np.zeros((heard.n_processed, 2, segments.n_segments(n, segments.MOTION_HOP)))
    segments.hear_band(
        envelopes,
        motions,
        hair_cells.Placement(delays[0], delays[1], wait),
        threshold,
        hair_cells.adaptation(),
        (heard.streams[band].copy(), heard.streams[ear.N_BANDS + band].copy()),
        segments.windows(),
        hair_cells.scratch(rows),
        smoothed,
        covariances,
    )
    return Band(smoothed, covariances[:, 0], covariances[0, 1], signal_rms, control_rms)


def compress(
    heard: Heard, band: int, envelopes: Floats, motions: Floats
) -> tuple[Floats, Floats, list[float]]:
    """Filter and compress all signals, two by two, into `envelopes` and `motions` (rows, samples).

    Returns:
        RMS of each row's envelope behind the signal filter and behind the control filter, and the signal
        filter's bandwidth.
    """
    rows, n = heard.signals.shape
    level_db_spl, radians = heard.level_of_rms_1_db_spl, ear.radians(band)
    narrowest, widest = float(heard.loss.bandwidths[band]), ear.widest(band)
    control = ear.gammatone(band, widest)
    compression = ear.compression(heard.loss, band, level_db_spl)
    signal_rms, control_rms, widths = np.empty(rows), np.empty(rows), []
    for row in range(0, rows, 2):
        two = slice(row, row + 2)
        signals = (heard.signals[row], heard.signals[row + 1], radians)
        powers = cochlea.control_powers(*signals, control, envelopes[two])
        control_rms[two] = np.sqrt(np.array(powers) / n)
        widths += [ear.widened(float(rms), narrowest, widest, level_db_spl) for rms in control_rms[two]]
        filters = (ear.gammatone(band, widths[row]), ear.gammatone(band, widths[row + 1]))
        sums = cochlea.compress_band(
            *signals, filters, control.gain, compression, envelopes[two], motions[two]
        )
        signal_rms[two] = np.sqrt(np.array(sums) / n)
    return signal_rms, control_rms, widths
