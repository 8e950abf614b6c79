import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cadenza_remix.audio import read, read_header, resample, rms
from cadenza_remix.errors import AudioError
from tests.conftest import SAMPLE_RATE, music, write_wav

SIGNAL = music(2, seconds=1.0)["vocals"]


def test_channels_come_first_and_samples_are_kept(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SIGNAL, subtype="FLOAT")
    signal = read(tmp_path / "a.wav", sample_rate=SAMPLE_RATE)
    assert signal.dtype == np.float32
    np.testing.assert_array_equal(signal, SIGNAL)


def test_a_wav_that_says_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SIGNAL)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[:30])
    with pytest.raises(AudioError, match=r"a\.wav"):
        read(tmp_path / "a.wav", sample_rate=SAMPLE_RATE)


def test_a_tone_survives_resampling_and_one_above_the_new_band_does_not() -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    kept, lost = np.sin(2 * np.pi * 1000 * time), np.sin(2 * np.pi * 17500 * time)
    resampled = resample(np.stack([kept, lost]), SAMPLE_RATE, 32000)
    middle = resampled[:, 3200:-3200]
    assert resampled.shape == (2, 32000)
    assert rms(middle[0]) == pytest.approx(np.sqrt(0.5), rel=1e-4)
    assert rms(middle[1]) < 1e-5


@pytest.mark.parametrize("kind", ["WAV", "RF64", "AIFF", "AU", "FLAC", "OGG"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    soundfile.write(path, SIGNAL.T, SAMPLE_RATE, format=kind)
    assert read(path, sample_rate=SAMPLE_RATE).shape == SIGNAL.shape
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(AudioError, match=r"cut off|decoded|no samples"):
        read(path, sample_rate=SAMPLE_RATE)


def test_what_came_through_a_pipe_may_not_know_its_length(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SIGNAL)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(content)
    assert read(tmp_path / "a.wav", sample_rate=SAMPLE_RATE).shape == SIGNAL.shape


def test_a_changed_bit_in_a_flac_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, SIGNAL.T, SAMPLE_RATE)
    content = path.read_bytes()
    first = content.index(b"\xff\xf8")  # where the sound begins
    for place in range(first, len(content), len(content) // 40):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(AudioError, match="decoded"):
            read(path, sample_rate=SAMPLE_RATE)


def sparse_wav(path: Path, samples: int, sample_rate: int = SAMPLE_RATE) -> Path:
    """Stereo silence that takes no room on the disk."""
    write_wav(path, SIGNAL[:, :0], sample_rate)
    header = bytearray(path.read_bytes())
    header[40:44] = (4 * samples).to_bytes(4, "little")
    path.write_bytes(header)
    os.truncate(path, len(header) + 4 * samples)
    return path


def test_three_hours_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = sparse_wav(tmp_path / "long.wav", 3 * 3600 * SAMPLE_RATE)
    tracemalloc.start()
    with pytest.raises(AudioError, match=r"lasts 10800 s, by its header; expected at most 3600 s"):
        read(path, sample_rate=SAMPLE_RATE)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_a_length_that_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise MemoryError

    write_wav(tmp_path / "a.wav", SIGNAL)
    monkeypatch.setattr(soundfile, "read", no_room)
    with pytest.raises(AudioError, match="44100 samples in 2 channels, more than fits into memory"):
        read(tmp_path / "a.wav", sample_rate=SAMPLE_RATE)


@pytest.mark.parametrize("sample_rate", [1, 7, 384001])
def test_a_rate_that_music_does_not_have_is_refused(tmp_path: Path, sample_rate: int) -> None:
    write_wav(tmp_path / "a.wav", SIGNAL, sample_rate)
    with pytest.raises(AudioError, match=f"is {sample_rate} Hz; expected 8000 to 384000 Hz"):
        read_header(tmp_path / "a.wav")


def test_the_highest_rate_is_read(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SIGNAL, 384000)
    assert read_header(tmp_path / "a.wav").sample_rate == 384000


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf, 1e30, 32767.0])
def test_a_sample_that_is_no_amplitude_is_named(tmp_path: Path, sample: float) -> None:
    signal = SIGNAL.copy()
    signal[1, 77] = sample
    write_wav(tmp_path / "a.wav", signal, subtype="FLOAT")
    with pytest.raises(
        AudioError, match=r"NaN or infinity, or more than 1000 times full scale, .* sample 77"
    ):
        read(tmp_path / "a.wav", sample_rate=SAMPLE_RATE)


def test_what_is_no_file_is_called_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    for name in ("pipe", "folder", "loop", "nothing", "x" * 300):
        with pytest.raises(AudioError, match="is missing"):
            read_header(tmp_path / f"{name}.wav")


def test_raw_samples_are_no_audio_file(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"1234")
    with pytest.raises(AudioError, match="not a readable audio file"):
        read_header(tmp_path / "a.raw")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resampling_keeps_the_precision(dtype: type) -> None:
    assert resample(SIGNAL.astype(dtype), SAMPLE_RATE, 32000).dtype == dtype


def test_the_same_rate_changes_nothing() -> None:
    assert resample(SIGNAL, SAMPLE_RATE, SAMPLE_RATE) is SIGNAL
