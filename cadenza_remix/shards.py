"""A run in shards: which songs each task of a cluster takes, and how their tables become one."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cadenza_remix import output, results
from cadenza_remix.errors import MetadataError
from cadenza_remix.results import (
    DETAILS,
    FAILURE_COLUMNS,
    FAILURES,
    PAIR_COLUMNS,
    SCORE_COLUMNS,
    SCORES,
    SEPARATION,
    SEPARATION_COLUMNS,
)
from cadenza_remix.scenes import Pair, group_by_song

Item = TypeVar("Item")
Row = dict[str, str]
Key = tuple[str, ...]  # scene, song and listener
VALUES = [column for column in SCORE_COLUMNS if column not in PAIR_COLUMNS]
FAILING = ("prepare", "enhance", "evaluate", "merge")  # commands with failures, in the order of a run


def take_share(items: Sequence[Item], sizes: Sequence[int], *, index: int, count: int) -> list[Item]:
    """The items that one of `count` tasks takes; each item belongs to exactly one of them.

    The largest goes first, each to the task that has least to do so far, so that the loads differ by no more
    than one item.

    Args:
        items: what is to be done, in an order that all tasks see.
        sizes: how much work each is.
        index: which task this is, from 0.
        count: how many tasks there are.

    Returns:
        This task's items, in the order given.
    """
    loads = [0] * count
    own = []
    for number in sorted(range(len(items)), key=lambda number: -sizes[number]):
        task = loads.index(min(loads))
        loads[task] += sizes[number]
        if task == index:
            own.append(number)
    return [items[number] for number in sorted(own)]


def take_songs(pairs: Sequence[Pair], *, index: int, count: int) -> list[Pair]:
    """The pairs that one of `count` tasks takes: whole songs, balanced by their pairs; see `take_share`."""
    jobs = group_by_song(pairs)
    own = take_share(jobs, [len(job.pairs) for job in jobs], index=index, count=count)
    songs = {job.song for job in own}
    return [pair for pair in pairs if pair.scene.song in songs]


def remove_scores(exp_folder: Path, suffix: str) -> None:
    """Remove a task's scores and the whole run's; merge and report shall not take them for those to come.

    An undivided run removes those of every task, whose place it takes.
    """
    for table in (SCORES, DETAILS, SEPARATION):
        own = [results.table_path(exp_folder, table, suffix)] if suffix else _tables(exp_folder, table)
        output.remove([*own, exp_folder / table])


def replace_failures(
    exp_folder: Path, command: str, causes: Sequence[Mapping[str, str]], suffix: str = ""
) -> None:
    """Replace a command's rows in a task's `failures.csv`; an undivided run, in that of every task."""
    results.write_failures(exp_folder, command, causes, suffix)
    if not suffix:
        for table in _tables(exp_folder, FAILURES):
            results.write_failures(exp_folder, command, [], table.stem.removeprefix(Path(FAILURES).stem))


@dataclass(frozen=True)
class Merged:
    """What was merged.

    Attributes:
        scored: how many pairs have a score.
        repeated: names of the pairs that stand in several tables, with equal scores.
        failures: the rows of `failures.csv`; a pair that no table has is one of them.
    """

    scored: int
    repeated: list[str]
    failures: list[Row]


def merge_tables(exp_folder: Path, pairs: Sequence[Pair]) -> Merged:
    """Put a run's `scores_1-4.csv` … together into `scores.csv`, and its other tables likewise.

    The tables are those of a run in shards, or of the batches of the reference recipe, which are scores
    only. Rows come out as one task would have written them, in the order of the pairs.

    Args:
        exp_folder: the run's folder.
        pairs: all pairs that the run should hold.

    Raises:
        MetadataError: if there are no such tables, one is damaged, a pair is not one of the run's, or two
            tables contradict each other.
    """
    keys: list[Key] = [(pair.scene.name, pair.scene.song, pair.listener.name) for pair in pairs]
    tables = _tables(exp_folder, SCORES)
    if not tables:
        raise MetadataError(
            f"{exp_folder} holds no tables of shards, such as scores_1-4.csv; run evaluate with "
            "shard.index=… and shard.count=… first."
        )
    rows, repeated = _merge_scores(tables, keys)
    scored = {key: rows[key] for key in keys if key in rows and _has_numbers(rows[key])}
    failures = _merge_failures(exp_folder, keys, scored)
    told = {*scored, *(_key(row) for row in failures if row["command"] == "evaluate")}
    gap = _gap(tables)
    for key in keys:
        if key not in told:
            cause = f"Its scores are {_values(rows[key])}, not numbers." if key in rows else gap
            names = dict(zip(PAIR_COLUMNS, key, strict=True))
            failures.append({"command": "merge", **names, "cause": cause})
    results.write_score_rows(exp_folder, list(scored.values()))
    for command in FAILING:
        results.write_failures(exp_folder, command, [row for row in failures if row["command"] == command])
    _merge_separation(exp_folder, keys)
    return Merged(len(scored), repeated, failures)


def _tables(exp_folder: Path, table: str) -> list[Path]:
    """The shards' files of a table, in their order."""
    name = re.compile(rf"{Path(table).stem}_(\d+)-(\d+)\.csv")
    found = {path: match for path in exp_folder.glob("*.csv") if (match := name.fullmatch(path.name))}
    return sorted(found, key=lambda path: (int(found[path][2]), int(found[path][1])))


