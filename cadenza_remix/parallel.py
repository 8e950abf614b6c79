"""Doing many jobs, in this process or in several; one that fails costs nothing but itself.

Each worker process has a pipe of its own and shares no queue or lock with the others, so that it can be
killed at any moment. (`concurrent.futures` gives up all jobs when a worker dies; `pebble`'s workers share a
lock that a killed one takes with it.) A worker ends by itself when the process that started it is gone.
"""

import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, forkserver, resource_tracker
from pathlib import Path
from pickle import PicklingError
from typing import Any, TypeVar

from cadenza_remix import held
from cadenza_remix.errors import CadenzaError, ConfigError, NothingWritableError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
logger = logging.getLogger(__name__)
# Workers come from a process that never had threads or a GPU: a forked copy of one that has can hang.
HAS_FORKSERVER = "forkserver" in multiprocessing.get_all_start_methods()
CONTEXT = (
    multiprocessing.get_context("forkserver") if HAS_FORKSERVER else multiprocessing.get_context("spawn")
)


def run_all(
    work: Callable[[JobT], ResultT],
    jobs: Sequence[JobT],
    *,
    workers: int | None,
    timeout_s: float | None = None,
) -> Iterator[tuple[JobT, ResultT | str]]:
    """Do every job and yield it with its result, or with the cause if it failed, as each is done.

    A job that raises something unexpected is tried once more, and so is one whose worker died or took too
    long, in a new worker; a CadenzaError is final. Results are handed on at once and jobs are handed out one
    by one, so that memory does not grow with their number.

    Args:
        work: what to do; it travels to the workers, so it must be picklable.
        jobs: what to do it with.
        workers: how many processes; 0: none, in this one; None: one per core.
        timeout_s: how long a job may take in a worker; None: for ever.

    Raises:
        ConfigError: if the work cannot travel.
        NothingWritableError: if a job finds that nothing can be written any more; the others are given up.
    """
    if workers == 0:
        for job in jobs:
            yield job, _attempt(work, job)
    else:
        yield from _in_processes(work, jobs, min(workers or available_cores(), len(jobs)), timeout_s)


def import_early(*modules: str, workers: int | None) -> None:
    """Let a process from which workers will be forked import `modules`, while this one does its own imports.

    Args:
        modules: what the workers will need.
        workers: how many there will be; nothing is done for none.
    """
    if workers != 0 and HAS_FORKSERVER:
        CONTEXT.set_forkserver_preload([*modules])
        with _signals_later():
            forkserver.ensure_running()


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(error: BaseException) -> str:
    """An error as one line; one of our own needs no type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, CadenzaError) else f"{type(error).__name__}: {text}"


def _attempt(work: Callable[[JobT], ResultT], job: JobT) -> ResultT | str:
    for last in (False, True):
        try:
            return work(job)
        except NothingWritableError:
            raise
        except CadenzaError as error:
            return describe(error)
        except Exception as error:
            if last:
                if not isinstance(error, OSError):  # whose cause lies outside of the program
                    logger.exception("Unexpected failure")
                return describe(error)
    raise AssertionError


def _in_processes(
    work: Callable[[JobT], ResultT], jobs: Sequence[JobT], workers: int, timeout_s: float | None
) -> Iterator[tuple[JobT, ResultT | str]]:
    todo, tried = deque(range(len(jobs))), set[int]()
    team: dict[int, _Worker] = {}
    try:
        while True:
            for number in range(workers):
                idle = number not in team or team[number].job is None
                if idle and todo:
                    worker = team[number] = team.get(number) or _Worker(work, number)
                    worker.begin(todo[0], jobs[todo.popleft()], timeout_s)
                elif idle and number in team:
                    team.pop(number).end()
            if not team:
                return
            for worker in _ready(list(team.values())):
                job, result = worker.hear()
                if isinstance(result, _Begun):
                    continue
                if isinstance(result, _Lost):
                    team.pop(worker.number).end()
                    if job not in tried:
                        tried.add(job)
                        todo.append(job)
                        continue
                    result = f"Tried twice; at last {result.cause}."
                yield jobs[job], result
    finally:
        for worker in team.values():
            worker.end()


class _Begun:
    """What a worker says before it does a job: its start, with all imports, takes no job's time."""


