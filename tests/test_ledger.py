from pathlib import Path

import pytest

from cadenza_remix.errors import ConfigError
from cadenza_remix.ledger import Ledger, Record, claim, stamps


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


def test_a_folder_keeps_its_settings(tmp_path: Path) -> None:
    claim(tmp_path, "enhance", {"limiter": "a", "rate": 1}, overwrite=False)
    claim(tmp_path, "evaluate", {"metric": "m"}, overwrite=False)
    claim(tmp_path, "enhance", {"limiter": "a", "rate": 1}, overwrite=False)
    with pytest.raises(ConfigError, match=r"limiter was 'a', now 'b'\)"):
        claim(tmp_path, "enhance", {"limiter": "b", "rate": 1}, overwrite=False)
    claim(tmp_path, "enhance", {"limiter": "b", "rate": 1}, overwrite=True)
    claim(tmp_path, "enhance", {"limiter": "b", "rate": 1}, overwrite=False)
