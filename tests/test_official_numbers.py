"""The script of the official numbers: which command is given what, and where it stops."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cadenza_remix.config import CONF
from tests.conftest import REPOSITORY


@pytest.mark.parametrize("codes", [(0, 1), (1, 130)])
def test_each_command_gets_its_keys_and_a_failure_stops(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, codes: tuple[int, int]
) -> None:
    enhance, evaluate = codes
    told: list[list[str]] = []

    def note(arguments: list[str], **_: bool) -> SimpleNamespace:
        told.append(arguments[3:])
        return SimpleNamespace(returncode=evaluate if "evaluate" in arguments else enhance)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", note)
    weights = ["--weights", "hdemucs=a.pt", "--weights", "openunmix=b"]
    keys = ["separator.segments.segment_s=20", "executor.workers=2"]
    monkeypatch.setattr(sys, "argv", ["official_numbers.py", "data", *weights, *keys])
    with pytest.raises(SystemExit) as stop:  # without a traceback, though no scores.csv was written
        runpy.run_path(str(REPOSITORY / "scripts/official_numbers.py"), run_name="__main__")
    assert stop.value.code == evaluate
    hdemucs, openunmix, scored = told
    assert {"separator.weights=a.pt", *keys} <= set(hdemucs)
    assert {"separator=openunmix", "separator.weights=b", *keys} <= set(openunmix)
    assert not any(argument.startswith("separator") for argument in scored)
    assert "executor.workers=2" in scored


def test_every_system_is_one_that_there_is() -> None:
    systems = runpy.run_path(str(REPOSITORY / "scripts/official_numbers.py"))["SYSTEMS"]
    for chosen in systems.values():
        for group, choice in (argument.split("=") for argument in chosen):
            assert (CONF / group / f"{choice}.yaml").is_file()
