"""The closed loop takes, for each ear, the settings with the best score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from cadenza_remix.errors import ConfigError
from cadenza_remix.limit import HardClip, Multiband, Scale
from cadenza_remix.listener import Audiogram, Listener
from cadenza_remix.metrics.haaqi import Haaqi
from cadenza_remix.pipeline import ClosedLoop, enhance_scene

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


def amplify(
    signal: npt.NDArray[np.float32],
    _: Listener,
    *,
    sample_rate: int,  # noqa: ARG001 (the contract)
) -> npt.NDArray[np.float32]:
    return 4 * signal


def test_each_ear_gets_its_own_settings() -> None:
    remixed = np.full((2, RATE), 0.5, np.float32)
    metric = LikesLevels((1.0, 0.5), [])
    loop = ClosedLoop(metric, [{"most_db": 0.0}, {}, {"most_db": 12.0}, {"most_db": 100.0}])
    result = enhance_scene(
        remixed * np.array([[1.0], [0.5]], np.float32),
        LISTENER,
        amplifier=amplify,
        limiter=Scale(),
        sample_rate=RATE,
        output_sample_rate=RATE,
        closed_loop=loop,
    )
    np.testing.assert_allclose(np.abs(result).mean(axis=1), [1.0, 0.5], rtol=1e-6)
    # The remix plays at 65 dB SPL: an RMS of 1 is 6 dB more than the left ear's 0.5.
    np.testing.assert_allclose(metric.seen, [[71.02, 77.04]] * 4, atol=0.01)


def test_it_finds_what_haaqi_prefers() -> None:
    # An ear 20 dB over full scale: cutting it all off is worse than turning half of it down.
    time = np.arange(2 * RATE) / RATE
    beat = np.exp(-6 * (time % 0.5)) * sum(np.sin(2 * np.pi * f * time) for f in (196, 523, 1046, 3136))
    remixed = np.stack([beat, beat]).astype(np.float32)
    loop = ClosedLoop(Haaqi(), [{"most_db": 0.0}, {"most_db": 60.0}, {"most_db": 10.0}])

    def enhanced(limiter: Scale, closed_loop: ClosedLoop | None = None) -> npt.NDArray[np.float32]:
        return enhance_scene(
            remixed,
            LISTENER,
            amplifier=amplify,
            limiter=limiter,
            sample_rate=RATE,
            output_sample_rate=RATE,
            closed_loop=closed_loop,
        )

    chosen = enhanced(Scale(), loop)
    assert not np.array_equal(chosen, enhanced(Scale(most_db=0.0)))
    assert any(np.array_equal(chosen, enhanced(Scale(most_db=most_db))) for most_db in (10.0, 60.0))


def test_silence_needs_no_choice() -> None:
    loop = ClosedLoop(Haaqi(), [{}])
    silence = np.zeros((2, RATE), np.float32)
    result = enhance_scene(
        silence,
        LISTENER,
        amplifier=amplify,
        limiter=Multiband(),
        sample_rate=RATE,
        output_sample_rate=RATE,
        closed_loop=loop,
    )
    np.testing.assert_array_equal(result, silence)


def test_settings_that_a_limiter_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"does not fit the limiter HardClip .*choose limiter=multiband"):
        ClosedLoop(Haaqi(), [{"ceiling_db": -5.0}]).limiters(HardClip())
