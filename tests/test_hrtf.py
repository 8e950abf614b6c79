import numpy as np
from scipy.signal import lfilter

from cadenza_remix.hrtf import Head, to_microphones
from cadenza_remix.pipeline import prepare_song
from tests.conftest import SAMPLE_RATE, music

RNG = np.random.default_rng(1)
HEAD = Head(0.1 * RNG.standard_normal((2, 235)), 0.1 * RNG.standard_normal((2, 235)))
DRY = music(0)["drums"]


def test_each_ear_hears_both_loudspeakers() -> None:
    at_mic = to_microphones(DRY, HEAD)
    for ear in range(2):
        expected = lfilter(HEAD.left_loudspeaker[ear], 1, DRY[0]) + lfilter(
            HEAD.right_loudspeaker[ear], 1, DRY[1]
        )
        np.testing.assert_allclose(at_mic[ear], expected, atol=1e-6)


def test_the_result_is_as_loud_as_the_dry_signal() -> None:
    from cadenza_remix.loudness import integrated_loudness

    at_mic = prepare_song(DRY, HEAD, sample_rate=SAMPLE_RATE)
    wanted = integrated_loudness(DRY, sample_rate=SAMPLE_RATE)
    assert abs(integrated_loudness(at_mic, sample_rate=SAMPLE_RATE) - wanted) < 1e-4


def test_a_silent_stem_stays_silent() -> None:
    assert not prepare_song(np.zeros_like(DRY), HEAD, sample_rate=SAMPLE_RATE).any()
