"""Lanes must compute as single numbers do."""

import numpy as np
import numpy.typing as npt
import pytest
from numba.core.errors import TypingError

from cadenza_remix.compiled import compiled
from cadenza_remix.lanes import WIDE, first_pair, join, lane, last_pair, load, pair, splat, store

Floats = npt.NDArray[np.float64]


@compiled
def wide(x: Floats, y: Floats, out: Floats) -> None:
    a, b = load(x, 1), load(y, 3)
    store(out, 2, (a + b) * a - splat(y[0]))


@compiled
def narrow(x: Floats, out: Floats) -> None:
    four = join(pair(x[0], x[1]), pair(x[2], x[3])) * join(pair(x[4], x[5]), pair(x[6], x[7]))
    both = first_pair(four) - last_pair(four)
    out[0], out[1] = lane(both, 0), lane(both, 1)


def test_eight_lanes_are_eight_neighbours() -> None:
    x, y = np.random.RandomState(1).standard_normal((2, WIDE + 4))
    out = np.zeros(WIDE + 4)
    wide(x, y, out)
    a, b = x[1 : WIDE + 1], y[3 : WIDE + 3]
    np.testing.assert_array_equal(out, [0, 0, *((a + b) * a - y[0]), 0, 0])


def test_pairs_are_joined_and_parted_in_order() -> None:
    x = np.random.RandomState(2).standard_normal(8)
    out = np.empty(2)
    narrow(x, out)
    np.testing.assert_array_equal(out, x[:2] * x[4:6] - x[2:4] * x[6:8])


@pytest.mark.parametrize("x", [np.zeros(20, np.float32), np.zeros(40)[::2]], ids=["float32", "every other"])
def test_arrays_with_other_neighbours_are_refused(x: npt.NDArray[np.floating]) -> None:
    with pytest.raises(TypingError, match="give a contiguous array of float64"):
        wide(x, x, x)
