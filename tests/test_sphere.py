import itertools

import numpy as np
import numpy.typing as npt
import pytest

from cadenza_remix.errors import ConfigError
from cadenza_remix.sphere import SPEED_OF_SOUND, sphere_impulse_responses, surface_pressure

SAMPLE_RATE = 44100
RADIUS_OVER_SPEED_S = 0.0875 / SPEED_OF_SOUND
AZIMUTHS = (22.5, 30.0, 37.5)  # the challenge's
N_FFT = 65536


def spectra(azimuth_degrees: float) -> npt.NDArray[np.complex128]:
    return np.fft.rfft(sphere_impulse_responses(azimuth_degrees, sample_rate=SAMPLE_RATE), N_FFT)


def at(frequency_hz: float) -> int:
    return round(frequency_hz * N_FFT / SAMPLE_RATE)


def levels_db(azimuth_degrees: float, frequency_hz: float) -> npt.NDArray[np.float64]:
    return 20 * np.log10(np.abs(spectra(azimuth_degrees)[:, at(frequency_hz)]))


def delay_of_left_s(azimuth_degrees: float, low_hz: float, high_hz: float) -> float:
    """Mean phase delay of the left ear behind the right one."""
    left, right = spectra(azimuth_degrees)
    phase = np.unwrap(np.angle(right / left))
    band = np.arange(at(low_hz), at(high_hz))
    return float(np.mean(phase[band] / (2 * np.pi * band * SAMPLE_RATE / N_FFT)))


def finite_range_pressure(cos_incidence: float, ka: float, *, range_in_radii: float) -> complex:
    """The recursion of Duda & Martens (1998, appendix A), with their threshold; exp(-iωt)."""
    z_source, z_surface = 1 / (1j * ka * range_in_radii), 1 / (1j * ka)
    q_source = [z_source, z_source * (1 - z_source)]
    q_surface = [z_surface, z_surface * (1 - z_surface)]
    legendre = [1.0, cos_incidence]
    total = z_source / (z_surface * (z_surface - 1))
    term = 3 * cos_incidence * z_source * (z_source - 1)
    total += term / (z_surface * (2 * z_surface**2 - 2 * z_surface + 1))
    small_in_a_row = 0
    for m in itertools.count(2):
        q_source.append(-(2 * m - 1) * z_source * q_source[-1] + q_source[-2])
        q_surface.append(-(2 * m - 1) * z_surface * q_surface[-1] + q_surface[-2])
        newest = ((2 * m - 1) * cos_incidence * legendre[-1] - (m - 1) * legendre[-2]) / m
        legendre.append(newest)
        term = (2 * m + 1) * newest * q_source[-1]
        term /= (m + 1) * z_surface * q_surface[-1] - q_surface[-2]
        total += term
        small_in_a_row = small_in_a_row + 1 if abs(term) < 1e-12 * abs(total) else 0
        if small_in_a_row == 2:
            break
    return complex(range_in_radii * np.exp(-1j * ka) * total / (1j * ka))


@pytest.mark.parametrize("ka", [0.05, 1.0, 5.0, 35.0, 80.0])
@pytest.mark.parametrize("cos_incidence", [0.98, 0.5, -0.3, -0.9])
def test_a_source_far_away_gives_the_plane_wave(ka: float, cos_incidence: float) -> None:
    expected = np.conj(finite_range_pressure(cos_incidence, ka, range_in_radii=1e7))
    pressure = surface_pressure(np.array([cos_incidence]), ka)
    assert pressure == pytest.approx(expected, rel=0, abs=1e-5)


def test_a_small_sphere_does_not_disturb_the_field() -> None:
    everywhere = np.linspace(-1, 1, 9)
    np.testing.assert_array_equal(surface_pressure(everywhere, 0.0), 1)
    np.testing.assert_allclose(surface_pressure(everywhere, 1e-3), 1, atol=2e-3)


