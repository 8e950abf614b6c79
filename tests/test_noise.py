import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadenza_remix.noise import NormalStream, fill_normal, fork, hand_back, skip_normal, stream_of

UNITS_IN_LAST_PLACE = 4  # our logarithm and the C library's err by one each; root and product add theirs


def draw(stream: NormalStream, count: int) -> npt.NDArray[np.float64]:
    out = np.full(count + 1, np.nan)
    fill_normal(stream, out, count, np.empty((3, count // 2 + 2)))
    assert np.isnan(out[count])  # nothing is written behind what was asked for
    return out[:count]


def state(rng: np.random.RandomState) -> tuple[bytes, int, int]:
    _, words, used, has_spare, _ = rng.get_state(legacy=True)
    return np.asarray(words).tobytes(), int(used), int(has_spare)


COUNTS = st.integers(0, 2000) | st.sampled_from([245, 311, 312, 313, 623, 624, 625, 20000])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 3), COUNTS)
def test_normals_and_the_state_behind_them_are_numpys(seed: int, before: int, words: int, count: int) -> None:
    rng = np.random.RandomState(seed)
    rng.standard_normal(before)
    rng.tomaxint(words)  # leaves the words of an attempt astride two states
    stream = stream_of(rng)
    expected = rng.standard_normal(count)
    np.testing.assert_array_max_ulp(draw(stream, count), expected, UNITS_IN_LAST_PLACE)
    ours = np.random.RandomState()
    hand_back(ours, stream)
    assert state(ours) == state(rng)
    np.testing.assert_array_max_ulp(ours.standard_normal(3), rng.standard_normal(3), UNITS_IN_LAST_PLACE)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3), COUNTS)
def test_skipping_leads_where_drawing_leads(seed: int, before: int, count: int) -> None:
    rng = np.random.RandomState(seed)
    rng.standard_normal(before)
    drawn, skipped = stream_of(rng), stream_of(rng)
    draw(drawn, count)
    skip_normal(skipped, count)
    for one, other in zip(drawn, skipped, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [1, 777, 1000])
def test_forked_streams_join_up(count: int) -> None:
    rng = np.random.RandomState(3)
    stream = stream_of(rng)
    parts = fork(stream, count, 5)
    expected = rng.standard_normal(5 * count)
    joined = np.concatenate([draw(part, count) for part in reversed(parts)][::-1])
    np.testing.assert_array_max_ulp(joined, expected, UNITS_IN_LAST_PLACE)
    np.testing.assert_array_max_ulp(draw(stream, 2), rng.standard_normal(2), UNITS_IN_LAST_PLACE)


def test_pieces_of_a_stream_join_up() -> None:
    whole, pieces = stream_of(np.random.RandomState(4)), stream_of(np.random.RandomState(4))
    joined = np.concatenate([draw(pieces, count) for count in (1, 2, 3, 500, 7, 1001, 0, 4)])
    np.testing.assert_array_equal(joined, draw(whole, len(joined)))


def test_another_generator_is_refused() -> None:
    with pytest.raises(TypeError, match="PCG64"):
        stream_of(np.random.RandomState(np.random.PCG64(1)))
