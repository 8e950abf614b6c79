"""What an ear hears of amplified music, band by band, and which attenuation it would miss least.

Levels above threshold are estimated from the audiogram and the middle ear of HAAQI's model; compression in
the cochlea is left out. A band that becomes softer but stays audible keeps its modulations; where it falls
below the threshold they are gone.

References:
    Kates (2013): An auditory model for intelligibility and quality predictions. Proc. Meetings on
        Acoustics 19, 050184.
"""

import numpy as np
import numpy.typing as npt

from cadenza_remix.limit.bands import FilterBank
from cadenza_remix.listener import Audiogram

Floats = npt.NDArray[np.float64]

MIDDLE_EAR_HZ = (350.0, 5000.0)  # high-pass of order 2, low-pass of order 1
ATTENUATIONS_DB = np.arange(25.0)  # what a band may be given
LOUDNESS_WEIGHT = 5.0  # dB² of lost modulation that a mean loss of 1 dB counts as
LOWEST_HZ = 20.0  # where the middle ear's attenuation is read for what lies below
SILENCE = 1e-12  # power that stands for none


def thresholds_db(audiogram: Audiogram, bank: FilterBank) -> Floats:
    """(bands,): sound pressure level that each band needs to be heard."""
    frequencies_hz = np.maximum(bank.frequencies_hz(), LOWEST_HZ)
    high_pass, low_pass = (frequencies_hz / edge for edge in MIDDLE_EAR_HZ)
    middle_ear_db = 10 * np.log10(1 + high_pass**-4) + 10 * np.log10(1 + low_pass**2)
    threshold_db = np.maximum(audiogram.at(frequencies_hz.tolist()), 0) + middle_ear_db
    return bank.means(threshold_db)


def sensation_levels_db(
    powers: Floats, audiogram: Audiogram, bank: FilterBank, level_of_rms_1_db_spl: float
) -> Floats:
    """Levels above threshold of (frames, bands) powers, 0 for what is not heard."""
    level_db_spl = 10 * np.log10(np.maximum(powers, SILENCE)) + level_of_rms_1_db_spl
    return np.maximum(level_db_spl - thresholds_db(audiogram, bank), 0)


def losses(levels_db: Floats) -> Floats:
    """What attenuating a band costs, in dB².

    Args:
        levels_db: (frames, bands), above threshold, 0 for what is not heard.

    Returns:
        (attenuations, bands), for each of `ATTENUATIONS_DB`.
    """
    lost_db = (np.minimum(levels_db, attenuation) for attenuation in ATTENUATIONS_DB)
    return np.array([lost.var(axis=0) + LOUDNESS_WEIGHT * lost.mean(axis=0) for lost in lost_db])


def cheapest_attenuations_db(levels_db: Floats, powers: Floats, *, share: float, price: float) -> Floats:
    """The attenuations that bring the power to a share of what it is and cost least.

    Each band takes the attenuation with the least cost plus price times remaining power; the price is raised
    until the power is low enough, or as far as it may go.

    Args:
        levels_db: (frames, bands), above threshold.
        powers: (bands,), mean squares.
        share: of the power that may remain.
        price: the most that may be paid, in dB² for all the power there is.

    Returns:
        (bands,), smoothed over neighbours.
    """
    cost, bands = losses(levels_db), np.arange(len(powers))
    remaining = 10 ** (-ATTENUATIONS_DB[:, np.newaxis] / 10) * (powers / powers.sum())
    low, high = np.log(price) - 30, np.log(price)
    for _ in range(30):  # bisection, to a billionth
        middle = (low + high) / 2
        taken = (cost + np.exp(middle) * remaining).argmin(axis=0)
        low, high = (low, middle) if remaining[taken, bands].sum() <= share else (middle, high)
    chosen = ATTENUATIONS_DB[(cost + np.exp(high) * remaining).argmin(axis=0)]
    return np.convolve(np.pad(chosen, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")
