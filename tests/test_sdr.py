"""Separation scores agree with another library and with what their definitions say."""

import json
from pathlib import Path

import numpy as np
import pytest

from cadenza_remix.metrics.sdr import sdr_db, si_sdr_db
from tests.conftest import music
from tests.references.signals import separated

GOLDEN = json.loads((Path(__file__).parent / "references" / "sdr.json").read_text())
STEM = music(0)["vocals"]
SILENCE = np.zeros_like(STEM)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["case"]))
def test_scores_are_torchmetrics(golden: dict[str, float]) -> None:
    true, estimate = separated(int(golden["case"]))
    # The 1e-7 of the definition is a billionth of the energies here, 1e-8 dB.
    assert sdr_db(true, estimate) == pytest.approx(golden["sdr"], abs=1e-7)
    assert si_sdr_db(true, estimate) == pytest.approx(golden["si_sdr"], abs=1e-9)


def test_both_channels_count_as_one_signal() -> None:
    one_sided = STEM.copy()
    one_sided[1] = 0
    assert sdr_db(STEM, one_sided) == pytest.approx(10 * np.log10(2), abs=1e-4)  # both channels are equal


def test_a_wrong_level_costs_sdr_only() -> None:
    noisy = STEM + 0.01 * music(0)["drums"]
    assert si_sdr_db(STEM, noisy * np.float32(0.5)) == pytest.approx(si_sdr_db(STEM, noisy), abs=1e-4)
    assert sdr_db(STEM, STEM * np.float32(0.5)) == pytest.approx(20 * np.log10(2), abs=1e-4)


def test_silence_and_perfection() -> None:
    energy = float(np.sum(np.square(STEM, dtype=np.float64)))
    assert sdr_db(STEM, STEM) == pytest.approx(10 * np.log10(energy / 1e-7 + 1))
    assert sdr_db(SILENCE, STEM) == pytest.approx(-10 * np.log10(energy / 1e-7 + 1))
    assert sdr_db(SILENCE, SILENCE) == 0
    assert si_sdr_db(STEM, STEM * np.float32(2)) == np.inf
    assert np.isnan(si_sdr_db(SILENCE, STEM))
    assert np.isnan(si_sdr_db(STEM, SILENCE))