def _merge_scores(tables: Sequence[Path], keys: Sequence[Key]) -> tuple[dict[Key, Row], list[str]]:
    """The rows of scores with their details, and the names of those that stand there more than once."""
    known, rows, origins, repeated = set(keys), dict[Key, Row](), dict[Key, Path](), list[str]()
    for table in tables:
        for row in _rows_with_details(table):
            key = _key(row)
            if key not in known:
                raise MetadataError(
                    f"{table} has {_name(row)} ({row['song']}), which is not in the scene list; give merge "
                    "the path.root, split and evaluate.small_test of that run, or remove the table."
                )
            if key not in rows:
                rows[key], origins[key] = row, table
            elif _values(row) == _values(rows[key]):
                repeated.append(_name(row))
            else:
                raise MetadataError(
                    f"{_name(row)} has the scores {_values(rows[key])} in {origins[key]} and {_values(row)} "
                    f"in {table}; remove the table that is out of date."
                )
    return rows, repeated


def _rows_with_details(scores: Path) -> list[Row]:
    """A shard's scores, joined with its details if it has such a table; then a row needs both."""
    rows = results.read_rows(scores, SCORE_COLUMNS)
    path = scores.with_name(scores.name.replace(Path(SCORES).stem, Path(DETAILS).stem, 1))
    if not path.is_file():
        return rows
    details = {_key(row): row for row in results.read_rows(path, PAIR_COLUMNS)}
    return [row | details[_key(row)] for row in rows if _key(row) in details]


def _merge_failures(exp_folder: Path, keys: Sequence[Key], scored: Collection[Key]) -> list[Row]:
    """What failed, command by command in the order of the pairs, and of the songs where no pair is named.

    What an earlier, undivided command has written to `failures.csv` stays unless it has a score by now.
    """
    found = []
    for table in _tables(exp_folder, FAILURES):
        for row in results.read_rows(table, FAILURE_COLUMNS):
            if row["command"] not in FAILING:
                raise MetadataError(
                    f"{table} has a failure of {row['command']!r}; expected {', '.join(FAILING)}: remove the "
                    "table, and repeat that task."
                )
            if row["command"] == "evaluate" and _key(row) in scored:
                raise MetadataError(
                    f"{_name(row)} failed according to {table}, and has a score in another table; remove the "
                    "table that is out of date."
                )
            found.append(row)
    whole, songs = exp_folder / FAILURES, list(dict.fromkeys(song for _, song, _ in keys))
    if whole.is_file():
        done = {*scored, *(("", song, "") for _, song, _ in scored)}
        earlier = [row for row in results.read_rows(whole, FAILURE_COLUMNS) if _key(row) not in done]
        found += [row for row in earlier if row["command"] in FAILING[:2]]
    place = {key: number for number, key in enumerate([*keys, *(("", song, "") for song in songs)])}
    unique = {tuple(row.items()): row for row in found}.values()
    return sorted(unique, key=lambda row: (FAILING.index(row["command"]), place.get(_key(row), len(place))))


def _merge_separation(exp_folder: Path, keys: Sequence[Key]) -> None:
    """Put the shards' scores of separation together, songs in the order of the pairs."""
    tables = _tables(exp_folder, SEPARATION)
    rows: dict[tuple[str, str], Row] = {}
    songs = list(dict.fromkeys(song for _, song, _ in keys))
    for table in tables:
        for row in results.read_rows(table, SEPARATION_COLUMNS):
            if row["song"] not in songs:
                raise MetadataError(
                    f"{table} has the song {row['song']!r}, which is not in the scene list; remove the table."
                )
            if rows.setdefault((row["song"], row["source"]), row) != row:
                raise MetadataError(
                    f"{row['source']} of {row['song']} has another score in {table} than in an earlier "
                    "table; remove the table that is out of date."
                )
    if tables:
        ordered = sorted(rows.values(), key=lambda row: songs.index(row["song"]))
        results.write_separation_rows(exp_folder, ordered)


def _gap(tables: Sequence[Path]) -> str:
    """Why a pair may be in none of the tables."""
    there = {path.name for path in tables}
    counts = sorted({int(path.stem.split("-")[-1]) for path in tables})
    wanted = [(f"scores_{index + 1}-{count}.csv", index) for count in counts for index in range(count)]
    for name, index in wanted:
        if name not in there:
            return f"{name} is missing; repeat that task (shard.index={index}), then merge again."
    return "In none of the tables; evaluate it, then merge again."


def _key(row: Row) -> Key:
    return tuple(row[column] for column in PAIR_COLUMNS)


def _name(row: Row) -> str:
    return f"{row['scene']} for {row['listener']}"


def _values(row: Row) -> str:
    return ", ".join(row[column] or "nothing" for column in VALUES)


def _has_numbers(row: Row) -> bool:
    """Whether all scores of a row are finite; a task that was cut off leaves part of a row."""
    try:
        return all(math.isfinite(float(row[column])) for column in VALUES)
    except ValueError:
        return False
