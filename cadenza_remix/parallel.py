"""Doing many jobs, in this process or in several; one that fails costs nothing but itself."""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import TypeVar

from cadenza_remix.errors import CadenzaError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
logger = logging.getLogger(__name__)


def run_all(
    work: Callable[[JobT], ResultT],
    jobs: Sequence[JobT],
    *,
    workers: int | None,
) -> Iterator[tuple[JobT, ResultT | str]]:
    """Do every job and yield it with its result, or with the cause if it failed, as each is done.

    Args:
        work: what to do; it travels to the workers, so it must be picklable.
        jobs: what to do it with.
        workers: how many processes; None: one per core. One worker means this process.
    """
    workers = min(workers or available_cores(), len(jobs))
    if workers <= 1:
        for job in jobs:
            yield job, _attempt(work, job)
    else:
        yield from _in_processes(work, jobs, workers)


def import_early(module: str, *, workers: int | None) -> None:
    """Let a process from which workers will be forked import `module`, while this one does its own imports.

    Args:
        module: what the workers will need.
        workers: how many there will be; nothing is done for one.
    """
    if (workers or available_cores()) > 1 and "forkserver" in multiprocessing.get_all_start_methods():
        multiprocessing.get_context("forkserver").set_forkserver_preload([module])
        forkserver.ensure_running()


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(error: BaseException) -> str:
    """An error as one line; one of our own needs no type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, CadenzaError) else f"{type(error).__name__}: {text}"


def _attempt(work: Callable[[JobT], ResultT], job: JobT) -> ResultT | str:
    try:
        return work(job)
    except CadenzaError as error:
        return describe(error)
    except Exception as error:
        logger.exception("Unexpected failure")
        return describe(error)


def _clean_processes() -> BaseContext:
    """Workers come from a process that never had threads or a GPU: a forked copy of one that has can hang."""
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


def _leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches every process; a worker finishes its job, so that nothing half done is lost."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _in_processes(
    work: Callable[[JobT], ResultT], jobs: Sequence[JobT], workers: int
) -> Iterator[tuple[JobT, ResultT | str]]:
    pool = ProcessPoolExecutor(
        workers, mp_context=_clean_processes(), initializer=_leave_interrupts_to_the_parent
    )
    try:
        futures = {pool.submit(_attempt, work, job): job for job in jobs}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                yield futures[future], "A worker process was killed (out of memory?); run the command again."
    finally:
        pool.shutdown(cancel_futures=True)
