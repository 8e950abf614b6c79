"""The tables of a run: scores, details, failures and their summary, as CSV."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cadenza_remix.audio import is_there
from cadenza_remix.errors import MetadataError
from cadenza_remix.lock import locked
from cadenza_remix.output import replacing
from cadenza_remix.scenes import Outcome, Pair

SCORES, DETAILS, FAILURES, SUMMARY = "scores.csv", "details.csv", "failures.csv", "summary.csv"
SEPARATION, DIFFERENCES = "separation.csv", "differences.csv"
PAIR_COLUMNS = ("scene", "song", "listener")
SCORE_COLUMNS = (*PAIR_COLUMNS, "left_score", "right_score", "score")
FAILURE_COLUMNS = ("command", *PAIR_COLUMNS, "cause")
SEPARATION_COLUMNS = ("song", "source", "sdr", "si_sdr", "csdr")
OVER_SONGS = {"sdr": "mean", "si_sdr": "mean", "csdr": "median"}  # as the campaigns do that have them
NUMBERS = (*SCORE_COLUMNS[3:], "clipped_percent", "seconds", *SEPARATION_COLUMNS[2:])
FINITE = (*SCORE_COLUMNS[3:], "clipped_percent")  # a stem may be silent or perfect
SUMMARY_COLUMNS = (
    *("group", "name", "pairs", "ears", "left_score", "right_score"),
    *("score", "score_low", "score_high", "clipped_percent"),
)
NO_DETAILS: Mapping[str, Any] = {"status": "", "clipped_percent": math.nan, "seconds": math.nan}
DIFFERENCE_COLUMNS = (
    *("run", "other", "pairs", "pairs_equal", "songs"),
    *("difference", "difference_low", "difference_high", "songs_better"),
)


def table_path(exp_folder: Path, table: str, suffix: str = "") -> Path:
    """Where a table of a run lies, such as `scores.csv`, or `scores_1-4.csv` of a run in shards."""
    return exp_folder / f"{Path(table).stem}{suffix}.csv"


def write_scores(exp_folder: Path, outcomes: Iterable[Outcome], suffix: str = "") -> None:
    """Write `scores.csv` and `details.csv`, rows in the order given, failures left out."""
    rows = [_names(outcome.pair) | dict(outcome.values) for outcome in outcomes if outcome.cause is None]
    write_score_rows(exp_folder, rows, suffix)


def write_score_rows(exp_folder: Path, rows: Sequence[Mapping[str, Any]], suffix: str = "") -> None:
    """Write rows of scores and details to the two tables that they belong to."""
    table = pd.DataFrame(rows, columns=None if rows else list(SCORE_COLUMNS))
    _write(table_path(exp_folder, SCORES, suffix), table[list(SCORE_COLUMNS)])
    scores = [column for column in SCORE_COLUMNS if column not in PAIR_COLUMNS]
    _write(table_path(exp_folder, DETAILS, suffix), table.drop(columns=scores))


def write_failures(
    exp_folder: Path, command: str, causes: Sequence[Mapping[str, str]], suffix: str = ""
) -> None:
    """Replace a command's rows in `failures.csv`; the file goes when nothing is left in it.

    Args:
        exp_folder: the run's folder.
        command: which command failed at these.
        causes: `scene`, `song`, `listener` (where they apply) and `cause` of each failure.
        suffix: of the table's name.
    """
    path = table_path(exp_folder, FAILURES, suffix)
    if not causes and not path.exists():
        return
    new = pd.DataFrame([{"command": command, **cause} for cause in causes], columns=list(FAILURE_COLUMNS))
    with locked(exp_folder, path.stem, wait_s=60):  # other commands write into it, too
        others = read_failures(exp_folder, suffix)
        table = pd.concat([others[others["command"] != command].astype(object), new.astype(object)])
        if len(table):
            _write(path, table.fillna(""))
        else:
            path.unlink(missing_ok=True)


def failure(outcome: Outcome) -> dict[str, str]:
    """A failed pair as a row of `failures.csv`."""
    return _names(outcome.pair) | {"cause": outcome.cause or ""}


def read_scores(exp_folder: Path) -> pd.DataFrame:
    """Scores with their details, a row per pair.

    Raises:
        MetadataError: if a table is missing, damaged or without a single score.
    """
    scores = _read(exp_folder / SCORES, SCORE_COLUMNS)
    if scores.empty:
        raise MetadataError(
            f"{exp_folder / SCORES} holds no scores; mend what {exp_folder / FAILURES} lists and run "
            "evaluate again."
        )
    details = _read(exp_folder / DETAILS, PAIR_COLUMNS)
    if list(details.columns) == list(PAIR_COLUMNS):  # merged from scores alone, as the reference recipe's
        details = details.assign(**NO_DETAILS)
    else:
        details = _read(exp_folder / DETAILS, (*PAIR_COLUMNS, *NO_DETAILS))
    pairs = list(PAIR_COLUMNS)
    for name, table, other in ((SCORES, scores, details), (DETAILS, details, scores)):
        if table.duplicated(pairs).any() or len(table) != len(table.merge(other[pairs], on=pairs)):
            raise MetadataError(
                f"{exp_folder / name} should name each pair once, and {SCORES} and {DETAILS} the same ones; "
                "remove it and run evaluate again."
            )
    return scores.merge(details, on=pairs)


def read_failures(exp_folder: Path, suffix: str = "") -> pd.DataFrame:
    """What failed in a run; without rows if nothing did."""
    path = table_path(exp_folder, FAILURES, suffix)
    return _read(path, FAILURE_COLUMNS) if path.is_file() else pd.DataFrame(columns=list(FAILURE_COLUMNS))


def write_summary(exp_folder: Path, summary: pd.DataFrame) -> None:
    """Write `summary.csv`."""
    _write(exp_folder / SUMMARY, summary)


def write_differences(exp_folder: Path, differences: pd.DataFrame) -> None:
    """Write `differences.csv`; without rows, remove that of an earlier report."""
    path = exp_folder / DIFFERENCES
    if len(differences):
        _write(path, differences)
    else:
        path.unlink(missing_ok=True)


def write_separation(
    exp_folder: Path, scores: Mapping[str, Mapping[str, Mapping[str, float]]], suffix: str = ""
) -> None:
    """Write `separation.csv`: scores by song and source, songs in the order given."""
    rows = [
        {"song": song, "source": source, **values}
        for song, by_source in scores.items()
        for source, values in by_source.items()
    ]
    write_separation_rows(exp_folder, rows, suffix)


def write_separation_rows(exp_folder: Path, rows: Sequence[Mapping[str, Any]], suffix: str = "") -> None:
    """Write rows of `separation.csv`."""
    path = table_path(exp_folder, SEPARATION, suffix)
    _write(path, pd.DataFrame(rows, columns=list(SEPARATION_COLUMNS)))


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table as they are written, so that they can be written again byte for byte.

    Raises:
        MetadataError: if the table is damaged or lacks one of the columns.
    """
    table = _read(path, columns, dtype=str).fillna("")
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def separation_by_source(exp_folder: Path) -> pd.DataFrame:
    """Separation scores of a run over its songs, a row per source; empty if it has none.

    `sdr` and `si_sdr` are means, `csdr` is a median, each over the songs in which the stem has one.
    """
    path = exp_folder / SEPARATION
    if not path.is_file():
        return pd.DataFrame(columns=list(SEPARATION_COLUMNS[1:]))
    return _read(path, SEPARATION_COLUMNS).groupby("source", sort=False).agg(OVER_SONGS).reset_index()


