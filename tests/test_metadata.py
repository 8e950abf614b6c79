"""Every trap of the challenge's JSON files is refused by name, every documented variant is read."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from cadenza_remix.datasets import metadata
from cadenza_remix.datasets.challenge import read_dry_songs, read_music, read_pairs
from cadenza_remix.errors import MetadataError
from tests.conftest import SHARED, edit_metadata


class Files:
    def __init__(self, root: Path) -> None:
        self.scenes_file = root / "metadata/scenes.train.json"
        self.scene_listeners_file = root / "metadata/scene_listeners.train.json"
        self.gains_file = root / "metadata/gains.json"
        self.listeners_file = root / "metadata/listeners.train.json"


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_pairs_come_in_the_order_of_the_list(challenge: Path) -> None:
    names = [pair.name for pair in read_pairs(Files(challenge))]
    assert names == [f"scene_1000{n} for L000{k}" for n in (1, 2, 3) for k in (1, 2)]
    assert [pair.name for pair in read_pairs(Files(challenge), every_nth=4)] == [names[0], names[4]]


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("scenes.train", lambda c: c["scene_10001"].update(gain="gain_9999"), "gain 'gain_9999'"),
        ("scenes.train", lambda c: c.pop("scene_10002"), "names scene 'scene_10002'"),
        ("scenes.train", lambda c: c["scene_10001"].pop("music"), "has no 'music'"),
        ("scenes.train", lambda c: c["scene_10001"].update(music=7), "'music' is 7"),
        ("scene_listeners.train", lambda c: c["scene_10001"].append("L0099"), "listener 'L0099'"),
        ("scene_listeners.train", lambda c: c.update(scene_10001="L0001"), "list of listener ids"),
        ("gains", lambda c: c["gain_0007"].update(vocals="10"), "'vocals' is '10'"),
        ("gains", lambda c: c["gain_0007"].update(vocals=1000), "within ±60 dB"),
        ("gains", lambda c: c["gain_0007"].update(vocals=float("nan")), "'vocals' is nan"),
        ("listeners.train", lambda c: c["L0001"].update(name="../L0001"), "cannot name a file"),
        ("listeners.train", lambda c: c["L0001"].pop("audiogram_cfs"), "has no 'audiogram_cfs'"),
        ("listeners.train", lambda c: c["L0001"]["audiogram_levels_l"].pop(), "8 frequencies and 7"),
        (
            "listeners.train",
            lambda c: c["L0001"]["audiogram_levels_l"].__setitem__(0, None),
            "list of numbers",
        ),
        ("listeners.train", lambda c: c["L0001"]["audiogram_levels_l"].__setitem__(0, 300), "250 Hz is 300"),
        ("listeners.train", lambda c: c.update(L0001=[]), "expected an object"),
        ("gains", lambda c: c["gain_0007"].update(vocals=10**400), "'vocals' is 1000"),
        ("gains", lambda c: c["gain_0007"].clear(), "has no gains"),
        ("gains", lambda c: c["gain_0007"].update(Vocals=3), "'vocals' and 'Vocals' would share a file"),
        ("scenes.train", lambda c: c["scene_10001"].update(music="../../out"), "cannot name a file"),
        ("scenes.train", lambda c: c["scene_10001"].update(music="plain"), "'plain-hlp_0001' and 'Plain-hlp"),
        (
            "listeners.train",
            lambda c: c["L0001"].update(name="l0002"),
            "10001_l0002' and 'scene_10001_L0002'",
        ),
        ("listeners.train", lambda c: c["L0001"].update(name="L0002"), "would share a file"),
        ("listeners.train", lambda c: c["L0001"].update(name="x" * 190), "at most 200 bytes"),
        ("listeners.train", lambda c: c["L0001"].update(name="\ud800"), r"'\\ud800' cannot name a file"),
    ],
)
def test_what_is_wrong_is_named(challenge: Path, file: str, change: Any, told: str) -> None:
    edit_metadata(challenge, file, change)
    with pytest.raises(MetadataError, match=told):
        read_pairs(Files(challenge))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", '"text"', "\x00", "[" * 100_000])
def test_broken_json_is_refused_by_name(challenge: Path, content: str) -> None:
    write(Files(challenge).gains_file, content)
    with pytest.raises(MetadataError, match=r"gains\.json"):
        read_pairs(Files(challenge))


def test_what_stands_in_an_object_twice_is_refused(challenge: Path) -> None:
    text = Files(challenge).gains_file.read_text()
    write(Files(challenge).gains_file, text[:-1] + ',"gain_0001": {"vocals": 3}}')
    with pytest.raises(MetadataError, match=r"gains\.json .*'gain_0001' stands there twice"):
        read_pairs(Files(challenge))


def test_a_mark_of_the_byte_order_does_not_matter(challenge: Path) -> None:
    gains = Files(challenge).gains_file
    gains.write_text(gains.read_text(), encoding="utf-8-sig")
    assert len(read_pairs(Files(challenge))) == 6


@pytest.mark.parametrize("value", ["x" * 100_000, "[" * 900 + "]" * 900, "\x1b[31m\nred"])
def test_a_message_is_one_line_that_can_be_read(challenge: Path, value: str) -> None:
    text = json.dumps(value) if "[[" not in value else value
    write(Files(challenge).gains_file, f'{{{json.dumps(value)}: {{"vocals": {text}}}}}')
    with pytest.raises(MetadataError, match="give a number") as told:
        read_pairs(Files(challenge))
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 1100


def test_names_that_join_to_one_are_refused(challenge: Path) -> None:
    def rename(content: Any) -> None:
        content["scene_10001"] |= {"music": "A-b", "head_loudspeaker_positions": "c"}
        content["scene_10002"] |= {"music": "A", "head_loudspeaker_positions": "b-c"}

    edit_metadata(challenge, "scenes.train", rename)
    with pytest.raises(MetadataError, match="'A-b-c' and 'A-b-c' would share a file"):
        read_pairs(Files(challenge))


def test_a_pipe_is_not_waited_for(challenge: Path) -> None:
    Files(challenge).gains_file.unlink()
    os.mkfifo(Files(challenge).gains_file)
    with pytest.raises(MetadataError, match=r"gains\.json is missing"):
        read_pairs(Files(challenge))


@pytest.mark.parametrize("angle", [1e300, -181])
def test_an_impossible_angle_is_refused(tmp_path: Path, angle: float) -> None:
    head = {"subject": "S", "mic": "M", "left_angle": angle, "right_angle": 30}
    with pytest.raises(MetadataError, match="within ±180°"):
        metadata.read_head_positions(write(tmp_path / "h.json", {"h": head}))


def test_a_track_stands_once(tmp_path: Path) -> None:
    track = {"Track Name": "A", "Split": "train"}
    with pytest.raises(MetadataError, match="entry 1: 'A' stands there twice"):
        metadata.read_tracks(write(tmp_path / "t.json", [track, track]))


def test_a_missing_file_is_named(challenge: Path) -> None:
    Files(challenge).listeners_file.unlink()
    with pytest.raises(MetadataError, match=r"listeners\.train\.json is missing"):
        read_pairs(Files(challenge))


def test_a_song_missing_from_the_music_list_fails_alone(challenge: Path) -> None:
    edit_metadata(challenge, "at_mic_music.train", lambda c: c.pop("Plain-hlp_0001"))
    file = challenge / "metadata/at_mic_music.train.json"
    pairs = read_pairs(Files(challenge))
    music = pickle.loads(pickle.dumps(read_music(file, challenge, pairs, 44100)))  # as to a worker
    assert music[pairs[0].scene.song].folder.is_relative_to(challenge)
    with pytest.raises(
        MetadataError, match=r"at_mic_music\.train\.json lacks the song 'Plain-hlp_0001'; run"
    ):
        music["Plain-hlp_0001"]


def test_the_music_list_of_other_data_is_refused(challenge: Path) -> None:
    file = challenge / "metadata/at_mic_music.train.json"
    file.write_text('{"Other-hlp_0001": {"Path": "train/Other-hlp_0001"}}')
    with pytest.raises(MetadataError, match=r"needs music .* which .* does not have"):
        read_music(file, challenge, read_pairs(Files(challenge)), 44100)


def test_a_listener_named_twice_is_used_once(challenge: Path) -> None:
    edit_metadata(challenge, "scene_listeners.train", lambda c: c.update(scene_10001=["L0001", "L0001"]))
    assert sum(pair.scene.name == "scene_10001" for pair in read_pairs(Files(challenge))) == 1


def test_gains_of_any_sources_are_read_flat_or_sorted_by_their_number(tmp_path: Path) -> None:
    two = {"gain_0001": {"source_1": 3, "source_2": -6.5}}
    three = {"gain_0002": {"source_1": 0, "source_2": 0, "source_3": 10}}
    flat = metadata.read_gains(write(tmp_path / "flat.json", two | three))
    assert flat == two | three
    assert metadata.read_gains(write(tmp_path / "nested.json", {"2": two, "3": three})) == flat
    with pytest.raises(MetadataError, match="gain_0001 for more than one number of sources"):
        metadata.read_gains(write(tmp_path / "twice.json", {"2": two, "3": two}))
    with pytest.raises(MetadataError, match="'source_1' is None"):
        metadata.read_gains(write(tmp_path / "odd.json", {"2": {"gain_0001": {"source_1": None}}}))


def test_older_names_of_heads_are_read(tmp_path: Path) -> None:
    head = {"subject": "VP_E1", "mic": "BTE_fr", "left_angle": -30, "right_angle": 22.5}
    write(tmp_path / "head_positions.json", {"hp_0001": head})
    heads = metadata.read_head_positions(tmp_path / "head_loudspeaker_positions.json")
    assert heads["hp_0001"].hrtf_files == ("BTE_fr-VP_E1-n30.0.wav", "BTE_fr-VP_E1-p22.5.wav")
    scenes = write(tmp_path / "scenes.json", {"s": {"music": "m", "gain": "g", "head_position": "hp_0001"}})
    assert metadata.read_scenes(scenes)["s"].song == "m-hp_0001"


def test_both_loudspeakers_may_be_on_one_side(tmp_path: Path) -> None:
    head = {"subject": "S", "mic": "M", "left_angle": 22.5, "right_angle": 37.5}
    heads = metadata.read_head_positions(write(tmp_path / "h.json", {"h": head}))
    assert heads["h"].hrtf_files == ("M-S-p22.5.wav", "M-S-p37.5.wav")


def test_a_track_without_a_path_lies_in_its_split(tmp_path: Path) -> None:
    tracks = metadata.read_tracks(write(tmp_path / "t.json", [{"Track Name": "A - B", "Split": "train"}]))
    assert tracks["A - B"] == metadata.Track("train/A - B", "train")


@pytest.mark.parametrize(
    "path", ["../out", "/etc", "train/../..", "a//b", "a\x07", "x" * 300, "x/" * 600 + "x"]
)
def test_a_path_that_leaves_its_folder_is_refused(tmp_path: Path, path: str) -> None:
    file = write(tmp_path / "t.json", {"song": {"Path": path}})
    with pytest.raises(MetadataError, match=r"cannot name a file|at most 1000"):
        metadata.read_at_mic_music(file)


@pytest.mark.shared
@pytest.mark.parametrize("part", ["open", "nc"])
def test_the_real_lists_are_read(shared_data: Path, part: str) -> None:
    folder = shared_data / part / "metadata"
    gains = metadata.read_gains(folder / "gains.json")
    assert len(gains) == 1105
    assert gains["gain_0138"] == {"vocals": 0, "drums": -10, "bass": 6, "other": 0}
    assert len(metadata.read_listeners(folder / "listeners.train.json")) == 83
    assert len(metadata.read_head_positions(folder / "head_loudspeaker_positions.json")) == 144


@pytest.mark.shared
def test_real_scenes_name_tracks_that_are_not_here(shared_data: Path) -> None:
    folder = SHARED / "open/metadata"
    with pytest.raises(MetadataError, match="A Classic Education - NightOwl"):
        read_dry_songs(
            scenes_file=folder / "scenes.train.json",
            gains_file=folder / "gains.json",
            tracks_file=folder / "musdb18.train.json",
            heads_file=folder / "head_loudspeaker_positions.json",
            music_dir=shared_data,
            sample_rate=44100,
        )
