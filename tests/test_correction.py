"""What is done to separated stems before the remix."""

import numpy as np
import numpy.typing as npt
import pytest

from cadenza_remix.demix.base import Stems
from cadenza_remix.demix.correction import Consistency, Correction, Mixer, Residual, Scales
from cadenza_remix.errors import AudioError, CadenzaError, ConfigError
from cadenza_remix.metrics.sdr import sdr_db
from cadenza_remix.pipeline import correct
from tests.conftest import music

TRUE = music(4)
MIXTURE: npt.NDArray[np.float32] = np.sum(list(TRUE.values()), axis=0)
SOURCES = list(TRUE)


@pytest.fixture
def estimates() -> Stems:
    """Stems that each lack something else, and do not sum to the mixture."""
    rng = np.random.default_rng(1)
    return {
        source: (0.8 * stem + rng.normal(0, 0.01, stem.shape)).astype(np.float32)
        for source, stem in TRUE.items()
    }


def test_consistent_stems_sum_to_the_mixture_and_change_alike(estimates: Stems) -> None:
    consistent = Consistency()(estimates, MIXTURE)
    np.testing.assert_allclose(sum(consistent.values()), MIXTURE, atol=1e-6)
    changes = [consistent[source] - estimates[source] for source in SOURCES]
    np.testing.assert_allclose(changes, [changes[0]] * 4, atol=1e-6)


def test_what_is_consistent_stays() -> None:
    consistent = Consistency()(TRUE, MIXTURE)
    np.testing.assert_allclose([consistent[s] for s in SOURCES], list(TRUE.values()), atol=1e-6)


def test_consistency_brings_stems_nearer_to_any_that_sum_to_the_mixture(estimates: Stems) -> None:
    # A projection onto a plane that the true stems lie in.
    def distance(stems: Stems) -> float:
        return float(sum(np.sum(np.square(stems[source] - TRUE[source])) for source in SOURCES))

    assert distance(Consistency()(estimates, MIXTURE)) < 0.9 * distance(estimates)


def test_a_stem_gets_its_share_of_what_lacks(estimates: Stems) -> None:
    shares = {"vocals": 0.0, "drums": 0.5, "bass": 0.5, "other": 0.0}
    consistent = Consistency(shares)(estimates, MIXTURE)
    np.testing.assert_array_equal(consistent["vocals"], estimates["vocals"])
    np.testing.assert_allclose(sum(consistent.values()), MIXTURE, atol=1e-6)


def test_the_whole_residual_replaces_a_stem_whatever_it_was(estimates: Stems) -> None:
    whole = Residual(1.0)(estimates, MIXTURE)
    np.testing.assert_allclose(
        whole["other"], MIXTURE - estimates["vocals"] - estimates["drums"] - estimates["bass"], atol=1e-6
    )
    assert all(whole[source] is estimates[source] for source in ("vocals", "drums", "bass"))


def test_half_of_it_is_the_mean_of_both(estimates: Stems) -> None:
    none, half, whole = (Residual(ratio)(estimates, MIXTURE)["other"] for ratio in (0.0, 0.5, 1.0))
    np.testing.assert_array_equal(none, estimates["other"])
    np.testing.assert_allclose(half, (none + whole) / 2, atol=1e-6)


def test_scales_undo_wrong_levels() -> None:
    factors = {"vocals": 0.5, "drums": 2.0, "bass": 1.25, "other": 1.0}
    wrong = {source: TRUE[source] * np.float32(factors[source]) for source in SOURCES}
    right = Scales({source: 1 / factors[source] for source in SOURCES})(wrong, MIXTURE)
    assert all(sdr_db(TRUE[source], right[source]) > 60 for source in SOURCES)


def test_a_mixer_can_do_what_all_others_do(estimates: Stems) -> None:
    def matrix(of: Correction) -> npt.NDArray[np.float64]:
        # Sixteen channels of impulses: what each does to one input at a time.
        inputs = np.eye(10, dtype=np.float32)
        stems = {source: inputs[2 * n : 2 * n + 2] for n, source in enumerate(SOURCES)}
        return np.concatenate(list(of(stems, inputs[8:]).values())).astype(np.float64)

    for correction in (Consistency(), Residual(0.3), Scales(dict.fromkeys(SOURCES, 0.7))):
        expected = correction(estimates, MIXTURE)
        mixed = Mixer(SOURCES, matrix(correction).tolist())(estimates, MIXTURE)
        for source in SOURCES:
            np.testing.assert_allclose(mixed[source], expected[source], atol=1e-6)


def test_they_are_done_in_the_order_given(estimates: Stems) -> None:
    scales, consistency = Scales(dict.fromkeys(SOURCES, 0.5)), Consistency()
    np.testing.assert_allclose(
        sum(correct([scales, consistency], estimates, MIXTURE).values()), MIXTURE, atol=1e-6
    )
    np.testing.assert_allclose(
        sum(correct([consistency, scales], estimates, MIXTURE).values()), 0.5 * MIXTURE, atol=1e-6
    )


def test_nothing_that_is_handed_in_is_changed(estimates: Stems) -> None:
    before = {source: stem.copy() for source, stem in estimates.items()}
    for correction in (Consistency(), Residual(1.0), Scales(dict.fromkeys(SOURCES, 2.0))):
        correction(estimates, MIXTURE)
        assert all(np.array_equal(before[source], estimates[source]) for source in SOURCES)


MIXER_OF_FOUR = Mixer(SOURCES, np.zeros((8, 10)).tolist())


@pytest.mark.parametrize(
    ("correction", "stems"),
    [
        (Residual(0.5, into="choir"), TRUE),
        (Scales({"vocals": 1.0}), TRUE),
        (Consistency({"vocals": 0.5, "choir": 0.5}), TRUE),
        (MIXER_OF_FOUR, {"vocals": MIXTURE}),
        (MIXER_OF_FOUR, {source: stem[:1] for source, stem in TRUE.items()}),
    ],
    ids=str,
)
def test_other_stems_than_expected_are_refused(correction: Correction, stems: Stems) -> None:
    mixture: npt.NDArray[np.float32] = np.sum(list(stems.values()), axis=0)
    with pytest.raises(AudioError):
        correct([correction], stems, mixture)


def test_a_correction_that_breaks_its_contract_is_told_so() -> None:
    with pytest.raises(AudioError, match="mend the correction"):
        correct([lambda stems, _: {"vocals": stems["vocals"]}], TRUE, MIXTURE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Consistency({"vocals": 0.5, "drums": 0.4}),
        lambda: Residual(1.5),
        lambda: Residual(float("nan")),
        lambda: Scales({"vocals": float("inf")}),
        lambda: Mixer(SOURCES, [[1.0] * 10] * 7),
        lambda: Mixer(SOURCES, [[1.0] * 9] * 8),
        lambda: Mixer(SOURCES, [*[[1.0] * 10] * 7, [1.0] * 9]),
        lambda: Mixer(SOURCES, [*[[1.0] * 10] * 7, [float("nan")] * 10]),
        lambda: Mixer([], []),
    ],
)
def test_impossible_settings_are_refused(make: type[CadenzaError]) -> None:
    with pytest.raises(ConfigError):
        make()
