"""The tables of a run: scores, details, failures and their summary, as CSV."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cadenza_remix.errors import MetadataError
from cadenza_remix.output import replacing
from cadenza_remix.scenes import Outcome, Pair

SCORES, DETAILS, FAILURES, SUMMARY = "scores.csv", "details.csv", "failures.csv", "summary.csv"
SEPARATION = "separation.csv"
PAIR_COLUMNS = ("scene", "song", "listener")
SCORE_COLUMNS = (*PAIR_COLUMNS, "left_score", "right_score", "score")
FAILURE_COLUMNS = ("command", *PAIR_COLUMNS, "cause")
SEPARATION_COLUMNS = ("song", "source", "sdr", "si_sdr")
SUMMARY_COLUMNS = ("group", "name", "pairs", "left_score", "right_score", "score", "clipped_percent")


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
    others = _read(path, FAILURE_COLUMNS) if path.is_file() else pd.DataFrame(columns=list(FAILURE_COLUMNS))
    new = pd.DataFrame([{"command": command, **cause} for cause in causes], columns=list(FAILURE_COLUMNS))
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
        MetadataError: if a table is missing, or damaged.
    """
    scores = _read(exp_folder / SCORES, SCORE_COLUMNS)
    details = _read(exp_folder / DETAILS, (*PAIR_COLUMNS, "clipped_percent"))
    return scores.merge(details, on=list(PAIR_COLUMNS), how="left", validate="one_to_one")


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean scores and clipping over all pairs, per song and per listener."""
    means = [name for name in SUMMARY_COLUMNS if name not in ("group", "name", "pairs")]
    parts = []
    for group in ("all", "song", "listener"):
        grouped = scores.groupby(scores[group] if group != "all" else pd.Series("all", index=scores.index))
        part = grouped[means].mean()
        part.insert(0, "pairs", grouped.size())
        part.insert(0, "group", group)
        parts.append(part.rename_axis("name").reset_index())
    return pd.concat(parts, ignore_index=True)[list(SUMMARY_COLUMNS)]


def write_summary(exp_folder: Path, summary: pd.DataFrame) -> None:
    """Write `summary.csv`."""
    _write(exp_folder / SUMMARY, summary)


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


def separation_means(exp_folder: Path) -> pd.DataFrame:
    """Mean separation scores of a run by source, silent stems left out of `si_sdr`; empty if it has none."""
    path = exp_folder / SEPARATION
    if not path.is_file():
        return pd.DataFrame(columns=list(SEPARATION_COLUMNS[1:]))
    table = _read(path, SEPARATION_COLUMNS)
    scores = list(SEPARATION_COLUMNS[2:])
    table[scores] = table[scores].apply(pd.to_numeric)
    return table.groupby("source", sort=False)[scores].mean().reset_index()


def _names(pair: Pair) -> dict[str, str]:
    return {"scene": pair.scene.name, "song": pair.scene.song, "listener": pair.listener.name}


def _write(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as partial:
        table.to_csv(partial, index=False)


# Names are text even where they look like numbers or missing values ("NA", "007").
TEXT = dict.fromkeys((*PAIR_COLUMNS, "status"), str)


def _read(path: Path, columns: Sequence[str], dtype: Any = TEXT) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=dtype, keep_default_na=False)
    except FileNotFoundError:
        raise MetadataError(
            f"{path} is missing; run evaluate first, and merge if it ran in shards."
        ) from None
    except (OSError, ValueError) as error:
        raise MetadataError(f"{path} is not a readable CSV file ({error}); run evaluate again.") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise MetadataError(f"{path} lacks the columns {missing}; run evaluate again.")
    return table
