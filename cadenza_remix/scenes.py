"""What is to be done: scenes, the people who listen to them, the jobs they make, and what became of them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cadenza_remix.listener import Listener


@dataclass(frozen=True)
class Scene:
    """One rebalancing task.

    Attributes:
        name: the scene's id, such as `scene_10001`.
        song: the name of the music at the microphones, `<music>-<head position>`.
        gains_db: the change asked for, per source.
    """

    name: str
    song: str
    gains_db: dict[str, float]


@dataclass(frozen=True)
class Pair:
    """A scene and one of its listeners: one enhanced file, one score."""

    scene: Scene
    listener: Listener

    @property
    def name(self) -> str:
        """How the pair is called in messages."""
        return f"{self.scene.name} for {self.listener.name}"


@dataclass(frozen=True)
class Job:
    """A song at the microphones with all its pairs, so that it is separated once."""

    song: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a pair in a run's folder: figures, or the cause of its failure."""

    pair: Pair
    run: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    cause: str | None = None


def group_by_song(pairs: Iterable[Pair]) -> list[Job]:
    """Collect pairs into jobs, songs in the order of their first pair."""
    songs: dict[str, list[Pair]] = {}
    for pair in pairs:
        songs.setdefault(pair.scene.song, []).append(pair)
    return [Job(song, tuple(members)) for song, members in songs.items()]


def rng_of(name: str) -> np.random.RandomState:
    """The random numbers that belong to a name, the same in every run, as pyclarity 0.9.0 seeds them.

    The noise of a scene's scores comes from the scene's name, the scenes of a song from the song's.
    """
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return np.random.RandomState(int(digest, 16) % 10**8)
