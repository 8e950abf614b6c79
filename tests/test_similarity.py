"""The score with a slope agrees with HAAQI, and its slope with its own differences."""

import numpy as np
import pytest
import torch

from cadenza_remix.metrics.haaqi import haaqi
from cadenza_remix.metrics.similarity import Similarity
from tests.references.signals import SHARED, Case, music, processed, real_cases, synthetic_cases
from tests.test_haaqi import GOLDEN, RATE, audiogram

# Of what was done to the signal: what needs no aligning, in an ear with a loss, which hardly compresses.
IN_STEP = (
    "same",
    "clipped",
    "noisy-20",
    "noisy-0",
    "half-silent",
    "gappy",
    "hearing-moderate",
    "hearing-severe",
)
IN_STEP += (
    "hearing-sloping",
    "level-40",
    "level-95",
    "rate-16000",
    "rate-32000",
    "rate-48000",
    "odd-length",
    "silent-rims",
    "short",
)


def similarity_to(case: Case, samples: int | None = None) -> Similarity:
    return Similarity(
        case.reference[:samples],
        audiogram(case.audiogram),
        sample_rate=case.sample_rate,
        level_of_rms_1_db_spl=case.level_of_rms_1_db_spl,
    )


def score(similarity: Similarity, signal: np.ndarray) -> float:
    return float(similarity(torch.tensor(signal, dtype=torch.float32)))


@pytest.mark.parametrize("name", IN_STEP)
def test_it_agrees_with_haaqi_in_ears_with_a_loss(name: str) -> None:
    case = next(case for case in synthetic_cases() if case.name == name)
    assert score(similarity_to(case), case.processed) == pytest.approx(GOLDEN[name]["score"], abs=0.025)


@pytest.mark.shared
@pytest.mark.parametrize(
    "case",
    [*real_cases()] if SHARED.is_dir() else [pytest.param(None, marks=pytest.mark.skip("no real music"))],
    ids=lambda case: case.name if case else "real music",
)
def test_it_agrees_with_haaqi_on_real_music(case: Case) -> None:
    samples = min(len(case.reference), len(case.processed))
    found = score(similarity_to(case, samples), case.processed[:samples])
    assert found == pytest.approx(GOLDEN[case.name]["score"], abs=0.05)


def test_the_slope_is_that_of_its_own_differences() -> None:
    reference = music(1.0, seed=5)
    similarity = Similarity(reference, audiogram("moderate"), sample_rate=RATE, level_of_rms_1_db_spl=65.0)
    signal = torch.tensor(processed(reference, "clipped"), dtype=torch.float32, requires_grad=True)
    (slope,) = torch.autograd.grad(similarity(signal), signal)
    assert slope.abs().max() > 0
    step = 2e-4 * signal.detach().std() * slope / slope.square().mean().sqrt()
    with torch.no_grad():
        rise = similarity(signal + step) - similarity(signal - step)
    assert rise.item() == pytest.approx(2 * torch.dot(slope, step).item(), rel=0.05)


def test_where_segments_begin_changes_little() -> None:
    # HAAQI reads envelopes every 96 samples from where the reference becomes audible.
    reference = music(2.0, seed=5)
    clipped = processed(reference, "clipped")
    ear = audiogram("moderate")

    def both(first: int) -> tuple[float, float]:
        x, y = reference[first:], clipped[first:]
        similarity = Similarity(x, ear, sample_rate=RATE, level_of_rms_1_db_spl=65.0)
        return score(similarity, y), haaqi(x, y, ear, sample_rate=RATE, rng=0).score

    ours, theirs = np.ptp([both(first) for first in range(0, 96, 24)], axis=0)
    assert ours < theirs / 2


@pytest.mark.parametrize("name", ["hearing-profound", "inaudible"])
def test_of_what_no_ear_hears_nothing_is_said(name: str) -> None:
    case = next(case for case in synthetic_cases() if case.name == name)
    assert not similarity_to(case).is_defined
    assert not Similarity(
        np.zeros(RATE), audiogram("mild"), sample_rate=RATE, level_of_rms_1_db_spl=65.0
    ).is_defined
