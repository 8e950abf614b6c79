"""Facts of the cochlear model; its figures are held to pyclarity's through the scores in test_haaqi."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import correlate, group_delay, lfilter

from cadenza_remix import cochlea, ear, elementary
from cadenza_remix.elementary import exponential, natural_log
from cadenza_remix.metrics import alignment, correlation, hair_cells

SAMPLES = 5000


@pytest.mark.parametrize("x", [1e-300, 1e-60, 0.5, np.sqrt(0.5), 1 - 2**-53, 1.0, 1 + 2**-52, 1.5, 2.0, 1e40])
def test_logarithm_is_numpys_to_the_last_place(x: float) -> None:
    np.testing.assert_array_max_ulp(natural_log(x), np.log(x), 1)


@pytest.mark.parametrize("x", [-690.0, -3.3, -1e-20, 0.0, 1e-9, 0.34657, 0.3466, 1.0, 88.7, 690.0])
def test_exponential_is_numpys_to_the_last_place(x: float) -> None:
    np.testing.assert_array_max_ulp(exponential(x), np.exp(x), 1)


def test_bands_run_from_80_hz_to_8_khz_in_equal_steps_of_bandwidth() -> None:
    centers = ear.center_frequencies_hz()
    assert centers[0] == pytest.approx(80) and centers[-1] == 8000
    steps = np.diff(np.log(centers + ear.EAR_Q * ear.MIN_BANDWIDTH_HZ))
    np.testing.assert_allclose(steps, steps[0])


def test_a_normal_ear_compresses_and_loses_nothing() -> None:
    loss = ear.cochlear_loss(np.zeros(6))
    assert not loss.outer_attenuation_db.any() and not loss.inner_attenuation_db.any()
    np.testing.assert_array_equal(loss.bandwidths, 1)
    ratios = 1 / (1 - loss.compression_slopes)
    assert ratios[0] == pytest.approx(1.25) and ratios[-1] == pytest.approx(3.5)


def test_a_loss_is_shared_without_rest_and_ends_compression() -> None:
    loss = ear.cochlear_loss(np.full(6, 100.0))
    np.testing.assert_allclose(loss.outer_attenuation_db + loss.inner_attenuation_db, 100)
    np.testing.assert_allclose(loss.compression_slopes, 0, atol=1e-12)


def test_sound_is_heard_less_as_the_loss_grows() -> None:
    levels = [
        ear.sensation_levels_db(np.ones(32), np.ones(32), ear.cochlear_loss(np.full(6, db)), 65.0)
        for db in (0.0, 30.0, 60.0)
    ]
    assert (levels[0] > levels[1]).all() and (levels[1] > levels[2]).all()


@pytest.mark.parametrize(("level", "bandwidth"), [(49, 1.5), (50, 1.5), (75, 2.0), (100, 2.5), (101, 2.5)])
def test_filters_widen_from_50_to_100_db(level: float, bandwidth: float) -> None:
    assert ear.widened(1.0, 1.5, 2.5, level) == pytest.approx(bandwidth)


def test_group_delays_are_scipys() -> None:
    bandwidths = np.linspace(1, 4, 32)
    radians_per_hz = 2 * np.pi / ear.SAMPLE_RATE
    expected = []
    for a in np.exp(-(radians_per_hz * ear.GAMMATONE_BANDWIDTH * bandwidths * ear.bandwidths_hz())):
        b = np.array([1.0, 4 * a, 4 * a * a])
        expected.append(group_delay((b, [1.0, -4 * a, 6 * a * a, -4 * a * a * a, a * a * a * a]), w=1)[1][0])
    ours = [ear.group_delay(band, bandwidth) for band, bandwidth in enumerate(bandwidths)]
    np.testing.assert_array_equal(ours, np.rint(expected))


@pytest.mark.parametrize("band", [0, 15, 31])
def test_filters_are_scipys_bit_for_bit(band: int) -> None:
    """The lowest filters have four poles so close to 1 that another order of operations would show."""
    rng = np.random.RandomState(1)
    x, y = rng.standard_normal((2, SAMPLES)) * [[1.0], [1e-9]]
    k = ear.gammatone(band, 1.2)
    powers = np.empty((2, SAMPLES))
    cochlea.control_powers(x, y, ear.radians(band), k, powers)
    carrier = np.empty((2, SAMPLES))
    cos, sin, turn = 1.0, 0.0, ear.radians(band)
    for i in range(SAMPLES):
        carrier[:, i] = cos, sin
        cos, sin = cos * np.cos(turn) + sin * np.sin(turn), sin * np.cos(turn) - cos * np.sin(turn)
    for signal, power in zip((x, y), powers, strict=True):
        parts = lfilter([1, k.b1, k.b2], [1, k.a1, k.a2, k.a3, k.a4], signal * carrier)
        np.testing.assert_array_equal(power, parts[0] * parts[0] + parts[1] * parts[1])


def test_adaptation_overshoots_twofold_and_settles_at_the_level() -> None:
    levels = np.full((2, 48000), 40.0)
    hair_cells.adapt(levels[0], levels[1], np.zeros((2, 2)), hair_cells.adaptation())
    assert 1.5 * 40 < levels[0, 0] < 2 * 40
    assert levels[0, -1] == pytest.approx(40, rel=1e-3)


@pytest.mark.parametrize("delay", [-2399, -1, 0, 1, 700, 2398])
@pytest.mark.parametrize("samples", [30000, 47123])
def test_band_delays_are_found(delay: int, samples: int) -> None:
    signal = np.random.RandomState(2).standard_normal(samples)
    shifted = alignment.shift(signal, -delay)
    np.testing.assert_array_equal(alignment.band_delays(np.stack((signal, shifted)), 1), [delay])
    np.testing.assert_array_equal(alignment.band_delays(np.stack((shifted, signal)), 1), [-delay])


@pytest.mark.parametrize("samples", [700, 2399, 2400, 2401, 11584, 11585, 23168, 23169, 50000])
def test_correlations_are_those_of_the_whole_signals(samples: int) -> None:
    rows = np.random.RandomState(samples).standard_normal((4, samples))
    lags = min(alignment.MAX_BAND_DELAY, samples)
    ours = correlation.correlate_rows(rows, 2, lags, correlation.plan())
    for row in (1, 2):
        whole = np.concatenate(([0.0], correlate(rows[row], rows[0], "full"), [0.0]))
        np.testing.assert_allclose(ours[row - 1], whole[samples - lags : samples + lags], atol=1e-9)
        expected = lags - 1 - np.argmax(whole[samples - lags : samples + lags][::-1])
        assert alignment.band_delays(rows, 2)[row - 1] == expected


def test_the_transform_is_numpys() -> None:
    plan = correlation.plan()
    signal = np.random.RandomState(6).standard_normal((2, correlation.LENGTH))
    expected = np.fft.fft(signal[0] + 1j * signal[1])[plan.order]
    spectrum = np.empty_like(signal)
    correlation.transform(*signal, plan, *spectrum)
    np.testing.assert_allclose(spectrum[0] + 1j * spectrum[1], expected, atol=1e-11)


def test_an_unwritable_cache_is_said_once_and_does_no_harm(tmp_path: Path) -> None:
    """Files stand where folders would be made, which stops even root."""
    package = Path(elementary.__file__).parent
    copy = tmp_path / package.name
    copy.mkdir()
    for name in ("__init__.py", "compiled.py", "elementary.py"):
        shutil.copy(package / name, copy)
    (copy / "__pycache__").touch()
    nowhere = {"HOME": os.devnull, "XDG_CACHE_HOME": os.devnull}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from {package.name}.elementary import *; print(exponential(0.0))\n"
            f"from {package.name}.compiled import *; print(cache_folder())",
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | nowhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1.0\nNone\n"
    assert done.stderr.count("Compiled code cannot be kept") == 1
    assert "set NUMBA_CACHE_DIR to a folder that is" in done.stderr
