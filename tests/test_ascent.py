"""Climbing never ends below where it began, keeps full scale, and leaves alone what needs no change."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from numpy.typing import NDArray

from cadenza_remix.amplify.nalr import Nalr
from cadenza_remix.closed_loop.ascent import Ascent, blocks, smoothed_spectrum
from cadenza_remix.closed_loop.base import ClosedLoop
from cadenza_remix.errors import AudioError, ConfigError
from cadenza_remix.limit import HardClip, Limiter, Multiband
from cadenza_remix.listener import Audiogram, Listener
from cadenza_remix.metrics.haaqi import haaqi
from cadenza_remix.metrics.similarity import Similarity
from cadenza_remix.pipeline import enhance_scene
from tests.references.signals import music
from tests.test_limit import tone_under_bursts, tone_varies_db

RATE = 32000
LEVELS_DB_SPL = (85.0, 85.0)
MODERATE = Audiogram((250.0, 1000.0, 4000.0, 8000.0), (20.0, 40.0, 60.0, 70.0))
MILD = Audiogram((250.0, 1000.0, 4000.0, 8000.0), (10.0, 20.0, 30.0, 40.0))
LISTENER = Listener("L", MODERATE, MILD)
FEW_STEPS = Ascent(steps=4)


def amplified(seconds: float = 2.0, peak: float = 8.0) -> NDArray[np.float32]:
    """(2, samples) of music far over full scale, another piece for either ear."""
    ears = np.stack([music(seconds * RATE / 24000, seed=seed)[: round(seconds * RATE)] for seed in (3, 4)])
    return np.asarray(peak * ears / np.abs(ears).max(axis=1, keepdims=True), dtype=np.float32)


def climbed(
    signal: NDArray[np.float32],
    loop: Ascent = FEW_STEPS,
    listener: Listener = LISTENER,
    limiter: Limiter = Multiband(),  # noqa: B008 (frozen)
) -> NDArray[np.float32]:
    return loop(limiter, signal, listener, sample_rate=RATE, level_of_rms_1_db_spl=LEVELS_DB_SPL)


def score(signal: npt.NDArray[np.float32], reference: npt.NDArray[np.float32], ear: Audiogram) -> float:
    return haaqi(reference, signal, ear, sample_rate=RATE, level_of_rms_1_db_spl=LEVELS_DB_SPL[0]).score


def test_haaqi_finds_it_better() -> None:
    signal = amplified()
    result, start = climbed(signal, Ascent(steps=8)), Multiband()(signal, LISTENER, sample_rate=RATE)
    for ear, audiogram in enumerate(LISTENER.ears):
        assert score(result[ear], signal[ear], audiogram) > score(start[ear], signal[ear], audiogram) + 0.03


def test_full_scale_is_kept_and_nothing_else_is_touched() -> None:
    signal = amplified()
    signal[1] /= 10  # within full scale
    result = climbed(signal)
    assert result.dtype == signal.dtype
    assert np.abs(result).max() <= 1
    np.testing.assert_array_equal(result[1], signal[1])
    assert np.any(result[0] != Multiband()(signal, LISTENER, sample_rate=RATE)[0])


def test_it_does_not_pump() -> None:
    ear = Audiogram((250.0, 8000.0), (10.0, 20.0))
    signal = tone_under_bursts(1.2).astype(np.float32)
    result = climbed(signal, Ascent(), Listener("x", ear, ear))
    assert np.any(result != Multiband()(signal, Listener("x", ear, ear), sample_rate=RATE))
    assert tone_varies_db(result[0]) < 1


def test_each_ear_is_climbed_on_its_own() -> None:
    signal = amplified(1.0)
    other = signal.copy()
    other[1] = signal[0]
    np.testing.assert_array_equal(climbed(signal)[0], climbed(other)[0])


def test_threads_change_no_byte() -> None:
    signal, before = amplified(), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(climbed(signal, Ascent(steps=1), limiter=HardClip()))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("samples", [1, 500, 2000])
def test_the_spectrum_of_a_short_signal_is_one_too(samples: int) -> None:
    spectrum = smoothed_spectrum(amplified(1.0)[0, 6000 : 6000 + samples], RATE)
    assert spectrum.shape == (samples // 2 + 1,)
    assert np.all(spectrum > 0)


@pytest.mark.parametrize("envelope", [np.arange(RATE) > RATE / 2, np.linspace(0, 1, RATE) ** 2])
def test_soft_moments_do_not_keep_loud_ones_from_being_climbed(envelope: NDArray[Any]) -> None:
    signal = amplified(1.0)[0] * envelope.astype(np.float32)
    similarity = Similarity(signal, MODERATE, sample_rate=RATE, level_of_rms_1_db_spl=LEVELS_DB_SPL[0])
    start = np.clip(signal, -1, 1)
    found = FEW_STEPS.climb(similarity, start, sample_rate=RATE)
    assert similarity(torch.tensor(found)) > similarity(torch.tensor(start)) + 0.1


def test_more_steps_never_end_lower() -> None:
    signal = amplified(1.0)[0]
    similarity = Similarity(signal, MODERATE, sample_rate=RATE, level_of_rms_1_db_spl=LEVELS_DB_SPL[0])
    start = np.clip(signal, -1, 1)
    heights = [
        similarity(torch.tensor(found)).item()
        for found in (
            start,
            *(Ascent(steps=n, step=0.3).climb(similarity, start, sample_rate=RATE) for n in (1, 3, 6)),
        )
    ]
    assert heights == sorted(heights)
    assert heights[-1] > heights[0]


def test_steps_that_are_too_long_are_shortened() -> None:
    signal = amplified(1.0)[0]
    similarity = Similarity(signal, MODERATE, sample_rate=RATE, level_of_rms_1_db_spl=LEVELS_DB_SPL[0])
    start = np.clip(signal, -1, 1)
    one = Ascent(steps=1, step=10.0).climb(similarity, start, sample_rate=RATE)
    np.testing.assert_array_equal(one, start)
    several = Ascent(steps=9, step=10.0).climb(similarity, start, sample_rate=RATE)
    assert np.any(several != start)


def test_what_the_ear_does_not_hear_stays_as_the_limiter_left_it() -> None:
    deaf = Audiogram((250.0, 8000.0), (120.0, 120.0))
    signal = amplified(1.0)
    result = climbed(signal, listener=Listener("L", deaf, deaf))
    np.testing.assert_array_equal(result, Multiband()(signal, Listener("L", deaf, deaf), sample_rate=RATE))


@pytest.mark.parametrize("samples", [1, 4, 14, 15, 16, 24, 25, 100, 101])
def test_blocks_cover_everything_and_overlap(samples: int) -> None:
    found = blocks(samples, length=10, overlap=2)
    assert found[0][0] == 0
    assert found[-1][1] == samples
    assert all(stop - start <= 15 for start, stop in found)
    assert all(second - stop == -2 for (_, stop), (second, _) in pairwise(found))


def test_blocks_fade_into_each_other() -> None:
    # Where a block begins nothing jumps: there the one before has its way altogether.
    signal = amplified(3.0)
    loop = Ascent(steps=3, block_s=2.0, overlap_s=0.25)
    whole = climbed(signal[:, : 2 * RATE], loop, limiter=HardClip())
    parts = climbed(signal, loop, limiter=HardClip())
    begin = round(1.75 * RATE)  # of the second block
    np.testing.assert_array_equal(parts[:, :begin], whole[:, :begin])
    assert np.any(parts[:, begin : 2 * RATE] != whole[:, begin:])
    near = slice(begin - 2, begin + 3)
    np.testing.assert_allclose(parts[:, near], whole[:, near], atol=1e-3)
    assert np.abs(parts).max() <= 1


def test_a_block_fades_into_one_that_is_left_alone() -> None:
    signal = amplified(3.0)
    end = 2 * RATE  # of the first block
    signal[:, round(1.75 * RATE) :] /= 10  # the second is within full scale
    result = climbed(signal, Ascent(steps=3, block_s=2.0, overlap_s=0.25), limiter=HardClip())
    overlapping = slice(round(1.75 * RATE), end - 1)
    assert np.any(result[:, overlapping] != signal[:, overlapping])
    np.testing.assert_array_equal(result[:, end - 1 :], signal[:, end - 1 :])


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"steps": 0}, "closed_loop.steps is 0; give 1 or more, or say ~closed_loop"),
        ({"step": 0.0}, "closed_loop.step is 0.0; give a number above 0"),
        ({"step": float("nan")}, "closed_loop.step is nan"),
        ({"step": float("inf")}, "closed_loop.step is inf"),
        ({"momentum": 1.0}, "closed_loop.momentum is 1.0; give a number from 0 to below 1"),
        ({"momentum": float("nan")}, "closed_loop.momentum is nan"),
        ({"tilt": -0.5}, "closed_loop.tilt is -0.5; give a number from 0 to 2"),
        ({"tilt": 1e6}, "closed_loop.tilt is 1000000.0"),
        ({"block_s": 1.0}, "blocks should be longer than two overlaps"),
        ({"block_s": 0.05, "overlap_s": 0.01}, "blocks should be longer than two overlaps and than 0.5 s"),
        ({"block_s": float("inf")}, "closed_loop.block_s is inf"),
        (
            {"overlap_s": 0.0},
            "blocks should be longer than two overlaps and than 0.5 s, and overlaps above 0",
        ),
    ],
)
def test_settings_that_climb_nothing_are_refused(setting: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Ascent(**setting)  # type: ignore[arg-type]


def test_it_is_told_how_loud_the_remix_plays() -> None:
    # At 65 dB SPL: an RMS of 1 is 6 dB more than the left ear's 0.5.
    told = []

    def remember(limiter: Limiter, amplified: NDArray[Any], *_: Any, **settings: Any) -> NDArray[Any]:
        told.append(settings["level_of_rms_1_db_spl"])
        return limiter(amplified, LISTENER, sample_rate=RATE)

    enhanced(np.full((2, RATE), 0.5) * np.array([[1.0], [0.5]]), remember)
    np.testing.assert_allclose(told, [[71.02, 77.04]], atol=0.01)


def test_a_limiter_that_gives_no_numbers_is_told_of() -> None:
    def broken(signal: NDArray[Any], *_: Any, **__: Any) -> NDArray[Any]:
        return np.full_like(signal, np.nan)

    with pytest.raises(AudioError, match="The enhanced signal holds NaN"):
        enhanced(amplified(1.0), Ascent(), broken)


def test_silence_has_nowhere_to_climb() -> None:
    silence = np.zeros((2, RATE), np.float32)
    assert not enhanced(silence, Ascent()).any()


def enhanced(
    remixed: NDArray[Any],
    loop: ClosedLoop,
    limiter: Limiter = Multiband(),  # noqa: B008 (frozen)
) -> NDArray[Any]:
    return enhance_scene(
        remixed,
        LISTENER,
        amplifier=Nalr(),
        limiter=limiter,
        sample_rate=RATE,
        output_sample_rate=RATE,
        closed_loop=loop,
    )
