"""Stage 6: where an enhanced signal lives; 16-bit FLAC, written and read back."""

import io
import os
import re
import shutil
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from cadenza_remix import held
from cadenza_remix.audio import read, read_header
from cadenza_remix.errors import DISK_ERRORS, AudioError, NothingWritableError, OutputError
from cadenza_remix.processes import birth, machine
from cadenza_remix.scenes import Pair

FULL_SCALE = 32768  # 16-bit steps that make up an amplitude of 1
ENHANCED = "enhanced_signals"
UNIX = 3  # in the ZIP format
PARTIAL = re.compile(r"\.([\w-]+)\.(\d+)\.part")  # the end of a name: whose it is
ABANDONED_AFTER_S = 3600  # when another machine wrote it; no write takes so long


class Enhanced(NamedTuple):
    """An enhanced signal as read from its file."""

    signal: npt.NDArray[np.float32]
    sample_rate: int

    @property
    def clipped_percent(self) -> float:
        """How many samples sit at full scale."""
        top = (FULL_SCALE - 1) / FULL_SCALE
        at_full_scale = (self.signal >= top) | (self.signal <= -1)
        return 100 * float(at_full_scale.mean())

    @property
    def silent_ears(self) -> list[str]:
        """Which ears, `left` or `right`, hold nothing but zeros."""
        ears = zip(("left", "right"), self.signal, strict=True)
        return [name for name, channel in ears if not channel.any()]


