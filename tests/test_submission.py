"""Checking and packing enhanced signals: what an entrant hands in is whole and named right."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import Commands

NAME = "scene_1000{}_L000{}_remix.flac"


@pytest.fixture
def signals(challenge: Path) -> Path:
    """Six signals as another program would have made them: 3 s of noise, with the tail of an amplifier."""
    folder = challenge.parent / "exp/none/enhanced_signals"
    folder.mkdir(parents=True)
    for scene in (1, 2, 3):
        for listener in (1, 2):
            write(folder / NAME.format(scene, listener), noise(scene))
    return folder


def noise(seed: int, samples: int = 96160) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (samples, 2))


def write(path: Path, frames: np.ndarray, sample_rate: int = 32000, **kind: str) -> None:
    soundfile.write(path, frames, sample_rate, **({"subtype": "PCM_16", "format": "FLAC"} | kind))


def test_signals_that_are_as_they_should_be(signals: Path, commands: Commands) -> None:
    clipped = noise(1)
    clipped[:961, 1] = 1.0
    write(signals / NAME.format(1, 2), clipped)
    before = sorted(signals.parent.rglob("*"))
    told = commands("check")
    for line in (
        "6 of 6: a signal for every",
        "6 of 6: FLAC, 16 bit, stereo, 32000 Hz",
        "6 of 6: sound in both",
    ):
        assert line in told
    percent = 100 * 961 / (2 * 96160)
    assert (
        f"mean {percent / 6:.2f} %, worst {percent:.2f} % of a signal's samples ({NAME.format(1, 2)})" in told
    )
    assert "no other files" in told
    assert sorted(signals.parent.rglob("*")) == before


def test_everything_that_is_wrong_is_told(signals: Path, commands: Commands) -> None:
    (signals / NAME.format(1, 1)).rename(signals / "scene_10001_L1_remix.flac")
    write(signals / NAME.format(1, 2), noise(1), sample_rate=44100)
    write(signals / NAME.format(2, 1), noise(1), subtype="PCM_24")
    write(signals / NAME.format(2, 2), noise(1)[:80000])
    write(signals / NAME.format(3, 1), noise(1) * [0, 1])
    cut_off = signals / NAME.format(3, 2)
    cut_off.write_bytes(cut_off.read_bytes()[:100000])
    told = commands("check", expect=1)
    for line in ("there    5 of 6", "format   3 of 5", "whole    1 of 3", "audible  0 of 1"):
        assert line in told
    for cause in (
        f"{NAME.format(1, 1)} is missing",
        "is FLAC PCM_16, 2 channel(s), 44100 Hz; expected FLAC PCM_16, 2 channel(s), 32000 Hz",
        "is FLAC PCM_24, 2 channel(s), 32000 Hz",
        "lasts 2.500 s; expected 3.000 s",
        "is silent in the left ear",
        f"not whole: exp/none/enhanced_signals/{NAME.format(3, 2)}",
        "1 of no scene and listener: scene_10001_L1_remix.flac",
    ):
        assert cause in told
    assert "0 of 6 signals" in told


@pytest.mark.parametrize("kind", [{"format": "WAV"}, {"channels": 1}])
def test_another_kind_of_file_is_refused(signals: Path, commands: Commands, kind: dict[str, str]) -> None:
    frames = noise(1)[:, :1] if "channels" in kind else noise(1)
    write(signals / NAME.format(1, 1), frames, **{k: v for k, v in kind.items() if k == "format"})
    told = commands("check", expect=1)
    assert ("is WAV PCM_16, 2 channel" if "format" in kind else "is FLAC PCM_16, 1 channel") in told


def test_without_music_a_signal_is_compared_with_the_others_of_its_song(
    signals: Path, challenge: Path, commands: Commands
) -> None:
    shutil.rmtree(challenge / "audio")
    assert "or the song's others (0 mixtures are here)" in commands("check")
    (challenge / "metadata/at_mic_music.train.json").unlink()
    commands("check")
    write(signals / NAME.format(3, 1), noise(1, 80000))  # one of the four of its song
    assert "lasts 2.500 s; expected 3.005 s" in commands("check", expect=1)


def test_a_submission_holds_every_pair(signals: Path, commands: Commands) -> None:
    (signals / NAME.format(3, 2)).unlink()
    assert "5 of 6 signals" in commands(
        "check", expect=1, more=("separator=none", "evaluate.small_test=true")
    )


def test_a_folder_of_any_name_can_be_checked(signals: Path, commands: Commands) -> None:
    signals.parent.rename(signals.parent.with_name("from a colleague"))
    assert "6 of 6 signals" in commands("check", more=("path.exp_folder=exp/from a colleague",))
    assert "enhanced_signals is missing; run enhance first" in commands(
        "check", expect=1, more=("name=nobody",)
    )


def test_the_archive_is_the_folder_and_always_the_same(
    signals: Path, commands: Commands, tmp_path: Path
) -> None:
    (signals / "notes.txt").write_text("not the challenge's business")
    assert "pack: 6 signals, 2.2 MB" in commands("pack")
    archive = signals.parent / "none.zip"
    with zipfile.ZipFile(archive) as packed:
        names = packed.namelist()
        assert names == [f"enhanced_signals/{NAME.format(s, x)}" for s in (1, 2, 3) for x in (1, 2)]
        assert {entry.compress_type for entry in packed.infolist()} == {zipfile.ZIP_STORED}
        for name in names:
            assert packed.read(name) == (signals.parent / name).read_bytes()
    for signal in signals.iterdir():  # other times, another order on the disk
        signal.rename(tmp_path / signal.name)
        shutil.copy(tmp_path / signal.name, signal)
    commands("pack", more=("separator=none", f"pack.file={tmp_path}/T042.zip"))
    assert (tmp_path / "T042.zip").read_bytes() == archive.read_bytes()


def test_an_incomplete_submission_is_not_packed(signals: Path, commands: Commands) -> None:
    (signals / NAME.format(3, 2)).unlink()
    told = commands("pack", expect=1)
    assert f"{NAME.format(3, 2)} is missing" in told
    assert "nothing was packed" in told
    assert not list(signals.parent.glob("*.zip*"))
