"""The challenge's folder: which pairs there are, and the music that belongs to them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from cadenza_remix import audio
from cadenza_remix.audio import Header
from cadenza_remix.datasets import metadata
from cadenza_remix.datasets.metadata import HeadPosition, SceneEntry
from cadenza_remix.demix.base import Stems
from cadenza_remix.errors import AudioError, MetadataError
from cadenza_remix.output import write_text
from cadenza_remix.scenes import Pair, Scene

MIXTURE = "mixture"
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Music:
    """A song's folder with one file per signal, `mixture.wav`, `vocals.wav` and so on (or `.flac`)."""

    folder: Path
    sample_rate: int

    def path(self, signal: str) -> Path:
        """The file of a signal; the WAV where there is neither."""
        flac = self.folder / f"{signal}.flac"
        return flac if audio.is_there(flac) else self.folder / f"{signal}.wav"

    def check(self, signals: Iterable[str]) -> Header:
        """Look at the headers only, and return the one they share.

        Raises:
            AudioError: if a file is missing, or its rate, channels or length are not the others'.
        """
        headers = {
            name: audio.check_header(self.path(name), sample_rate=self.sample_rate) for name in signals
        }
        lengths = {name: header.samples for name, header in headers.items()}
        if len(set(lengths.values())) > 1:
            raise AudioError(f"{self.folder}: the signals last {lengths} samples; all must be equally long.")
        return next(iter(headers.values()))

    def read(self, signal: str) -> npt.NDArray[np.float32]:
        """Read one signal, (2, samples)."""
        return audio.read(self.path(signal), sample_rate=self.sample_rate)

    def mixture(self) -> npt.NDArray[np.float32]:
        """Read the mixture, (2, samples)."""
        return self.read(MIXTURE)

    def stems(self, sources: Iterable[str]) -> Stems:
        """Read the stems, each (2, samples)."""
        return {source: self.read(source) for source in sources}


@dataclass(frozen=True)
class DrySong:
    """A song to be brought to the microphones."""

    entry: SceneEntry
    split: str
    dry: Music
    head: HeadPosition
    sources: tuple[str, ...]

    @property
    def name(self) -> str:
        """How the song is called at the microphones."""
        return self.entry.song

    @property
    def folder(self) -> str:
        """Where it belongs, relative to the folder of all music at the microphones."""
        return f"{self.split}/{self.name}"


class PairFiles(Protocol):
    """The four files that say which pairs there are."""

    scenes_file: Path
    scene_listeners_file: Path
    gains_file: Path
    listeners_file: Path


def read_pairs(files: PairFiles, *, every_nth: int = 1) -> list[Pair]:
    """Read which scenes are heard by whom, in the order of the scene-listener list.

    Args:
        files: scene → music, gain, head; scene → listeners; gain → dB per source; listener → audiograms.
        every_nth: take only every n-th pair.

    Raises:
        MetadataError: if a file is broken or names what another one lacks.
    """
    scenes = metadata.read_scenes(files.scenes_file)
    gains = metadata.read_gains(files.gains_file)
    listeners = metadata.read_listeners(files.listeners_file)
    pairs = []
    for name, listener_ids in metadata.read_scene_listeners(files.scene_listeners_file).items():
        entry = look_up(scenes, name, f"{files.scene_listeners_file} names scene", files.scenes_file)
        gain = look_up(gains, entry.gain, f"{files.scenes_file}, {name} names gain", files.gains_file)
        where = f"{files.scene_listeners_file}, {name} names listener"
        people = [look_up(listeners, key, where, files.listeners_file) for key in listener_ids]
        pairs += [Pair(Scene(name, entry.song, gain), listener) for listener in people]
    _check_names(pairs, files.scene_listeners_file)
    return pairs[::every_nth]


def _check_names(pairs: Sequence[Pair], file: Path) -> None:
    """Refuse pairs whose results would not have a file, or a line, of their own."""
    names = [f"{pair.scene.name}_{pair.listener.name}" for pair in pairs]
    for name in names:
        metadata.file_name(name, str(file))
    metadata.refuse_clashes(names, file)
    metadata.refuse_clashes((pair.name for pair in pairs), file)


