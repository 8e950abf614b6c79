"""Which process this is, and whether another one still runs; told apart across machines and containers."""

import hashlib
import os
import socket
import sys
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """Where process numbers mean the same, as part of a file's name: the host, and which container in it.

    As a hash, since a host's name may be so long that no file's name has room for it.
    """
    namespace = Path("/proc/self/ns/pid")
    container = namespace.readlink() if namespace.is_symlink() else ""
    return hashlib.sha256(f"{socket.gethostname()}-{container}".encode()).hexdigest()[:16]


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
