"""Tables of a run: read as they were written, or refused by name."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cadenza_remix import results
from cadenza_remix.errors import MetadataError

SCORES = """scene,song,listener,left_score,right_score,score
s1,"Anna & Co - ""Blue"", too",NA,0.25,0.75,0.5
s1,"Anna & Co - ""Blue"", too",007,0.5,0.5,0.5
"""
DETAILS = """scene,song,listener,status,clipped_percent,seconds
s1,"Anna & Co - ""Blue"", too",NA,ok,12.5,0.1
s1,"Anna & Co - ""Blue"", too",007,silent ear,0,0.1
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "scores.csv").write_text(SCORES)
    (tmp_path / "details.csv").write_text(DETAILS)
    return tmp_path


def test_names_that_look_like_something_else_stay_names(run: Path) -> None:
    scores = results.read_scores(run)
    assert list(scores["listener"]) == ["NA", "007"]
    assert set(scores["song"]) == {'Anna & Co - "Blue", too'}
    assert list(scores["clipped_percent"]) == [12.5, 0]


@pytest.mark.parametrize(
    ("table", "old", "new", "told"),
    [
        ("scores", "0.75", "0,75", "more values than columns"),
        ("scores", "0.75", "three", "Unable to parse string"),
        ("scores", "0.75", "", "right_score should be a number in every row"),
        ("scores", "0.75", "nan", "Unable to parse string"),
        ("scores", "0.75", "inf", "right_score should be a number in every row"),
        ("scores", "right_score,", "", "lacks the columns"),
        ("scores", "007", "NA", "should name each pair once"),
        ("scores", "007", "008", "should name each pair once"),
        ("details", "007", "NA", "should name each pair once"),
        ("details", "12.5", "many", "Unable to parse string"),
        ("scores", "Blue", "\udcff", "can't decode byte"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(run: Path, table: str, old: str, new: str, told: str) -> None:
    path = run / f"{table}.csv"
    path.write_bytes(path.read_text().replace(old, new, 1).encode(errors="surrogateescape"))
    with pytest.raises(MetadataError, match=f"{table}.csv .*{told}.* remove it and run evaluate again"):
        results.read_scores(run)


def test_a_pipe_is_not_waited_for(run: Path) -> None:
    (run / "scores.csv").unlink()
    os.mkfifo(run / "scores.csv")
    with pytest.raises(MetadataError, match=r"scores\.csv is missing"):
        results.read_scores(run)


def test_separation_of_silent_and_perfect_stems_is_read_and_of_others_not(run: Path) -> None:
    table = run / "separation.csv"
    header = "song,source,sdr,si_sdr,csdr"
    rows = "A,vocals,1.5,,\nA,drums,3,inf,1\nB,vocals,2.5,4,2\nC,vocals,3.5,5,3\nD,vocals,3.5,9,10\n"
    table.write_text(f"{header}\n{rows}")
    by_source = results.separation_by_source(run).set_index("source")
    assert list(by_source["sdr"]) == [2.75, 3]
    assert list(by_source["si_sdr"]) == [6, np.inf]
    assert list(by_source["csdr"]) == [3, 1]  # a median
    table.write_text(f"{header}\nA,vocals,loud,,\n")
    with pytest.raises(MetadataError, match=r"separation\.csv .*Unable to parse"):
        results.separation_by_source(run)


def test_damaged_failures_are_named_and_not_replaced(run: Path) -> None:
    (run / "failures.csv").write_text("command,scene\nenhance,s1\n")
    with pytest.raises(MetadataError, match=r"failures\.csv .*lacks the columns .* remove it"):
        results.write_failures(run, "evaluate", [])
    (run / "failures.csv").unlink()
    results.write_failures(run, "evaluate", [{"song": "A", "cause": "one, two"}])
    assert pd.read_csv(run / "failures.csv").loc[0, "cause"] == "one, two"
