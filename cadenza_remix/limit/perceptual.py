"""Clipping whose error goes where the ear notices it least.

Cutting a signal off at full scale adds an error that spreads over all frequencies, and buries quiet bands.
Here the limited signal y is, among all with |y| ≤ 1, the one that comes closest to the signal x in a weighted
sense: an error counts by how far it stands out, against the band's own level at that moment, against louder
bands below it, which mask it, and against the threshold of the ear. That is a convex problem (Defraene et al.
2012, who weigh by the masking of a normal ear), and Nesterov's accelerated gradient method solves it: a step
takes the weighted error off and cuts at full scale again. Each frame's weights are scaled to 1 at most, which
makes 1 the right length of a step everywhere. HAAQI gains 0.003 between 20 and 50 steps; 40 keep a quiet tone
steady beside loud bass.

References:
    Defraene, van Waterschoot, Ferreau, Diehl & Moonen (2012): Real-time perception-based clipping of audio
        signals using convex optimization. IEEE TASLP 20(10), 2657–2671.
    Beck & Teboulle (2009): A fast iterative shrinkage-thresholding algorithm. SIAM J. Imaging Sciences 2(1),
        183–202.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from cadenza_remix.audio import Float
from cadenza_remix.limit.audibility import thresholds_db
from cadenza_remix.limit.bands import FilterBank
from cadenza_remix.listener import Audiogram, Listener


@dataclass(frozen=True)
class PerceptualClip:
    """Cut off at full scale with the least audible error; not causal, as frames of 32 ms are weighed as one.

    Attributes:
        steps: of the gradient method; 0 is a plain clip.
        exponent: of power in the weights; 0 weighs all bands alike, 1 by their signal-to-error ratio.
        masking_slope_db: by how much masking falls from each band, about an equivalent rectangular bandwidth
            wide, to the next higher one; steep in a normal ear at low levels, shallow in loud sound.
        level_of_rms_1_db_spl: the sound pressure level that an RMS of 1 stands for, as far as it is known:
            the challenge plays the music before amplification at 65 dB SPL, about -17 dB full scale.
    """

    steps: int = 40
    exponent: float = 0.5
    masking_slope_db: float = 4.0
    level_of_rms_1_db_spl: float = 82.0

    def __call__(self, signal: NDArray[Float], listener: Listener, *, sample_rate: int) -> NDArray[Float]:
        """Limit a `(2, samples)` signal to |y| ≤ 1; an ear within full scale comes back unchanged."""
        bank = FilterBank(sample_rate)
        ears = zip(signal, listener.ears, strict=True)
        return np.stack([self.clip_ear(ear, audiogram, bank) for ear, audiogram in ears])

    def clip_ear(self, ear: NDArray[Float], audiogram: Audiogram, bank: FilterBank) -> NDArray[Float]:
        """Limit one ear of `(samples,)`."""
        clipped = np.clip(ear, -1, 1)
        if np.array_equal(clipped, ear):
            return clipped
        weights = self.weights(bank.powers(ear), audiogram, bank)
        ahead, momentum = clipped, 1.0
        for _ in range(self.steps):
            previous, last = clipped, momentum
            clipped = np.clip(ahead - bank.amplified(ahead - ear, weights), -1, 1)
            momentum = (1 + math.sqrt(1 + 4 * last**2)) / 2
            ahead = clipped + ear.dtype.type((last - 1) / momentum) * (clipped - previous)
        return clipped

    def weights(self, powers: npt.NDArray[Float], audiogram: Audiogram, bank: FilterBank) -> NDArray[Float]:
        """How much an error counts in (frames, bands) of these powers; at most 1 in every frame."""
        threshold = 10 ** ((thresholds_db(audiogram, bank) - self.level_of_rms_1_db_spl) / 10)
        weights = (masking(powers, self.masking_slope_db) + threshold) ** -self.exponent
        return np.asarray(weights / weights.max(axis=1, keepdims=True), dtype=powers.dtype)


def masking(powers: npt.NDArray[Float], slope_db: float) -> NDArray[Float]:
    """The powers of (frames, bands), raised to what reaches them from lower bands."""
    raised, fall = powers.copy(), powers.dtype.type(10 ** (-slope_db / 10))
    for band in range(1, raised.shape[1]):
        np.maximum(raised[:, band], fall * raised[:, band - 1], out=raised[:, band])
    return raised
