"""One run at a time: a folder `.<command>.lock` in the run's folder says who fills it.

A folder, because renaming one into place succeeds for a single process on every file system; `flock` is
missing on some network and cluster file systems or keeps to one machine, and some have no links. In it lies
one file, whose name no other holder's has: who takes over a stale lock removes that file, so never another's,
however late it comes; an empty folder is free. A lock is stale if its process is gone (seen on the same
machine), or if nobody has touched it for a while (seen from another one, by the file system's own clock); who
was stopped for longer than that may have lost it to another machine, and writes nothing more (`held`).

The tasks of a divided run hold `.<command>_<i>-<n>.lock` side by side, and keep out who divides the same work
otherwise, or not at all.
"""

import json
import logging
import os
import random
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from cadenza_remix import held
from cadenza_remix.errors import ConfigError, OutputError
from cadenza_remix.output import partial_name, write_text
from cadenza_remix.processes import birth, machine

TOUCHED_EVERY_S = 15.0
STALE_AFTER_S = 180.0  # network file systems may show times that are a minute old
LOOKED_EVERY_S, TOLD_AFTER_S = 0.05, 5.0
REPLACED_WITHIN_S = 5.0  # unless it belongs to somebody else
TASK = re.compile(r"_\d+-(?=\d+$)")  # in a name, between the work and the number of its tasks
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """Who fills a folder.

    Attributes:
        host: the machine's name.
        machine: its name where process numbers mean the same.
        pid: the process.
        birth: tells it from a later one of that number.
        since: when it took the lock.
    """

    host: str
    machine: str
    pid: int
    birth: str
    since: str

    def __str__(self) -> str:
        """How it is told."""
        return f"process {self.pid} on {self.host} since {self.since}"


@contextmanager
def locked(folder: Path, name: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of that name; one whose holder died is taken over.

    Args:
        folder: what is locked.
        name: what for; for a task's part of that, such as `evaluate_1-4`.
        wait_s: how long to wait for a holder that lives.

    Raises:
        ConfigError: if somebody else holds it, or does the same divided otherwise, saying who and since when.
        OutputError: if the folder cannot be written.
    """
    own_file, pid = folder / f".{name}.lock" / f"{uuid4().hex}.json", os.getpid()
    own = Holder(socket.gethostname(), machine(), pid, birth(pid), f"{datetime.now():%Y-%m-%d %H:%M:%S}")
    _take(own_file, own, wait_s)
    held.files.add(own_file)
    done = threading.Event()
    threading.Thread(target=_touch, args=(own_file, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        held.files.discard(own_file)
        _give_back(own_file)


def _take(own_file: Path, own: Holder, wait_s: float) -> None:
    """Put the lock there, with `own_file` in it, once nobody has it or does the same divided otherwise."""
    lock, begin_s, told = own_file.parent, time.monotonic(), False
    mine = partial_name(lock.with_name(f"{lock.name}.{own_file.stem}"))
    offered = mine / own_file.name
    try:
        while True:
            if offered.exists():
                os.utime(offered)  # for the file system's clock
            else:
                write_text(offered, json.dumps(asdict(own)))
            in_the_way = _first_held([lock, *_divided_otherwise(lock)], offered)
            if not in_the_way and _put(mine, own_file):
                return
            waited_s = time.monotonic() - begin_s
            if in_the_way:
                other, holder = in_the_way
                if waited_s >= wait_s:
                    raise ConfigError(
                        f"{lock.parent} is being filled by {holder}; wait, stop it, choose another name=, or "
                        f"delete {other} if that is surely gone."
                    )
                if waited_s > TOLD_AFTER_S and not told:
                    logger.info("%s is being filled by %s; waiting for that.", lock.parent, holder)
                    told = True
            elif waited_s > wait_s + REPLACED_WITHIN_S:
                raise OutputError(f"{lock} is left from a run that died and cannot be replaced; delete it.")
            time.sleep(random.uniform(0, 2 * LOOKED_EVERY_S))  # in step with nobody
    finally:
        shutil.rmtree(mine, ignore_errors=True)


def _put(mine: Path, own_file: Path) -> bool:
    """Rename a folder unless the target is there with something in it, or one divided otherwise came, too."""
    lock = own_file.parent
    with suppress(OSError):
        lock.rmdir()  # an empty one is nobody's, and not every system renames onto it
    try:
        mine.rename(lock)
    except OSError:
        return False
    if _first_held(_divided_otherwise(lock), own_file):  # at least the second of two sees both
        _give_back(own_file)
        return False
    return True


def _divided_otherwise(lock: Path) -> list[Path]:
    """The locks for the same work in another number of tasks."""
    work, *tasks = TASK.split(lock.stem)
    others = [(other, TASK.split(other.stem)) for other in lock.parent.glob(".*.lock")]
    return [other for other, (same, *count) in others if same == work and count != tasks]


def _first_held(locks: Iterable[Path], own_file: Path) -> tuple[Path, Holder] | None:
    """The first lock whose holder lives, and that one; those before it are rid of what dead ones left."""
    for lock in locks:
        file, holder = _look(lock)
        if file and holder and not _is_stale(holder, file, own_file):
            return lock, holder
        if file:
            with suppress(OSError):  # somebody was faster
                file.unlink()
                lock.rmdir()
    return None


def _look(lock: Path) -> tuple[Path | None, Holder | None]:
    """The file in the lock, and who it says has it; no holder if it is damaged, no file if there is none."""
    file = None
    try:
        file = next(lock.glob("*.json"), None)
        return file, Holder(**json.loads(file.read_text(encoding="utf-8"))) if file else None
    except OSError:  # given back meanwhile
        return None, None
    except (ValueError, TypeError):
        return file, None


def _give_back(own_file: Path) -> None:
    with suppress(OSError):  # taken over by who believed us dead; then the lock is theirs and stays
        own_file.unlink()
        own_file.parent.rmdir()


def _is_stale(holder: Holder, file: Path, own_file: Path) -> bool:
    if holder.machine == machine():
        return birth(holder.pid) != holder.birth
    with suppress(OSError):  # given back meanwhile
        return own_file.stat().st_mtime - file.stat().st_mtime > STALE_AFTER_S
    return True


def _touch(path: Path, done: threading.Event) -> None:
    while not done.wait(TOUCHED_EVERY_S):
        with suppress(OSError):
            os.utime(path)
