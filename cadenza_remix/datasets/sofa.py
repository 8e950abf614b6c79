"""Head-related impulse responses in SOFA files (AES69, convention SimpleFreeFieldHRIR), read with h5py.

SOFA's axes: x ahead, y to the left, z up; azimuths are in degrees, counter-clockwise seen from above, so that
positive ones are to the left. The challenge's angles are the other way round: negative ones are to the left.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cadenza_remix.audio import RATES_HZ, check_finite, is_there, resample
from cadenza_remix.errors import AudioError, ConfigError

CONVENTION = "SimpleFreeFieldHRIR"
TAIL_S = 1e-3  # appended before the rate is converted, so that the filter can ring out
TOLERANCE_DEGREES = 0.05  # directions nearer than this are the same
LONGEST_S = 10.0  # that a response, or its delay, may be
# What h5py and numpy raise at damaged files, depending on where they are damaged.
DAMAGE = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError),
    *(OSError, RuntimeError, TypeError, ValueError),
)
Array = npt.NDArray[np.float64]
logger = logging.getLogger(__name__)


def read_responses(file: Path, angle_degrees: float, *, sample_rate: int, most_off_degrees: float) -> Array:
    """Read the responses from a loudspeaker at ear height to both ears.

    `Data.Delay` is built in. Where the file has another sample rate, the responses are converted and keep
    their gain at every frequency that both rates hold, to 0.1 dB.

    Args:
        file: of the convention SimpleFreeFieldHRIR, with two receivers and the listener at the
            origin, looking along x.
        angle_degrees: of the loudspeaker, negative to the left; the nearest measured direction is
            taken, which a warning names if it is another one.
        sample_rate: Hz, of the result.
        most_off_degrees: how far the nearest direction may be.

    Returns:
        (2, taps): left, right ear.

    Raises:
        ConfigError: if h5py is not installed.
        AudioError: if the file is missing or something else than that, or its nearest direction is too far.
    """
    index = _nearest(file, angle_degrees, most_off_degrees)
    with _open(file) as content:
        responses = np.asarray(content["Data.IR"][index], dtype=np.float64)
        delays = _delays(content)
        file_rate = _sample_rate(content)
        left_first = _left_ear_first(content)
    check_finite(responses, f"{file}, measurement {index}")
    padding = int(np.ceil(delays.max())) + round(TAIL_S * file_rate)
    delayed = _delay(np.pad(responses, ((0, 0), (0, padding))), delays[min(index, len(delays) - 1)])
    # A response is a density in time: as many samples per second more, as much smaller each.
    converted = resample(delayed, round(file_rate), sample_rate) * (file_rate / sample_rate)
    return converted if left_first else converted[::-1]


def to_cartesian(positions: Array, kind: str) -> Array:
    """Positions (points, 3) as x, y, z in metres; SOFA's `Type` says whether they are angles and a radius."""
    if kind.lower() == "cartesian":
        return positions
    azimuth, elevation = np.deg2rad(positions[:, 0]), np.deg2rad(positions[:, 1])
    direction = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    return np.stack(direction, axis=-1) * positions[:, 2:]


@cache
def _nearest(file: Path, angle_degrees: float, most_off_degrees: float) -> int:
    """Index of the measurement nearest to a loudspeaker at ear height; of several, the furthest away."""
    with _open(file) as content:
        sources = _positions(content, "SourcePosition")
    azimuth = -np.deg2rad(angle_degrees)
    distance_m = np.linalg.norm(sources, axis=-1)
    directions = sources / np.maximum(distance_m, 1e-9)[:, None]
    wanted = np.array([np.cos(azimuth), np.sin(azimuth), 0])
    # By the chord, since the cosine of a small angle cannot tell it from none.
    off_degrees = np.rad2deg(2 * np.arcsin(np.linalg.norm(directions - wanted, axis=-1).clip(max=2) / 2))
    near = np.flatnonzero(off_degrees <= off_degrees.min() + TOLERANCE_DEGREES)
    index = int(near[np.argmax(distance_m[near])])
    x, y, z = directions[index]
    azimuth_degrees, elevation_degrees = np.rad2deg([-np.arctan2(y, x), np.arcsin(z)]).round(1) + 0.0
    found = f"{azimuth_degrees}° (elevation {elevation_degrees}°)"
    if off_degrees[index] > most_off_degrees:
        raise AudioError(
            f"{file}: the measured direction nearest to {angle_degrees:g}° is {found}, more than "
            f"{most_off_degrees:g}° off; choose another head or a larger head.most_off_degrees."
        )
    if off_degrees[index] > TOLERANCE_DEGREES:
        logger.warning(
            "%s: nothing was measured at %g°; the nearest direction, %s, is taken.",
            file,
            angle_degrees,
            found,
        )
    return index


