"""A cause that befell many is told once; the list of failures names everything that it befell."""

from pathlib import Path

import pandas as pd
import pytest

from cadenza_remix.audio import read_header
from cadenza_remix.errors import AudioError
from cadenza_remix.jobs.run import report_failures


def test_a_missing_package_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cause = "SOFA files need h5py; run pip install h5py."
    failures = [{"song": f"Song {n}", "cause": cause} for n in range(9)]
    failures.insert(1, {"song": "Torn", "cause": "mixture.wav is cut off"})
    assert not report_failures(tmp_path, "prepare", failures)
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == [f"failed: Song 0 and 8 more: {cause}", "failed: Torn: mixture.wav is cut off"]
    assert told[2].startswith("10 failed; all are listed in ")
    assert list(pd.read_csv(tmp_path / "failures.csv")["song"]) == [row["song"] for row in failures]


def test_a_missing_folder_is_one_cause_for_all_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "music/There").mkdir(parents=True)
    causes = set()
    for song in ("A", "B"):
        for signal in ("mixture", "vocals"):
            with pytest.raises(AudioError) as told:
                read_header(tmp_path / "stems" / song / f"{signal}.wav")
            causes.add(str(told.value))
    assert causes == {f"The folder {tmp_path / 'stems'} is missing; it should hold audio files."}
    with pytest.raises(AudioError, match=r"music/There/mixture\.wav is missing"):
        read_header(tmp_path / "music/There/mixture.wav")
