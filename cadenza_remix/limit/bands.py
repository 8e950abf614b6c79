"""A filter bank without phase: bands as wide as the ear's, whose sum at equal gains is the signal itself.

Frames of 32 ms under a square-root Hann window overlap by three quarters; a band is a triangle over the
frames' spectra, and neighbouring triangles add to one. Long signals are worked through block by block.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from cadenza_remix.audio import Float
from cadenza_remix.ear import EAR_Q, MIN_BANDWIDTH_HZ

Floats = npt.NDArray[np.float64]

FRAME_S = 0.032
OVERLAP = 4  # frames that cover each sample
LOWEST_HZ = 60
BANDS = 40  # about one equivalent rectangular bandwidth each up to 16 kHz
BLOCK = 128  # frames worked on at once: they stay within the second-level cache


@dataclass(frozen=True)
class FilterBank:
    """The bank at one sample rate.

    Attributes:
        sample_rate: Hz.
    """

    sample_rate: int

    @property
    def hop(self) -> int:
        """Samples from frame to frame."""
        return round(FRAME_S * self.sample_rate / OVERLAP)

    @property
    def frame(self) -> int:
        """Samples of a frame."""
        return OVERLAP * self.hop

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    def frequencies_hz(self) -> Floats:
        """Of the frames' spectra."""
        return np.asarray(np.fft.rfftfreq(self.frame, 1 / self.sample_rate), dtype=np.float64)

    def weights(self) -> csr_array:
        """(bands, frequencies): how much of each frequency belongs to each band, two bands at most.

        Sparse, because products of dense matrices depend on the number of threads in their last bits.
        """
        offset_hz = EAR_Q * MIN_BANDWIDTH_HZ
        low, high = (np.log(1 + f / offset_hz) for f in (LOWEST_HZ, self.sample_rate / 2))
        place = (np.log(1 + self.frequencies_hz() / offset_hz) - low) / (high - low) * BANDS - 0.5
        distance = np.abs(np.clip(place, 0, BANDS - 1) - np.arange(BANDS)[:, np.newaxis])
        return csr_array(np.maximum(1 - distance, 0))

    def means(self, values: Floats) -> Floats:
        """(bands,): weighted means of (frequencies,) values."""
        weights = self.weights()
        return np.asarray(weights @ values / weights.sum(axis=1))

    def window(self) -> Floats:
        """Of a frame; its square adds to one over the overlapping frames."""
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.frame) / self.frame)
        return np.asarray(np.sqrt(hann * 2 / OVERLAP))

    def spectra(self, signal: npt.NDArray[Float]) -> Iterator[npt.NDArray[np.complexfloating]]:
        """Blocks of (frames, frequencies) of a `(samples,)` signal."""
        padded = np.pad(signal, (self.frame, self.frame + -len(signal) % self.hop))
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.frame)[:: self.hop]
        window = self.window().astype(signal.dtype)
        for start in range(0, len(frames), BLOCK):
            yield np.fft.rfft(frames[start : start + BLOCK] * window, axis=-1)

    def powers(self, signal: npt.NDArray[Float]) -> npt.NDArray[Float]:
        """(frames, bands): mean squares of a `(samples,)` signal's bands."""
        scale = 2 / (self.frame * np.sum(self.window() ** 2))
        weights = (scale * self.weights()).astype(signal.dtype)
        blocks = [weights @ (block.real**2 + block.imag**2).T for block in self.spectra(signal)]
        return np.ascontiguousarray(np.hstack(blocks).T)

    def amplified(self, signal: npt.NDArray[Float], gains: npt.NDArray[np.floating]) -> npt.NDArray[Float]:
        """Give each band its gain.

        Args:
            signal: (samples,).
            gains: (frames, bands).

        Returns:
            (samples,).
        """
        total = np.zeros((len(gains) + OVERLAP - 1, self.hop), signal.dtype)
        window, spread = self.window().astype(signal.dtype), self.weights().T.astype(signal.dtype)
        start = 0
        for block in self.spectra(signal):
            stop = start + len(block)
            block *= (spread @ gains[start:stop].T.astype(signal.dtype)).T
            frames = np.fft.irfft(block, self.frame, axis=-1) * window
            for part in range(OVERLAP):
                total[start + part : stop + part] += frames[:, part * self.hop : (part + 1) * self.hop]
            start = stop
        return total.reshape(-1)[self.frame : self.frame + len(signal)]
