"""Audio files and sample rates.

Signals are `(channels, samples)` float32, full scale ±1; only this module and `output` know that audio files
hold them the other way round.
"""

import math
import os
import re
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from cadenza_remix.errors import AudioError

Float = TypeVar("Float", np.float32, np.float64)
RATES_HZ = (8000, 384000)  # lowest and highest that music comes at
LONGEST_S = 3600.0  # what a program holds in memory at once
LOUDEST = 1000.0  # times full scale; beyond, samples are no amplitudes
# In libsndfile's account of a file: the bytes of sound that its header promises, and those that are there.
CUT_OFF = re.compile(r"^ *(?:data|SSND|Data Size|Riff size) *: (\d+) \(should be (\d+)\)", re.M)
LENGTH_UNKNOWN = 0x7FFF_F000  # bytes: what writes into a pipe promises so many or more


class Header(NamedTuple):
    """What an audio file says of itself."""

    sample_rate: int
    channels: int
    samples: int


def read_header(path: Path) -> Header:
    """Read a file's header only, to check a long list of files before the work starts.

    Raises:
        AudioError: if the file is missing, not audio, shorter than it says, longer than an hour, or of a rate
            that music does not have.
    """
    if not is_there(path):
        # The uppermost folder, so that all files that it should hold fail for one cause.
        missing = next((folder for folder in reversed(path.parents) if not os.path.isdir(folder)), None)  # noqa: PTH112
        if missing:
            raise AudioError(f"The folder {missing} is missing; it should hold audio files.")
        raise AudioError(f"{path} is missing; it should be an audio file.")
    try:
        info = soundfile.info(path)
    except (soundfile.SoundFileError, TypeError) as error:  # the latter at raw samples
        raise AudioError(f"{path} is not a readable audio file ({error}); replace it.") from error
    promised = CUT_OFF.search(info.extra_info)
    if promised and int(promised[2]) < int(promised[1]) < LENGTH_UNKNOWN:
        raise AudioError(
            f"{path} is cut off: it holds {promised[2]} of {promised[1]} bytes of sound; replace it."
        )
    low, high = RATES_HZ
    if not low <= info.samplerate <= high:
        raise AudioError(f"{path} is {info.samplerate} Hz; expected {low} to {high} Hz: replace it.")
    if info.frames > LONGEST_S * info.samplerate:
        raise AudioError(
            f"{path} lasts {info.frames / info.samplerate:.0f} s, by its header; expected at most "
            f"{LONGEST_S:.0f} s: cut it into pieces."
        )
    return Header(info.samplerate, info.channels, info.frames)


def is_there(path: Path) -> bool:
    """Whether a file can be seen there; a pipe, which would wait for a writer, is none."""
    return os.path.isfile(path)  # noqa: PTH113 (Path.is_file fails in a folder that may not be entered)


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
            shorter than its header says, longer than an hour, or holds what is no amplitude.
    """
    header = check_header(path, sample_rate=sample_rate, channels=channels)
    try:
        frames = soundfile.read(path, dtype="float32", always_2d=True)[0]
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path} cannot be decoded ({error}); replace it.") from error
    except MemoryError as error:
        raise AudioError(
            f"{path} has {header.samples} samples in {header.channels} channels, more than fits into memory; "
            "cut it into pieces."
        ) from error
    if len(frames) != header.samples:
        raise AudioError(
            f"{path} is cut off: it holds {len(frames)} of {header.samples} samples; replace it."
        )
    signal: npt.NDArray[np.float32] = np.ascontiguousarray(frames.T)
    check_finite(signal, str(path))
    return signal


def check_finite(signal: npt.NDArray[np.floating], name: str) -> None:
    """Refuse a signal with NaN, infinity, or numbers as large as no amplitude is.

    Raises:
        AudioError: naming the signal and its first bad sample.
    """
    bad = np.flatnonzero(~(np.abs(signal) <= LOUDEST).all(axis=0))
    if bad.size:
        raise AudioError(
            f"{name} holds NaN or infinity, or more than {LOUDEST:g} times full scale, first at sample "
            f"{bad[0]}; every sample must be an amplitude, of full scale 1."
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
