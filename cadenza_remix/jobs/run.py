"""Doing all jobs of a command, with progress, and telling what failed."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from cadenza_remix import results
from cadenza_remix.errors import CadenzaError
from cadenza_remix.ledger import Ledger, claim
from cadenza_remix.lock import locked
from cadenza_remix.output import check_space, remove_leftovers
from cadenza_remix.parallel import run_all
from cadenza_remix.scenes import Job, Outcome, Pair, group_by_song
from cadenza_remix.shards import remove_scores, replace_failures

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


@contextmanager
def filling(
    folder: Path,
    command: str,
    pairs: Sequence[Pair],
    settings: Mapping[str, Any],
    *,
    made_with: Mapping[str, Any],
    overwrite: bool,
    suffix: str = "",
    wait_s: float = 0.0,
    scored: bool = False,
) -> Iterator[None]:
    """Have a run's folder for a command and settings alone, what killed processes left there removed.

    Args:
        folder: the run's folder.
        command: what fills it.
        pairs: the scenes and their listeners.
        settings: as in `claim`.
        made_with: likewise.
        overwrite: do also what is finished; it counts for nothing from here on, interrupted or not, and with
            other settings neither does what other tasks have finished.
        suffix: of the task, if others fill the folder too.
        wait_s: how long to wait for who does the same.
        scored: whether the run's scores depend on these settings.

    Raises:
        ConfigError: if somebody else fills it, or it was begun with other settings.
    """
    ledger = Ledger(folder / "parts" / command)

    def take_all_back() -> None:
        ledger.forget_all()
        if scored:
            remove_scores(folder, "")

    with locked(folder, f"{command}{suffix}", wait_s=wait_s):
        remove_leftovers(folder)
        if overwrite:  # before the new settings stand there
            ledger.forget(job.song for job in group_by_song(pairs))
        claim(folder, command, settings, made_with=made_with, overwrite=overwrite, when_changed=take_all_back)
        yield


def run_jobs(
    work: Work,
    pairs: Sequence[Pair],
    command: str,
    *,
    workers: int | None,
    timeout_s: float | None,
) -> list[Outcome]:
    """Do all pairs, song by song; a song that cannot succeed is found out before the work starts.

    Args:
        work: what to do with a song.
        pairs: the scenes and their listeners.
        command: what this is, for the progress.
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
    replace_failures(exp_folder, command, failures, suffix)
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
