"""Numba with the project's settings: typed, cached on disk, and without the interpreter lock.

A kernel's machine code is kept for the next start and made anew when its own file changes. Code that it took
over from another file does not count for that: after a change in `elementary.py` or `lanes.py`, touch the
files that import it.
"""

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` to machine code on its first call and keep the code for the next start.

    IEEE arithmetic is kept (no `fastmath`), so results do not depend on the machine's vector width; a
    division by zero gives infinity instead of an exception, for the check would keep loops from being
    vectorised.
    """
    kernel: Callable[P, R]
    try:
        kernel = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # Numba found no folder to keep the code in
        warn_of_compiling()
        kernel = numba.njit(nogil=True, error_model="numpy")(function)
    return kernel


def cache_folder() -> Path | None:
    """Where machine code of this package is kept; None if no such folder is writable."""
    try:
        kernel = numba.njit(cache=True)(_nothing)
    except RuntimeError:  # as above
        return None
    return Path(str(kernel.stats.cache_path))


def _nothing() -> None:
    """What it would be tried with."""


@cache
def warn_of_compiling() -> None:
    """Say, once in a process, that code is not kept."""
    warnings.warn(
        "Compiled code cannot be kept, because neither the package's folder nor the user's cache folder is "
        "writable, so every start compiles for about half a minute; set NUMBA_CACHE_DIR to a folder that is.",
        RuntimeWarning,
        stacklevel=3,
    )
