"""A rigid sphere as a head: impulse responses at its two ears, in closed form.

It needs no measurement, so the demo can make its own head. It has no pinna and no torso. Azimuths
are in the horizontal plane, in degrees: 0 is ahead, negative is left, positive is right.

References:
    Duda & Martens (1998), "Range dependence of the response of a spherical head model",
    J. Acoust. Soc. Am. 104, 3048-3058.
    Kuhn (1977), "Model for the interaural time differences in the azimuthal plane",
    J. Acoust. Soc. Am. 62, 157-167.
    Woodworth (1938), "Experimental Psychology", Holt, New York.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.signal.windows import tukey
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from cadenza_remix.errors import ConfigError

SPEED_OF_SOUND = 343.0  # m/s, in air of 20 °C
CENTER_DELAY_S = 1e-3  # when sound is at the head's center; about as in the challenge's heads
SHORTEST_RESPONSE_S = 4e-3  # the center's delay and the waves that creep around the head
ROLL_OFF = 0.1  # of the band: its upper end falls to zero, else a delay would ring for long


def sphere_impulse_responses(
    azimuth_degrees: float,
    *,
    sample_rate: int,
    n_taps: int = 235,
    radius_m: float = 0.0875,
    ear_azimuth_degrees: float = 90.0,
) -> npt.NDArray[np.float64]:
    """Impulse responses from a distant loudspeaker to the left and right ear of a rigid sphere.

    The level is relative to the free field at the center of the head. Both ears share one delay of
    1 ms to that center, so the interaural time difference is kept.

    Checked against Kuhn's (1977) low-frequency and Woodworth's (1938) high-frequency interaural time
    differences, and against the front microphones of behind-the-ear aids on a challenge subject (VP_N6,
    ±22.5 to ±37.5 degrees): averaged over both sides, the time difference below 1.5 kHz is 17 µs longer
    here, and the level difference from 0.2 to 8 kHz equal to 0.2 dB.

    Args:
        azimuth_degrees: where the loudspeaker is.
        sample_rate: Hz.
        n_taps: length of the responses, at least 4 ms; the challenge's have 235.
        radius_m: of the sphere; 8.75 cm as in Duda & Martens (1998).
        ear_azimuth_degrees: of the right ear; the left one is its mirror image. Ear canals lie
            nearer 100, but the front microphone of an aid behind the ear sits further ahead.

    Returns:
        (2, n_taps): left, right.

    Raises:
        ConfigError: if `n_taps` cannot hold the response.
    """
    shortest = math.ceil(SHORTEST_RESPONSE_S * sample_rate)
    if n_taps < shortest:
        raise ConfigError(f"n_taps is {n_taps}; the response of a head at {sample_rate} Hz needs {shortest}.")
    ears = np.array([-ear_azimuth_degrees, ear_azimuth_degrees])
    cos_incidence = np.cos(np.deg2rad(azimuth_degrees - ears))
    n_fft = 4 * n_taps  # far longer than the response, so that nothing wraps around
    frequencies = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    ka = 2 * np.pi * frequencies * radius_m / SPEED_OF_SOUND
    pressure = np.stack([surface_pressure(cos_incidence, each) for each in ka], axis=-1)
    delay = np.exp(-2j * np.pi * frequencies * CENTER_DELAY_S)
    # The second half of a Tukey window is flat and then falls to zero, in frequency and in time.
    band = tukey(2 * len(ka), ROLL_OFF)[len(ka) :]
    fade = tukey(2 * n_taps, ROLL_OFF)[n_taps:]
    return np.fft.irfft(pressure * delay * band, n_fft)[:, :n_taps] * fade


def surface_pressure(cos_incidence: npt.NDArray[np.float64], ka: float) -> npt.NDArray[np.complex128]:
    """Pressure on a rigid sphere in a plane wave, relative to the free field at its center.

    Duda & Martens (1998), their series for a source at infinity, conjugated to the time factor
    exp(iωt) of numpy's FFT:

        -i / (ka)² Σ iᵐ (2m + 1) Pₘ(cos θ) / hₘ'(ka),  hₘ = jₘ - i yₘ

    Checked against their recursion for a source 10⁷ radii away, to 1e-5.

    Args:
        cos_incidence: (points,), cosine of the angle from the source to each point of the surface.
        ka: wave number times radius, at least 0.

    Returns:
        (points,).
    """
    if ka == 0:
        return np.ones(len(cos_incidence), dtype=np.complex128)
    # Terms fall off soon after m = ka; those left out are below 1e-10 for ka up to 150.
    order = np.arange(int(ka + 8 * math.cbrt(ka) + 6))
    slope = spherical_jn(order, ka, True) - 1j * spherical_yn(order, ka, True)
    terms = 1j**order * (2 * order + 1) / slope
    return -1j / ka**2 * (eval_legendre(order, cos_incidence[:, None]) @ terms)
