"""The challenge's music and heads: what the lists name is there and whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cadenza_remix.audio import Header
from cadenza_remix.datasets.challenge import MIXTURE, Music, look_up
from cadenza_remix.datasets.heads import Heads
from cadenza_remix.datasets.metadata import SceneEntry
from cadenza_remix.diagnosis.finding import Finding, Level, by_cause
from cadenza_remix.diagnosis.lists import DataFiles, Lists
from cadenza_remix.errors import CadenzaError, MetadataError

SAMPLE_BYTES = 4  # of 16-bit stereo
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Looked:
    """What became of looking at things of one kind: a header of each, or why it cannot be used."""

    found: Mapping[str, Header | str]

    @property
    def causes(self) -> dict[str, str]:
        """Why some cannot be used, by name."""
        return {name: one for name, one in self.found.items() if isinstance(one, str)}

    @property
    def samples(self) -> dict[str, int]:
        """How long the others are."""
        return {name: one.samples for name, one in self.found.items() if not isinstance(one, str)}

    def told(self, what: str) -> str:
        """How many there are."""
        return f"{len(self.samples)} of {len(self.found)} {what}"


@dataclass(frozen=True)
class Inventory:
    """What of the music is here, by the lists.

    Attributes:
        heads: impulse responses, by head; they have no header worth telling.
        dry: dry songs with all their stems, by track.
        mixtures: mixtures at the microphones, by song.
        stems: true stems there, by song.
    """

    heads: Looked
    dry: Looked
    mixtures: Looked
    stems: Looked

    @property
    def can_prepare(self) -> bool:
        """Whether all music at the microphones can be made."""
        return not (self.heads.causes or self.dry.causes)


def take_inventory(lists: Lists, files: DataFiles, heads: Heads, *, sample_rate: int) -> Inventory:
    """Read the impulse responses and the header of every signal that the scenes need.

    Scenes whose gain is unknown are left out, since the lists tell of them.
    """

    def head(scene: SceneEntry) -> Header:
        position = _listed(lists.heads, scene.head, files.head_loudspeaker_positions_file)
        heads(position, sample_rate=sample_rate)
        return Header(sample_rate, 2, 0)

    def dry(scene: SceneEntry) -> Header:
        track = _listed(lists.tracks, scene.music, files.given("music_file"))
        music = Music(files.given("music_dir") / track.folder, sample_rate)
        return music.check([MIXTURE, *lists.gains[scene.gain]])

    def at_mic(scene: SceneEntry) -> Music:
        folder = _listed(lists.at_mic_music, scene.song, files.output_music_file)
        return Music(files.output_music_dir / folder, sample_rate)

    def mixture(scene: SceneEntry) -> Header:
        return at_mic(scene).check([MIXTURE])

    def stems(scene: SceneEntry) -> Header:
        return at_mic(scene).check(lists.gains[scene.gain])

    scenes = [one for one in lists.scenes.values() if one.gain in lists.gains]
    return Inventory(
        heads=_look(head, {one.head: one for one in scenes}),
        dry=_look(dry, {one.music: one for one in scenes}),
        mixtures=_look(mixture, {one.song: one for one in scenes}),
        stems=_look(stems, {one.song: one for one in scenes}),
    )


def _listed(table: Mapping[str, Entry], name: str, file: Path) -> Entry:
    """Look a name up in a list that may not be there at all."""
    if not table:
        raise MetadataError(f"{file} is missing; put the challenge's file there.")
    return look_up(table, name, "The scene list names", file)


def _look(at: Callable[[SceneEntry], Header], scenes: Mapping[str, SceneEntry]) -> Looked:
    found: dict[str, Header | str] = {}
    for name, scene in scenes.items():
        try:
            found[name] = at(scene)
        except (CadenzaError, OSError) as error:  # the latter where a folder may not be entered
            found[name] = str(error)
    return Looked(found)


def music_findings(inventory: Inventory, files: DataFiles) -> list[Finding]:
    """What of the music is missing; dry music and heads are missed only where `prepare` has work left."""
    if not inventory.mixtures.found:
        return []  # the lists say why
    heads, dry, mixtures, stems = inventory.heads, inventory.dry, inventory.mixtures, inventory.stems
    level = Level.problem if mixtures.causes else Level.note
    remedy = "prepare needs them" if mixtures.causes else "only prepare needs them; the mixtures are there"
    findings = [
        Finding("dry music", dry.told("songs complete"), *_where_lacking(dry, level, remedy)),
        Finding("heads", heads.told("can be used"), *_where_lacking(heads, level, remedy)),
    ]
    at_mics = f"{mixtures.told('mixtures')}, {stems.told('sets of true stems')}"
    if not (mixtures.causes or stems.causes):
        findings.append(Finding("at the mics", at_mics))
    elif inventory.can_prepare:
        findings.append(Finding("at the mics", at_mics, Level.note, "run cadenza-remix prepare"))
    elif mixtures.causes:
        remedy = f"mend what prepare needs, or put the music and {files.output_music_file.name} there"
        findings.append(Finding("at the mics", at_mics, *_where_lacking(mixtures, Level.problem, remedy)))
    else:
        remedy = "only evaluate and stems=true need the stems"
        findings.append(Finding("at the mics", at_mics, *_where_lacking(stems, Level.note, remedy)))
    return findings


def _where_lacking(looked: Looked, level: Level, remedy: str) -> tuple[Level, str, tuple[str, ...]]:
    """Level, remedy and details, where some things cannot be used."""
    return (level, remedy, by_cause(looked.causes)) if looked.causes else (Level.ok, "", ())


def bytes_of_enhanced(
    inventory: Inventory, lists: Lists, *, sample_rate: int, output_sample_rate: int
) -> float:
    """How much the enhanced signals of all pairs may take, uncompressed; unknown lengths count as nothing."""
    samples = {
        name: inventory.mixtures.samples.get(scene.song) or inventory.dry.samples.get(scene.music, 0)
        for name, scene in lists.scenes.items()
    }
    heard = sum(samples.get(name, 0) * len(people) for name, people in lists.scene_listeners.items())
    return SAMPLE_BYTES * heard * output_sample_rate / sample_rate


def bytes_of_prepared(inventory: Inventory, lists: Lists) -> float:
    """How much the music at the microphones may take that is not there yet."""
    songs = {scene.song: scene for scene in lists.scenes.values() if scene.song in inventory.mixtures.causes}
    samples = {
        song: inventory.dry.samples.get(scene.music, 0) * (1 + len(lists.gains[scene.gain]))
        for song, scene in songs.items()
    }
    return SAMPLE_BYTES * sum(samples.values())
