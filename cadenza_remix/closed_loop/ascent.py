"""Limited music, changed little by little into what sounds most like the music before the limiter.

What HAAQI says of a signal has a slope: how it would change with every single sample (`metrics.similarity`).
From what a limiter gives, one climbs: a step along the slope, cut off at full scale, and again, as long as it
goes up. The limiter's own rules only have to find a place from which to climb. It is the projected gradient
method that `PerceptualClip` uses too, with the ear's whole judgement in place of a weighted error.

The slope is steep where the music is soft, since levels are heard in decibels; so it is weighted by the
music's own spectrum and follows its envelope, and a step changes soft and loud bands and moments alike.

References:
    Defraene, van Waterschoot, Ferreau, Diehl & Moonen (2012): Real-time perception-based clipping of audio
        signals using convex optimization. IEEE TASLP 20(10), 2657–2671.
    Polyak (1964): Some methods of speeding up the convergence of iteration methods. USSR Computational
        Mathematics and Mathematical Physics 4(5), 1–17 (momentum).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cadenza_remix.audio import Float
from cadenza_remix.ear import EAR_Q, MIN_BANDWIDTH_HZ
from cadenza_remix.errors import ConfigError
from cadenza_remix.limit import Limiter
from cadenza_remix.limit.smoothing import hann_average
from cadenza_remix.listener import Audiogram, Listener
from cadenza_remix.metrics.similarity import Similarity

SHORTENING = 0.4  # of the step, where it went down
SHORTEST_BLOCK_S = 0.5
ENVELOPE_S = 0.01  # to either side of a sample, of what counts for the envelope there
FLATTEST = 1e-4  # of the slope's highest local RMS: what is less counts as little more
FLOOR = 1e-3  # of the spectrum's peak: what is weaker counts as that


@dataclass(frozen=True)
class Ascent:
    """Climbs from what the limiter gives; each ear, and each block of a long piece, on its own.

    Attributes:
        steps: tried at most.
        step: RMS of the first one, of full scale.
        momentum: how much of the last step goes into the next.
        tilt: exponent of the music's power spectrum, which weighs the slope.
        block_s: pieces that are climbed one by one; memory grows with them, some 25 MB a second.
        overlap_s: of blocks, one fading into the next.

    Raises:
        ConfigError: if there is no step, a number is out of its range, or blocks are too short.
    """

    steps: int = 10
    step: float = 0.02
    momentum: float = 0.7
    tilt: float = 0.75
    block_s: float = 10.0
    overlap_s: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what climbs nothing."""
        if self.steps < 1:
            raise ConfigError(f"closed_loop.steps is {self.steps}; give 1 or more, or say ~closed_loop.")
        if not 0 < self.step < np.inf:
            raise ConfigError(f"closed_loop.step is {self.step}; give a number above 0, such as 0.02.")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"closed_loop.momentum is {self.momentum}; give a number from 0 to below 1.")
        if not 0 <= self.tilt <= 2:
            raise ConfigError(f"closed_loop.tilt is {self.tilt}; give a number from 0 to 2.")
        if not (max(2 * self.overlap_s, SHORTEST_BLOCK_S) < self.block_s < np.inf and self.overlap_s > 0):
            raise ConfigError(
                f"closed_loop.block_s is {self.block_s} and closed_loop.overlap_s {self.overlap_s}; blocks "
                f"should be longer than two overlaps and than {SHORTEST_BLOCK_S} s, and overlaps above 0."
            )

    def __call__(
        self,
        limiter: Limiter,
        amplified: NDArray[Float],
        listener: Listener,
        *,
        sample_rate: int,
        level_of_rms_1_db_spl: Sequence[float],
    ) -> NDArray[Float]:
        """Limit a `(2, samples)` signal; see `ClosedLoop`."""
        torch.set_num_threads(1)  # sums of several threads' sums depend on how many there are
        limited = limiter(amplified, listener, sample_rate=sample_rate)
        ears = zip(limited, amplified, listener.ears, level_of_rms_1_db_spl, strict=True)
        return np.stack([self.climb_ear(*ear, sample_rate=sample_rate) for ear in ears])

    def climb_ear(
        self,
        limited: NDArray[Float],
        amplified: NDArray[Float],
        audiogram: Audiogram,
        level_of_rms_1_db_spl: float,
        *,
        sample_rate: int,
    ) -> NDArray[Float]:
        """One ear of `(samples,)`, block by block."""
        climbed = limited.copy()
        overlap = round(self.overlap_s * sample_rate)
        for start, stop in blocks(len(limited), round(self.block_s * sample_rate), overlap):
            part = slice(start, stop)
            found = limited[part]
            if np.abs(amplified[part]).max() > 1:
                similarity = Similarity(
                    amplified[part],
                    audiogram,
                    sample_rate=sample_rate,
                    level_of_rms_1_db_spl=level_of_rms_1_db_spl,
                )
                if similarity.is_defined:
                    found = self.climb(similarity, found, sample_rate=sample_rate)
            fade = np.minimum(1, np.arange(1, len(found) + 1) / overlap if start else 1)
            climbed[part] += (found - climbed[part]) * fade.astype(found.dtype)
        return climbed

    def climb(self, similarity: Similarity, limited: NDArray[Float], *, sample_rate: int) -> NDArray[Float]:
        """The best that is found from a `(samples,)` signal on, within full scale."""
        signal = torch.tensor(limited, dtype=torch.float32)
        spectrum = smoothed_spectrum(limited, sample_rate)
        weights = torch.tensor(spectrum**self.tilt, dtype=torch.float32)
        reach = round(ENVELOPE_S * sample_rate)
        envelope = local_rms(limited, reach)
        best, highest, step, motion = signal.detach(), -np.inf, self.step, torch.zeros_like(signal)
        slope = motion
        for _ in range(self.steps + 1):
            signal.requires_grad_(True)
            score = similarity(signal)
            if score.item() > highest:
                best, highest = signal.detach(), score.item()
                slope = weighted(torch.autograd.grad(score, signal)[0], weights)
                slope = unit_rms(following(envelope, slope, reach))
                motion = self.momentum * motion + slope
            else:
                step, motion = SHORTENING * step, slope
            signal = (best + step * motion).clamp(-1, 1)
        return best.numpy().astype(limited.dtype)