@contextmanager
def _open(file: Path) -> Iterator[Any]:
    """Open a file that is what this module reads, and tell what is damaged in it."""
    try:
        import h5py  # an extra: only who has SOFA files needs it
    except ImportError:
        raise ConfigError("SOFA files need h5py; run pip install h5py.") from None
    if not is_there(file):
        raise AudioError(f"{file} is missing; it should be a SOFA file.")
    try:
        with h5py.File(file, "r") as content:
            _check(content, file)
            yield content
    except DAMAGE as error:
        raise AudioError(f"{file} is not a readable SOFA file ({error}); replace it.") from error


def _check(content: Any, file: Path) -> None:
    convention = _text(content.attrs.get("SOFAConventions", ""))
    if convention != CONVENTION:
        raise AudioError(f"{file} follows the convention {convention!r}; expected {CONVENTION}: convert it.")
    needed = ("Data.IR", "Data.SamplingRate", "SourcePosition")
    lacking = [name for name in needed if name not in content]
    if lacking:
        raise AudioError(f"{file} lacks {', '.join(lacking)}; replace it.")
    shape = content["Data.IR"].shape
    if len(shape) != 3 or shape[1] != 2 or 0 in shape:
        raise AudioError(f"{file}: Data.IR is {shape}; expected (measurements, 2 ears, taps).")
    rate, (low, high) = _sample_rate(content), RATES_HZ
    if not low <= rate <= high:
        raise AudioError(f"{file} is {rate:g} Hz; expected {low} to {high} Hz: correct Data.SamplingRate.")
    delays = _delays(content)
    least, most, longest = delays.min(), delays.max(), LONGEST_S * rate
    if not (shape[2] <= longest and least >= 0 and most <= longest):
        raise AudioError(
            f"{file} has responses of {shape[2]} taps, delayed by {least:g} to {most:g} samples; expected at "
            f"most {LONGEST_S:g} s of either, and no negative delay: replace it."
        )
    if not np.isfinite(_positions(content, "SourcePosition")).all():
        raise AudioError(f"{file} has source positions that are no numbers; replace it.")
    if len(content["SourcePosition"]) != shape[0]:
        raise AudioError(
            f"{file} has {len(content['SourcePosition'])} source positions for {shape[0]} measurements; "
            "expected one for each."
        )
    if "ListenerPosition" in content and np.abs(_positions(content, "ListenerPosition")).max() > 1e-6:
        raise AudioError(
            f"{file}: the listener is not at the origin throughout; subtract its position from all others."
        )
    if "ListenerView" in content:
        views = _positions(content, "ListenerView")
        ahead = views[:, 0] > (1 - 1e-6) * np.linalg.norm(views, axis=-1)
        if not ahead.all():
            raise AudioError(f"{file}: the listener does not look along x throughout; turn the positions.")


def _positions(content: Any, name: str) -> Array:
    """A table of positions as (points, 3), cartesian; receivers that do not move have a third axis."""
    table = content[name]
    positions = np.asarray(table, dtype=np.float64)
    kind = table.attrs.get("Type", "spherical" if name == "SourcePosition" else "cartesian")
    return to_cartesian(positions.reshape(len(positions), 3, -1)[:, :, 0], _text(kind))


def _sample_rate(content: Any) -> float:
    return float(np.ravel(content["Data.SamplingRate"])[0])


def _left_ear_first(content: Any) -> bool:
    """Whether the first receiver is the left one, as almost everywhere."""
    if "ReceiverPosition" not in content:
        return True
    first, second = _positions(content, "ReceiverPosition")
    return bool(first[1] >= second[1])


def _delays(content: Any) -> Array:
    """Delays in samples that the responses lack, (1 or measurements, 2)."""
    if "Data.Delay" not in content:
        return np.zeros((1, 2))
    delays = np.asarray(content["Data.Delay"], dtype=np.float64)
    return np.broadcast_to(delays, (len(delays), 2))


def _delay(responses: Array, delays: Array) -> Array:
    """Move each row by its delay in samples, by a phase that is linear; whole samples move exactly."""
    n_taps = responses.shape[-1]
    frequencies = np.fft.rfftfreq(n_taps)
    shifted = np.fft.rfft(responses) * np.exp(-2j * np.pi * frequencies * delays[:, None])
    return np.fft.irfft(shifted, n_taps)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
