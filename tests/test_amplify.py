import json
from pathlib import Path

import numpy as np
import pytest

from cadenza_remix.amplify.nalr import Nalr, design_filter, insertion_gain_db
from cadenza_remix.listener import Audiogram, Listener
from tests.conftest import SAMPLE_RATE, music

GOLDEN = json.loads((Path(__file__).parent / "references" / "nalr.json").read_text())
NOISE = music(3, seconds=1.0)["drums"]


@pytest.mark.parametrize(
    "case", GOLDEN["filters"], ids=lambda c: f"{c['name']}-{c['sample_rate']}-{c['nfir']}"
)
def test_filters_equal_pyclaritys(case: dict) -> None:
    audiogram = Audiogram(tuple(GOLDEN["frequencies_hz"]), tuple(case["levels"]))
    taps = design_filter(audiogram, case["nfir"], sample_rate=case["sample_rate"])
    np.testing.assert_allclose(taps[: case["nfir"] // 2 + 1], case["taps"], atol=1e-12)
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-12)  # linear phase


def test_gain_follows_the_prescription() -> None:
    flat = Audiogram((250.0, 6000.0), (40.0, 40.0))
    # X = 0.05 * 120 = 6 and 0.31 * 40 = 12.4, with k of Byrne & Dillon (1986)
    np.testing.assert_allclose(insertion_gain_db(flat), [1.4, 10.4, 19.4, 17.4, 16.4, 16.4])


def test_an_ear_without_loss_is_only_delayed() -> None:
    normal = Audiogram((250.0, 8000.0), (0.0, 0.0))
    amplified = Nalr(nfir=220)(NOISE, Listener("normal", normal, normal), sample_rate=SAMPLE_RATE)
    assert amplified.shape == (2, NOISE.shape[1] + 220)
    np.testing.assert_allclose(amplified[:, 110:-110], NOISE, atol=1e-6)


def test_swapping_ears_swaps_the_output(listener: Listener) -> None:
    swapped = Listener("swapped", listener.right, listener.left)
    straight = Nalr()(NOISE, listener, sample_rate=SAMPLE_RATE)
    crossed = Nalr()(NOISE[::-1], swapped, sample_rate=SAMPLE_RATE)
    np.testing.assert_allclose(straight, crossed[::-1], atol=1e-6)


def test_input_is_left_alone_and_precision_kept(listener: Listener) -> None:
    before = NOISE.copy()
    assert Nalr()(NOISE, listener, sample_rate=SAMPLE_RATE).dtype == np.float32
    assert Nalr()(NOISE.astype(np.float64), listener, sample_rate=SAMPLE_RATE).dtype == np.float64
    np.testing.assert_array_equal(NOISE, before)
