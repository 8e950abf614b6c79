"""The challenge's compressor: pyclarity's rule to the last decimals, alone or on ears that clip."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cadenza_remix.amplify.compressor import Compressed
from cadenza_remix.amplify.nalr import Nalr
from cadenza_remix.errors import ConfigError
from cadenza_remix.listener import Listener
from tests.conftest import SAMPLE_RATE, music
from tests.references.signals import AMPLIFIED, bursts, left_channel

GOLDEN = json.loads((Path(__file__).parent / "references" / "compressor.json").read_text())
NOISE = music(3, seconds=1.0)["drums"]


@dataclass(frozen=True)
class Loudspeaker:
    """An amplifier with a gain per ear, so that the compressor can be tested alone."""

    left: float = 1.0
    right: float = 1.0

    def __call__(self, signal: np.ndarray, *_: Listener, sample_rate: int) -> np.ndarray:  # noqa: ARG002
        return signal * np.array([[self.left], [self.right]], dtype=signal.dtype)


@pytest.mark.parametrize("name", GOLDEN)
def test_gains_are_pyclaritys(name: str, listener: Listener, request: pytest.FixtureRequest) -> None:
    case = GOLDEN[name]
    is_music = name.endswith(".wav")
    if is_music:
        request.getfixturevalue("shared_data")
    signal = left_channel(name, AMPLIFIED[name]) if is_music else bursts(case["sample_rate"])
    signal = np.where(signal == 0, 1e-9, signal)  # so that a gain can be read off the output everywhere
    compressed = _compressor(case["settings"])(
        np.stack([signal, signal]), listener, sample_rate=case["sample_rate"]
    )
    for ear in compressed:
        gains = ear / signal
        np.testing.assert_allclose(gains[::9973], case["gains"], rtol=0, atol=1e-9)
        assert np.sqrt(np.mean(gains**2)) == pytest.approx(case["rms"], abs=1e-9)


def _compressor(settings: dict[str, Any]) -> Compressed:
    return Compressed(
        Loudspeaker(),
        threshold=settings["threshold"],
        attenuation=settings["attenuation"],
        attack_ms=settings["attack"],
        release_ms=settings["release"],
        rms_window_s=settings["rms_buffer_size"],
        makeup_gain=settings["makeup_gain"],
    )


def test_the_defaults_are_the_recipes() -> None:
    settings = GOLDEN["recipe"]["settings"]
    assert Compressed(Loudspeaker()) == _compressor(settings)


def test_a_steady_tone_ends_at_the_target_level(listener: Listener) -> None:
    # The rule's oddity: the target is a level (0.1 · rms + 0.9 · 0.35), used as a gain.
    tone = np.sin(2 * np.pi * 1000 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE) * np.ones((2, 1))
    for amplitude in (0.6, 2.0):
        loud = amplitude * tone
        compressed = Compressed(Loudspeaker())(loud, listener, sample_rate=SAMPLE_RATE)
        rms_in, rms_out = (np.sqrt(np.mean(x[:, -SAMPLE_RATE:] ** 2)) for x in (loud, compressed))
        assert rms_out / rms_in == pytest.approx(0.1 * rms_in + 0.9 * 0.35, rel=1e-3)
    quiet = 0.4 * tone
    np.testing.assert_array_equal(Compressed(Loudspeaker())(quiet, listener, sample_rate=SAMPLE_RATE), quiet)


def test_it_follows_the_amplifier(listener: Listener) -> None:
    amplifier = Nalr(nfir=100)
    amplified = amplifier(NOISE, listener, sample_rate=SAMPLE_RATE)
    together = Compressed(amplifier)(NOISE, listener, sample_rate=SAMPLE_RATE)
    again = Compressed(Loudspeaker())(amplified, listener, sample_rate=SAMPLE_RATE)
    assert together.dtype == np.float32
    assert np.array_equal(together, again)
    assert not np.array_equal(together, amplified)


def test_if_clipping_it_leaves_an_ear_alone_that_fits(listener: Listener) -> None:
    loud = NOISE / np.abs(NOISE).max(axis=-1, keepdims=True)  # both ears at full scale
    selective = Compressed(Loudspeaker(left=1.0, right=1.5), threshold=0.05, only_if_clipping=True)
    left, right = selective(loud, listener, sample_rate=SAMPLE_RATE)
    always = Compressed(Loudspeaker(left=1.0, right=1.5), threshold=0.05)
    np.testing.assert_array_equal(left, loud[0])
    np.testing.assert_array_equal(right, always(loud, listener, sample_rate=SAMPLE_RATE)[1])
    assert not np.array_equal(right, 1.5 * loud[1])


@pytest.mark.parametrize("name", ["attack_ms", "release_ms", "rms_window_s"])
def test_a_time_must_be_positive(name: str) -> None:
    with pytest.raises(ConfigError, match=f"amplifier.{name} is 0"):
        Compressed(Loudspeaker(), **{name: 0})


@pytest.mark.parametrize("name", ["attack_ms", "release_ms"])
def test_a_time_below_one_sample_is_one_sample(name: str, listener: Listener) -> None:
    loud = 3 * NOISE / np.abs(NOISE).max()
    at_once, sooner = (
        Compressed(Loudspeaker(), **{name: time_ms})(loud, listener, sample_rate=SAMPLE_RATE)
        for time_ms in (1000 / SAMPLE_RATE, 0.001)
    )
    assert not np.array_equal(at_once, loud)
    np.testing.assert_allclose(sooner, at_once, atol=1e-6)
