"""Numba with the project's settings: typed, cached on disk, and without the interpreter lock."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` to machine code on its first call and keep the code for the next start.

    IEEE arithmetic is kept (no `fastmath`), so results do not depend on the machine's vector width.
    """
    kernel: Callable[P, R] = numba.njit(cache=True, nogil=True)(function)
    return kernel
