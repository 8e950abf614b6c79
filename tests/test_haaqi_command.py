"""`cadenza-remix haaqi`: two files and an audiogram."""

from pathlib import Path

import numpy as np
import pytest

from cadenza_remix import haaqi as command
from cadenza_remix.listener import Audiogram
from cadenza_remix.metrics.haaqi import haaqi
from tests.conftest import SAMPLE_RATE, music, write_wav

LEVELS = "20,25,35,45,50,60,65,70"
PAIRS = "250:20,500:25,1000:35,2000:45,3000:50,4000:60,6000:65,8000:70"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    stems = music(4, seconds=1.5)
    write_wav(tmp_path / "reference.wav", stems["vocals"] + stems["drums"])
    write_wav(tmp_path / "processed.wav", np.tanh(3 * (stems["vocals"] + stems["drums"])))
    return str(tmp_path / "reference.wav"), str(tmp_path / "processed.wav")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["cadenza-remix haaqi", *arguments])
    command.main()


@pytest.mark.parametrize("audiogram", [LEVELS, PAIRS])
def test_it_prints_what_the_function_gives(
    files: tuple[str, str],
    audiogram: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from cadenza_remix.audio import read

    run(monkeypatch, *files, "--audiogram", audiogram, "--seed", "7")
    printed = capsys.readouterr().out.splitlines()
    reference, processed = (read(Path(file), sample_rate=SAMPLE_RATE) for file in files)
    ear = Audiogram(
        (250.0, 500.0, 1000.0, 2000.0, 3000.0, 4000.0, 6000.0, 8000.0), tuple(map(float, LEVELS.split(",")))
    )
    rng = np.random.RandomState(7)
    for channel in range(2):
        expected = haaqi(
            reference[channel],
            processed[channel],
            ear,
            sample_rate=SAMPLE_RATE,
            level_of_rms_1_db_spl=100.0,
            rng=rng,
        )
        assert printed[channel].startswith(f"channel {channel + 1}: HAAQI {expected.score:.6f}")
    assert len(printed) == 2


@pytest.mark.parametrize(
    ("audiogram", "told"),
    [
        ("20,25", "8 frequencies and 2 thresholds"),
        ("loud", "cannot be read"),
        ("250:20,500", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    files: tuple[str, str], audiogram: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=told):
        run(monkeypatch, *files, "--audiogram", audiogram)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--level", "nan"), "is nan dB SPL; give a number from 0 to 400"),
        (("--level", "-1000"), "is -1000.0 dB SPL"),
        (("--level", "1e300"), "is 1e.300 dB SPL"),
        (("--seed", "-1"), "--seed is -1; give a whole number from 0 to 4294967295"),
        (("--seed", "4294967296"), "--seed is 4294967296"),
    ],
)
def test_numbers_that_cannot_be_are_one_sentence(
    files: tuple[str, str], option: tuple[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=told):
        run(monkeypatch, *files, "--audiogram", LEVELS, *option)


def test_a_missing_file_is_one_sentence(files: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"error: .*nowhere\.wav is missing"):
        run(monkeypatch, files[0], "nowhere.wav", "--audiogram", LEVELS)
