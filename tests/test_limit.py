"""Physical facts of the last stage: full scale is kept, what fits is left alone, nothing pumps."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, hilbert, resample_poly, sosfiltfilt

from cadenza_remix.errors import ConfigError
from cadenza_remix.limit import HardClip, Limiter, LookAhead, Multiband, PerceptualClip, Scale, Tanh
from cadenza_remix.limit.audibility import cheapest_attenuations_db, sensation_levels_db
from cadenza_remix.limit.bands import BLOCK, FilterBank
from cadenza_remix.limit.lookahead import excess_db
from cadenza_remix.limit.multiband import lowered
from cadenza_remix.limit.perceptual import masking
from cadenza_remix.listener import Audiogram, Listener

RATE = 32000
TIME = np.arange(2 * RATE) / RATE
STEEP = Audiogram((500.0, 1000.0, 2000.0, 4000.0), (30.0, 45.0, 90.0, 100.0))
FLAT = Audiogram((250.0, 8000.0), (40.0, 50.0))
LISTENER = Listener("L", STEEP, FLAT)
LIMITERS = [
    HardClip(),
    Tanh(),
    Scale(),
    Scale(most_db=6),
    LookAhead(),
    LookAhead(look_ahead_ms=10, release_ms=100, share=0.5, most_db=12, linked=True),
    LookAhead(look_ahead_ms=0, drive_db=20),
    LookAhead(knee_db=6, true_peak=True),
    PerceptualClip(),
    Multiband(),
    Multiband(drive_db=6, final=LookAhead(share=0.5)),
]
TRANSPARENT = [
    HardClip(),
    Scale(),
    LookAhead(),
    LookAhead(release_ms=50, linked=True),
    PerceptualClip(),
    Multiband(),
]


def stereo(signal: np.ndarray) -> np.ndarray:
    return np.stack([signal, 0.5 * signal[::-1]]).astype(np.float32)


def noise(scale: float) -> np.ndarray:
    return stereo(scale * np.random.default_rng(1).standard_normal(len(TIME)))


def limited(limiter: Limiter, signal: np.ndarray, listener: Listener = LISTENER) -> np.ndarray:
    return limiter(signal, listener, sample_rate=RATE)


HOSTILE = {
    "square": stereo(3 * np.sign(np.sin(2 * np.pi * 100 * TIME))),
    "spike": stereo(50.0 * (np.arange(len(TIME)) == 7000)),
    "spike at the start": stereo(50.0 * (np.arange(len(TIME)) == 0)),
    "40 dB over": noise(100.0),
    "one sample": np.array([[3.0], [-4.0]], dtype=np.float32),
    "two samples": np.array([[3.0, 0.0], [-4.0, 1.0]], dtype=np.float32),
    "silence": np.zeros((2, 5000), dtype=np.float32),
    "a step": stereo(20.0 * (TIME > 1)),
}


@pytest.mark.parametrize("limiter", LIMITERS, ids=repr)
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_exceeds_full_scale(limiter: Limiter, name: str) -> None:
    signal = HOSTILE[name]
    before = signal.copy()
    result = limited(limiter, signal)
    np.testing.assert_array_equal(signal, before)
    assert result.shape == signal.shape
    assert result.dtype == np.float32
    assert limited(limiter, signal.astype(np.float64)).dtype == np.float64
    assert np.isfinite(result).all()
    assert np.abs(result).max() <= 1
    assert result.any() == signal.any()


@pytest.mark.parametrize("limiter", TRANSPARENT, ids=repr)
def test_what_fits_comes_back_unchanged(limiter: Limiter) -> None:
    for fits in (noise(1.0), HOSTILE["square"]):
        fits = fits * np.float32(0.999) / np.abs(fits).max()
        np.testing.assert_allclose(limited(limiter, fits), fits, atol=1e-6)


@pytest.mark.parametrize("limiter", LIMITERS, ids=repr)
def test_ears_swap_with_the_listener(limiter: Limiter) -> None:
    signal = noise(3.0)
    swapped = limited(limiter, signal[::-1], Listener("S", FLAT, STEEP))
    np.testing.assert_allclose(swapped[::-1], limited(limiter, signal), atol=1e-6)


def test_scale_brings_the_highest_peak_of_both_ears_to_full_scale() -> None:
    loud = np.array([[8.0, 1.0], [-2.0, 0.5]], dtype=np.float32)
    np.testing.assert_allclose(limited(Scale(), loud), loud / 8)
    np.testing.assert_allclose(limited(Scale(most_db=20 * np.log10(4)), loud), [[1, 0.25], [-0.5, 0.125]])


def test_look_ahead_never_cuts_off() -> None:
    # A gain that arrived late would leave overshoots to the final clip.
    gains = LookAhead().gains(noise(10.0).astype(np.float64), sample_rate=RATE)
    assert np.abs(noise(10.0) * gains).max() <= 1 + 1e-9


def test_look_ahead_sees_no_further_than_it_says() -> None:
    spike = np.ones((2, 4000))
    spike[:, 2000] = 10
    gains = LookAhead(look_ahead_ms=5).gains(spike, sample_rate=RATE)
    turned_down = np.flatnonzero(gains[0] < 1 - 1e-9)
    assert 2000 - turned_down[0] == pytest.approx(0.005 * RATE, abs=2)
    assert turned_down[-1] - 2000 == pytest.approx(0.005 * RATE, abs=2)


def test_release_is_exponential() -> None:
    spike = np.ones((2, RATE))
    spike[:, 1000] = 2
    gains = LookAhead(look_ahead_ms=0, release_ms=100).gains(spike, sample_rate=RATE)[0]
    assert gains[999] == pytest.approx(1)
    assert gains[1000] == pytest.approx(0.5)
    assert 1 - gains[1000 + RATE // 10] == pytest.approx(0.5 / np.e, rel=1e-3)


def test_linked_ears_keep_their_difference() -> None:
    signal = noise(4.0).astype(np.float64)
    result = limited(LookAhead(linked=True), signal)
    np.testing.assert_allclose(result[0] * signal[1], result[1] * signal[0], atol=1e-9)
    apart = limited(LookAhead(), signal)
    assert not np.allclose(apart[0] * signal[1], apart[1] * signal[0], atol=1e-3)


def test_share_is_what_the_gain_takes_of_the_excess() -> None:
    steady = np.full((2, 1000), 10 ** (20 / 20))
    half = LookAhead(share=0.5).gains(steady, sample_rate=RATE)
    np.testing.assert_allclose(20 * np.log10(half), -10)
    np.testing.assert_allclose(20 * np.log10(LookAhead(most_db=6).gains(steady, sample_rate=RATE)), -6)


def test_a_knee_bends_into_the_limit_and_never_takes_too_little() -> None:
    level_db = np.linspace(-20, 20, 401)
    bent = excess_db(level_db, 8.0)
    np.testing.assert_array_equal(excess_db(level_db, 0.0), np.maximum(level_db, 0))
    np.testing.assert_allclose(bent[level_db < -4], 0)
    np.testing.assert_allclose(bent[level_db > 4], level_db[level_db > 4])
    assert np.all(bent >= np.maximum(level_db, 0))
    slope = np.diff(bent) / np.diff(level_db)
    assert np.all(np.diff(slope) >= -1e-9) and np.diff(slope).max() < 0.02  # rises evenly from 0 to 1


def test_true_peak_heeds_what_lies_between_the_samples() -> None:
    # A tone of a quarter of the rate, sampled 45 degrees off its peaks, is 3 dB higher between them.
    tone = 1.2 * np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4)

    def highest_db(limiter: LookAhead) -> float:
        result = limited(limiter, np.stack([tone] * 2))[0, 1000:-1000]
        return float(20 * np.log10(np.abs(resample_poly(result, 8, 1)).max()))

    assert highest_db(LookAhead(drive_db=12)) > 2.5
    assert highest_db(LookAhead(drive_db=12, true_peak=True)) < 0.2


def test_perceptual_clip_puts_the_error_where_the_signal_is_loud() -> None:
    # Beside a loud low tone, a quiet high one drowns in the error of a plain clip.
    loud, quiet = 2.5 * np.sin(2 * np.pi * 300 * TIME), 0.02 * np.sin(2 * np.pi * 2500 * TIME)
    signal = np.stack([loud + quiet] * 2)
    band = butter(4, (2200, 2800), "bandpass", fs=RATE, output="sos")

    def error_db(limiter: Limiter) -> float:
        error = sosfiltfilt(band, (limited(limiter, signal) - signal)[1])[RATE // 2 : -RATE // 2]
        return float(10 * np.log10(np.mean(error**2) / np.mean(quiet**2)))

    assert error_db(HardClip()) > 0
    assert error_db(PerceptualClip()) < error_db(HardClip()) - 6


def test_perceptual_clip_is_a_plain_clip_before_its_first_step() -> None:
    signal = noise(2.0)
    np.testing.assert_array_equal(limited(PerceptualClip(steps=0), signal), np.clip(signal, -1, 1))


def test_every_step_makes_the_weighted_error_smaller_until_it_is_least() -> None:
    bank, ear = FilterBank(RATE), noise(2.0)[0].astype(np.float64)
    weights = PerceptualClip().weights(bank.powers(ear), STEEP, bank)
    assert weights.max() == 1 and weights.min() > 0

    def cost(steps: int) -> float:
        error = PerceptualClip(steps=steps).clip_ear(ear, STEEP, bank) - ear
        return float(error @ bank.amplified(error, weights))

    costs = [cost(steps) for steps in (0, 2, 5, 20, 200)]
    assert all(later < earlier for earlier, later in pairwise(costs))
    assert costs[3] < 1.05 * costs[4] < 0.8 * costs[0]


def test_a_loud_band_masks_the_ones_above_it() -> None:
    powers = np.array([[1e-9, 1.0, 1e-9, 1e-2, 1e-9]])
    np.testing.assert_allclose(masking(powers, 10.0), [[1e-9, 1.0, 0.1, 1e-2, 1e-3]])


def test_what_an_ear_cannot_hear_weighs_little() -> None:
    # At equal level, errors at 4 kHz count less in the steep ear (100 dB HL there) than those at 500 Hz.
    bank = FilterBank(RATE)
    weights = PerceptualClip().weights(np.full((1, 40), 1e-4), STEEP, bank)[0]
    centers_hz = bank.means(bank.frequencies_hz())
    at_500, at_4000 = (weights[np.abs(centers_hz - f).argmin()] for f in (500, 4000))
    assert at_4000 < 0.2 * at_500


@pytest.mark.parametrize("rate", [RATE, 44100])
def test_bands_add_up_to_the_signal(rate: int) -> None:
    bank = FilterBank(rate)
    signal = np.random.default_rng(2).standard_normal(bank.hop * (BLOCK + 40) + 17)  # two blocks and a rest
    powers = bank.powers(signal)
    np.testing.assert_allclose(bank.amplified(signal, np.ones_like(powers)), signal, atol=1e-12)
    assert powers[20:-20].sum(axis=1).mean() == pytest.approx(np.mean(signal**2), rel=0.02)


def test_a_band_gain_reaches_only_its_band() -> None:
    bank = FilterBank(RATE)
    low, high = np.sin(2 * np.pi * 300 * TIME), np.sin(2 * np.pi * 5000 * TIME)
    centers_hz = bank.means(bank.frequencies_hz())
    gains = np.where(centers_hz < 1500, 0.5, 1) * np.ones_like(bank.powers(low))
    inner = slice(2000, -2000)
    np.testing.assert_allclose(bank.amplified(low + high, gains)[inner], (0.5 * low + high)[inner], atol=1e-3)


def test_the_loudest_bands_are_lowered_most_and_the_quiet_not_at_all() -> None:
    powers = np.array([[1.0, 0.1, 1e-6]])
    gains = lowered(powers, np.array([0.5]), 0.5)[0]
    assert np.sum(gains**2 * powers) == pytest.approx(0.5)
    assert gains[0] < gains[1] <= gains[2] == 1
    np.testing.assert_allclose(lowered(powers, powers.sum(axis=1), 0.5), 1, atol=1e-9)


@pytest.mark.parametrize("slope", [0.0, -0.25, 1.5])
def test_a_slope_without_a_water_line_is_refused(slope: float) -> None:
    with pytest.raises(ConfigError, match=f"limiter.slope is {slope}"):
        Multiband(slope=slope)


def test_slow_gains_bring_the_level_to_the_ceiling() -> None:
    powers = np.full((300, 40), 0.1)  # 4 in sum
    steady = Multiband(ceiling_db=-8).level_gains(powers, FilterBank(RATE), most_db=30.0)
    np.testing.assert_allclose(np.sum(powers * steady**2, axis=1), 10**-0.8, rtol=1e-6)
    at_most = Multiband(ceiling_db=-8).level_gains(powers, FilterBank(RATE), most_db=3.0)
    np.testing.assert_allclose(20 * np.log10(at_most), -3, rtol=1e-6)


def test_fixed_cuts_are_as_deep_as_asked_but_not_too_dear() -> None:
    rng = np.random.default_rng(3)
    levels_db = np.maximum(rng.normal(20, 10, (200, 40)), 0)
    levels_db[:, 20:30] = 0  # not heard
    powers = np.ones(40)

    def remaining(share: float, price: float) -> float:
        cut = cheapest_attenuations_db(levels_db, powers, share=share, price=price)
        return float(np.mean(10 ** (-cut / 10)))

    assert remaining(0.9, 1e6) == pytest.approx(0.75, abs=0.05)  # what is not heard goes first
    assert remaining(0.3, 1e6) == pytest.approx(0.3, abs=0.1)
    assert remaining(0.3, 1.0) == pytest.approx(0.75, abs=0.05)  # the rest is too dear
    cut = cheapest_attenuations_db(levels_db, powers, share=0.5, price=1.0)
    assert cut[21:29].min() > 20 and not cut[:19].any()


def test_levels_above_threshold() -> None:
    # A 1 kHz tone at 82 - 3 - 20 dB SPL in an ear with 45 dB HL there; the middle ear takes well under 1 dB.
    bank = FilterBank(RATE)
    powers = bank.powers(0.1 * np.sin(2 * np.pi * 1000 * TIME))[50:60]
    level = sensation_levels_db(powers.sum(axis=1, keepdims=True) * np.ones(40), STEEP, bank, 82.0)
    band = np.abs(bank.means(bank.frequencies_hz()) - 1000).argmin()
    assert level[0, band] == pytest.approx(82 - 3 - 20 - 45, abs=2)
    assert not level[0, -8:].any()  # 100 dB HL


def test_what_the_ear_cannot_hear_makes_room() -> None:
    # 4 kHz is far below the left ear's threshold, and well above the right one's.
    audible, other = 0.6 * np.sin(2 * np.pi * 700 * TIME), 9.6 * np.sin(2 * np.pi * 4000 * TIME)
    quiet = Audiogram((500.0, 1000.0, 2000.0, 4000.0), (30.0, 45.0, 90.0, 115.0))
    result = limited(Multiband(), np.stack([audible + other] * 2), Listener("x", quiet, FLAT))
    tone = 2 * np.abs(np.exp(-2j * np.pi * 4000 * TIME) @ result.T) / len(TIME)
    assert 20 * np.log10(tone[1] / tone[0]) > 3


@pytest.mark.parametrize("burst", [1.2, 1.7, 3.0])
@pytest.mark.parametrize("losses_db_hl", [(10.0, 20.0), (20.0, 70.0)], ids=["mild", "sloping"])
def test_no_pumping(burst: float, losses_db_hl: tuple[float, float]) -> None:
    signal, ear = tone_under_bursts(burst), Audiogram((250.0, 8000.0), losses_db_hl)
    listener = Listener("x", ear, ear)
    assert tone_varies_db(limited(Multiband(), signal, listener)[0]) < 1
    assert tone_varies_db(limited(LookAhead(), signal, listener)[0]) > 1


def tone_under_bursts(burst: float) -> npt.NDArray[np.floating]:
    """A steady -20 dBFS tone under 2 Hz bass bursts over full scale."""
    time = np.arange(6 * RATE) / RATE
    edges = np.hanning(640) / np.hanning(640).sum()
    bass = burst * np.sin(2 * np.pi * 80 * time)
    bass *= np.convolve(((2 * time) % 1 < 0.5).astype(float), edges, "same")
    return np.stack([0.1 * np.sin(2 * np.pi * 1500 * time) + bass] * 2)


def tone_varies_db(signal: npt.NDArray[np.floating]) -> float:
    """By how much the tone's level varies, in means over 10 ms."""
    tone = sosfiltfilt(butter(2, (1350, 1650), "bandpass", fs=RATE, output="sos"), signal)
    level_db = 20 * np.log10(np.abs(hilbert(tone))[RATE:-RATE])
    ten_ms = np.full(RATE // 100, 100 / RATE)
    return float(np.ptp(np.convolve(level_db, ten_ms, "valid")))