def read_dry_songs(
    *,
    scenes_file: Path,
    gains_file: Path,
    tracks_file: Path,
    heads_file: Path,
    music_dir: Path,
    sample_rate: int,
) -> list[DrySong]:
    """Read which songs the scene list needs at which heads, each once, in the order of the list.

    Raises:
        MetadataError: if a file is broken or names what another one lacks.
    """
    gains = metadata.read_gains(gains_file)
    tracks = metadata.read_tracks(tracks_file)
    heads = metadata.read_head_positions(heads_file)
    songs: dict[str, DrySong] = {}
    for name, entry in metadata.read_scenes(scenes_file).items():
        where = f"{scenes_file}, {name} names"
        track = look_up(tracks, entry.music, f"{where} music", tracks_file)
        songs[entry.song] = DrySong(
            entry=entry,
            split=track.split,
            dry=Music(music_dir / track.folder, sample_rate),
            head=look_up(heads, entry.head, f"{where} head", heads_file),
            sources=tuple(look_up(gains, entry.gain, f"{where} gain", gains_file)),
        )
    return list(songs.values())


class Songs(dict[str, Music]):
    """Where songs lie, by name; asking for one that the list lacks tells so, and the other songs go on."""

    def __init__(self, music: Mapping[str, Music], music_file: Path) -> None:
        """Take the songs that the list has."""
        super().__init__(music)
        self.music_file = music_file

    def __missing__(self, song: str) -> Music:
        """Refuse a song that the list lacks."""
        raise MetadataError(f"{self.music_file} lacks the song {song!r}; run prepare, or add where it lies.")


def read_music(music_file: Path, music_dir: Path, pairs: Iterable[Pair], sample_rate: int) -> Songs:
    """Where each song of the pairs lies, by its name; those that the list lacks are left to fail alone.

    Raises:
        MetadataError: if the file is broken, or lacks every song.
    """
    folders = metadata.read_at_mic_music(music_file)
    songs = list(dict.fromkeys(pair.scene.song for pair in pairs))
    listed = [song for song in songs if song in folders]
    if songs and not listed:  # the list of other data
        look_up(folders, songs[0], "The scene list needs music", music_file)
    return Songs({song: Music(music_dir / folders[song], sample_rate) for song in listed}, music_file)


def stems_in(folder: Path, music: Mapping[str, Music]) -> dict[str, Music]:
    """Where stems made elsewhere lie: `<folder>/<song>/<source>.wav` or `.flac`."""
    return {song: Music(folder / song, at_mic.sample_rate) for song, at_mic in music.items()}


def check_given(stems: Music, sources: Iterable[str], mixture: Header) -> None:
    """Look at the headers of stems made elsewhere.

    Raises:
        AudioError: if one is missing or of another format, or they are not of this mixture.
    """
    header = stems.check(sources)
    if header.samples != mixture.samples:
        raise AudioError(
            f"{stems.folder}: the stems have {header.samples} samples, the mixture {mixture.samples}; "
            "make them from this mixture."
        )


def list_music(music_file: Path, songs: Iterable[DrySong]) -> None:
    """Add songs to the list of those at the microphones; without any song there is no list."""
    listed = metadata.read_table(music_file) if music_file.is_file() else {}
    for song in songs:
        listed[song.name] = {
            "Track Name": song.name,
            "Split": song.split,
            "Path": song.folder,
            "Original Track Name": song.entry.music,
            "Head Position": song.entry.head,
        }
    if listed:
        write_text(music_file, json.dumps(listed, indent=4, ensure_ascii=False))


def look_up(table: Mapping[str, Entry], key: str, where: str, file: Path) -> Entry:
    """The entry of that name.

    Raises:
        MetadataError: saying who asked for it, and what is there.
    """
    if key not in table:
        known = ", ".join(list(table)[:5]) + (", …" if len(table) > 5 else "")
        raise MetadataError(
            f"{where} {key!r}, which {file} does not have (it has {known}); correct either file."
        )
    return table[key]
