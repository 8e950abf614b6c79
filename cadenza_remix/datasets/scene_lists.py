"""Drawing the scene lists, as the challenge's were: which music with which gains at which head, for whom.

Nothing here reads or writes a file, and randomness is an argument. With `scenes.rng_of` the lists are those
of pyclarity 0.9.0 `generate_train_scenes.py`, entry by entry.
"""

from collections.abc import Callable, Sequence
from itertools import combinations, product

import numpy as np

from cadenza_remix.datasets.metadata import HeadPosition
from cadenza_remix.demix.base import SOURCES
from cadenza_remix.errors import ConfigError

GAIN_STEPS_DB = (-10, -6, -3, 3, 6, 10)
MOST_STEMS_ALTERED = 3
FIRST_SCENE = 10001
LISTENERS_SEED = "icassp2024"  # a name, as the songs' names are
# The challenge's subjects with normal ears and with hearing loss, each measured at every angle.
SUBJECTS = tuple(f"VP_E{n}" for n in (1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13)) + tuple(
    f"VP_N{n}" for n in (1, 3, 4, 5, 6)
)
MICROPHONE = "BTE_fr"  # the front one of an aid behind the ear
ANGLES = (22.5, 30.0, 37.5)  # degrees, of each loudspeaker


def challenge_gains() -> dict[str, dict[str, int]]:
    """The challenge's 1,105 entries of `gains.json`, in dB: up to three stems altered by one of six steps."""
    entries = [
        dict.fromkeys(SOURCES, 0) | dict(zip(altered, steps, strict=True))
        for count in range(MOST_STEMS_ALTERED + 1)
        for altered in combinations(SOURCES, count)
        for steps in product(GAIN_STEPS_DB, repeat=count)
    ]
    return {f"gain_{number:04d}": entry for number, entry in enumerate(entries, 1)}


def challenge_heads() -> dict[str, HeadPosition]:
    """The challenge's 144 entries of `head_loudspeaker_positions.json`: 16 subjects at 9 pairs of angles.

    Which ones there are is documented, their order is inferred; it agrees with the entries that the
    challenge's pages show.
    """
    pairs = [(-left, right) for left in reversed(ANGLES) for right in ANGLES]
    heads = [HeadPosition(subject, MICROPHONE, *angles) for subject in SUBJECTS for angles in pairs]
    return {f"hlp_{number:04d}": head for number, head in enumerate(heads, 1)}


def draw_scenes(
    songs: Sequence[str],
    gains: Sequence[str],
    heads: Sequence[str],
    *,
    per_song: int,
    rng_of: Callable[[str], np.random.RandomState],
) -> dict[str, dict[str, str]]:
    """Draw scenes, each of a song with another gain and another head.

    Args:
        songs: names of the dry songs, in the order of their list.
        gains: gain ids.
        heads: head ids.
        per_song: how many scenes a song gets; the first ones do not depend on it, their ids do.
        rng_of: gives the random numbers of a song.

    Returns:
        Entries of `scenes.<split>.json` by scene id.

    Raises:
        ConfigError: if there are fewer gains or heads than scenes per song.
    """
    most = min(len(gains), len(heads))
    if not 1 <= per_song <= most:
        raise ConfigError(
            f"prepare.scenes_per_song is {per_song}; no song meets a gain or a head twice, so "
            f"{len(gains)} gains and {len(heads)} heads allow 1 to {most}."
        )
    entries = []
    for song in songs:
        rng, gains_left, heads_left = rng_of(song), list(gains), list(heads)
        for _ in range(per_song):
            gain, head = _take(gains_left, rng), _take(heads_left, rng)
            entries.append({"music": song, "gain": gain, "head_loudspeaker_positions": head})
    return {f"scene_{number}": entry for number, entry in enumerate(entries, FIRST_SCENE)}


def draw_listeners(
    scenes: Sequence[str], listeners: Sequence[str], *, per_scene: int, rng: np.random.RandomState
) -> dict[str, list[str]]:
    """Draw who listens to each scene: `per_scene` different people, or all if there are no more.

    Raises:
        ConfigError: if nobody is to listen.
    """
    if per_scene < 1:
        raise ConfigError(f"prepare.listeners_per_scene is {per_scene}; give at least 1.")
    if len(listeners) <= per_scene:
        return {scene: list(listeners) for scene in scenes}
    draws = (rng.choice(len(listeners), per_scene, replace=False) for _ in scenes)
    return {scene: [listeners[i] for i in draw] for scene, draw in zip(scenes, draws, strict=True)}


def _take(left: list[str], rng: np.random.RandomState) -> str:
    """Draw one and take it out."""
    return left.pop(int(rng.choice(len(left), 1, replace=False)[0]))
