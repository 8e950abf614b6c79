"""The challenge's lists: each can be read, and knows what the others name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cadenza_remix.datasets import metadata
from cadenza_remix.datasets.metadata import HeadPosition, SceneEntry, Track
from cadenza_remix.diagnosis.finding import Finding, Level, some
from cadenza_remix.errors import MetadataError
from cadenza_remix.listener import Listener


class DataFiles(Protocol):
    """The lists, and where the music lies, dry and at the microphones."""

    gains_file: Path
    head_loudspeaker_positions_file: Path
    listeners_file: Path
    scenes_file: Path
    scene_listeners_file: Path
    output_music_dir: Path
    output_music_file: Path

    def given(self, key: str) -> Path:
        """`music_dir` and `music_file` of the dry music."""
        ...


@dataclass
class Lists:
    """The lists, as far as they can be read."""

    gains: dict[str, dict[str, float]] = field(default_factory=dict)
    heads: dict[str, HeadPosition] = field(default_factory=dict)
    listeners: dict[str, Listener] = field(default_factory=dict)
    scenes: dict[str, SceneEntry] = field(default_factory=dict)
    scene_listeners: dict[str, list[str]] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    at_mic_music: dict[str, str] = field(default_factory=dict)


def read_lists(files: DataFiles) -> tuple[Lists, list[Finding]]:
    """Read every list that can be read, and tell how each is.

    That the lists of the heads and of the music are missing is not told: they are missed where these are.
    """
    lists = Lists()
    needed: dict[str, tuple[Callable[[Path], Any], Path]] = {
        "gains": (metadata.read_gains, files.gains_file),
        "listeners": (metadata.read_listeners, files.listeners_file),
        "scenes": (metadata.read_scenes, files.scenes_file),
        "scene_listeners": (metadata.read_scene_listeners, files.scene_listeners_file),
    }
    heads_file = metadata.existing_head_positions(files.head_loudspeaker_positions_file)
    optional = {
        "heads": (metadata.read_head_positions, heads_file),
        "tracks": (metadata.read_tracks, files.given("music_file")),
        "at_mic_music": (metadata.read_at_mic_music, files.output_music_file),
    }
    findings = []
    for folder in sorted({path.parent for _, path in needed.values() if not path.parent.is_dir()}):
        remedy = "put the challenge's metadata there, or correct path.root"
        findings.append(Finding("metadata", f"the folder {folder} is missing", Level.problem, remedy))
    for name, (read, path) in (needed | optional).items():
        if not path.parent.is_dir() or (name in optional and not path.is_file()):
            continue
        try:
            setattr(lists, name, read(path))
        except MetadataError as error:
            splits = [other.name.split(".")[1] for other in path.parent.glob("scenes.*.json")]
            other = f"or say split={' or '.join(sorted(splits))}" if splits and name == "scenes" else ""
            findings.append(Finding("metadata", str(error), Level.problem, other))
    if not findings:
        pairs = sum(map(len, lists.scene_listeners.values()))
        counts = {"scenes": len(lists.scenes), "pairs": pairs, "listeners": len(lists.listeners)}
        counts |= {"heads": len(lists.heads), "gains": len(lists.gains)}
        findings.append(Finding("metadata", ", ".join(f"{count} {name}" for name, count in counts.items())))
    return lists, findings


def cross_references(lists: Lists, files: DataFiles) -> list[Finding]:
    """Whether every name in a list is known to the list that it points to, as far as there are lists."""
    scenes, listening = lists.scenes, lists.scene_listeners
    heard = [(scene, person) for scene, people in listening.items() for person in people]
    named: list[tuple[str, list[tuple[str, str]], Mapping[str, Any], Path]] = [
        ("gain", [(name, one.gain) for name, one in scenes.items()], lists.gains, files.gains_file),
        (
            "head",
            [(name, one.head) for name, one in scenes.items()],
            lists.heads,
            files.head_loudspeaker_positions_file,
        ),
        ("scene", [(name, name) for name in listening], scenes, files.scenes_file),
        ("listener", heard, lists.listeners, files.listeners_file),
    ]
    findings = []
    for kind, references, table, file in named:
        unknown = [f"{name} (in {scene})" for scene, name in references if name not in table]
        if table and unknown:
            told = f"{file} lacks {some(unknown)}"
            findings.append(Finding(f"unknown {kind}", told, Level.problem, "correct either list"))
    unheard = [name for name in scenes if name not in listening]
    if listening and unheard:
        told = f"{len(unheard)} of {len(scenes)} scenes have no listeners: {some(unheard)}"
        findings.append(Finding("scenes", told, Level.note, f"add them to {files.scene_listeners_file}"))
    if not findings and scenes and listening:
        findings.append(Finding("references", "every gain, head, scene and listener is known"))
    return findings
