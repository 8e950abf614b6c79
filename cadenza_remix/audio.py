"""Audio files and sample rates.

Signals are `(channels, samples)` float32, full scale ±1; only this module and `output` know that audio files
hold them the other way round.
"""

import math
import os
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from cadenza_remix.errors import AudioError

Float = TypeVar("Float", np.float32, np.float64)


class Header(NamedTuple):
    """What an audio file says of itself."""

    sample_rate: int
    channels: int
    samples: int


def read_header(path: Path) -> Header:
    """Read a file's header only, to check a long list of files before the work starts.

    Raises:
        AudioError: if the file is missing or not audio.
    """
    missing = next((folder for folder in reversed(path.parents) if not os.path.isdir(folder)), None)  # noqa: PTH112
    if missing:  # the uppermost, so that all files that it should hold fail for one cause
        raise AudioError(f"The folder {missing} is missing; it should hold audio files.")
    if not path.is_file():
        raise AudioError(f"{path} is missing; it should be an audio file.")
    try:
        info = soundfile.info(path)
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path} is not a readable audio file ({error}); replace it.") from error
    return Header(info.samplerate, info.channels, info.frames)


def check_header(path: Path, *, sample_rate: int, channels: int = 2) -> Header:
    """Read a file's header and refuse another rate, another number of channels, or no samples.

    Raises:
        AudioError: naming the file, what it has and what was expected.
    """
    header = read_header(path)
    if header.sample_rate != sample_rate:
        raise AudioError(f"{path} is {header.sample_rate} Hz; expected {sample_rate} Hz: resample the file.")
    if header.channels != channels:
        raise AudioError(
            f"{path} has {header.channels} channel(s); expected {channels}: "
            "give one channel per ear or loudspeaker."
        )
    if header.samples == 0:
        raise AudioError(f"{path} holds no samples; replace it.")
    return header


def read(path: Path, *, sample_rate: int, channels: int = 2) -> npt.NDArray[np.float32]:
    """Read a whole audio file.

    Args:
        path: WAV, FLAC or whatever else libsndfile reads.
        sample_rate: the rate in Hz that the file must have.
        channels: the number of channels that it must have.

    Returns:
        (channels, samples).

    Raises:
        AudioError: if the file is missing, unreadable, of another rate or number of channels, empty,
            shorter than its header says, or holds NaN or infinity.
    """
    header = check_header(path, sample_rate=sample_rate, channels=channels)
    try:
        frames = soundfile.read(path, dtype="float32", always_2d=True)[0]
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path} cannot be decoded ({error}); replace it.") from error
    if len(frames) != header.samples:
        raise AudioError(
            f"{path} is cut off: it holds {len(frames)} of {header.samples} samples; replace it."
        )
    signal: npt.NDArray[np.float32] = np.ascontiguousarray(frames.T)
    check_finite(signal, str(path))
    return signal


def check_finite(signal: npt.NDArray[np.floating], name: str) -> None:
    """Refuse a signal with NaN or infinity.

    Raises:
        AudioError: naming the signal and its first bad sample.
    """
    bad = np.flatnonzero(~np.isfinite(signal).all(axis=0))
    if bad.size:
        raise AudioError(
            f"{name} holds NaN or infinity, first at sample {bad[0]}; every sample must be a number."
        )


def resample(signal: npt.NDArray[Float], sample_rate: int, new_sample_rate: int) -> npt.NDArray[Float]:
    """Convert the sample rate by soxr's "HQ" recipe (as pyclarity 0.9.0), keeping the precision.

    Args:
        signal: (channels, samples).
        sample_rate: Hz, of `signal`.
        new_sample_rate: Hz, of the result.

    Returns:
        (channels, about samples × new_sample_rate / sample_rate).
    """
    if sample_rate == new_sample_rate:
        return signal
    resampled = soxr.resample(signal.T, sample_rate, new_sample_rate, quality="HQ")
    return np.ascontiguousarray(resampled.T)


def rms(signal: npt.NDArray[np.floating]) -> float:
    """Root mean square over all samples."""
    return math.sqrt(np.mean(np.square(signal, dtype=np.float64)))
