import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cadenza_remix import processes
from cadenza_remix.datasets.metadata import MAX_NAME_BYTES
from cadenza_remix.errors import AudioError, OutputError
from cadenza_remix.listener import Audiogram, Listener
from cadenza_remix.output import (
    Enhanced,
    enhanced_path,
    quantise,
    read_enhanced,
    replacing,
    write_float,
    write_pcm16,
    write_text,
)
from cadenza_remix.scenes import Pair, Scene
from tests.conftest import music

RATE = 32000
SIGNAL = music(0, seconds=2.0)["drums"][:, : 2 * RATE]
TAIL_S = 220 / 44100


def write(path: Path, signal: np.ndarray = SIGNAL, sample_rate: int = RATE) -> Path:
    write_pcm16(path, signal, sample_rate=sample_rate, file_format="FLAC")
    return path


def read(path: Path) -> Enhanced:
    return read_enhanced(path, duration_s=2.0, tail_s=TAIL_S)


def test_written_and_read_is_the_same_to_half_a_step(tmp_path: Path) -> None:
    enhanced = read(write(tmp_path / "a.flac"))
    assert enhanced.sample_rate == RATE
    assert soundfile.info(tmp_path / "a.flac").subtype == "PCM_16"
    assert np.abs(enhanced.signal - SIGNAL).max() <= 0.5 / 32768 + 1e-9


def test_quantising_rounds_and_saturates() -> None:
    steps = np.array([[0.6, -0.6, 0.4, 1e6, -1e6]]) / 32768
    np.testing.assert_array_equal(quantise(steps)[0], [1, -1, 0, 32767, -32768])


def test_truncating_drops_the_fraction_of_a_step(tmp_path: Path) -> None:
    steps = np.array([[0.6, -0.6, 1.9, -1.9, 1e6, -1e6]]) / 32768
    write_pcm16(tmp_path / "a.wav", steps, sample_rate=RATE, file_format="WAV", truncate=True)
    assert list(soundfile.read(tmp_path / "a.wav", dtype="int16")[0]) == [0, 0, 1, -1, 32767, -32768]


def test_the_file_name_is_the_challenges(tmp_path: Path) -> None:
    ear = Audiogram((250.0,), (0.0,))
    pair = Pair(Scene("scene_10001", "song", {}), Listener("L0066", ear, ear))
    assert enhanced_path(tmp_path, pair) == tmp_path / "enhanced_signals/scene_10001_L0066_remix.flac"


def test_samples_at_full_scale_are_counted() -> None:
    signal = np.zeros((2, 100), dtype=np.float32)
    signal[0, :10] = 32767 / 32768
    signal[1, :5] = -1
    assert Enhanced(signal, RATE).clipped_percent == pytest.approx(7.5)


def test_another_rate_is_read_as_it_is(tmp_path: Path) -> None:
    longer = np.tile(SIGNAL, 2)[:, : 2 * 44100]
    assert read(write(tmp_path / "a.flac", longer, 44100)).sample_rate == 44100


def test_the_amplifiers_tail_may_be_there_or_not(tmp_path: Path) -> None:
    tail = np.zeros((2, round(TAIL_S * RATE)), dtype=np.float32)
    assert read(write(tmp_path / "a.flac", np.hstack([SIGNAL, tail]))).signal.shape[1] == 2 * RATE + 160


@pytest.mark.parametrize("samples", [0, 1, RATE, 2 * RATE - 3, 2 * RATE + 170, 4 * RATE])
def test_another_length_is_refused(tmp_path: Path, samples: int) -> None:
    with pytest.raises(AudioError, match=r"lasts|holds no samples|not a readable"):
        read(write(tmp_path / "a.flac", np.tile(SIGNAL, 2)[:, :samples]))


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut off|cannot be decoded"):
        read(path)


def test_mono_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", SIGNAL[0], RATE)
    with pytest.raises(AudioError, match=r"has 1 channel\(s\); expected 2"):
        read(tmp_path / "a.flac")


def test_nan_is_refused(tmp_path: Path) -> None:
    signal = SIGNAL.copy()
    signal[1, 77] = np.nan
    write_float(tmp_path / "a.wav", signal, sample_rate=RATE)
    with pytest.raises(AudioError, match="first at sample 77"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("content", [b"", b"fLaC", b"not audio at all" * 100])
def test_what_is_no_audio_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.flac").write_bytes(content)
    with pytest.raises(AudioError, match="not a readable audio file"):
        read(tmp_path / "a.flac")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"a\.flac is missing"):
        read(tmp_path / "a.flac")


def test_a_scale_factor_beside_the_file_changes_nothing(tmp_path: Path) -> None:
    before = read(write(tmp_path / "a.flac")).signal
    (tmp_path / "a.txt").write_text("2.0")
    np.testing.assert_array_equal(read(tmp_path / "a.flac").signal, before)


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as partial:
        partial.write_text("half of the n")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "exp").write_text("a file, not a folder")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "exp" / "scores.csv", "text")


def test_the_longest_name_can_be_written_on_any_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "ip-10-0-112-123.eu-west-1.compute.internal")
    processes.machine.cache_clear()
    path = tmp_path / f"{'a' * MAX_NAME_BYTES}_remix.flac"
    write_text(path, "whole")
    assert path.read_text() == "whole"
    processes.machine.cache_clear()
