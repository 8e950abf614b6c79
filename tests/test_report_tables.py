"""The numbers of a report: classes, intervals, differences, and what is missing."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from cadenza_remix.listener import Audiogram
from cadenza_remix.reporting import charts, runs, tables


def run_of(score: np.ndarray, songs: list[str], listeners: tuple[str, ...] = ("L1",)) -> pd.DataFrame:
    """A table of scores, (songs, listeners)."""
    rows = [
        {
            "scene": f"scene_{song}",
            "song": f"{song}-hlp_0001",
            "music": song,
            "listener": listener,
            "left_score": score[i, j],
            "right_score": score[i, j],
            "score": score[i, j],
            "left_loss_db_hl": 30.0,
            "right_loss_db_hl": 60.0,
            "changed_stems": "1",
            "angles": "-30/30",
            "clipped_percent": 1.0,
        }
        for i, song in enumerate(songs)
        for j, listener in enumerate(listeners)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("loss_db_hl", "name"),
    [(15, "none"), (15.1, "mild"), (35, "mild"), (35.1, "moderate"), (56, "moderate"), (56.1, "severe")],
)
def test_a_severity_begins_above_its_limit(loss_db_hl: float, name: str) -> None:
    assert tables.severity(loss_db_hl) == name


def test_the_loss_is_the_mean_from_2_to_8_khz() -> None:
    frequencies = (250.0, 1000.0, 2000.0, 4000.0, 8000.0, 12000.0)
    audiogram = Audiogram(frequencies, (100.0, 100.0, 10.0, 20.0, 60.0, 100.0))
    assert tables.mean_loss_db_hl(audiogram) == 30
    unmeasured = tables.mean_loss_db_hl(Audiogram((250.0, 1000.0), (100.0, 100.0)))
    assert math.isnan(unmeasured)
    assert tables.severity(unmeasured) == "unknown"


def test_an_interval_over_many_songs_is_that_of_the_normal_distribution() -> None:
    rng = np.random.default_rng(1)
    values = pd.Series(rng.normal(0.5, 0.1, 400))
    low, high = tables.interval(values, pd.Series(map(str, range(400))))
    half = 1.96 * values.std(ddof=0) / math.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=half / 10)
    assert high == pytest.approx(values.mean() + half, abs=half / 10)
    assert (low, high) == tables.interval(values, pd.Series(map(str, range(400))))  # the seed is fixed


def test_more_pairs_of_the_same_songs_do_not_make_an_interval_narrower() -> None:
    """What a listener hears of a song is no new evidence: songs are drawn, not pairs."""
    rng = np.random.default_rng(2)
    values, songs = pd.Series(rng.normal(size=12)), pd.Series(list("abcdefghijkl"))
    once = tables.interval(values, songs)
    often = tables.interval(pd.concat([values] * 9), pd.concat([songs] * 9))
    assert often == pytest.approx(once)
    assert all(math.isnan(end) for end in tables.interval(values, pd.Series(["a"] * 12)))


def test_a_song_that_is_drawn_brings_all_its_pairs() -> None:
    """Songs of different weight: the ends are among the means that draws of two songs can have."""
    values, songs = pd.Series([0.0, 1.0, 1.0, 1.0]), pd.Series(list("abbb"))
    assert tables.interval(values, songs) == (0.0, 1.0)
    drawn_each_once = values.mean()
    assert drawn_each_once == 0.75


def test_a_constant_difference_is_certain_however_much_songs_differ() -> None:
    """Paired: what is common to both runs cancels."""
    songs = [f"song {n}" for n in range(8)]
    scores = np.linspace(0.1, 0.8, 16).reshape(8, 2)
    better, worse = run_of(scores + 0.05, songs, ("L1", "L2")), run_of(scores, songs, ("L1", "L2"))
    (row,) = tables.differences({"better": better, "worse": worse}).itertuples()
    assert (row.run, row.other, row.pairs, row.songs, row.songs_better) == ("better", "worse", 16, 8, 8)
    assert [row.difference, row.difference_low, row.difference_high] == pytest.approx([0.05] * 3)
    assert row.pairs_equal == 0
    (halved,) = tables.differences({"better": better.iloc[:5], "worse": worse.iloc[2:]}).itertuples()
    assert (halved.pairs, halved.songs) == (3, 2)


def test_scores_that_cancel_are_not_equal() -> None:
    """A mean difference of 0 says little; that every pair has the same score says all."""
    one = run_of(np.array([[0.25, 0.5], [0.75, 0.5]]), ["a", "b"], ("L1", "L2"))
    other = run_of(np.array([[0.5, 0.25], [0.75, 0.5]]), ["a", "b"], ("L1", "L2"))
    same, cancelling = tables.differences({"one": one, "again": one, "other": other}).itertuples()
    assert same.difference == cancelling.difference == cancelling.difference_high == 0
    assert (same.pairs, same.pairs_equal) == (4, 4)
    assert (cancelling.pairs, cancelling.pairs_equal) == (4, 2)


def test_a_summary_counts_each_ear_by_its_own_loss() -> None:
    scores = run_of(np.array([[0.2], [0.6]]), ["a", "b"]).assign(right_score=[0.4, 1.0], score=[0.3, 0.8])
    summary = tables.summarise(scores).set_index(["group", "name"])
    everything = summary.loc[("all", "all")]
    assert (everything.pairs, everything.ears) == (2, 4)
    assert everything.score == pytest.approx(scores["score"].mean())
    mild, severe = summary.loc[("severity", "mild")], summary.loc[("severity", "severe")]
    assert (mild.pairs, mild.ears, mild.score) == (2, 2, pytest.approx(0.4))
    assert math.isnan(mild.right_score)
    assert severe.score == severe.right_score == pytest.approx(0.7)
    assert list(summary.loc["severity"].index) == ["mild", "severe"]


def test_floor_and_ceiling_are_known_by_their_settings_not_their_names() -> None:
    nothing = "cadenza_remix.demix.trivial.EqualSplit"
    assert runs.role({"stems": "separate", "separator._target_": nothing}) == "floor"
    assert runs.role({"stems": "True"}) == "ceiling"
    assert runs.role({"stems": "some/folder"}) == runs.role({}) == "system"
    assert runs.role({"stems": "separate", "separator._target_": "mine.Oracle"}) == "system"


def test_the_way_from_floor_to_ceiling_is_measured_on_common_pairs() -> None:
    songs = ["a", "b", "c"]
    floor, run, ceiling = (run_of(np.full((3, 1), score), songs) for score in (0.4, 0.5, 0.8))
    assert tables.way_from_floor_to_ceiling(run, floor, ceiling) == pytest.approx(0.25)
    spoilt = run_of(np.array([[0.4], [0.4], [0.0]]), songs)
    assert tables.way_from_floor_to_ceiling(run.iloc[:2], spoilt, ceiling) == pytest.approx(0.25)
    assert math.isnan(tables.way_from_floor_to_ceiling(run, floor, floor))


def test_extremes_do_not_overlap_where_there_are_few_pairs() -> None:
    scores = run_of(np.linspace(0, 1, 12).reshape(12, 1), list("abcdefghijkl"))
    worst, best = tables.extremes(scores, worst=10, best=3)
    assert list(worst["music"]) == list("abcdefghij")
    assert list(best["music"]) == ["l", "k"]


def test_missing_pairs_have_the_cause_of_their_failure() -> None:
    described = run_of(np.ones((2, 2)), ["a", "b"], ("L1", "L2"))
    failed = {"command": "enhance", "scene": "scene_b", "song": "b", "listener": "L1", "cause": "no file"}
    missing = tables.missing(described, described.iloc[:2], pd.DataFrame([failed]))
    assert missing.to_dict("list") == {
        "scene": ["scene_b", "scene_b"],
        "song": ["b-hlp_0001", "b-hlp_0001"],
        "listener": ["L1", "L2"],
        "cause": ["no file", "not enhanced or not evaluated yet"],
    }


@pytest.mark.parametrize(
    "values", [[0.31, 0.94], [0.5, 0.5], [-0.31, 0.002], [0.0, 62.0], [math.nan, math.nan]]
)
def test_an_axis_holds_its_values_between_few_lines(values: list[float]) -> None:
    axis = charts.Axis.over(pd.Series(values))
    assert 2 <= len(axis.lines) <= charts.MOST_LINES
    assert axis.lines[-1] == pytest.approx(axis.high)
    assert all(0 <= axis.percent(value) <= 100 for value in values if math.isfinite(value))
    assert json.dumps(axis.lines) == json.dumps(sorted(axis.lines))