def test_pressure_doubles_facing_the_source_and_fades_in_the_shadow() -> None:
    facing, grazing, shadow = np.abs(surface_pressure(np.cos([0, np.pi / 2, 0.85 * np.pi]), 100.0))
    assert facing == pytest.approx(2, rel=1e-3)
    assert grazing == pytest.approx(1.4, rel=0.02)  # Fock's limit for any smooth convex body
    assert 20 * np.log10(shadow) < -20


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_left_and_right_mirror_each_other(azimuth: float) -> None:
    left_side = sphere_impulse_responses(-azimuth, sample_rate=SAMPLE_RATE)
    right_side = sphere_impulse_responses(azimuth, sample_rate=SAMPLE_RATE)
    np.testing.assert_allclose(left_side, right_side[::-1], atol=1e-12)
    assert not np.allclose(left_side, right_side, atol=0.1)


def test_both_ears_hear_the_same_from_ahead() -> None:
    left, right = sphere_impulse_responses(0.0, sample_rate=SAMPLE_RATE)
    np.testing.assert_allclose(left, right, atol=1e-12)


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_the_ear_away_from_the_loudspeaker_is_late(azimuth: float) -> None:
    angle = np.deg2rad(azimuth)
    kuhn = 3 * RADIUS_OVER_SPEED_S * np.sin(angle)
    woodworth = RADIUS_OVER_SPEED_S * (angle + np.sin(angle))
    assert delay_of_left_s(azimuth, 50, 200) == pytest.approx(kuhn, rel=0.03)
    assert delay_of_left_s(azimuth, 5000, 10000) == pytest.approx(woodworth, rel=0.05)
    assert delay_of_left_s(-azimuth, 50, 200) == pytest.approx(-kuhn, rel=0.03)


def test_level_is_that_of_the_free_field_at_low_frequencies() -> None:
    for azimuth in (0.0, *AZIMUTHS, 90.0, 180.0):
        assert levels_db(azimuth, 50) == pytest.approx([0, 0], abs=0.05)


def test_the_ear_at_the_loudspeaker_is_louder() -> None:
    left, right = levels_db(-30.0, 4000)
    assert 4 < left < 6
    assert -4 < right < 0
    assert levels_db(-90.0, 15000)[0] == pytest.approx(6.02, abs=0.1)


def test_sound_is_at_the_center_after_one_millisecond() -> None:
    facing = sphere_impulse_responses(90.0, sample_rate=SAMPLE_RATE)[1]
    first = round((1e-3 - RADIUS_OVER_SPEED_S) * SAMPLE_RATE)
    assert np.argmax(np.abs(facing)) == first


@pytest.mark.parametrize("sample_rate", [16000, 44100, 96000])
def test_nothing_of_weight_is_cut_off(sample_rate: int) -> None:
    n_taps = round(235 / 44100 * sample_rate)
    short = sphere_impulse_responses(-37.5, sample_rate=sample_rate, n_taps=n_taps)
    long = sphere_impulse_responses(-37.5, sample_rate=sample_rate, n_taps=3 * n_taps)
    long[:, :n_taps] -= short
    assert np.sum(long**2) < 1e-6 * np.sum(short**2)


def test_it_starts_and_ends_in_silence() -> None:
    responses = sphere_impulse_responses(30.0, sample_rate=SAMPLE_RATE)
    peak = np.abs(responses).max()
    assert responses.shape == (2, 235)
    assert np.abs(responses[:, 0]).max() < 1e-3 * peak
    np.testing.assert_allclose(responses[:, -1], 0, atol=1e-12)


def test_ears_and_size_of_the_head_matter() -> None:
    usual = sphere_impulse_responses(30.0, sample_rate=SAMPLE_RATE)
    small = sphere_impulse_responses(30.0, sample_rate=SAMPLE_RATE, radius_m=0.06)
    behind = sphere_impulse_responses(30.0, sample_rate=SAMPLE_RATE, ear_azimuth_degrees=100.0)
    first_ears = [np.argmax(np.abs(each[1])) for each in (usual, small, behind)]
    assert first_ears[0] < first_ears[1]  # a smaller head meets the wave later
    assert first_ears[0] < first_ears[2]  # and so do ears further behind


def test_too_few_taps_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"n_taps is 128; .* 44100 Hz needs 177"):
        sphere_impulse_responses(30.0, sample_rate=SAMPLE_RATE, n_taps=128)
