"""Scene lists are drawn as pyclarity's generator draws them, and never replace one that is there."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cadenza_remix.datasets import metadata
from cadenza_remix.datasets.scene_lists import (
    LISTENERS_SEED,
    challenge_gains,
    challenge_heads,
    draw_listeners,
    draw_scenes,
)
from cadenza_remix.errors import ConfigError, MetadataError
from cadenza_remix.jobs.lists import write_scene_listeners, write_scenes
from cadenza_remix.scenes import rng_of
from tests.conftest import write_metadata

GOLDEN = json.loads((Path(__file__).parent / "references" / "scene_lists.json").read_text())
FREQUENCIES_HZ = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
EAR = {"audiogram_levels_l": [20] * 8, "audiogram_levels_r": [25] * 8}


class Files:
    def __init__(self, root: Path) -> None:
        self.gains_file = root / "metadata/gains.json"
        self.head_loudspeaker_positions_file = root / "metadata/head_loudspeaker_positions.json"
        self.listeners_file = root / "metadata/listeners.train.json"
        self.scenes_file = root / "metadata/scenes.train.json"
        self.scene_listeners_file = root / "metadata/scene_listeners.train.json"
        self.tracks_file = root / "metadata/musdb18.train.json"


def names(case: dict[str, Any], kind: str) -> list[str]:
    prefix = {"gains": "gain_", "heads": "hlp_", "listeners": "L"}[kind]
    return [f"{prefix}{n:04d}" for n in range(1, case["counts"][kind] + 1)]


def folder(root: Path, case: dict[str, Any]) -> Files:
    """What pyclarity drew from, in the challenge's format."""
    head = vars(challenge_heads()["hlp_0001"])
    files = {
        "gains": dict.fromkeys(names(case, "gains"), dict.fromkeys(("vocals", "drums", "bass", "other"), 0)),
        "head_loudspeaker_positions": dict.fromkeys(names(case, "heads"), head),
        "listeners.train": {
            name: {"name": name, "audiogram_cfs": FREQUENCIES_HZ, **EAR} for name in names(case, "listeners")
        },
        "musdb18.train": [{"Track Name": song, "Path": "train/song"} for song in case["songs"]],
    }
    write_metadata(root, files)
    return Files(root)


@pytest.mark.parametrize("case", GOLDEN.values(), ids=GOLDEN.keys())
def test_lists_are_pyclaritys_byte_for_byte(tmp_path: Path, case: dict[str, Any]) -> None:
    files = folder(tmp_path, case)
    write_scenes(files, files.tracks_file, per_song=case["scenes_per_song"])
    write_scene_listeners(files, per_scene=case["listeners_per_scene"])
    written = [files.scenes_file, files.scene_listeners_file]
    if "scenes" in case:
        expected = [case["scenes"], case["scene_listeners"]]
        assert [json.loads(path.read_text(encoding="utf-8")) for path in written] == expected
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in written] == case["sha256"]


def test_more_scenes_keep_the_first_ones_of_each_song() -> None:
    few, many = (
        draw_scenes(["A", "B"], list(challenge_gains()), list(challenge_heads()), per_song=n, rng_of=rng_of)
        for n in (4, 100)
    )
    for song in ("A", "B"):
        start = [scene for scene in few.values() if scene["music"] == song]
        assert [scene for scene in many.values() if scene["music"] == song][:4] == start
    for drawn in ("gain", "head_loudspeaker_positions"):
        assert max(Counter((scene["music"], scene[drawn]) for scene in many.values()).values()) == 1


@pytest.mark.parametrize("per_song", [0, 3])
def test_more_scenes_than_heads_are_refused(per_song: int) -> None:
    with pytest.raises(ConfigError, match="3 gains and 2 heads allow 1 to 2"):
        draw_scenes(["A"], ["a", "b", "c"], ["x", "y"], per_song=per_song, rng_of=rng_of)


def test_somebody_must_listen() -> None:
    with pytest.raises(ConfigError, match="give at least 1"):
        draw_listeners(["scene_10001"], ["L1"], per_scene=0, rng=rng_of(LISTENERS_SEED))


def test_the_challenges_gains_and_heads() -> None:
    gains, heads = challenge_gains(), challenge_heads()
    assert len(gains) == 1105
    assert len({tuple(entry.values()) for entry in gains.values()}) == 1105
    # The entries that the challenge's pages show.
    assert gains["gain_0007"] == {"vocals": 10, "drums": 0, "bass": 0, "other": 0}
    assert gains["gain_0138"] == {"vocals": 0, "drums": -10, "bass": 6, "other": 0}
    assert gains["gain_0381"] == {"vocals": 3, "drums": 10, "bass": -6, "other": 0}
    assert len(set(heads.values())) == 144
    assert heads["hlp_0001"].hrtf_files == ("BTE_fr-VP_E1-n37.5.wav", "BTE_fr-VP_E1-p22.5.wav")


@pytest.mark.shared
def test_the_rebuilt_files_of_the_challenge_are_the_same(shared_data: Path) -> None:
    given = Files(shared_data / "open")
    assert list(challenge_gains().items()) == list(metadata.read_gains(given.gains_file).items())
    heads = metadata.read_head_positions(given.head_loudspeaker_positions_file)
    assert list(challenge_heads().items()) == list(heads.items())
    entries = metadata.read_scenes(given.scenes_file)
    songs = list(dict.fromkeys(entry.music for entry in entries.values()))
    drawn = draw_scenes(songs, list(challenge_gains()), list(heads), per_song=4, rng_of=rng_of)
    assert drawn == metadata.read_table(given.scenes_file)
    listeners = draw_listeners(
        list(drawn),
        list(metadata.read_listeners(given.listeners_file)),
        per_scene=2,
        rng=rng_of(LISTENERS_SEED),
    )
    assert listeners == metadata.read_scene_listeners(given.scene_listeners_file)


def test_gains_and_heads_are_written_where_absent_and_lists_never_overwritten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = folder(tmp_path, GOLDEN["as the challenge"])
    for file in (files.gains_file, files.head_loudspeaker_positions_file):
        file.unlink()
    caplog.set_level("INFO")
    write_scenes(files, files.tracks_file, per_song=4)
    assert json.loads(files.gains_file.read_text()) == challenge_gains()
    assert metadata.read_head_positions(files.head_loudspeaker_positions_file) == challenge_heads()
    assert "is inferred" in caplog.text
    before = files.scenes_file.stat().st_mtime_ns
    write_scenes(files, files.tracks_file, per_song=4)  # the same command again goes on
    assert files.scenes_file.stat().st_mtime_ns == before
    with pytest.raises(MetadataError, match=r"scenes\.train\.json is there already and differs"):
        write_scenes(files, files.tracks_file, per_song=8)
    write_scene_listeners(files, per_scene=2)
    with pytest.raises(MetadataError, match=r"scene_listeners\.train\.json is there already and differs"):
        write_scene_listeners(files, per_scene=3)
    assert files.scenes_file.stat().st_mtime_ns == before
