"""What Ctrl-C and a request to end (SIGTERM) do: the same, as a repeated command continues."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_INTERRUPTED = 130
TOLD = "Interrupted; the same command continues where this one stopped."


@contextmanager
def interruptible() -> Iterator[None]:
    """Leave with one sentence and exit code 130 where somebody interrupts."""
    _handle_by(_leave)
    try:
        yield
    except KeyboardInterrupt:
        print(TOLD, file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


def work_begins() -> None:
    """From here on there is something to put in order, so that an interruption is an exception."""
    _handle_by(signal.default_int_handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave at once: what reads the settings turns an exception into others."""
    os.write(sys.stderr.fileno(), f"{TOLD}\n".encode())
    os._exit(EXIT_INTERRUPTED)


def _handle_by(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a job in the background
        signal.signal(signal.SIGINT, handler)
