"""Cutting a track must not be heard: a network that does nothing gives the track back."""

from typing import Any

import numpy as np
import pytest
import torch
from demucs.apply import apply_model

from cadenza_remix.demix.segments import ENDS, BaselineChunks, OverlapAdd, Segments, SlidingWindow
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


@pytest.mark.parametrize("samples", [1, 999, 1000, 1750, 1751, 12345])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("fade", "context_s"), [(0.0, 0.0), (0.1, 0.0), (0.5, 0.1), (0.1, 0.25)])
def test_windows_sum_to_one_within_the_track(samples: int, end: str, fade: float, context_s: float) -> None:
    plan = OverlapAdd(1.0, 0.25, fade=fade, context_s=context_s, end=end)
    track = np.zeros(samples + 2 * RATE)  # silence on both sides
    for start, window in plan.windows(samples, sample_rate=RATE):
        track[start + RATE : start + RATE + len(window)] += window
    np.testing.assert_allclose(track[RATE : samples + RATE], 1, atol=3e-7)
    assert not track[:RATE].any()
    assert not track[samples + RATE :].any()


def test_a_fade_of_nothing_averages_and_a_short_one_leaves_the_middle_alone() -> None:
    average = list(OverlapAdd(1.0, 0.75, fade=0.0).windows(4000, sample_rate=RATE))
    np.testing.assert_allclose(average[6][1], 1 / 4)
    _, middle = list(OverlapAdd(1.0, 0.1, fade=0.1).windows(4000, sample_rate=RATE))[1]
    np.testing.assert_allclose(middle[100:900], 1)
    assert (np.diff(middle[:100]) > 0).all()


def test_context_is_heard_and_not_kept() -> None:
    windows = list(OverlapAdd(1.0, 0.0, fade=0.0, context_s=0.1).windows(1600, sample_rate=RATE))
    assert [(start, len(window)) for start, window in windows] == [(-100, 1000), (700, 1000)]
    for _, window in windows:
        assert not window[:100].any()
        assert not window[900:].any()
        assert (window[100:900] == 1).all()


@pytest.mark.parametrize("samples", [300, 800, 1000, 1200, 3100])
@pytest.mark.parametrize("shift", [None, 137])
def test_the_ends_of_demucs(samples: int, shift: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    track = np.random.default_rng(samples).standard_normal((2, samples)).astype(np.float32)
    monkeypatch.setattr("random.randint", lambda _low, high: high - shift)
    theirs = apply_model(Ramp(), torch.from_numpy(track)[None], shifts=shift is not None, overlap=0.25)[
        0
    ].numpy()
    ours = np.zeros_like(track)
    before = shift or 0
    for start, window in OverlapAdd(1.0, 0.25, end="short").windows(samples + before, sample_rate=RATE):
        padded = np.pad(track, ((0, 0), (before + RATE, 2 * RATE)))
        heard = torch.from_numpy(padded[:, start + RATE : start + RATE + len(window)])[None]
        kept = np.pad(Ramp().forward(heard)[0, 0].numpy() * window, ((0, 0), (start + RATE, 3 * RATE)))
        ours += kept[:, before + RATE :][:, :samples]
    np.testing.assert_allclose(ours, theirs[0], atol=2e-6)


class Ramp(torch.nn.Module):
    """A network whose output depends on where in its segment a sample lies."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))
        self.samplerate, self.sources, self.segment = RATE, ["one"], 1.0

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return (mixture * torch.linspace(0, 1, mixture.shape[-1]))[:, None]


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


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"fade": 0.6}, "fade=0.6 "), ({"context_s": 0.5}, "context_s=0.5 "), ({"end": "cut"}, "end=cut ")],
)
def test_what_no_plan_is_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        OverlapAdd(1.0, 0.25, **wrong)


@pytest.mark.parametrize("plan", [OverlapAdd, BaselineChunks])
@pytest.mark.parametrize(
    ("segment_s", "overlap", "told"),
    [
        (0, 0.25, "segment_s=0 "),
        (-1, 0.25, "segment_s=-1 "),
        (np.inf, 0.25, "segment_s=inf "),
        (10, 1, "overlap=1 "),
        (10, -0.1, "overlap=-0.1 "),
    ],
)
def test_what_cannot_be_cut_is_refused(
    plan: type[OverlapAdd] | type[BaselineChunks], segment_s: float, overlap: float, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        plan(segment_s, overlap)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (OverlapAdd(1e-5, 0.25), "segment_s=1e-05 leaves no sample to keep at 44100 Hz"),
        (OverlapAdd(0.001, 0.25, context_s=0.00049), "segment_s=0.001 "),
        (SlidingWindow(1.0, 1e-6), "step_s=1e-06 "),
        (BaselineChunks(0.05, 0.1), "segment_s=0.05 "),
    ],
)
def test_a_plan_that_would_never_end_is_refused(plan: Segments, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        next(plan.windows(44100, sample_rate=44100))


def test_the_baselines_fade_has_a_length() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        BaselineChunks(10, 0)


@pytest.mark.parametrize("samples", [1, 3999, 4000, 4001, 4032, 4033, 9000])
def test_a_sliding_window_keeps_every_sample_once(samples: int) -> None:
    kept = np.zeros(samples + 4000)
    for start, window in SlidingWindow(4.0, 0.032).windows(samples, sample_rate=RATE):
        kept[start : start + len(window)] += window
    np.testing.assert_array_equal(kept[:samples], 1)


def test_a_sliding_window_keeps_its_newest_step() -> None:
    (first, kept), *later = SlidingWindow(4.0, 0.032).windows(4100, sample_rate=RATE)
    assert (first, len(kept), kept.all()) == (0, 4000, True)
    assert [start for start, _ in later] == [32, 64, 96, 128]
    for start, window in later:
        assert start + np.flatnonzero(window)[0] == 4000 + start - 32
        assert window.sum() == 32


@pytest.mark.parametrize("step_s", [0, -1, 5])
def test_a_sliding_window_goes_on(step_s: float) -> None:
    with pytest.raises(ConfigError, match=f"step_s={step_s} should be above 0 and at most segment_s"):
        SlidingWindow(4, step_s)
