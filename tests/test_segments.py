"""Cutting a track must not be heard: a network that does nothing gives the track back."""

import numpy as np
import pytest

from cadenza_remix.demix.segments import BaselineChunks, OverlapAdd, Segments
from cadenza_remix.errors import ConfigError

RATE = 1000
SECONDS = OverlapAdd(segment_s=1.0, overlap=0.25)
BASELINE = BaselineChunks(segment_s=10, overlap=0.1)


def total(segments: Segments, samples: int, rate: int = RATE) -> np.ndarray:
    """What a track of ones becomes when the network does nothing."""
    track = np.zeros(samples)
    for start, window in segments.windows(samples, sample_rate=rate):
        assert window.dtype == np.float32
        track[start : start + len(window)] += window
    return track


@pytest.mark.parametrize("samples", [1, 2, 999, 1000, 1001, 1750, 1751, 12345])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
def test_overlapping_windows_sum_to_one(samples: int, overlap: float) -> None:
    np.testing.assert_allclose(total(OverlapAdd(1.0, overlap), samples), 1, atol=3e-7)


def test_every_segment_has_the_full_length() -> None:
    windows = list(SECONDS.windows(2600, sample_rate=RATE))
    assert [(start, len(window)) for start, window in windows] == [
        (0, 1000),
        (750, 1000),
        (1500, 1000),
        (1600, 1000),
    ]


def test_a_segment_counts_less_towards_its_ends() -> None:
    _, middle = list(SECONDS.windows(2500, sample_rate=RATE))[1]
    np.testing.assert_allclose(middle[250:750], 1)
    assert (np.diff(middle[:250]) > 0).all()
    np.testing.assert_allclose(middle[:250], 1 - middle[750:], atol=1e-6)


@pytest.mark.parametrize("seconds", [12, 21, 22, 23, 60])
def test_the_baselines_chunks_sum_to_one_in_a_long_track(seconds: int) -> None:
    np.testing.assert_allclose(total(BASELINE, seconds * RATE), 1, atol=1e-6)


def test_the_baseline_fades_out_what_fits_into_one_chunk() -> None:
    track = total(BASELINE, 441000, 44100)
    assert (track[: 441000 - 4410] == 1).all()
    np.testing.assert_allclose(track[-4410:], 1 - np.arange(4410) / 4409, atol=1e-6)
    assert not total(BASELINE, 4410, 44100).any()
    np.testing.assert_allclose(total(BASELINE, 11 * RATE)[-1], 0)


def test_the_baselines_chunks_start_where_pyclaritys_do() -> None:
    windows = BASELINE.windows(25 * 44100, sample_rate=44100)
    assert [(start, len(window)) for start, window in windows] == [
        (0, 485100),
        (480690, 489510),
        (965790, 136710),
    ]


@pytest.mark.parametrize("plan", [OverlapAdd, BaselineChunks])
@pytest.mark.parametrize(
    ("segment_s", "overlap", "told"),
    [
        (0, 0.25, "segment_s=0 "),
        (-1, 0.25, "segment_s=-1 "),
        (10, 1, "overlap=1 "),
        (10, -0.1, "overlap=-0.1 "),
    ],
)
def test_what_cannot_be_cut_is_refused(
    plan: type[OverlapAdd] | type[BaselineChunks], segment_s: float, overlap: float, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        plan(segment_s, overlap)


def test_the_baselines_fade_has_a_length() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        BaselineChunks(10, 0)
