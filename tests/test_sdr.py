"""Separation scores agree with other libraries and with what their definitions say."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cadenza_remix.metrics.sdr import csdr_db, sdr_by_second_db, sdr_db, si_sdr_db
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


RATE = 8000  # Hz; a second is a frame, whatever it is
SECOND = slice(RATE, 2 * RATE)


@pytest.fixture(scope="module")
def museval() -> ModuleType:
    """museval's BSS Eval v4 alone: what it is packed with needs the program ffmpeg to be imported."""
    package = importlib.util.find_spec("museval")
    if package is None or package.submodule_search_locations is None:
        pytest.skip("museval, of the extra test, is not installed")
    path = Path(package.submodule_search_locations[0]) / "metrics.py"
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stems_and_estimates(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Three stereo stems with some of each in the others, (stems, channels, samples)."""
    rng = np.random.default_rng(1)
    true = rng.standard_normal((3, 2, round(seconds * RATE))) * np.array([1, 0.5, 0.2])[:, None, None]
    leaking = true + 0.2 * np.roll(true, 1, axis=0) * np.linspace(0, 1, true.shape[2])
    return true, leaking + 0.02 * rng.standard_normal(true.shape)


def by_second(true: np.ndarray, estimates: np.ndarray) -> dict[str, np.ndarray]:
    return {
        str(stem): sdr_by_second_db(*signals, sample_rate=RATE)
        for stem, signals in enumerate(zip(true, estimates, strict=True))
    }


@pytest.mark.parametrize(
    ("seconds", "counts"), [(0.6, [True]), (1, [True]), (3.7, [False, False, True])], ids=str
)
def test_csdr_is_musevals(museval: ModuleType, seconds: float, counts: list[bool]) -> None:
    """With its default settings; a second that is silent in one stem, if only in mono, counts for none."""
    true, estimates = stems_and_estimates(seconds)
    if not all(counts):
        estimates[2, 1, :RATE] = -estimates[2, 0, :RATE]
        true[1, :, SECOND] = 0
    time_last = (signals.transpose(0, 2, 1) for signals in (true, estimates))
    of_museval, *_ = museval.bss_eval(*time_last, window=RATE, hop=RATE)
    assert [list(~np.isnan(of_stem)) for of_stem in of_museval] == [counts] * 3
    own = by_second(true, estimates)
    np.testing.assert_allclose(np.stack(list(own.values()))[:, counts], of_museval[:, counts], atol=1e-9)
    medians = np.nanmedian(of_museval, axis=1)
    assert list(csdr_db(own).values()) == pytest.approx(list(medians), abs=1e-9)


def test_csdr_is_the_median_of_whole_seconds() -> None:
    true, estimates = stems_and_estimates(3.9)
    estimates[:, :, 3 * RATE :] = 0  # a rest that is no second
    own = by_second(true, estimates)
    assert [values.shape for values in own.values()] == [(3,)] * 3
    assert csdr_db(own)["0"] == sorted(own["0"])[1]
    ratio = np.sum(true[0, :, SECOND] ** 2) / np.sum((true - estimates)[0, :, SECOND] ** 2)
    assert own["0"][1] == pytest.approx(10 * np.log10(ratio))


def test_a_silent_stem_has_no_csdr_and_takes_none_away() -> None:
    true, estimates = stems_and_estimates(3)
    others = csdr_db(by_second(true[:2], estimates[:2]))
    for silent in (true, estimates):
        silent[2] = 0
        with_silence = csdr_db(by_second(true, estimates))
        assert np.isnan(with_silence.pop("2"))
        assert with_silence == others
    nowhere = csdr_db(by_second(np.zeros_like(true), estimates))
    assert all(np.isnan(score) for score in nowhere.values())
    assert csdr_db(by_second(true[:1], true[:1])) == {"0": np.inf}


def test_stems_that_never_sound_together_have_no_csdr() -> None:
    true, estimates = stems_and_estimates(2)
    true[0, :, RATE:] = 0
    true[1, :, :RATE] = 0
    assert all(np.isnan(score) for score in csdr_db(by_second(true, estimates)).values())
