"""How alike two signals sound to an ear: HAAQI with a slope, to be climbed.

The model is that of `metrics.haaqi`, as far as a slope goes through it. Each band is cut out of the signal's
spectrum and brought back at a rate that just holds it, its centre at zero frequency, where envelopes,
compression and adaptation cost a small part of what they do at 24 kHz. Against `haaqi`:

- Control and signal filter are one, as wide as the reference's level asks for; the 800-Hz low-pass of the
  compression's gain is left out.
- Coherence is that of the complex vibration, which needs no search for the best lag; the noise at the
  threshold is there in the mean only.
- Nothing is aligned: the two signals must be in step.
- HAAQI reads the envelopes every 4 ms from where the reference becomes audible, and hangs on that moment.
  Here they are read twice as often, and the mean over the odd and the even ones counts, so that nothing is
  won by what another beginning would lose.

Checked against `haaqi` on real music (`tests/test_similarity.py`).

References:
    Kates & Arehart (2016): The Hearing-Aid Audio Quality Index (HAAQI). IEEE/ACM TASLP 24(2), 354–365.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import conv1d

from cadenza_remix import ear
from cadenza_remix.listener import Audiogram
from cadenza_remix.metrics import features, haaqi, responses
from cadenza_remix.metrics.bands import NOISE_DB_SL
from cadenza_remix.metrics.segments import ENVELOPE_HOP, MOTION_HOP

Floats = npt.NDArray[np.floating]
Complexes = npt.NDArray[np.complex128]

READINGS = 2  # of the envelopes, for each of HAAQI's
READING_RATE = READINGS * ear.SAMPLE_RATE // ENVELOPE_HOP  # Hz
WIDTH = 3.0  # of what is kept of a band, in its filter's bandwidths
RATE_STEP, LOWEST_RATE = 500, 1000  # Hz, of the bands; whole hops of the vibration
RINGING_S = 0.15  # silence behind the signal, into which the filters ring
LENGTHS_S = 0.02  # what lengths of transforms are whole multiples of
SILENCE = 1e-16  # power that stands for none
TINY = 1e-9  # keeps slopes of roots finite


@dataclass(frozen=True)
class Band:
    """One band of the ear, at a sample rate of its own.

    Attributes:
        places: (points,), where its frequencies stand in the signal's spectrum.
        response: (points,), of middle ear and filter there.
        adaptation: (points / 2 + 1,), frequency response of the inner hair cells.
        smoothing: (readings / 2 + 1,), of the window that envelopes are read through, with the delay that
            brings all bands into step.
        window: (hop, 2), the squared window of the vibration, its rise and its fall.
        synchrony: how much its vibration counts.
        samples: of the signal itself, without what rings behind it.
        level_db: of an amplitude of 1 above threshold, before compression.
        knee_db: where compression begins, of an amplitude of 1 likewise.
        ceiling_db: where it ends.
        slope: dB of gain lost per dB.
        long_term_gain_db: of compression at the reference's level.
    """

    places: Tensor
    response: Tensor
    adaptation: Tensor
    smoothing: Tensor
    window: Tensor
    synchrony: float
    samples: int
    level_db: float
    knee_db: float
    ceiling_db: float
    slope: float
    long_term_gain_db: float


class Sound(NamedTuple):
    """What the ear makes of a signal.

    Attributes:
        envelopes_db: (32, readings), above threshold.
        vibrations: (samples,) of each band, complex.
        levels_db: (32,), long-term, above threshold.
    """

    envelopes_db: Tensor
    vibrations: list[Tensor]
    levels_db: Tensor


class Similarity:
    """HAAQI, nearly, of signals against a reference, with a slope."""

    def __init__(
        self,
        reference: npt.NDArray[np.floating],
        audiogram: Audiogram,
        *,
        sample_rate: int,
        level_of_rms_1_db_spl: float,
    ) -> None:
        """Let the ear hear the reference.

        Args:
            reference: (samples,), amplified for the ear.
            audiogram: of the ear.
            sample_rate: Hz, of all signals; bands above half of it hear nothing.
            level_of_rms_1_db_spl: the sound pressure level that an RMS of 1 stands for.
        """
        self._sample_rate, self._samples = sample_rate, len(reference)
        unit = round(sample_rate * LENGTHS_S)
        self._units = next_fast_len(math.ceil((len(reference) + RINGING_S * sample_rate) / unit))
        self._bands = self._make_bands(reference, ear.loss_of(audiogram), level_of_rms_1_db_spl)
        self._filters = torch.tensor(np.stack(features.modulation_filters()), dtype=torch.float32)
        self._cosines = torch.tensor(features.cepstral_basis(ear.N_BANDS)[:, 1:].T, dtype=torch.float32)
        with torch.no_grad():
            self._reference = self.hear(torch.tensor(reference, dtype=torch.float32))
            self._audible = [
                torch.from_numpy(features.audible_segments(part.double().numpy()))
                for part in self._parts(self._reference.envelopes_db)
            ]
            self._powers = self._powers_of(self._reference.vibrations)
            self._weights = [
                band.synchrony * (power.sqrt() > features.AUDIBLE_DB_SL)
                for band, power in zip(self._bands, self._powers, strict=True)
            ]
            if self.is_defined:
                self._modulations = self._modulations_of(self._reference.envelopes_db)

    @property
    def is_defined(self) -> bool:
        """Whether the ear hears enough of the reference to compare anything with it."""
        enough = all(len(segments) > 1 for segments in self._audible)
        return enough and any(bool(weights.any()) for weights in self._weights)

    def __call__(self, signal: Tensor) -> Tensor:
        """The score of a (samples,) float32 signal, as a scalar; only where `is_defined`."""
        sound = self.hear(signal)
        parts: list[Any] = [self._cepstral_correlation(sound), self._coherence(sound)]
        parts += self._spectral_matches(sound)
        return cast(Tensor, haaqi.polynomial(*parts).score)

    def hear(self, signal: Tensor) -> Sound:
        """Send a (samples,) signal through the ear."""
        readings = self._samples * READING_RATE // self._sample_rate
        spectrum = torch.fft.rfft(signal, self._points_at(self._sample_rate))
        envelopes, vibrations, levels = [], [], []
        for band in self._bands:
            filtered = torch.fft.ifft(spectrum[band.places] * band.response)
            power = filtered.real.square() + filtered.imag.square() + SILENCE
            amplitude_db = 10 * torch.log10(power)
            level_db = amplitude_db + band.level_db
            if band.slope > 0:
                above = amplitude_db.clamp(band.knee_db, band.ceiling_db) - band.knee_db
                level_db = level_db - band.slope * above
            spectrum_db = torch.fft.rfft(level_db.relu())
            adapted_db = torch.fft.irfft(spectrum_db * band.adaptation, len(power)).relu()
            smoothed = torch.fft.rfft(adapted_db)[: len(band.smoothing)] * band.smoothing
            envelopes.append(torch.fft.irfft(smoothed, self._points_at(READING_RATE))[:readings])
            vibrations.append((filtered * (adapted_db * power.rsqrt()))[: band.samples])
            mean_db = 10 * torch.log10(power[: band.samples].mean())
            levels.append((mean_db + band.level_db + band.long_term_gain_db).relu())
        return Sound(torch.stack(envelopes), vibrations, torch.stack(levels))

    def _cepstral_correlation(self, sound: Sound) -> Tensor:
        """As `features.cepstral_correlation`, the mean over all readings."""
        correlations = []
        pairs = zip(self._modulations, self._modulations_of(sound.envelopes_db), strict=True)
        for reference, processed in pairs:
            powers = reference.square().sum(-1) * processed.square().sum(-1)
            correlations.append(((reference * processed).sum(-1).abs() / (powers + TINY).sqrt()).mean())
        return torch.stack(correlations).mean()

    def _modulations_of(self, envelopes_db: Tensor) -> list[Tensor]:
        """(5 coefficients, 4 modulation bands, segments) of each reading's cepstra, where it is audible."""
        found = []
        for part, audible in zip(self._parts(envelopes_db), self._audible, strict=True):
            cepstra = self._cosines @ part[:, audible]
            cepstra = cepstra - cepstra.mean(1, keepdim=True)
            delay = self._filters.shape[1] // 2
            filtered = conv1d(cepstra[:, None], self._filters[:, None], padding=delay)
            found.append(filtered - filtered.mean(-1, keepdim=True))
        return found

    @staticmethod
    def _parts(envelopes_db: Tensor) -> list[Tensor]:
        """The readings, dealt out."""
        whole = envelopes_db[:, : envelopes_db.shape[1] // READINGS * READINGS]
        return [whole[:, first::READINGS] for first in range(READINGS)]

    def _coherence(self, sound: Sound) -> Tensor:
        """As `features.vibration_coherence`."""
        weighted, total = [], sum(weights.sum() for weights in self._weights)
        powers = zip(self._powers, self._powers_of(sound.vibrations), strict=True)
        signals = zip(self._reference.vibrations, sound.vibrations, strict=True)
        for band, weights, (x, y), (x_power, y_power) in zip(
            self._bands, self._weights, signals, powers, strict=True
        ):
            in_phase = segment_means(x.real * y.real + x.imag * y.imag, band.window)
            across = segment_means(x.real * y.imag - x.imag * y.real, band.window)
            covariance = (in_phase.square() + across.square() + TINY).sqrt()
            weighted.append((weights * covariance * (x_power * y_power).rsqrt()).sum())
        return torch.stack(weighted).sum() / total

    def _powers_of(self, vibrations: list[Tensor]) -> list[Tensor]:
        """(segments,) of each band, with the power of the noise at the threshold."""
        noise = 2 * 10 ** (NOISE_DB_SL / 10)  # of both parts, real and imaginary
        return [
            segment_means(one.real.square() + one.imag.square(), band.window) + noise
            for one, band in zip(vibrations, self._bands, strict=True)
        ]

    def _spectral_matches(self, sound: Sound) -> tuple[Tensor, Tensor]:
        """As `features.spectral_similarities`."""
        reference, processed = (10 ** (one.levels_db / 20) for one in (self._reference, sound))
        reference, processed = reference / reference.sum(), processed / processed.sum()
        difference = reference - processed
        absolute = len(difference) * difference.std(correction=0)
        relative = len(difference) * (difference / (reference + processed)).std(correction=0)
        return (1 - absolute / 2.5).clamp(0, 1), (1 - relative / 25).clamp(0, 1)

    def _points_at(self, rate: int) -> int:
        """Length of all transforms at a rate."""
        return round(self._units * LENGTHS_S * rate)

    def _make_bands(
        self, reference: npt.NDArray[np.floating], loss: ear.CochlearLoss, level_of_rms_1_db_spl: float
    ) -> list[Band]:
        """The bands, as wide as the reference's level makes them."""
        points = self._points_at(self._sample_rate)
        seconds = self._units * LENGTHS_S
        spectrum = np.fft.rfft(reference, points)[: int(seconds * ear.SAMPLE_RATE / 2)]
        frequencies_hz = np.arange(len(spectrum)) / seconds
        middle_ear = responses.middle_ear(frequencies_hz)
        densities = np.abs(spectrum * middle_ear) ** 2 / (points * len(reference))
        control_rms = [control_level(band, frequencies_hz, densities) for band in range(ear.N_BANDS)]
        widths = [
            ear.widened(rms, float(loss.bandwidths[band]), ear.widest(band), level_of_rms_1_db_spl)
            for band, rms in enumerate(control_rms)
        ]
        delays = [ear.group_delay(band, width) / ear.SAMPLE_RATE for band, width in enumerate(widths)]
        smoothing = responses.smoothing(np.fft.rfftfreq(self._points_at(READING_RATE), 1 / READING_RATE))
        bands = []
        for band, (rms, width, delay) in enumerate(zip(control_rms, widths, delays, strict=True)):
            rate = band_rate(band, width)
            places, response = around(band, width, middle_ear, seconds, self._points_at(rate))
            k = ear.compression(loss, band, level_of_rms_1_db_spl)
            knee_db = k.lower_knee_db_spl - level_of_rms_1_db_spl
            ceiling_db = k.upper_knee_db_spl - level_of_rms_1_db_spl
            above_db = float(np.clip(ear.amplitude_db(rms), knee_db, ceiling_db)) - knee_db
            wait = responses.delay(max(delays) - delay, self._points_at(READING_RATE), READING_RATE)
            bands.append(
                Band(
                    places=torch.from_numpy(places),
                    response=complex_tensor(response * (self._points_at(rate) / points)),
                    adaptation=complex_tensor(responses.inner_hair_cells(self._points_at(rate), rate)),
                    smoothing=complex_tensor(smoothing * wait * (READING_RATE / rate)),
                    window=torch.tensor(vibration_window(rate), dtype=torch.float32),
                    synchrony=float(features.synchrony()[band]),
                    samples=len(reference) * rate // self._sample_rate,
                    level_db=level_of_rms_1_db_spl
                    - k.attenuation_db
                    - float(loss.inner_attenuation_db[band]),
                    knee_db=knee_db,
                    ceiling_db=ceiling_db,
                    slope=k.slope,
                    long_term_gain_db=-k.slope * above_db,
                )
            )
        return bands


def segment_means(values: Tensor, window: Tensor) -> Tensor:
    """Weighted means of (samples,) over segments that overlap by half."""
    hop = len(window)
    halves = values[: len(values) // hop * hop].reshape(-1, hop) @ window
    return halves[:-1, 0] + halves[1:, 1]


def complex_tensor(values: Complexes) -> Tensor:
    """In single precision."""
    return torch.tensor(values, dtype=torch.complex64)


def band_rate(band: int, width: float) -> int:
    """Hz, at which a band of a relative width is kept: its transforms are of handy lengths."""
    needed = WIDTH * ear.GAMMATONE_BANDWIDTH * width * ear.bandwidths_hz()[band]
    steps = next_fast_len(math.ceil(max(LOWEST_RATE, needed) / RATE_STEP))
    return min(RATE_STEP * steps, ear.SAMPLE_RATE)


def around(
    band: int, width: float, middle_ear: Complexes, seconds: float, points: int
) -> tuple[npt.NDArray[np.int64], Complexes]:
    """Where a band's `points` frequencies stand in the spectrum, its centre first, and the ear's response."""
    center = round(ear.center_frequencies_hz()[band] * seconds)
    places = center + np.roll(np.arange(points) - points // 2, -(points // 2))
    inside = (places >= 0) & (places < len(middle_ear))
    places = np.where(inside, places, 0)
    response = responses.gammatone(band, width, places / seconds) * middle_ear[places]
    return places, np.where(inside, response, 0)


def control_level(band: int, frequencies_hz: Floats, densities: Floats) -> float:
    """RMS behind a band's control filter; what lies far from it is left out."""
    reach_hz = 4 * ear.GAMMATONE_BANDWIDTH * ear.widest(band) * ear.bandwidths_hz()[band]
    center_hz = ear.center_frequencies_hz()[band]
    near = slice(*np.searchsorted(frequencies_hz, (center_hz - reach_hz, center_hz + reach_hz)))
    response = responses.gammatone(band, ear.widest(band), frequencies_hz[near])
    return float(np.sqrt(np.sum(densities[near] * np.abs(response) ** 2)))


def vibration_window(rate: int) -> Floats:
    """(hop, 2): the square of HAAQI's window of 16 ms at a rate, rise and fall, its sum 1."""
    hop = rate * MOTION_HOP // ear.SAMPLE_RATE
    squared = np.hanning(2 * hop + 2)[1:-1] ** 2
    return np.asarray((squared / squared.sum()).reshape(2, hop).T)
