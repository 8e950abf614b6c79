"""Whether the folders that this process fills are still its own; `lock` takes them.

A process that stands still for minutes (stopped, on a machine that sleeps, before a file system that hangs)
is taken for dead by other machines, which go on in its place. Among their files there shall be none that it
was about to write, so each asks here before it takes its place; workers ask, too.
"""

from pathlib import Path

from cadenza_remix.errors import NothingWritableError

files: set[Path] = set()  # one in each lock that this process, or the one that started it, holds


def check() -> None:
    """Refuse to write once a lock is lost.

    Raises:
        NothingWritableError: if the file that shows who holds it is gone.
    """
    for file in tuple(files):
        try:
            file.stat()
        except FileNotFoundError as error:
            raise NothingWritableError(
                f"{file.parent} is no longer held by this process: another one took over while this stood "
                "still, or somebody deleted it; run the command again when no other is at it."
            ) from error
