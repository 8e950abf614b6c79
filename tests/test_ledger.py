import os
from pathlib import Path
from typing import Any

import pytest

from cadenza_remix.errors import ConfigError
from cadenza_remix.ledger import Ledger, Record, claim, claimed, stamps


def test_a_record_is_current_while_its_origin_and_its_files_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "made.flac"
    file.write_text("content")
    record = Record("origin", stamps([file]))
    assert record.is_current("origin")
    assert not record.is_current("another origin")
    file.write_text("other content")
    assert not record.is_current("origin")
    file.unlink()
    assert not record.is_current("origin")


def test_records_come_back_as_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    records = {"pair": Record("origin", {"file": "stamp"}, {"score": 0.5})}
    ledger.write('a song / with "odd" characters', records)
    assert ledger.read('a song / with "odd" characters') == records
    assert ledger.read("another song") == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"records": {"pair": 7}}', '{"records": []}', "null"])
def test_a_damaged_ledger_holds_nothing(tmp_path: Path, content: str) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("song", {"pair": Record("origin")})
    next(tmp_path.iterdir()).write_text(content)
    assert ledger.read("song") == {}


def test_a_changed_character_makes_a_ledger_worthless(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("song", {"pair": Record("origin", {"file": "stamp"}, {"score": 0.5, "none": float("nan")})})
    (path,) = tmp_path.iterdir()
    assert ledger.read("song")
    path.write_text(path.read_text().replace("0.5", "0.6"))
    assert ledger.read("song") == {}


@pytest.mark.parametrize("content", ["[" * 100_000, '{"enhance": 7}', '["enhance"]', "\x00", None])
def test_a_damaged_manifest_says_nothing(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "manifest.json"
    os.mkfifo(path) if content is None else path.write_text(content)
    assert claimed(tmp_path, "enhance") == {}
    claim(tmp_path, "enhance", {"limiter": "a"}, overwrite=False)
    assert claimed(tmp_path, "enhance") == {"limiter": "a"}


def test_a_pipe_in_place_of_a_ledger_is_not_waited_for(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("song", {"pair": Record("origin")})
    (path,) = tmp_path.iterdir()
    path.unlink()
    os.mkfifo(path)
    assert ledger.read("song") == {}
    ledger.write("song", {"pair": Record("origin")})
    assert ledger.read("song") == {"pair": Record("origin")}


def test_a_clock_that_jumps_makes_nothing_current_or_outdated(tmp_path: Path) -> None:
    file = tmp_path / "made.flac"
    file.write_text("content")
    for made_at in (0, 4e9):  # 1970 and 2096
        os.utime(file, (made_at, made_at))
        record = Record("origin", stamps([file]))
        assert record.is_current("origin")
        os.utime(file, (1.7e9, 1.7e9))  # touched again, at whatever hour
        assert not record.is_current("origin")


def test_a_folder_keeps_its_settings(tmp_path: Path) -> None:
    claim(tmp_path, "enhance", {"limiter": "a", "rate": 1}, overwrite=False)
    claim(tmp_path, "evaluate", {"metric": "m"}, overwrite=False)
    claim(tmp_path, "enhance", {"limiter": "a", "rate": 1}, overwrite=False)
    with pytest.raises(ConfigError, match=r"\(limiter was a, now b\)"):
        claim(tmp_path, "enhance", {"limiter": "b", "rate": 1}, overwrite=False)
    claim(tmp_path, "enhance", {"limiter": "b", "rate": 1}, overwrite=True)
    claim(tmp_path, "enhance", {"limiter": "b", "rate": 1}, overwrite=False)


MULTIBAND = {"limiter": "multiband", "limiter._target_": "Multiband", "limiter.release_s": 1.5}
CLIP = {"limiter": "hard_clip", "limiter._target_": "HardClip", "truncate": False}


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (MULTIBAND, CLIP, "(limiter was multiband, now hard_clip; truncate was null, now false)"),
        (MULTIBAND, MULTIBAND | {"limiter.release_s": 2}, "(limiter.release_s was 1.5, now 2)"),
        (
            {"closed_loop": None},
            {"closed_loop": "ascent", "closed_loop.steps": 5},
            "closed_loop was null, now ascent)",
        ),
    ],
)
def test_what_changed_is_told_as_it_is_typed(
    tmp_path: Path, before: dict[str, Any], now: dict[str, Any], told: str
) -> None:
    claim(tmp_path, "enhance", before, overwrite=False)
    with pytest.raises(ConfigError) as refused:
        claim(tmp_path, "enhance", now, overwrite=False)
    assert told in str(refused.value)


def test_another_name_for_the_same_is_no_change(tmp_path: Path) -> None:
    claim(tmp_path, "enhance", MULTIBAND, overwrite=False)
    claim(tmp_path, "enhance", MULTIBAND | {"limiter": "mine"}, overwrite=False)


def test_what_is_forgotten_is_done_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("song", {"pair": Record("origin")})
    ledger.forget(["song"])
    assert not any(record.is_current("origin") for record in ledger.read("song").values())
