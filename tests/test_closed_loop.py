"""The closed loop takes, for each ear, the settings with the best score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from cadenza_remix.closed_loop.evolution import evolve
from cadenza_remix.closed_loop.search import Search, loudest
from cadenza_remix.errors import ConfigError
from cadenza_remix.limit import HardClip, Multiband, Scale
from cadenza_remix.listener import Audiogram, Listener
from cadenza_remix.metrics.haaqi import Haaqi
from cadenza_remix.pipeline import enhance_scene

RATE = 32000
EAR = Audiogram((250.0, 8000.0), (20.0, 40.0))
LISTENER = Listener("L", EAR, EAR)


@dataclass(frozen=True)
class LikesLevels:
    """Scores an ear by how near its RMS comes to a wanted one, and remembers what it was given."""

    wanted: tuple[float, float]
    seen: list[Sequence[float]]
    sample_rate: int = RATE

    def __call__(
        self,
        enhanced: npt.NDArray[np.floating],
        reference: npt.NDArray[np.floating],  # noqa: ARG002 (the contract)
        listener: Listener,  # noqa: ARG002
        *,
        level_of_rms_1_db_spl: Sequence[float],
        rng: np.random.RandomState,  # noqa: ARG002
    ) -> dict[str, float]:
        self.seen.append(level_of_rms_1_db_spl)
        left, right = -np.abs(np.sqrt(np.mean(enhanced**2, axis=1)) - self.wanted)
        return {"left_score": left, "right_score": right, "score": left + right}


@dataclass(frozen=True)
class ScaleEach:
    """Turns both ears down by the same."""

    down_db: float

    def __call__(
        self,
        signal: npt.NDArray[np.float32],
        listener: Listener,  # noqa: ARG002 (the contract)
        *,
        sample_rate: int,  # noqa: ARG002
    ) -> npt.NDArray[np.float32]:
        return np.clip(signal * np.float32(10 ** (-self.down_db / 20)), -1, 1)


def amplify(
    signal: npt.NDArray[np.float32],
    _: Listener,
    *,
    sample_rate: int,  # noqa: ARG001 (the contract)
) -> npt.NDArray[np.float32]:
    return 4 * signal


def test_each_ear_gets_its_own_settings() -> None:
    # Turned down by 8 dB and by 15 dB from an RMS of 2 and 1, where the limiter's own are 12 dB.
    remixed = np.full((2, RATE), 0.5, np.float32) * np.array([[1.0], [0.5]], np.float32)
    metric = LikesLevels((2 * 10 ** (-8 / 20), 10 ** (-15 / 20)), [])
    result = enhance_scene(
        remixed,
        LISTENER,
        amplifier=amplify,
        limiter=ScaleEach(12.0),
        sample_rate=RATE,
        output_sample_rate=RATE,
        closed_loop=Search(metric, {"down_db": (0, 20)}, excerpt_s=0.1),
    )
    np.testing.assert_allclose(np.sqrt(np.mean(result**2, axis=1)), metric.wanted, rtol=0.06)  # half a dB
    # The remix plays at 65 dB SPL: an RMS of 1 is 6 dB more than the left ear's 0.5.
    np.testing.assert_allclose(metric.seen, [[71.02, 77.04]] * (8 * 8 + 2), atol=0.01)


def test_the_settings_chosen_before_stay_if_nothing_beats_them() -> None:
    remixed = np.full((2, RATE), 0.5, np.float32)
    own = ScaleEach(7.0)
    metric = LikesLevels((2 * 10 ** (-7 / 20), 2 * 10 ** (-7 / 20)), [])
    result = enhance_scene(
        remixed,
        LISTENER,
        amplifier=amplify,
        limiter=own,
        sample_rate=RATE,
        output_sample_rate=RATE,
        closed_loop=Search(metric, {"down_db": (0, 20)}),
    )
    np.testing.assert_array_equal(result, own(4 * remixed, LISTENER, sample_rate=RATE))


def test_it_finds_what_haaqi_prefers() -> None:
    # An ear 20 dB over full scale: cutting it all off is worse than turning some of it down.
    time = np.arange(2 * RATE) / RATE
    beat = np.exp(-6 * (time % 0.5)) * sum(np.sin(2 * np.pi * f * time) for f in (196, 523, 1046, 3136))
    remixed = np.stack([beat, beat]).astype(np.float32)
    before = amplify(remixed, LISTENER, sample_rate=RATE)
    loop = Search(Haaqi(RATE), {"most_db": (0, 30)}, generations=3, excerpt_s=1)
    chosen = loop(Scale(most_db=0.0), before, LISTENER, sample_rate=RATE, level_of_rms_1_db_spl=[80.0, 80.0])
    gain_db = 20 * np.log10(np.abs(chosen).sum(axis=1) / np.abs(np.clip(before, -1, 1)).sum(axis=1))
    assert np.all(gain_db < -1)


def test_it_hears_the_loudest_part() -> None:
    signal = np.zeros((2, 100))
    signal[:, 40:50] = 1
    np.testing.assert_array_equal(loudest(signal, 10), signal[:, 40:50])
    np.testing.assert_array_equal(loudest(signal, 200), signal)
    signal[1, 40:50] = 0
    signal[1, 70] = 0.1
    np.testing.assert_array_equal(loudest(signal, 10), signal)


def test_silence_needs_no_choice() -> None:
    silence = np.zeros((2, RATE), np.float32)
    result = enhance_scene(
        silence,
        LISTENER,
        amplifier=amplify,
        limiter=Multiband(),
        sample_rate=RATE,
        output_sample_rate=RATE,
        closed_loop=Search(Haaqi(), {"ceiling_db": (-12, 0)}),
    )
    np.testing.assert_array_equal(result, silence)


def test_a_setting_of_several_numbers_is_searched_number_by_number() -> None:
    loop = Search(Haaqi(), {"trims_db": (-12, 12), "ceiling_db": (-12, 0)})
    limiter = Multiband(trims_db=(6, 0, 0, 0, 0, -24), ceiling_db=-3)
    start = loop.start(limiter)
    np.testing.assert_allclose(start, [0.75, 0.5, 0.5, 0.5, 0.5, 0, 0.75])
    assert loop.settings(limiter, start) == {"trims_db": [6, 0, 0, 0, 0, -12], "ceiling_db": -3}


def test_settings_that_a_limiter_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"does not fit the limiter HardClip .*choose limiter=multiband"):
        Search(Haaqi(), {"ceiling_db": (-12, 0)}).start(HardClip())


def test_a_search_without_settings_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"closed_loop\.ranges is empty"):
        Search(Haaqi(), {})


@pytest.mark.parametrize("ends", [(-6, -6), (0, -12), (-np.inf, 0), (np.nan, 0)])
def test_a_range_with_nothing_within_is_refused(ends: tuple[float, float]) -> None:
    told = rf"ranges\.ceiling_db=\[{ends[0]}, {ends[1]}\] should be .*; say ~closed_loop"
    with pytest.raises(ConfigError, match=told):
        Search(Haaqi(), {"slope": (0, 1), "ceiling_db": ends}).start(Multiband())


def test_the_search_finds_the_top_of_a_hill_whatever_the_others_do() -> None:
    tops = np.array([[0.2, 0.9, 0.5], [0.7, 0.1, 0.4]])

    def scores(tried: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(-np.sum((tried - tops) ** 2 * (1, 4, 9), axis=2))

    start = np.full((2, 3), 0.5)
    found = evolve(scores, start, generations=12, offspring=8, rng=np.random.default_rng(3))
    assert np.all(scores(found[np.newaxis])[0] > 0.02 * scores(start[np.newaxis])[0])
    assert found.min() >= 0 and found.max() <= 1
