"""A limiter whose bands give way where it costs the listener least.

A hearing aid for a severe loss amplifies music far beyond full scale, and turning it all down makes it
inaudible again. So, per ear:

1. Bands that the ear hardly hears are turned down for the whole piece, as far as the highest peak asks for
   (`audibility`): amplification for what stays inaudible anyway takes room from the rest.
2. Loud bands are slowly turned down while the level is too high, the loudest most: gains averaged over a
   second keep the modulations by which quality is judged (20 to 125 Hz; Kates & Arehart 2016), and do not
   pump. An ear that hears little above its threshold is turned down less.
3. What still exceeds full scale goes to another limiter, by default the one that clips with the least audible
   error.

References:
    Kates & Arehart (2016): The Hearing-Aid Audio Quality Index (HAAQI). IEEE/ACM TASLP 24(2), 354–365.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from cadenza_remix.audio import Float
from cadenza_remix.errors import ConfigError
from cadenza_remix.limit.audibility import cheapest_attenuations_db, sensation_levels_db
from cadenza_remix.limit.bands import FilterBank
from cadenza_remix.limit.base import Limiter
from cadenza_remix.limit.perceptual import PerceptualClip
from cadenza_remix.limit.smoothing import hann_average
from cadenza_remix.listener import Audiogram, Listener

Floats = npt.NDArray[np.float64]

SILENCE = 1e-20  # power that stands for none


@dataclass(frozen=True)
class Multiband:
    """Multiband limiter; not causal, as it looks at the whole piece.

    Attributes:
        level_of_rms_1_db_spl: the sound pressure level that an RMS of 1 stands for; 4 dB more than in
            `PerceptualClip`, since what lies just below the threshold comes above it in louder moments.
        peak_drive_db: peaks this far over full scale are left to the later steps by the first.
        price: the most that the first step may pay, in dB² for all the power there is.
        ceiling_db: RMS re full scale above which the second step acts.
        slope: of loud bands' levels over the water line, how many dB the second step takes per dB.
        smoothing_s: length of the window that levels are averaged over.
        audible_share: of the ear's mean level above threshold, how much the second step may take.
        drive_db: gain before the last step.
        final: the limiter of the last step.

    Raises:
        ConfigError: if `slope` is not above 0 and at most 1.
    """

    level_of_rms_1_db_spl: float = 86.0
    peak_drive_db: float = 18.0
    price: float = 50.0
    ceiling_db: float = -6.0
    slope: float = 0.15
    smoothing_s: float = 1.0
    audible_share: float = 0.6
    drive_db: float = 0.0
    final: Limiter = field(default_factory=PerceptualClip)

    def __post_init__(self) -> None:
        """Refuse a slope that no water line belongs to."""
        if not 0 < self.slope <= 1:
            raise ConfigError(f"limiter.slope is {self.slope}; give a number above 0, at most 1.")

    def __call__(self, signal: NDArray[Float], listener: Listener, *, sample_rate: int) -> NDArray[Float]:
        """Limit a `(2, samples)` signal to |y| ≤ 1; an ear within full scale comes back unchanged."""
        bank = FilterBank(sample_rate)
        ears = zip(signal, listener.ears, strict=True)
        fitted = np.stack([self.fit_ear(ear, audiogram, bank) for ear, audiogram in ears])
        return self.final(fitted, listener, sample_rate=sample_rate)

    def fit_ear(self, ear: NDArray[Float], audiogram: Audiogram, bank: FilterBank) -> NDArray[Float]:
        """The first two steps, for one ear of `(samples,)`."""
        peak = np.abs(ear).max(initial=0)
        if peak <= 1:
            return ear
        powers = bank.powers(ear).astype(np.float64)
        levels_db = sensation_levels_db(powers, audiogram, bank, self.level_of_rms_1_db_spl)
        mean = powers.mean(axis=0)
        allowed = (10 ** (self.peak_drive_db / 20) / peak) ** 2
        fixed = np.ones(len(mean))
        if allowed < 1:
            fixed = 10 ** (-cheapest_attenuations_db(levels_db, mean, share=allowed, price=self.price) / 20)
        mean_levels_db = sensation_levels_db(mean, audiogram, bank, self.level_of_rms_1_db_spl)
        most_db = self.audible_share * audible_mean_db(mean_levels_db)
        slow = self.level_gains(powers * fixed**2, bank, most_db)
        return bank.amplified(ear, 10 ** (self.drive_db / 20) * fixed * slow)

    def level_gains(self, powers: Floats, bank: FilterBank, most_db: float) -> Floats:
        """Slow gains that bring (frames, bands) powers under the ceiling, by at most `most_db`."""
        reach = round(self.smoothing_s * bank.frame_rate) // 2
        smoothed = np.maximum(hann_average(powers.T, reach).T, SILENCE)
        ceiling = 10 ** (self.ceiling_db / 10)
        total = smoothed.sum(axis=1)
        target = np.clip(ceiling / total, 10 ** (-most_db / 10), 1) * total
        return lowered(smoothed, target, self.slope)


def audible_mean_db(levels_db: Floats) -> float:
    """Mean of (bands,) levels above threshold over the bands that are heard at all."""
    return float(levels_db[levels_db > 0].mean()) if levels_db.any() else 0.0


def lowered(powers: Floats, target: Floats, slope: float) -> Floats:
    """Gains that lower (frames, bands) powers to `target` (frames,) in sum, the loudest bands most.

    Bands above a common water line come closer to it by `slope` dB per dB; the line is found by bisection.
    """
    levels = np.log(powers)
    low, high = levels.min(axis=1) + np.log(target / powers.sum(axis=1)) / slope, levels.max(axis=1)
    for _ in range(40):
        line = (low + high) / 2
        remaining = np.sum(powers * np.exp(-slope * np.maximum(levels - line[:, np.newaxis], 0)), axis=1)
        enough = remaining <= target
        low, high = np.where(enough, line, low), np.where(enough, high, line)
    return np.asarray(np.exp(-slope / 2 * np.maximum(levels - high[:, np.newaxis], 0)))
