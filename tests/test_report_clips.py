"""Excerpts: what a listener hears and sees is what the signals were."""

import io

import numpy as np
import pytest
import soundfile

from cadenza_remix.loudness import integrated_loudness
from cadenza_remix.reporting import clips
from tests.conftest import music

RATE = 32000


def tones(seconds: float, *frequencies_hz: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sum([np.sin(2 * np.pi * f * time) for f in frequencies_hz], axis=0)
    return np.stack([tone, tone]).astype(np.float32)


def heard(clip: clips.Clip) -> np.ndarray:
    signal, rate = soundfile.read(io.BytesIO(clip.opus), dtype="float32")
    assert rate == clips.OPUS_RATE
    return signal.T


@pytest.fixture(scope="module")
def compared() -> list[tuple[np.ndarray, int]]:
    """A song, the same far over full scale, and the same very soft, at other rates."""
    song = np.sum(list(music(0).values()), axis=0)
    return [(song, 44100), (50 * song[:, ::2], 22050), (1e-3 * tones(3, 300, 700), RATE)]


def test_clips_are_equally_loud_and_not_clipped(compared: list[tuple[np.ndarray, int]]) -> None:
    made = clips.make_clips(compared)
    loudness = [integrated_loudness(heard(clip), sample_rate=clips.OPUS_RATE) for clip in made]
    assert np.ptp(loudness) < 0.5
    assert loudness[0] <= clips.LOUDEST_LUFS + 0.5
    assert all(0.05 < np.abs(heard(clip)).max() < 1 for clip in made)
    # It is told how loud they were: 50 times is 34 dB.
    assert made[1].loudness_lufs - made[0].loudness_lufs == pytest.approx(34, abs=1)
    assert made[1].peak_db > 10


def test_a_peak_that_would_not_fit_makes_all_softer() -> None:
    click = np.zeros((2, 3 * RATE), dtype=np.float32)
    click[:, ::RATE] = 1
    made = clips.make_clips([(click, RATE), (tones(3, 440), RATE)])
    loudness = [integrated_loudness(heard(clip), sample_rate=clips.OPUS_RATE) for clip in made]
    assert max(loudness) < clips.LOUDEST_LUFS - 3
    assert np.abs(heard(made[0])).max() < 1


def test_silence_stays_silent() -> None:
    silent, tone = clips.make_clips([(0 * tones(1, 440), RATE), (tones(1, 440), RATE)])
    assert not np.abs(heard(silent)).max() > 1e-3
    assert integrated_loudness(heard(tone), sample_rate=clips.OPUS_RATE) == pytest.approx(-23, abs=0.5)


def test_an_excerpt_is_as_long_as_it_was() -> None:
    (clip,) = clips.make_clips([(tones(1.5, 440), RATE)])
    assert heard(clip).shape == (2, round(1.5 * clips.OPUS_RATE))


def test_the_loudest_seconds_are_found() -> None:
    signal = 0.1 * tones(20, 440)
    signal[:, 12 * RATE : 18 * RATE] *= 5
    assert clips.loudest(signal, sample_rate=RATE, seconds=6) == pytest.approx(12, abs=0.1)
    assert clips.loudest(signal[:, : 18 * RATE], sample_rate=RATE, seconds=6) == pytest.approx(12, abs=0.1)
    assert clips.loudest(signal[:, : 2 * RATE], sample_rate=RATE, seconds=6) == 0


@pytest.mark.parametrize("frequency_hz", [200, 1000, 6000])
def test_a_tone_lies_in_its_band(frequency_hz: float) -> None:
    signal = np.repeat(np.sin(2 * np.pi * frequency_hz * np.arange(48000) / 48000)[None], 2, axis=0)
    powers = clips.band_powers(signal.astype(np.float32))
    assert powers.shape == (clips.ROWS, clips.COLUMNS)
    edges = np.geomspace(clips.LOWEST_HZ, clips.HIGHEST_HZ, clips.ROWS + 1)
    band = int(np.argmax(powers.mean(axis=1)))
    width_hz = clips.OPUS_RATE / clips.WINDOW
    assert edges[band] - width_hz < frequency_hz < edges[band + 1] + width_hz
    # All of a tone's power is there: half of its square, times the window's.
    everything = powers.sum(axis=0).mean() * 2 / (clips.WINDOW * np.sum(np.hanning(clips.WINDOW) ** 2))
    assert everything == pytest.approx(0.5, rel=0.02)
