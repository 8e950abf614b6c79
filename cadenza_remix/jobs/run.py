"""Doing all jobs of a command, with progress, and telling what failed."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from cadenza_remix import results
from cadenza_remix.errors import CadenzaError
from cadenza_remix.parallel import run_all
from cadenza_remix.scenes import Job, Outcome, Pair, group_by_song

SHOWN_FAILURES = 5


class Work(Protocol):
    """What is done with a job."""

    @property
    def runs(self) -> Sequence[Path]:
        """The folders it is done for."""
        ...

    def check(self, job: Job) -> None:
        """Raise a CadenzaError if the job cannot succeed; reads headers only."""
        ...

    def __call__(self, job: Job) -> list[Outcome]:
        """Do the job; an outcome per run and pair."""
        ...


def run_jobs(work: Work, pairs: Sequence[Pair], command: str, *, workers: int | None) -> list[Outcome]:
    """Do all pairs, song by song; a song that cannot succeed is found out before the work starts.

    Returns:
        An outcome per run and pair, pairs in the order given.
    """
    outcomes, able = [], []
    for job in group_by_song(pairs):
        cause = _cause(work, job)
        if cause:
            outcomes += _failed(work, job, cause)
        else:
            able.append(job)
    able.sort(key=lambda job: len(job.pairs), reverse=True)  # long ones first: no core waits at the end
    total = sum(len(job.pairs) for job in able)
    with tqdm(desc=command, total=total, unit="pair", disable=None) as bar:
        for job, result in run_all(work, able, workers=workers):
            outcomes += _failed(work, job, result) if isinstance(result, str) else result
            bar.update(len(job.pairs))
    found = {(outcome.run, outcome.pair.name): outcome for outcome in outcomes}
    return [found[run, pair.name] for run in work.runs for pair in pairs]


def _failed(work: Work, job: Job, cause: str) -> list[Outcome]:
    return [Outcome(pair, run, cause=cause) for run in work.runs for pair in job.pairs]


def report_failures(
    exp_folder: Path, command: str, failures: Sequence[Mapping[str, str]], suffix: str = ""
) -> bool:
    """Write a command's failures down and tell the first ones; true if there are none."""
    results.write_failures(exp_folder, command, failures, suffix)
    return tell_failures(results.table_path(exp_folder, results.FAILURES, suffix), failures)


def tell_failures(table: Path, failures: Sequence[Mapping[str, str]]) -> bool:
    """Tell the first failures of a table; true if there are none."""
    for row in failures[:SHOWN_FAILURES]:
        where = " ".join(row[name] for name in ("scene", "listener") if row.get(name)) or row["song"]
        print(f"failed: {where}: {row['cause']}", file=sys.stderr)
    if failures:
        print(f"{len(failures)} failed; all are listed in {table}", file=sys.stderr)
    return not failures


def _cause(work: Work, job: Job) -> str | None:
    try:
        work.check(job)
    except CadenzaError as error:
        return str(error)
    return None
