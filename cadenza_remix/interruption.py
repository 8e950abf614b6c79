"""What Ctrl-C and a request to end (SIGTERM) do: the same, as a repeated command continues."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_INTERRUPTED = 130


@contextmanager
def interruptible() -> Iterator[None]:
    """Leave with one sentence and exit code 130 where somebody interrupts."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print("Interrupted; the same command continues where this one stopped.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
