"""Linear amplification by the NAL-R prescription.

The prescription: Byrne & Dillon (1986), "The National Acoustic Laboratories' (NAL) new procedure for
selecting the gain and frequency response of a hearing aid", Ear and Hearing 7(4), with the extra gain
for severe losses of Byrne, Parkinson & Newall (1990). Gains and filters agree with pyclarity 0.9.0
`NALR` to 1e-12.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import oaconvolve

from cadenza_remix.audio import Float
from cadenza_remix.listener import Audiogram, Listener

FREQUENCIES_HZ = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 6000.0)
CORRECTION_DB = (-17.0, -8.0, 1.0, -1.0, -2.0, -2.0)  # constant k of the prescription
GRID_POINTS = 513  # frequencies from 0 to Nyquist on which a filter is specified


@dataclass(frozen=True)
class Nalr:
    """NAL-R as one linear-phase FIR filter per ear.

    Attributes:
        nfir: order of the filters; each delays by nfir / 2 samples and lengthens the signal by nfir.
    """

    nfir: int = 220

    def __call__(
        self, signal: npt.NDArray[Float], listener: Listener, *, sample_rate: int
    ) -> npt.NDArray[Float]:
        """Amplify each ear for its audiogram.

        Args:
            signal: (2, samples), left and right ear.
            listener: whose audiograms set the gains.
            sample_rate: Hz.

        Returns:
            (2, samples + nfir).
        """
        taps = [design_filter(ear, self.nfir, sample_rate=sample_rate) for ear in listener.ears]
        return oaconvolve(signal, np.array(taps), axes=-1).astype(signal.dtype)


def insertion_gain_db(audiogram: Audiogram) -> npt.NDArray[np.float64]:
    """The prescribed gain in dB at `FREQUENCIES_HZ`, never negative, 0 for an ear without loss.

    gain(f) = X + 0.31 · loss(f) + k(f), with X = 0.05 · S for S ≤ 180 dB and 9 + 0.116 · (S - 180)
    above, S being the sum of the losses at 500, 1000 and 2000 Hz.
    """
    loss_db = audiogram.at(FREQUENCIES_HZ)
    if loss_db.max() <= 0:
        return np.zeros(len(FREQUENCIES_HZ))
    mid_loss_db = loss_db[1:4].sum()
    mean_term_db = 0.05 * mid_loss_db if mid_loss_db <= 180 else 9 + 0.116 * (mid_loss_db - 180)
    gain_db: npt.NDArray[np.float64] = mean_term_db + 0.31 * loss_db + np.array(CORRECTION_DB)
    return np.maximum(gain_db, 0)


def design_filter(audiogram: Audiogram, nfir: int, *, sample_rate: int) -> npt.NDArray[np.float64]:
    """A linear-phase FIR with the prescribed gains, interpolated in dB over linear frequency.

    Returns:
        (nfir + 1,) taps, symmetric about nfir / 2.
    """
    gain_db = insertion_gain_db(audiogram)
    nyquist_hz = sample_rate / 2
    grid = np.linspace(0, 1, nfir + 1)
    knots_hz = [0.0, *FREQUENCIES_HZ, nyquist_hz]
    at_grid_db = np.interp(grid * nyquist_hz, knots_hz, [gain_db[0], *gain_db, gain_db[-1]])
    return frequency_sampled_fir(grid, 10 ** (at_grid_db / 20))


def frequency_sampled_fir(
    frequencies: npt.NDArray[np.float64], gains: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Design an FIR filter by sampling its frequency response, under a Hamming window.

    The gains are laid out on a dense grid by the index rule of MATLAB's `fir2`, which SciPy's `firwin2`
    does not
    follow: knot i ends at grid point floor(frequency · points) - 1.

    Args:
        frequencies: from 0 to 1 (Nyquist), ascending; as many as there are taps.
        gains: linear gain at each of them.

    Returns:
        As many taps as frequencies, of linear phase.
    """
    ends = np.floor(frequencies[1:] * GRID_POINTS).astype(int) - 1
    starts = np.concatenate(([0], ends[:-1] + 1))
    segment = np.searchsorted(ends, np.arange(GRID_POINTS))
    span = (ends - starts)[segment]
    weight = (np.arange(GRID_POINTS) - starts[segment]) / np.maximum(span, 1)
    response = weight * gains[segment + 1] + (1 - weight) * gains[segment]
    n_taps = len(frequencies)
    half_delay = 0.5 * (n_taps - 1)
    phase = np.exp(-1j * np.pi * half_delay * np.linspace(0, 1, GRID_POINTS))
    impulse = np.fft.irfft(response * phase, 2 * (GRID_POINTS - 1))
    return impulse[:n_taps] * np.hamming(n_taps)
