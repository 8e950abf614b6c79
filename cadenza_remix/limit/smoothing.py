"""Averages over time that look as far ahead as back."""

import numpy as np
import numpy.typing as npt
from scipy.signal import oaconvolve

Floats = npt.NDArray[np.float64]


def hann_average(values: Floats, reach: int) -> Floats:
    """Average `(rows, samples)` over a Hann window of `reach` samples to either side; ends are continued."""
    window = np.hanning(2 * reach + 3)[1:-1]
    padded = np.pad(values, ((0, 0), (reach, reach)), mode="edge")
    return np.asarray(oaconvolve(padded, window[np.newaxis] / window.sum(), mode="valid", axes=-1))
