"""The challenge's JSON files, read strictly; each reader names the file, the entry and the remedy.

Accepted beside the documented format, since all of it is in circulation: heads under `hlp_…` or `hp_…`
ids and in `head_positions.json`, `head_position` for `head_loudspeaker_positions` in scenes, tracks and
at-microphone entries without a `Path`, integer angles, any names and number of sources in the gains, and
gains sorted by that number.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shown  # of what may be long or deep
from typing import Any
from unicodedata import normalize

from cadenza_remix.errors import MetadataError
from cadenza_remix.listener import Audiogram, Listener

MAX_GAIN_DB = 60.0
MAX_ANGLE_DEGREES = 180.0
MAX_NAME_BYTES = 200  # of the 255 that a file name may have, with what endings and temporary names add
MAX_FOLDER_BYTES = 1000
LARGEST = 1e300  # beyond it, a number is a mistake; JSON knows no largest one
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeadPosition:
    """A head, its hearing-aid microphone, and where the two loudspeakers stand.

    Angles are in degrees, negative to the left of the nose.
    """

    subject: str
    mic: str
    left_angle: float
    right_angle: float

    @property
    def hrtf_files(self) -> tuple[str, str]:
        """File names of the impulse responses from the left and the right loudspeaker."""
        return self._file_name(self.left_angle), self._file_name(self.right_angle)

    def _file_name(self, angle: float) -> str:
        side = "n" if angle < 0 else "p"
        return f"{self.mic}-{self.subject}-{side}{abs(angle):.1f}.wav"


@dataclass(frozen=True)
class SceneEntry:
    """A line of the scene list: names only."""

    music: str
    gain: str
    head: str

    @property
    def song(self) -> str:
        """The name of this music at the microphones of this head."""
        return f"{self.music}-{self.head}"


@dataclass(frozen=True)
class Track:
    """Where a dry track lies, relative to the music folder, and the part of the data it belongs to."""

    folder: str
    split: str


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object, as it stands.

    Raises:
        MetadataError: if the file is missing, broken or holds something else.
    """
    content: dict[str, Any] = _read_json(path, dict)
    return content


def read_table(path: Path) -> dict[str, dict[str, Any]]:
    """A JSON object of objects, as it stands.

    Raises:
        MetadataError: if the file is missing, broken or holds something else.
    """
    table = read_object(path)
    for name, entry in table.items():
        if not isinstance(entry, dict):
            raise MetadataError(f"{path}, {name} is {shown(entry)}; expected an object of named values.")
    return table


def read_gains(path: Path) -> dict[str, dict[str, float]]:
    """Gains in dB per source, by gain id.

    A file may sort its entries by the number of sources, `{"2": {"gain_0001": {"source_1": …}}}`.
    """
    gains: dict[str, dict[str, float]] = {}
    for name, entry in read_table(path).items():
        nested = bool(entry) and all(isinstance(value, dict) for value in entry.values())
        for gain, values in entry.items() if nested else [(name, entry)]:
            if gain in gains:
                raise MetadataError(f"{path} has {gain} for more than one number of sources; rename one.")
            gains[gain] = _gains(values, f"{path}, {gain}")
    return gains


def read_listeners(path: Path) -> dict[str, Listener]:
    """Listeners by id."""
    return {key: _listener(key, entry, path) for key, entry in read_table(path).items()}


def read_head_positions(path: Path) -> dict[str, HeadPosition]:
    """Head and loudspeaker positions by id."""
    table = read_table(existing_head_positions(path))
    return {name: _head_position(entry, f"{path}, {name}") for name, entry in table.items()}


def existing_head_positions(path: Path) -> Path:
    """The file of the heads; the one of the older name where only that is there."""
    older = path.with_name("head_positions.json")
    return older if older.is_file() and not path.is_file() else path


def read_scenes(path: Path) -> dict[str, SceneEntry]:
    """The scene list, in its order."""
    scenes: dict[str, SceneEntry] = {}
    for name, entry in read_table(path).items():
        where = f"{path}, {name}"
        heads = "head_loudspeaker_positions"
        head_key = heads if heads in entry else "head_position"
        scene = SceneEntry(*(_text(entry, key, where) for key in ("music", "gain", head_key)))
        file_name(scene.song, where)
        scenes[file_name(name, where)] = scene
    places = {(scene.music, scene.head): scene.song for scene in scenes.values()}
    refuse_clashes(places.values(), path)
    return scenes


def read_scene_listeners(path: Path) -> dict[str, list[str]]:
    """Listener ids per scene, in their order, each once."""
    table = {}
    for scene, listeners in read_object(path).items():
        if not isinstance(listeners, list) or not all(isinstance(x, str) for x in listeners):
            raise MetadataError(f"{path}, {scene} is {shown(listeners)}; give a list of listener ids.")
        table[scene] = list(dict.fromkeys(listeners))
        if len(table[scene]) < len(listeners):
            logger.warning("%s, %s names a listener twice; each is used once.", path, scene)
    return table


def read_tracks(path: Path) -> dict[str, Track]:
    """The dry tracks by name."""
    tracks = {}
    for index, entry in enumerate(_read_json(path, list)):
        where = f"{path}, entry {index}"
        if not isinstance(entry, dict):
            raise MetadataError(f"{where} is {shown(entry)}; give an object with a 'Track Name'.")
        name = file_name(_text(entry, "Track Name", where), where)
        if name in tracks:
            raise MetadataError(f"{where}: {name!r} stands there twice; remove or rename one.")
        folder = _relative_folder(entry, name, where)
        split = _text(entry, "Split", where) if "Split" in entry else folder.split("/")[0]
        tracks[name] = Track(folder, file_name(split, where))
    return tracks


