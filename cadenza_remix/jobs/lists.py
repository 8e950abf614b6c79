"""Draw the scene lists and write them, with the challenge's gains and heads where there are none."""

import json
import logging
from pathlib import Path
from typing import Any, Protocol

from cadenza_remix.datasets import metadata, scene_lists
from cadenza_remix.errors import MetadataError
from cadenza_remix.output import write_text
from cadenza_remix.scenes import rng_of

logger = logging.getLogger(__name__)


class ListFiles(Protocol):
    """The lists, and what they are drawn from."""

    gains_file: Path
    head_loudspeaker_positions_file: Path
    listeners_file: Path
    scenes_file: Path
    scene_listeners_file: Path


def write_scenes(files: ListFiles, tracks_file: Path, *, per_song: int) -> None:
    """Draw a scene list over all tracks; without gains or heads, the challenge's are written first.

    Raises:
        MetadataError: if what it is drawn from is broken, or another list is there already.
        ConfigError: if so many scenes cannot be drawn.
    """
    tracks = metadata.read_tracks(tracks_file)
    if not files.gains_file.is_file():
        _write(files.gains_file, scene_lists.challenge_gains())
    heads_file = metadata.existing_head_positions(files.head_loudspeaker_positions_file)
    if not heads_file.is_file():
        heads = scene_lists.challenge_heads()
        _write(heads_file, {name: vars(head) for name, head in heads.items()})
        logger.info(
            "The order of the heads in %s is inferred: the challenge does not document it.", heads_file
        )
    scenes = scene_lists.draw_scenes(
        list(tracks),
        list(metadata.read_gains(files.gains_file)),
        list(metadata.read_head_positions(heads_file)),
        per_song=per_song,
        rng_of=rng_of,
    )
    _write_once(files.scenes_file, scenes)


def write_scene_listeners(files: ListFiles, *, per_scene: int) -> None:
    """Draw who listens to each scene of the scene list.

    Raises:
        MetadataError: if what it is drawn from is broken, or another list is there already.
        ConfigError: if nobody is to listen.
    """
    drawn = scene_lists.draw_listeners(
        list(metadata.read_scenes(files.scenes_file)),
        list(metadata.read_listeners(files.listeners_file)),
        per_scene=per_scene,
        rng=rng_of(scene_lists.LISTENERS_SEED),
    )
    _write_once(files.scene_listeners_file, drawn)


def _write_once(path: Path, drawn: dict[str, Any]) -> None:
    """Write a list unless it is there; another one is never overwritten."""
    if not path.is_file():
        _write(path, drawn)
    elif list(metadata.read_object(path).items()) != list(drawn.items()):
        raise MetadataError(
            f"{path} is there already and differs from the list of {len(drawn)} scenes asked for; leave the "
            "prepare. key out to use it, or move the file away."
        )


def _write(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=4))  # byte for byte as the reference recipe
    logger.info("%d entries written to %s", len(content), path)
