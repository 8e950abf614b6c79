"""One run at a time: a folder `.<command>.lock` in the run's folder says who fills it.

A folder, because renaming one into place succeeds for a single process on every file system; `flock` is
missing on some network and cluster file systems or keeps to one machine, and some have no links. A lock is
stale if its process is gone (seen on the same machine), or if nobody has touched it for a while (seen from
another one, by the file system's own clock).
"""

import json
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from cadenza_remix.errors import ConfigError, OutputError
from cadenza_remix.output import partial_name, write_text
from cadenza_remix.processes import birth, machine

TOUCHED_EVERY_S = 15.0
STALE_AFTER_S = 180.0  # network file systems may show times that are a minute old
HOLDER = "holder.json"
LOOKED_EVERY_S, TOLD_AFTER_S = 0.2, 5.0
ATTEMPTS = 10  # to be faster than others
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
        name: what for.
        wait_s: how long to wait for a holder that lives.

    Raises:
        ConfigError: if somebody else holds it, saying who and since when.
        OutputError: if the folder cannot be written.
    """
    lock, pid = folder / f".{name}.lock", os.getpid()
    own = Holder(socket.gethostname(), machine(), pid, birth(pid), f"{datetime.now():%Y-%m-%d %H:%M:%S}")
    _take(lock, own, wait_s)
    done = threading.Event()
    threading.Thread(target=_touch, args=(lock / HOLDER, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        _take_away(lock, own)


def _take(lock: Path, own: Holder, wait_s: float) -> None:
    """Put the lock there; of several that find a stale one, the first to take that away wins."""
    mine, begin_s, attempts, told = partial_name(lock), time.monotonic(), 0, False
    try:
        write_text(mine / HOLDER, json.dumps(asdict(own)))
        while attempts < ATTEMPTS:
            if _renamed(mine, lock):
                return
            holder, waited_s = _holder(lock), time.monotonic() - begin_s
            if holder and not _is_stale(holder, lock, mine):
                if waited_s >= wait_s:
                    raise ConfigError(
                        f"{lock.parent} is being filled by {holder}; wait, stop it, choose another name=, or "
                        f"delete {lock} if that is surely gone."
                    )
                if waited_s > TOLD_AFTER_S and not told:
                    logger.info("%s is being filled by %s; waiting for that.", lock.parent, holder)
                    told = True
                time.sleep(LOOKED_EVERY_S)
                os.utime(mine / HOLDER)
                continue
            _take_away(lock, holder)
            attempts += 1
        raise OutputError(f"{lock} is left from a run that died and cannot be replaced; delete it.")
    finally:
        shutil.rmtree(mine, ignore_errors=True)


def _take_away(lock: Path, expected: Holder | None) -> None:
    aside = partial_name(lock.with_name(f"{lock.name}.old"))
    if _renamed(lock, aside):
        if _holder(aside) != expected:  # somebody was faster, and this is theirs
            _renamed(aside, lock)
        shutil.rmtree(aside, ignore_errors=True)


def _renamed(source: Path, target: Path) -> bool:
    """Rename a folder unless the target is there, with something in it, or the source is not."""
    try:
        source.rename(target)
    except OSError:
        return False
    return True


def _holder(lock: Path) -> Holder | None:
    try:
        return Holder(**json.loads((lock / HOLDER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_stale(holder: Holder, lock: Path, mine: Path) -> bool:
    if holder.machine == machine():
        return birth(holder.pid) != holder.birth
    with suppress(OSError):  # given back meanwhile
        age_s = (mine / HOLDER).stat().st_mtime - (lock / HOLDER).stat().st_mtime
        return age_s > STALE_AFTER_S
    return True


def _touch(path: Path, done: threading.Event) -> None:
    while not done.wait(TOUCHED_EVERY_S):
        with suppress(OSError):
            os.utime(path)