def _names(pair: Pair) -> dict[str, str]:
    return {"scene": pair.scene.name, "song": pair.scene.song, "listener": pair.listener.name}


def _write(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as partial:
        table.to_csv(partial, index=False)


# Names are text even where they look like numbers or missing values ("NA", "007").
TEXT = dict.fromkeys((*PAIR_COLUMNS, "status"), str)


def _read(path: Path, columns: Sequence[str], dtype: Any = TEXT) -> pd.DataFrame:
    if not is_there(path):
        raise MetadataError(f"{path} is missing; run evaluate first, and merge if it ran in shards.")
    try:
        table = pd.read_csv(path, dtype=dtype, keep_default_na=False)
        missing = [column for column in columns if column not in table.columns]
        if missing:
            raise ValueError(f"it lacks the columns {missing}")
        if not isinstance(table.index, pd.RangeIndex):  # pandas took the first column for their names
            raise ValueError("its rows have more values than columns")
        for column in (column for column in columns if column in NUMBERS and dtype is TEXT):
            table[column] = pd.to_numeric(table[column]).astype(float)
            if column in FINITE and not np.isfinite(table[column]).all():
                raise ValueError(f"{column} should be a number in every row")
    except (OSError, ValueError) as error:
        raise MetadataError(
            f"{path} is not a readable table ({error}); remove it and run evaluate again."
        ) from error
    return table
