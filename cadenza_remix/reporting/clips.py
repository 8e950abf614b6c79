"""A few seconds of several signals, made comparable: equally loud, as Opus, with a picture of each."""

import io
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile

from cadenza_remix.audio import resample
from cadenza_remix.loudness import amplitude, integrated_loudness

Signal = npt.NDArray[np.float32]
EXCERPT_S = 6.0
OPUS_RATE = 48000  # Hz, what Opus works at
OPUS_COMPRESSION = 0.87  # of libsndfile's scale from 0 to 1: about 80 kbit/s
LOUDEST_LUFS = -23.0  # EBU R 128; softer if a peak would come above PEAK_DB
PEAK_DB = -1.0
FADE_S = 0.01  # at both ends, as the excerpt is repeated

WINDOW, COLUMNS, ROWS = 2048, 240, 72
LOWEST_HZ, HIGHEST_HZ = 125.0, 16000.0
RANGE_DB, SHADES = 60.0, 48
# From the least to the most, evenly lighter: black, violet, red, orange, pale yellow.
COLOURS = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))


@dataclass(frozen=True)
class Clip:
    """A signal's excerpt, ready to be shown.

    Attributes:
        opus: the excerpt in an OGG file, as loud as those it is compared with.
        spectrogram: a PNG; time to the right, 125 Hz to 16 kHz upwards over log frequency, 60 dB.
        loudness_lufs: of the excerpt before it was matched; minus infinity if it is silent.
        peak_db: likewise, over full scale.
    """

    opus: bytes
    spectrogram: bytes
    loudness_lufs: float
    peak_db: float


@dataclass(frozen=True)
class Excerpt:
    """The same few seconds of all signals of a pair.

    Attributes:
        start_s: where they begin.
        duration_s: how long they last.
        song_s: how long the song is.
        enhanced: what each run made, by the run's label.
        reference: the ideal signal, which HAAQI compares with.
        mixture: what arrives at the microphones.
    """

    start_s: float
    duration_s: float
    song_s: float
    enhanced: Mapping[str, Clip]
    reference: Clip
    mixture: Clip


def loudest(signal: npt.NDArray[np.floating], *, sample_rate: int, seconds: float) -> float:
    """Where the excerpt of most energy begins, in seconds; 0 if the signal is shorter than that.

    Args:
        signal: (channels, samples).
        sample_rate: Hz.
        seconds: how long the excerpt is.
    """
    step = sample_rate // 10
    energy = np.square(signal, dtype=np.float64).sum(axis=0)
    blocks = np.add.reduceat(energy, np.arange(0, len(energy), step))
    length = min(math.ceil(seconds * sample_rate / step), len(blocks))
    sums = np.convolve(blocks, np.ones(length), mode="valid")
    latest: float = max(signal.shape[1] / sample_rate - seconds, 0.0)
    return min(float(np.argmax(sums) * step / sample_rate), latest)


def make_clips(signals: Sequence[tuple[Signal, int]]) -> list[Clip]:
    """Bring excerpts to one loudness and show them.

    Args:
        signals: each (2, samples) with its rate in Hz, at least 0.4 s of it.

    Returns:
        A clip of each; all at -23 LUFS, or softer by as much as keeps every peak 1 dB below full scale. One
        that is silent stays so.

    Raises:
        AudioError: if the excerpts are too short to have a loudness.
    """
    excerpts = [resample(signal, rate, OPUS_RATE) for signal, rate in signals]
    loudness = [integrated_loudness(each, sample_rate=OPUS_RATE) for each in excerpts]
    peaks = [_db(float(np.abs(each).max())) for each in excerpts]
    known = [(peak, lufs) for peak, lufs in zip(peaks, loudness, strict=True) if math.isfinite(lufs)]
    target = min([LOUDEST_LUFS, *(PEAK_DB - peak + lufs for peak, lufs in known)])
    gains = [amplitude(target - lufs) if math.isfinite(lufs) else 1.0 for lufs in loudness]
    played = [_faded(each * np.float32(gain)) for each, gain in zip(excerpts, gains, strict=True)]
    bands = [band_powers(each) for each in played]
    most = max(float(each.max()) for each in bands)
    return [
        Clip(opus=_opus(signal), spectrogram=_picture(powers, most), loudness_lufs=lufs, peak_db=peak)
        for signal, powers, lufs, peak in zip(played, bands, loudness, peaks, strict=True)
    ]


def band_powers(signal: Signal) -> npt.NDArray[np.float64]:
    """Power in bands of equal width over log frequency, the mean of both channels.

    Args:
        signal: (2, samples) at 48 kHz, at least one window.

    Returns:
        (ROWS, COLUMNS), the lowest band first.
    """
    starts = np.linspace(0, signal.shape[1] - WINDOW, COLUMNS).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW, axis=1)[:, starts]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(WINDOW)))).mean(axis=0)
    below = np.concatenate([np.zeros((COLUMNS, 1)), np.cumsum(power, axis=1)], axis=1)
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, ROWS + 1) * WINDOW / OPUS_RATE + 0.5  # bins, from their edge
    whole = edges.astype(int)
    at_edges = below[:, whole] + (edges - whole) * (below[:, whole + 1] - below[:, whole])
    powers: npt.NDArray[np.float64] = np.diff(at_edges, axis=1).T
    return powers


def _picture(powers: npt.NDArray[np.float64], most: float) -> bytes:
    levels_db = 10 * np.log10(np.maximum(powers, 1e-30) / max(most, 1e-30))
    shades = np.rint((levels_db / RANGE_DB + 1).clip(0, 1) * (SHADES - 1)).astype(np.uint8)
    return _png(shades[::-1])


def _png(shades: npt.NDArray[np.uint8]) -> bytes:
    """A PNG whose palette is `COLOURS`, (rows, columns), the first row on top."""
    places = np.linspace(0, len(COLOURS) - 1, SHADES)
    palette = [np.interp(places, range(len(COLOURS)), channel) for channel in zip(*COLOURS, strict=True)]
    lines = np.pad(shades, ((0, 0), (1, 0)))  # every line begins with the number of its filter: none
    header = struct.pack(">2I5B", shades.shape[1], shades.shape[0], 8, 3, 0, 0, 0)
    chunks = {
        b"IHDR": header,
        b"PLTE": np.stack(palette, axis=1).astype(np.uint8).tobytes(),
        b"IDAT": zlib.compress(lines.tobytes(), 9),
        b"IEND": b"",
    }
    told = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


def _opus(signal: Signal) -> bytes:
    file = io.BytesIO()
    soundfile.write(
        file, signal.T, OPUS_RATE, format="OGG", subtype="OPUS", compression_level=OPUS_COMPRESSION
    )
    return file.getvalue()


def _faded(signal: Signal) -> Signal:
    ramp = np.linspace(0, 1, round(FADE_S * OPUS_RATE), dtype=np.float32)
    faded = signal.copy()
    faded[:, : len(ramp)] *= ramp
    faded[:, -len(ramp) :] *= ramp[::-1]
    return faded


def _db(value: float) -> float:
    return 20 * math.log10(value) if value > 0 else -math.inf
