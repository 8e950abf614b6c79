"""Which process this is, and whether another one still runs; told apart across machines and containers."""

import os
import re
import socket
import sys
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """Where process numbers mean the same, as part of a file's name: the host, and which container in it."""
    namespace = Path("/proc/self/ns/pid")
    container = re.sub(r"\D", "", str(namespace.readlink())) if namespace.is_symlink() else "0"
    return re.sub(r"[^\w-]", "_", socket.gethostname()) + f"-{container}"


def birth(pid: int) -> str:
    """When a process of this machine began, in ticks, to tell it from a later one of that number.

    Empty if there is no such process, "?" where only that it runs can be told.
    """
    if sys.platform == "win32":  # where there is no way to ask without ending it
        return "?"
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else rest[18]
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass  # somebody else's
    return "?"
