"""Frequency responses of what the cochlear model does to a signal, for one that is kept as its spectrum.

The filters are those of `ear`, `hair_cells` and `segments`; frequencies are in Hz.
"""

import numpy as np
import numpy.typing as npt

from cadenza_remix import ear
from cadenza_remix.metrics.hair_cells import adaptation
from cadenza_remix.metrics.segments import ENVELOPE_HOP

Floats = npt.NDArray[np.floating]
Complexes = npt.NDArray[np.complex128]


def gammatone(band: int, width: float, frequencies_hz: Floats) -> Complexes:
    """Of the demodulated filter, back at its centre frequency."""
    k = ear.gammatone(band, width)
    z = unit_delay(frequencies_hz - ear.center_frequencies_hz()[band], ear.SAMPLE_RATE)
    numerator = 1 + z * (k.b1 + z * k.b2)
    return np.asarray(k.gain * numerator / (1 + z * (k.a1 + z * (k.a2 + z * (k.a3 + z * k.a4)))))


def middle_ear(frequencies_hz: Floats) -> Complexes:
    """Of `ear.middle_ear`."""
    z = unit_delay(frequencies_hz, ear.SAMPLE_RATE)
    response = np.ones_like(z)
    for b, a in ear.middle_ear_filters():
        response *= np.polyval(b[::-1], z) / np.polyval(a[::-1], z)
    return response


def inner_hair_cells(points: int, rate: int) -> Complexes:
    """Of `hair_cells.adapt`, designed for a rate: two voltages that follow the input and each other."""
    k = adaptation(sample_rate=rate)
    z = unit_delay(np.fft.rfftfreq(points, 1 / rate), rate)
    first, second = 1 - z * k.first_from_first, 1 - z * k.second_from_second
    coupling = z * k.first_from_second
    voltage = (k.first_from_input * second + coupling * k.second_from_input) / (
        first * second - coupling * z * k.second_from_first
    )
    return np.asarray((1 - voltage) * k.output_gain)


def smoothing(frequencies_hz: Floats) -> Floats:
    """Of the window that HAAQI smooths envelopes with, seen from its middle."""
    window = np.hanning(2 * ENVELOPE_HOP)
    times_s = (np.arange(len(window)) - (len(window) - 1) / 2) / ear.SAMPLE_RATE
    grid_hz = np.linspace(0, frequencies_hz[-1], 64)
    response = np.cos(2 * np.pi * np.outer(grid_hz, times_s)) @ window / window.sum()
    return np.asarray(np.interp(frequencies_hz, grid_hz, response))


def delay(seconds: float, points: int, rate: int) -> Complexes:
    """Response of a delay."""
    return np.asarray(np.exp(-2j * np.pi * np.fft.rfftfreq(points, 1 / rate) * seconds))


def unit_delay(frequencies_hz: Floats, rate: float) -> Complexes:
    """Response of a delay by one sample."""
    return np.asarray(np.exp(-2j * np.pi * frequencies_hz / rate))
