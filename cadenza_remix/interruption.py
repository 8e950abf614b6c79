"""What Ctrl-C and a request to end (SIGTERM) do: the same, as a repeated command continues."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cadenza_remix.errors import DISK_ERRORS

EXIT_INTERRUPTED = 130
EXIT_UNHEARD = 1
TOLD = "Interrupted; the same command continues where this one stopped."


@contextmanager
def interruptible() -> Iterator[None]:
    """Leave with one sentence where somebody interrupts or a disk is full; silently where nobody reads on."""
    _handle_by(_leave)
    try:
        try:
            yield
        finally:  # what Python would do later, and tell of in its own words
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(TOLD, file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        leave_unheard()
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        leave_full(error)


def leave_unheard() -> NoReturn:
    """Leave where nobody reads on, as `head` does when it has enough."""
    _drop_output()
    sys.exit(EXIT_UNHEARD)


def leave_full(error: OSError) -> NoReturn:
    """Leave where a disk takes nothing more, be it what is printed."""
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
    sys.exit(f"error: Nothing more can be written ({error}); free the disk, or write or print elsewhere.")


def _drop_output() -> None:
    """Nothing takes what Python still has to print."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def work_begins() -> None:
    """From here on there is something to put in order, so that an interruption is an exception."""
    _handle_by(signal.default_int_handler)


@contextmanager
def nothing_begun() -> Iterator[None]:
    """Within, leave at once where somebody interrupts: what is imported may turn an exception into others."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    _handle_by(_leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave at once: what reads the settings turns an exception into others."""
    os.write(sys.stderr.fileno(), f"{TOLD}\n".encode())
    os._exit(EXIT_INTERRUPTED)


def _handle_by(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a job in the background
        signal.signal(signal.SIGINT, handler)