def enhanced_path(exp_folder: Path, pair: Pair) -> Path:
    """The challenge's name for the enhanced signal of a pair."""
    name = f"{pair.scene.name}_{pair.listener.name}_remix.flac"
    return exp_folder / ENHANCED / name


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` that takes its place when everything has been written.

    Raises:
        NothingWritableError: if the disk is full or read-only, or the run has lost its folder.
        OutputError: if the folder does not take the file for another reason.
    """
    partial = partial_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        held.check()
        partial.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        kind = NothingWritableError if error.errno in DISK_ERRORS else OutputError
        raise kind(f"{path} cannot be written ({error}); free the disk or choose another folder.") from error
    finally:
        with suppress(OSError):  # gone already, or never there
            partial.unlink()


def partial_name(path: Path) -> Path:
    """What a file or folder is called while it is being made: hidden, and with its maker's name."""
    return path.with_name(f".{path.name.removeprefix('.')}.{machine()}.{os.getpid()}.part")


def remove_leftovers(folder: Path) -> None:
    """Remove what was being made anywhere in `folder` by processes that were killed."""
    for path in list(folder.rglob(".*.part")):
        maker = PARTIAL.search(path.name)
        if maker and _is_abandoned(path, maker[1], int(maker[2])):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _is_abandoned(path: Path, made_on: str, pid: int) -> bool:
    if made_on == machine():
        return not birth(pid)
    with suppress(OSError):  # gone meanwhile
        return time.time() - path.stat().st_mtime > ABANDONED_AFTER_S
    return False


def _sync_folder(folder: Path) -> None:
    """Have the disk remember a new name; where folders cannot be opened, the system does that by itself."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def flac_bytes(samples: float) -> float:
    """About what a stereo signal takes as 16-bit FLAC: 0.5 to 0.8 of its samples, as it is loud."""
    return 0.7 * 2 * 2 * samples


def free_bytes(folder: Path) -> int:
    """The room on the disk of a folder that need not exist yet."""
    place = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    return shutil.disk_usage(place).free


def check_space(folder: Path, needed_bytes: float) -> None:
    """Refuse to begin what will not fit on the disk.

    Raises:
        OutputError: saying what is needed, and what there is.
    """
    free = free_bytes(folder)
    if free < needed_bytes:
        raise OutputError(
            f"{folder} needs about {needed_bytes / 1e9:.3f} GB more, and its disk has "
            f"{free / 1e9:.3f} GB left; free the disk or choose another path.exp_folder."
        )


def remove(paths: Iterable[Path]) -> None:
    """Remove files that may be there.

    Raises:
        OutputError: if one cannot be removed, or the run has lost its folder.
    """
    for path in paths:
        try:
            held.check()
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{path} cannot be removed ({error}); remove it by hand.") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file that is either complete or not there."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def quantise(signal: npt.NDArray[np.floating], *, truncate: bool = False) -> npt.NDArray[np.int16]:
    """Round to 16 bits, or truncate towards zero; what exceeds full scale is cut off."""
    steps: npt.NDArray[np.floating] = (np.trunc if truncate else np.rint)(signal * FULL_SCALE)
    quantised: npt.NDArray[np.int16] = np.clip(steps, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return quantised


def write_pcm16(
    path: Path,
    signal: npt.NDArray[np.floating],
    *,
    sample_rate: int,
    file_format: str,
    truncate: bool = False,
) -> None:
    """Write a `(channels, samples)` signal as 16-bit audio ("FLAC" or "WAV"), whole or not at all."""
    _write_audio(path, quantise(signal, truncate=truncate), sample_rate, "PCM_16", file_format)


def write_zip(path: Path, files: Mapping[str, Path]) -> None:
    """Write files, by their names in it, into a ZIP archive that is either complete or not there.

    Nothing is compressed, as FLAC is already; names are sorted and carry no date, so that the same files make
    the same archive.
    """
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)  # of 1980
            entry.create_system = UNIX  # on every system alike
            entry.external_attr = 0o644 << 16
            entry.file_size = files[name].stat().st_size
            with files[name].open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target)


def write_float(path: Path, signal: npt.NDArray[np.floating], *, sample_rate: int) -> None:
    """Write a `(channels, samples)` signal as a float WAV, whole or not at all."""
    _write_audio(path, signal, sample_rate, "FLOAT", "WAV")


def _write_audio(
    path: Path, signal: npt.NDArray[Any], sample_rate: int, subtype: str, file_format: str
) -> None:
    """Encoded in memory, because libsndfile does not always notice that a disk is full."""
    encoded = io.BytesIO()
    soundfile.write(encoded, signal.T, sample_rate, subtype=subtype, format=file_format)
    with replacing(path) as partial:
        partial.write_bytes(encoded.getbuffer())


def check_format(path: Path, *, sample_rate: int) -> None:
    """Refuse a file that is not what the challenge takes: stereo FLAC of 16 bits at one sample rate.

    Raises:
        AudioError: if it is not audio, or of another format.
    """
    expected = ("FLAC", "PCM_16", 2, sample_rate)
    header = read_header(path)
    encoding = soundfile.info(path)
    found = (encoding.format, encoding.subtype, header.channels, header.sample_rate)
    if found != expected:
        told = [
            f"{form} {bits}, {channels} channel(s), {hz} Hz" for form, bits, channels, hz in (found, expected)
        ]
        raise AudioError(f"{path} is {told[0]}; expected {told[1]}: enhance it again.")


def read_enhanced(path: Path, *, duration_s: float, tail_s: float) -> Enhanced:
    """Read an enhanced signal at its own rate and refuse one that is not a whole stereo signal.

    Args:
        path: the FLAC file.
        duration_s: seconds of music that it must hold.
        tail_s: seconds that an amplifier's filter may have added.

    Raises:
        AudioError: if the file is missing, damaged, cut off, not stereo, or of another length.
    """
    header = read_header(path)
    signal = read(path, sample_rate=header.sample_rate, channels=2)
    expected = duration_s * header.sample_rate
    longest = (duration_s + tail_s) * header.sample_rate
    if not expected - 2 <= header.samples <= longest + 2:
        raise AudioError(
            f"{path} lasts {header.samples / header.sample_rate:.3f} s; expected {duration_s:.3f} s, "
            f"or up to {duration_s + tail_s:.3f} s with the amplifier's tail: enhance it again."
        )
    return Enhanced(signal, header.sample_rate)
