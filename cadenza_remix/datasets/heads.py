"""Where a head's impulse responses come from: the challenge's WAV files, SOFA files, or a rigid sphere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cadenza_remix import audio
from cadenza_remix.datasets import sofa
from cadenza_remix.datasets.metadata import HeadPosition
from cadenza_remix.errors import AudioError
from cadenza_remix.hrtf import Head
from cadenza_remix.sphere import sphere_impulse_responses

RESPONSE_S = 235 / 44100  # as long as the challenge's responses


class Heads(Protocol):
    """Gives the impulse responses of a subject's head between two loudspeakers."""

    def files(self, position: HeadPosition) -> list[Path]:
        """What they are read from."""
        ...

    def __call__(self, position: HeadPosition, *, sample_rate: int) -> Head:
        """Read or make them, at a sample rate in Hz.

        Raises:
            CadenzaError: if they are not there or cannot be used.
        """
        ...


@dataclass(frozen=True)
class HrtfFiles:
    """The challenge's files, `<mic>-<subject>-n30.0.wav`: one per loudspeaker, a channel per ear.

    Attributes:
        folder: where they lie.
    """

    folder: Path

    def files(self, position: HeadPosition) -> list[Path]:
        """The left and the right loudspeaker's."""
        return [Path(self.folder) / name for name in position.hrtf_files]

    def __call__(self, position: HeadPosition, *, sample_rate: int) -> Head:
        """Read a head; the files must have the sample rate.

        Raises:
            AudioError: if a file is missing, of another rate, not one channel per ear, or shorter than the
                other one.
        """
        files = self.files(position)
        left, right = (audio.read(file, sample_rate=sample_rate) for file in files)
        if left.shape != right.shape:
            raise AudioError(
                f"{files[0]} has {left.shape[1]} taps, {files[1]} {right.shape[1]}; make both equally long."
            )
        return Head(left, right)


@dataclass(frozen=True)
class SofaFiles:
    """SOFA files; of each, the measured direction nearest to a loudspeaker is taken.

    Attributes:
        file: the path, in which `{mic}` and `{subject}` stand for a head's.
        most_off_degrees: how far the nearest direction may be from the loudspeaker.
    """

    file: str
    most_off_degrees: float

    def files(self, position: HeadPosition) -> list[Path]:
        """The one that holds this head."""
        name = str(self.file).replace("{mic}", position.mic).replace("{subject}", position.subject)
        return [Path(name)]

    def __call__(self, position: HeadPosition, *, sample_rate: int) -> Head:
        """Read a head, converted to the sample rate.

        Raises:
            ConfigError: if h5py is not installed.
            AudioError: if the file cannot be used, or nothing was measured near a loudspeaker.
        """
        (file,) = self.files(position)
        left, right = (
            sofa.read_responses(file, angle, sample_rate=sample_rate, most_off_degrees=self.most_off_degrees)
            for angle in (position.left_angle, position.right_angle)
        )
        return Head(left, right)


@dataclass(frozen=True)
class Sphere:
    """A rigid sphere, the same for every subject; it needs no measurement.

    Attributes:
        radius_m: 8.75 cm as in Duda & Martens (1998).
    """

    radius_m: float

    def files(self, position: HeadPosition) -> list[Path]:  # noqa: ARG002 (the contract)
        """None."""
        return []

    def __call__(self, position: HeadPosition, *, sample_rate: int) -> Head:
        """Compute the responses of both loudspeakers."""
        n_taps = round(RESPONSE_S * sample_rate)
        left, right = (
            sphere_impulse_responses(angle, sample_rate=sample_rate, n_taps=n_taps, radius_m=self.radius_m)
            for angle in (position.left_angle, position.right_angle)
        )
        return Head(left, right)