def blocks(samples: int, length: int, overlap: int) -> list[tuple[int, int]]:
    """Where blocks begin and end; the last is at most half as long again, the others overlap."""
    starts = range(0, max(samples - length // 2, 1), length - overlap)
    stops = [start + length for start in starts[:-1]] + [samples]
    return list(zip(starts, stops, strict=True))


def smoothed_spectrum(signal: NDArray[Float], sample_rate: int) -> NDArray[np.float64]:
    """Power spectrum (samples / 2 + 1,) of a signal, averaged over auditory bandwidths, its peak about 1."""
    power = np.abs(np.fft.rfft(signal)) ** 2
    frequencies_hz = np.fft.rfftfreq(len(signal), 1 / sample_rate)
    bandwidths = EAR_Q * np.log1p(frequencies_hz / (EAR_Q * MIN_BANDWIDTH_HZ))
    # Of a short signal some places have no frequency.
    _, place = np.unique(bandwidths.astype(np.intp), return_inverse=True)
    sums, counts = np.bincount(place, power), np.bincount(place)
    means = np.interp(bandwidths, np.bincount(place, bandwidths) / counts, sums / counts)
    return np.asarray(means / means.max() + FLOOR)


def weighted(signal: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """A signal with its spectrum weighted."""
    filtered: torch.Tensor = torch.fft.irfft(torch.fft.rfft(signal) * weights, len(signal))
    return filtered


def local_rms(signal: NDArray[Float], reach: int) -> NDArray[np.float64]:
    """RMS (samples,) of a signal around each sample."""
    squares = np.square(signal, dtype=np.float64)[np.newaxis]
    return np.asarray(np.sqrt(np.maximum(hann_average(squares, reach)[0], 0)))


def following(envelope: NDArray[np.float64], slope: torch.Tensor, reach: int) -> torch.Tensor:
    """A slope whose local RMS follows an envelope, but where it is nearly nothing."""
    own = local_rms(slope.numpy(), reach)
    gains = envelope / np.maximum(own + FLATTEST * own.max(), np.finfo(np.float64).tiny)
    return slope * torch.tensor(gains, dtype=torch.float32)


def unit_rms(signal: torch.Tensor) -> torch.Tensor:
    """A signal scaled to an RMS of 1; silence stays silence."""
    rms: torch.Tensor = torch.linalg.vector_norm(signal) / len(signal) ** 0.5
    scaled: torch.Tensor = signal / rms.clamp(min=torch.finfo(signal.dtype).tiny)
    return scaled