@dataclass(frozen=True)
class _Lost:
    """Instead of a result, from a worker that is of no more use."""

    cause: str


class _Worker:
    """A process that does one job after the other."""

    def __init__(self, work: Callable[[Any], Any], number: int) -> None:
        self.number = number
        self.job: int | None = None
        self.timeout_s: float | None = None
        self.deadline_s = math.inf
        self.connection, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(
            target=_serve, args=(work, theirs, number, frozenset(held.files)), daemon=True
        )
        with _signals_later():
            try:
                self.process.start()
            except (EOFError, OSError):  # the process that forks was killed; the next try makes a new one
                self.process.start()
            except (PicklingError, AttributeError, TypeError) as error:
                raise ConfigError(
                    f"The work cannot be sent to a process ({error}); say executor=serial."
                ) from error
        theirs.close()

    def begin(self, number: int, job: Any, timeout_s: float | None) -> None:
        """Hand out a job."""
        self.job, self.timeout_s, self.deadline_s = number, timeout_s, math.inf
        with suppress(OSError):  # it died while it had nothing to do; `hear` tells
            self.connection.send(job)

    def hear(self) -> tuple[int, Any]:
        """The number of the job, and what the worker has to say of it."""
        job = self.job
        assert job is not None
        if not self.connection.poll():
            return job, _Lost(f"it took longer than executor.timeout_s={self.timeout_s:g}; allow it more")
        try:
            result = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(1)
            return job, _Lost(f"its worker {_death(self.process.exitcode)}")
        if isinstance(result, NothingWritableError):
            raise result
        if isinstance(result, _Begun):
            self.deadline_s = time.monotonic() + (self.timeout_s or math.inf)
        else:
            self.job = None
        return job, result

    def end(self) -> None:
        """End the process and those that it started: files are whole or not there, so nothing can break."""
        self.process.kill()
        if HAS_FORKSERVER and self.process.pid:
            # Nothing is left, or it had not begun; macOS says so of processes that wait to be asked for.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.connection.close()
        self.process.join()
        self.process.close()  # tells it even if the process that forks is gone, and `kill` with it


def _ready(team: Sequence[_Worker]) -> list[_Worker]:
    """Wait for those that have something to say, died, or took too long."""
    deadline_s = min((worker.deadline_s for worker in team), default=math.inf)
    left_s = None if deadline_s == math.inf else max(0.0, deadline_s - time.monotonic())
    heard = connection.wait([worker.connection for worker in team], left_s)
    now_s = time.monotonic()
    return [worker for worker in team if worker.connection in heard or worker.deadline_s <= now_s]


def _death(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}; run the command again"
    if -exit_code == signal.SIGKILL:
        return "was killed (out of memory?); run the command again, or with fewer executor.workers"
    return f"was ended by {signal.Signals(-exit_code).name}; run the command again"


def _serve(
    work: Callable[[Any], Any],
    jobs: "connection.Connection[Any, Any]",
    number: int,
    held_files: Iterable[Path],
) -> None:
    """What a worker does."""
    held.files.update(held_files)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent decides
    if HAS_FORKSERVER:
        os.setsid()  # a group of its own, with which all ends that it starts
        os.register_at_fork(after_in_child=jobs.close)  # else nobody would notice that it died
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    multiprocessing.current_process().daemon = False  # which could start no processes; the group ends them
    os.environ["LOCAL_RANK"] = str(number)  # as torchrun says which of several GPUs is whose
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            job = jobs.recv()
            jobs.send(_Begun())
            try:
                jobs.send(_attempt(work, job))
            except NothingWritableError as error:
                jobs.send(error)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    if HAS_FORKSERVER:
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


@contextmanager
def _signals_later() -> Iterator[None]:
    """Let signals wait while a process is started: half started, nobody would end it.

    A process started here keeps them blocked, so that Ctrl-C on a terminal does not disturb it.
    """
    if not HAS_FORKSERVER:
        yield
        return
    resource_tracker.ensure_running()  # unblocks signals if it is started later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
