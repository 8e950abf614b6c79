"""What Ctrl-C and a request to end (SIGTERM) do: the same, as a repeated command continues."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 130
EXIT_UNHEARD = 1
TOLD = "Interrupted; the same command continues where this one stopped."


@contextmanager
def interruptible() -> Iterator[None]:
    """Leave with one sentence and exit code 130 where somebody interrupts; silently where nobody reads on."""
    _handle_by(_leave)
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(TOLD, file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        leave_unheard()


def leave_unheard() -> NoReturn:
    """Leave where nobody reads on, as `head` does when it has enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still has to write
    sys.exit(EXIT_UNHEARD)


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
