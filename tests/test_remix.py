import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadenza_remix.errors import AudioError, ConfigError
from cadenza_remix.loudness import integrated_loudness, match_loudness
from cadenza_remix.remix import MixtureBlend, downmix, remix
from tests.conftest import SAMPLE_RATE, music

STEMS = music(0)
MIXTURE = np.sum(list(STEMS.values()), axis=0)
LEVEL = st.sampled_from([-10.0, -6.0, -3.0, 0.0, 3.0, 6.0, 10.0])


def test_no_gains_give_the_mixture_back() -> None:
    again = remix(STEMS, dict.fromkeys(STEMS, 0.0), MIXTURE, sample_rate=SAMPLE_RATE)
    np.testing.assert_allclose(again, MIXTURE, atol=1e-6)


@given(gains=st.fixed_dictionaries(dict.fromkeys(STEMS, LEVEL)))
def test_the_remix_is_as_loud_as_the_mixture(gains: dict[str, float]) -> None:
    loudness = integrated_loudness(
        remix(STEMS, gains, MIXTURE, sample_rate=SAMPLE_RATE), sample_rate=SAMPLE_RATE
    )
    assert loudness == pytest.approx(integrated_loudness(MIXTURE, sample_rate=SAMPLE_RATE), abs=1e-4)


def test_a_gain_in_db_is_a_factor() -> None:
    gains = dict.fromkeys(STEMS, 0.0) | {"bass": 20.0}
    np.testing.assert_allclose(downmix(STEMS, gains) - MIXTURE, 9 * STEMS["bass"], atol=1e-6)


def test_one_gain_for_all_changes_nothing() -> None:
    louder = remix(STEMS, dict.fromkeys(STEMS, 6.0), MIXTURE, sample_rate=SAMPLE_RATE)
    np.testing.assert_allclose(louder, MIXTURE, atol=1e-5)


def test_silence_comes_back_unchanged_whichever_side_it_is_on() -> None:
    silence = np.zeros_like(MIXTURE)
    assert integrated_loudness(silence, sample_rate=SAMPLE_RATE) == -np.inf
    assert not match_loudness(silence, -20.0, sample_rate=SAMPLE_RATE).any()
    np.testing.assert_array_equal(match_loudness(MIXTURE, -np.inf, sample_rate=SAMPLE_RATE), MIXTURE)


def test_what_lies_under_the_gate_is_not_blown_up() -> None:
    whisper = MIXTURE * np.float32(1e-5)  # below -70 LUFS, where pyclarity assumes -80
    np.testing.assert_array_equal(match_loudness(whisper, -20.0, sample_rate=SAMPLE_RATE), whisper)


def test_less_than_a_gating_block_is_refused() -> None:
    with pytest.raises(AudioError, match=r"0\.300 s; loudness needs at least 0\.4 s"):
        integrated_loudness(MIXTURE[:, : int(0.3 * SAMPLE_RATE)], sample_rate=SAMPLE_RATE)


UNBALANCED = {"vocals": 10.0, "drums": -10.0, "bass": 0.0, "other": 3.0}


def test_the_mixture_is_in_the_remix_by_its_weight() -> None:
    blended = remix(
        STEMS, UNBALANCED, MIXTURE, sample_rate=SAMPLE_RATE, blend=MixtureBlend(remix=1.0, mixture=0.15)
    )
    expected = match_loudness(
        downmix(STEMS, UNBALANCED) + np.float32(0.15) * MIXTURE,
        integrated_loudness(MIXTURE, sample_rate=SAMPLE_RATE),
        sample_rate=SAMPLE_RATE,
    )
    np.testing.assert_allclose(blended, expected, atol=1e-6)
    assert blended.dtype == np.float32


def test_both_readings_of_the_paper_differ_in_the_ratio_only() -> None:
    crossfaded, added = (
        remix(STEMS, UNBALANCED, MIXTURE, sample_rate=SAMPLE_RATE, blend=blend)
        for blend in (MixtureBlend(0.85, 0.15), MixtureBlend(1.0, 0.15 / 0.85))
    )
    np.testing.assert_allclose(crossfaded, added, atol=1e-6)


@pytest.mark.parametrize("weights", [(0.0, 0.0), (1.0, float("nan"))])
def test_weights_that_make_nothing_are_refused(weights: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="mixture_blend has weights"):
        MixtureBlend(*weights)
