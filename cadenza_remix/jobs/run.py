"""Doing all jobs of a command, with progress, and telling what failed."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from cadenza_remix import results
from cadenza_remix.errors import CadenzaError
from cadenza_remix.ledger import Ledger
from cadenza_remix.output import check_space
from cadenza_remix.parallel import run_all
from cadenza_remix.scenes import Job, Outcome, Pair, group_by_song

SHOWN_CAUSES = 5


class Work(Protocol):
    """What is done with a job."""

    @property
    def runs(self) -> Sequence[Path]:
        """The folders it is done for."""
        ...

    def check(self, job: Job) -> float:
        """Raise a CadenzaError if the job cannot succeed, else tell how many bytes it will write.

        Reads headers only.
        """
        ...

    def __call__(self, job: Job) -> list[Outcome]:
        """Do the job; an outcome per run and pair."""
        ...


def run_jobs(
    work: Work,
    pairs: Sequence[Pair],
    command: str,
    *,
    overwrite: bool,
    workers: int | None,
    timeout_s: float | None,
) -> list[Outcome]:
    """Do all pairs, song by song; a song that cannot succeed is found out before the work starts.

    Args:
        work: what to do with a song.
        pairs: the scenes and their listeners.
        command: whose records are kept.
        overwrite: do also what is finished.
        workers: as in `run_all`.
        timeout_s: likewise, for a song.

    Returns:
        An outcome per run and pair, pairs in the order given.

    Raises:
        OutputError: if the disk is too small, full or read-only.
    """
    outcomes, able, bytes_to_write = [], [], 0.0
    for job in group_by_song(pairs):
        try:
            bytes_to_write += work.check(job)
            able.append(job)
        except CadenzaError as error:
            outcomes += _failed(work, job, str(error))
    for run in work.runs:
        check_space(run, bytes_to_write)
        if overwrite:
            Ledger(run / "parts" / command).forget(job.song for job in able)
    able.sort(key=lambda job: len(job.pairs), reverse=True)  # long ones first: no core waits at the end
    total = sum(len(job.pairs) for job in able)
    with tqdm(desc=command, total=total, unit="pair", disable=None) as bar:
        for job, result in run_all(work, able, workers=workers, timeout_s=timeout_s):
            outcomes += _failed(work, job, result) if isinstance(result, str) else result
            bar.update(len(job.pairs))
    found = {(outcome.run, outcome.pair.name): outcome for outcome in outcomes}
    return [found[run, pair.name] for run in work.runs for pair in pairs]


def _failed(work: Work, job: Job, cause: str) -> list[Outcome]:
    return [Outcome(pair, run, cause=cause) for run in work.runs for pair in job.pairs]


def report_failures(
    exp_folder: Path, command: str, failures: Sequence[Mapping[str, str]], suffix: str = ""
) -> bool:
    """Write a command's failures down and tell the first causes; true if there are none."""
    results.write_failures(exp_folder, command, failures, suffix)
    return tell_failures(results.table_path(exp_folder, results.FAILURES, suffix), failures)


def tell_failures(table: Path, failures: Sequence[Mapping[str, str]]) -> bool:
    """Tell the first causes of failure in a table, each once; true if there are none."""
    by_cause: dict[str, list[Mapping[str, str]]] = {}
    for row in failures:
        by_cause.setdefault(row["cause"], []).append(row)
    for cause, (first, *more) in list(by_cause.items())[:SHOWN_CAUSES]:
        where = " ".join(first[name] for name in ("scene", "listener") if first.get(name)) or first["song"]
        others = f" and {len(more)} more" if more else ""
        print(f"failed: {where}{others}: {cause}", file=sys.stderr)
    if failures:
        print(f"{len(failures)} failed; all are listed in {table}", file=sys.stderr)
    return not failures
