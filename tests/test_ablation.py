"""The stand-ins of `scripts/ablation.py`, and what it fits to them."""

import runpy
import sys
from typing import Any

import numpy as np
import pytest

from cadenza_remix.demix.base import SOURCES
from cadenza_remix.metrics.sdr import sdr_db
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    try:
        return runpy.run_path(str(REPOSITORY / "scripts/ablation.py"))
    finally:
        sys.path.remove(str(REPOSITORY / "scripts"))


@pytest.fixture(scope="module")
def song(script: dict[str, Any]) -> Any:
    """Noise that comes and goes, at another time in each stem."""
    rng = np.random.default_rng(5)
    samples = 2 * script["SAMPLE_RATE"]
    swell = [np.sin(np.linspace(0, 9, samples) + place) ** 4 for place in range(len(SOURCES))]
    stems = {
        name: (each * rng.standard_normal((2, samples))).astype(np.float32)
        for name, each in zip(SOURCES, swell, strict=True)
    }
    mixture = np.sum(list(stems.values()), axis=0)
    return script["Song"]("a song", dict.fromkeys(SOURCES, 0.0), mixture, stems, stems)


KINDS = (
    "leakage",
    "leakage in patches",
    "wrong gains, dB",
    "musical noise",
    "band-limited, octaves",
    "smeared, frames",
)


def test_the_kinds_are_all_there(script: dict[str, Any]) -> None:
    assert list(script["KINDS"]) == [script["PERFECT"], *KINDS]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stand_in_is_perfect_at_level_0_and_worse_at_each_higher_one(
    script: dict[str, Any], song: Any, kind: str
) -> None:
    def separated(level: float) -> Any:
        return script["stand_in"](song, kind, level)

    perfect = separated(0)
    for name in SOURCES:
        np.testing.assert_allclose(perfect[name], song.components[name], atol=1e-4)
    levels = script["KINDS"][kind].levels
    sdrs = [[sdr_db(song.true[name], separated(level)[name]) for name in SOURCES] for level in levels]
    assert (np.diff(sdrs, axis=0) < 0).all()
    once, again = separated(levels[0]), separated(levels[0])
    assert all((once[name] == again[name]).all() for name in SOURCES)


def test_what_is_fitted_undoes_what_can_be_undone(script: dict[str, Any], song: Any) -> None:
    """Scales a wrong gain, the mixer an even leakage; of two estimates the clean one gets the share."""
    wrong = script["stand_in"](song, "wrong gains, dB", 3)
    leaky = script["stand_in"](song, "leakage", 0.25)

    def found(*members: Any) -> Any:
        return script["fit"]([script["grams_of"](song, *members)])

    scaled = found(wrong, leaky)["scales"](wrong, song.mixture)
    mixed = found(leaky, wrong)["mixer"](leaky, song.mixture)
    for name in SOURCES:
        assert sdr_db(song.true[name], scaled[name]) > 60
        assert sdr_db(song.true[name], mixed[name]) > 60
    shares = found(leaky, song.true)["shares"]
    np.testing.assert_allclose([shares[name] for name in SOURCES], [(0, 1)] * 4, atol=1e-3)
