"""Separation without learned weights: soft masks from what is known of instruments and mixing.

In every bin of a short-time Fourier transform, each source gets odds, and the four are normalized to
masks that are not negative and sum to one, so the stems sum to the mixture. The odds multiply:

- Range: bass below the lowest notes of a voice, vocals and other above it, cymbals at the top.
- Percussion: ridges across frequency rather than along time go to drums (FitzGerald 2010).
- Center: lead vocals are mixed to the center, so the sum of both loudspeaker channels outweighs their
  difference. At the ears a head has mixed the two channels; a rigid sphere between loudspeakers at
  ±30 degrees says how much of the sum and of the difference is left at each frequency.
- Sustain: over a third of a second an instrument's note stays in its bins and a sung or spoken one
  moves through them, so what is steady there goes to other (Driedger & Müller 2015).

What is left undecided stays where `none` has it: a quarter in each stem.

Spectra are `(ears, frequencies, frames)` or, where both ears share a mask, `(frequencies, frames)`.

References:
    FitzGerald (2010), "Harmonic/percussive separation using median filtering", Proc. DAFx.
    Driedger & Müller (2015), "Extracting singing voice from music recordings by cascading audio
    decomposition techniques", Proc. ICASSP.
    Duda & Martens (1998), "Range dependence of the response of a spherical head model",
    J. Acoust. Soc. Am. 104, 3048-3058.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter, uniform_filter
from scipy.signal import istft, stft

from cadenza_remix.demix.base import SOURCES, Stems
from cadenza_remix.errors import AudioError
from cadenza_remix.sphere import sphere_impulse_responses

Array = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]
Floats = npt.NDArray[np.floating[Any]]

WINDOW = 4096  # samples, 93 ms: harmonics of a low voice are apart
HOP = WINDOW // 4
LONG = 4  # the window that judges sustain is so many times longer, 372 ms, and so is its hop
RIDGE_FRAMES, LONG_RIDGE_FRAMES = 17, 7  # 0.4 and 0.65 s: a harmonic lasts at least half of this
RIDGE_BINS = 31  # 334 and 83 Hz: a percussive sound fills at least half of this
CONTEXT = 32768  # samples, 0.74 s: a mask depends on no sound further away; a multiple of LONG * HOP
SPEAKERS_DEGREES = 30.0
CENTER_BELOW_HZ = 3000.0  # above, ears and angles differ too much from a sphere's
MAX_LOG_ODDS = 3.0  # no single cue is trusted beyond 20 : 1
# Odds of the ranges, vocals and other being 1 where they live.
BASS, DRUMS_BELOW, DRUMS_ABOVE, RARE = map(np.float32, (5.0, 0.2, 2.5, 2e-4))
FLOOR = np.float32(1e-12)  # of a power, -120 dB re full scale: silence gives even odds


@dataclass(frozen=True)
class Spectral:
    """Soft masks from frequency, percussion, center and sustain; no learned weights.

    The constants are round figures about music in general, set by hand while looking at ten songs at six
    heads; nothing was fitted, but those songs are no longer unseen.

    Attributes:
        bass_below_hz: where bass ends.
        voice_above_hz: where vocals begin; other begins an octave lower.
        drums_above_hz: where cymbals take over; vocals and other fade out there.
        percussion: exponent of that cue's odds; 0 ignores the cue.
        center: likewise.
        sustain: likewise.
        confidence: 0 to 1, how far the masks may leave a quarter each.
        block_s: s of sound held in memory at once; the result does not depend on it.
    """

    bass_below_hz: float
    voice_above_hz: float
    drums_above_hz: float
    percussion: float
    center: float
    sustain: float
    confidence: float
    block_s: float
    sources: tuple[str, ...] = field(default=SOURCES, init=False)
    sample_rate: int = field(default=44100, init=False)
    channels: int = field(default=2, init=False)
    causal: bool = field(default=False, init=False)
    training_data: str = field(default="none", init=False)
    allowed_by_rules: bool = field(default=True, init=False)

    def __call__(self, mixture: Array) -> Stems:
        """Separate a `(2, samples)` mixture into stems that sum to it.

        Raises:
            AudioError: if the mixture is not two ears, or not finite.
        """
        check(mixture)
        stems = {source: np.empty(mixture.shape, np.float32) for source in self.sources}
        for start, stop in blocks(mixture.shape[1], round(self.block_s * self.sample_rate)):
            # Neighbors on both sides make a block's masks those of the whole track.
            first = max(start - CONTEXT, 0)
            block = mixture[:, first : stop + CONTEXT]
            for source, stem in self._separate(block).items():
                stems[source][:, start:stop] = stem[:, start - first : stop - first]
        return stems

    def _separate(self, block: Array) -> Stems:
        spectrum = transform(block, WINDOW, HOP)
        odds = self._odds(block, spectrum)
        total = sum(odds.values())
        stems: Stems = {}
        for source in self.sources:
            mask = self.confidence * odds[source] / total + (1 - self.confidence) / len(odds)
            _, stem = istft(spectrum * mask, nperseg=WINDOW, noverlap=WINDOW - HOP)
            stems[source] = stem[:, : block.shape[1]].astype(np.float32)
        return stems

    def _odds(self, block: Array, spectrum: Spectrum) -> dict[str, Floats]:
        """Odds of each source in each bin, `(frequencies, frames)`; only their ratios matter."""
        power = (np.abs(spectrum) ** 2).mean(0) + FLOOR
        percussive = 1 / odds_of_ridges(power, RIDGE_FRAMES)
        sustained = sustain(block, n_frames=spectrum.shape[2])
        frequencies_hz = np.fft.rfftfreq(WINDOW, 1 / self.sample_rate)
        central = center(spectrum, self.sample_rate)
        # A cue that speaks for vocals speaks as much against other: each gets the square root.
        central = central ** (self.center / 2 * below(frequencies_hz, CENTER_BELOW_HZ, order=4))
        voice = central * sustained ** (-self.sustain / 2)
        ranges = self._ranges(frequencies_hz)
        return {
            "vocals": ranges["vocals"] * voice,
            "drums": ranges["drums"] * percussive**self.percussion,
            "bass": ranges["bass"] * np.ones_like(voice),
            "other": ranges["other"] / voice,
        }

    def _ranges(self, frequencies_hz: Floats) -> dict[str, Floats]:
        """What each source is worth at each frequency before anything is heard, `(frequencies, 1)`."""
        low = below(frequencies_hz, self.bass_below_hz, order=6)
        top = 1 - below(frequencies_hz, self.drums_above_hz, order=4)
        voice = 1 - below(frequencies_hz, self.voice_above_hz, order=6)
        other = 1 - below(frequencies_hz, self.voice_above_hz / 2, order=4)
        return {
            "vocals": voice * (1 - top) + RARE,
            "drums": DRUMS_BELOW + DRUMS_ABOVE * top,
            "bass": BASS * low + RARE,
            "other": other * (1 - top) + RARE,
        }


def check(mixture: Array) -> None:
    """Refuse what two ears cannot have heard."""
    if mixture.ndim != 2 or mixture.shape[0] != 2:
        raise AudioError(
            f"The mixture has shape {mixture.shape}; spectral compares two ears: give (2, samples)."
        )
    if not np.isfinite(mixture).all():
        bad = np.count_nonzero(~np.isfinite(mixture))
        raise AudioError(
            f"The mixture holds {bad} samples that are not finite; all must be numbers: "
            "replace the file it came from."
        )


def blocks(n_samples: int, block_samples: int) -> Iterator[tuple[int, int]]:
    """Start and stop of each block; all start on the frames' grid, so blocks share their frames."""
    step = max(block_samples // (LONG * HOP), 1) * LONG * HOP
    for start in range(0, n_samples, step):
        yield start, min(start + step, n_samples)


def transform(signal: Array, window: int, hop: int) -> Spectrum:
    """Short-time Fourier transform of `(ears, samples)`; frame k is centered on sample k * hop."""
    missing = max(window - signal.shape[1], 0)
    padded = np.pad(signal, ((0, 0), (0, missing)))
    _, _, spectrum = stft(padded, nperseg=window, noverlap=window - hop)
    return spectrum.astype(np.complex64, copy=False)


def below(frequencies_hz: Floats, edge_hz: float, *, order: int) -> Array:
    """1 below an edge, 1/2 on it, 0 above, `(frequencies, 1)`: a Butterworth power response."""
    return (1 / (1 + (frequencies_hz[:, None] / edge_hz) ** order)).astype(np.float32)


def bounded(odds: Array) -> Array:
    """Odds kept from claiming more than a cue can know."""
    limit = np.float32(np.exp(MAX_LOG_ODDS))
    return np.clip(odds, 1 / limit, limit)


def odds_of_ridges(power: Array, n_frames: int) -> Array:
    """Odds that a bin belongs to a ridge along time, not across frequency (FitzGerald 2010).

    Args:
        power: (frequencies, frames), above zero.
        n_frames: how many frames the median along time takes in.
    """
    along_time = median_filter(power, (1, n_frames))
    across_frequency = median_filter(power, (RIDGE_BINS, 1))
    return bounded(along_time / across_frequency)


def sustain(block: Array, *, n_frames: int) -> Array:
    """Odds that a bin holds a steady note, judged with a longer window and brought to our bins."""
    spectrum = transform(block, LONG * WINDOW, LONG * HOP)
    power = (np.abs(spectrum) ** 2).mean(0) + FLOOR
    odds = odds_of_ridges(power, LONG_RIDGE_FRAMES)
    steady = uniform_filter(power * odds / (1 + odds), (LONG, 1))[::LONG]
    all_ = uniform_filter(power, (LONG, 1))[::LONG]
    nearest = np.minimum((np.arange(n_frames) + LONG // 2) // LONG, power.shape[1] - 1)
    return bounded(steady / np.maximum(all_ - steady, FLOOR))[:, nearest]


def center(spectrum: Spectrum, sample_rate: int) -> Array:
    """Odds that a bin comes from between the loudspeakers: sum against difference of their signals.

    A symmetric head leaves the ears' sum proportional to the loudspeakers' sum, and the difference
    likewise; dividing by those two gains undoes the head as far as it is a sphere.
    """
    left, right = spectrum
    sum_gain, difference_gain = head_gains(sample_rate)
    sum_ = power_around(left + right) / sum_gain
    difference = power_around(left - right) / difference_gain
    return bounded((sum_ + FLOOR) / (difference + FLOOR))


def power_around(spectrum: Spectrum) -> Array:
    """Power averaged over a bin and its eight neighbors."""
    return uniform_filter(np.abs(spectrum) ** 2, 3)


@functools.cache
def head_gains(sample_rate: int) -> tuple[Array, Array]:
    """Power gains from the loudspeakers' sum and difference to the ears', each `(frequencies, 1)`."""
    responses = sphere_impulse_responses(SPEAKERS_DEGREES, sample_rate=sample_rate)
    far, near = np.fft.rfft(responses, WINDOW)
    gains = np.abs(np.stack([near + far, near - far])) ** 2
    # No gain is so small that dividing by it would make something of rounding errors.
    gains = np.maximum(gains, 1e-3 * gains.max()).astype(np.float32)
    return gains[0][:, None], gains[1][:, None]