def read_at_mic_music(path: Path) -> dict[str, str]:
    """Folder of each song at the microphones, relative to the music folder, by song name."""
    table = read_table(path)
    return {name: _relative_folder(e, name, f"{path}, {name}") for name, e in table.items()}


def _read_json(path: Path, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    try:
        if not path.is_file():  # a pipe would wait for a writer
            raise MetadataError(f"{path} is missing; put the challenge's file there.")
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text, object_pairs_hook=_each_once)
    except (OSError, ValueError, RecursionError) as error:
        raise MetadataError(f"{path} is not readable JSON ({error}); replace it.") from error
    if not isinstance(content, kind) or not content:
        expected = "an object" if kind is dict else "a list"
        raise MetadataError(f"{path} must hold {expected} with at least one entry; replace it.")
    return content


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of named values; of two with one name, JSON would take the last."""
    entry = dict(pairs)
    if len(entry) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{shown(twice)} stands there twice")
    return entry


def refuse_clashes(names: Iterable[str], where: object) -> None:
    """Refuse names that a file system may take for one, so that no file replaces another.

    Some ignore upper and lower case, and whether an accent is a character of its own.

    Raises:
        MetadataError: naming the two.
    """
    seen: dict[str, str] = {}
    for name in names:
        folded = normalize("NFC", normalize("NFC", name).casefold())
        if folded in seen:
            raise MetadataError(
                f"{where}: {seen[folded]!r} and {name!r} would share a file; rename what they are made of."
            )
        seen[folded] = name


def _gains(entry: dict[str, Any], where: str) -> dict[str, float]:
    if not entry:
        raise MetadataError(f"{where} has no gains; give one in dB for each source.")
    gains = {source: _number(entry, source, where) for source in entry}
    for source, gain_db in gains.items():
        if abs(gain_db) > MAX_GAIN_DB:
            raise MetadataError(
                f"{where}: the gain of {source} is {gain_db:g} dB; give one within ±{MAX_GAIN_DB:g} dB."
            )
    refuse_clashes(gains, where)
    return {file_name(source, where): gain_db for source, gain_db in gains.items()}


def _listener(key: str, entry: dict[str, Any], path: Path) -> Listener:
    where = f"{path}, {key}"
    name = file_name(_text(entry, "name", where) if "name" in entry else key, where)
    frequencies_hz = _numbers(entry, "audiogram_cfs", where)
    ears = [_numbers(entry, f"audiogram_levels_{side}", where) for side in "lr"]
    try:
        left, right = (Audiogram(frequencies_hz, levels) for levels in ears)
    except MetadataError as error:
        raise MetadataError(f"{where}: {error}") from None
    return Listener(name, left, right)


def _head_position(entry: dict[str, Any], where: str) -> HeadPosition:
    head = HeadPosition(
        subject=file_name(_text(entry, "subject", where), where),
        mic=file_name(_text(entry, "mic", where), where),
        left_angle=_angle(entry, "left_angle", where),
        right_angle=_angle(entry, "right_angle", where),
    )
    for name in head.hrtf_files:
        file_name(name, where)
    return head


def _angle(entry: dict[str, Any], key: str, where: str) -> float:
    angle = _number(entry, key, where)
    if abs(angle) > MAX_ANGLE_DEGREES:
        raise MetadataError(f"{where}: {key!r} is {angle:g}°; give one within ±{MAX_ANGLE_DEGREES:g}°.")
    return angle


def _relative_folder(entry: dict[str, Any], name: str, where: str) -> str:
    """The entry's `Path`, or `<Split>/<name>` where it has none."""
    if "Path" not in entry:
        return f"{file_name(_text(entry, 'Split', where), where)}/{file_name(name, where)}"
    folder = _text(entry, "Path", where)
    for part in folder.split("/"):
        file_name(part, where)
    if len(folder.encode()) > MAX_FOLDER_BYTES:
        raise MetadataError(
            f"{where}: 'Path' has {len(folder.encode())} bytes; give one of at most {MAX_FOLDER_BYTES}."
        )
    return folder


def file_name(name: str, where: str) -> str:
    """Refuse a name that would not be one plain file name, so that nothing leaves its folder.

    Raises:
        MetadataError: saying where the name stands.
    """
    plain = name not in ("", ".", "..") and not set(name) & set("/\\") and name.isprintable()
    # On Windows a colon names a drive, too.
    if not plain or Path(name).name != name or len(name.encode()) > MAX_NAME_BYTES:
        raise MetadataError(
            f"{where}: {name[:80]!r} cannot name a file; use printable characters without slashes, "
            f"at most {MAX_NAME_BYTES} bytes."
        )
    return name


def _value(entry: dict[str, Any], key: str, where: str) -> Any:
    if key not in entry:
        raise MetadataError(f"{where} has no {key!r}, only {shown(sorted(entry))}; add it.")
    return entry[key]


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = _value(entry, key, where)
    if not isinstance(value, str):
        raise MetadataError(f"{where}: {key!r} is {shown(value)}; give a text in quotes.")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _number(entry: dict[str, Any], key: str, where: str) -> float:
    value = _value(entry, key, where)
    if not _is_number(value):
        raise MetadataError(f"{where}: {key!r} is {shown(value)}; give a number.")
    return float(value)


def _numbers(entry: dict[str, Any], key: str, where: str) -> tuple[float, ...]:
    values = _value(entry, key, where)
    if not isinstance(values, list) or not all(_is_number(value) for value in values):
        raise MetadataError(f"{where}: {key!r} is {shown(values)}; give a list of numbers.")
    return tuple(float(value) for value in values)
