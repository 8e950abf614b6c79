"""Names and files that nobody should have made, through the real commands."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr

from cadenza_remix.audio import read_header
from cadenza_remix.datasets import metadata
from cadenza_remix.errors import AudioError, MetadataError
from cadenza_remix.results import read_scores
from tests.conftest import REPOSITORY, SOURCES, Commands, music, watched, write_metadata, write_wav
from tests.test_config import run

TITLES = (
    'Motörhead & Co – "Ça, ira" <b>¿?<b>',
    "-rf * $(id) ${name} %s '=1+1' #~",
    "NA",
)
SCENES = ("nan", "-scene 1; ls", "CON")
LISTENERS = ("NA", "Ünïcode 👂, \"J.\" & 'K.'")


def write_challenge(root: Path) -> None:
    """Dry music, scenes and people whose names are all unusual, and all allowed."""
    for seed, title in enumerate(TITLES):
        stems = music(seed, seconds=1.0)
        stems["mixture"] = np.sum(list(stems.values()), axis=0)
        for signal, samples in stems.items():
            write_wav(root / "audio/music/train" / title / f"{signal}.wav", samples)
    person = {"audiogram_cfs": [250, 1000, 4000]}
    person |= {f"audiogram_levels_{side}": [20, 30, 50] for side in "lr"}
    head = {"subject": "Sübject, & Co", "mic": "-M", "left_angle": -30, "right_angle": 30}
    write_metadata(
        root,
        {
            "musdb18.train": [{"Track Name": title, "Split": "train"} for title in TITLES],
            "gains": {"null": dict.fromkeys(SOURCES, 3)},
            "head_loudspeaker_positions": {"h&1": head},
            "listeners.train": {name: person for name in LISTENERS},
            "scenes.train": {
                scene: {"music": title, "gain": "null", "head_loudspeaker_positions": "h&1"}
                for scene, title in zip(SCENES, TITLES, strict=True)
            },
            "scene_listeners.train": {scene: list(LISTENERS) for scene in SCENES},
        },
    )


def test_unusual_names_work_in_every_command(tmp_path: Path) -> None:
    root = tmp_path / "data, “all” & more"
    write_challenge(root)
    before = {path for path in root.rglob("*") if path.is_file()}
    keys = ["separator=none", "limiter=hard_clip", "head=sphere", "keep_stems=true", "executor=serial"]
    result = run(f"path.root='{root}'", *keys, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = tmp_path / "exp/none"
    signals = {path.name for path in (folder / "enhanced_signals").iterdir()}
    assert signals == {f"{scene}_{person}_remix.flac" for scene in SCENES for person in LISTENERS}
    assert {path.name for path in (folder / "stems").iterdir()} == {f"{title}-h&1" for title in TITLES}
    scores = read_scores(folder)
    assert list(scores["scene"]) == [scene for scene in SCENES for _ in LISTENERS]
    assert list(scores["listener"]) == list(LISTENERS) * 3
    assert list(scores["song"]) == [f"{title}-h&1" for title in TITLES for _ in LISTENERS]
    summary = pd.read_csv(folder / "summary.csv", keep_default_na=False)
    assert {*LISTENERS, *(f"{title}-h&1" for title in TITLES)} < set(summary["name"])
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    places = (folder, root / "audio/at_mic_music", root / "metadata/at_mic_music.train.json")
    assert all(any(path.is_relative_to(place) for place in places) for path in made)
    assert not [path for path in made if path.name.endswith(".part")]


@pytest.mark.parametrize(
    "name",
    ["../x", "/x", "a/../b", "a\\b", "..", ".", "", "a\0", "a\n", "\x1b[2J", "x" * 300, "é" * 101, "\u202ex"],
)
def test_names_that_could_leave_their_folder_are_refused_everywhere(tmp_path: Path, name: str) -> None:
    person = {"name": name, "audiogram_cfs": [250], "audiogram_levels_l": [20], "audiogram_levels_r": [20]}
    head = {"subject": "S", "mic": "M", "left_angle": -30, "right_angle": 30}
    scene = {"music": "A", "gain": "g", "head_loudspeaker_positions": "h"}
    cases = (
        (metadata.read_listeners, {"L": person}),
        (metadata.read_listeners, {name: {key: person[key] for key in person if key != "name"}}),
        (metadata.read_head_positions, {"h": head | {"subject": name}}),
        (metadata.read_head_positions, {"h": head | {"mic": name}}),
        (metadata.read_scenes, {name: scene}),
        (metadata.read_scenes, {"s": scene | {"music": f"{name}/../x"}}),
        (metadata.read_scenes, {"s": scene | {"head_loudspeaker_positions": f"/{name}"}}),
        (metadata.read_gains, {"g": {name: 3}}),
        (metadata.read_tracks, [{"Track Name": name, "Path": "train/x"}]),
        (metadata.read_tracks, [{"Track Name": "A", "Path": "x", "Split": name}]),
        (metadata.read_at_mic_music, {"A": {"Path": f"train/{name}"}}),
        (metadata.read_at_mic_music, {"A": {"Split": name}}),
    )
    for reader, content in cases:
        (tmp_path / "file.json").write_text(json.dumps(content))
        with pytest.raises(MetadataError, match="cannot name a file"):
            reader(tmp_path / "file.json")


def test_what_is_in_place_of_a_signal_is_not_scored(challenge: Path, commands: Commands) -> None:
    commands("enhance", more=("separator=none", "limiter=hard_clip"))
    folder = challenge.parent / "exp/none"
    paths = sorted((folder / "enhanced_signals").iterdir())
    whole = soundfile.read(paths[0])[0]
    damaged = bytearray(paths[5].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    for path in paths:
        path.unlink()
    os.mkfifo(paths[0])
    paths[1].symlink_to(paths[1])
    paths[2].mkdir()
    soundfile.write(paths[3], whole[:21], 7, format="FLAC")
    soundfile.write(paths[4], np.where(whole > 0.5, np.nan, whole), 32000, format="WAV", subtype="FLOAT")
    paths[5].write_bytes(damaged)
    told = commands("evaluate", expect=1)
    assert "6 failed" in told
    assert pd.read_csv(folder / "scores.csv").empty
    causes = list(pd.read_csv(folder / "failures.csv")["cause"])
    expected = ["is missing"] * 3 + [
        "is 7 Hz; expected 8000 to 384000",
        "NaN or infinity",
        "cannot be decoded",
    ]
    assert all(words in cause for words, cause in zip(expected, causes, strict=True)), causes
    # What is odd, but a whole signal, is scored and flagged.
    shutil.rmtree(paths[2])
    soundfile.write(paths[2], soxr.resample(whole[:96000], 32000, 384000), 384000, format="FLAC")
    told = commands("evaluate", expect=1)
    assert "5 failed" in told, list(pd.read_csv(folder / "failures.csv")["cause"])
    (row,) = pd.read_csv(folder / "details.csv").itertuples()
    assert row.status == "384000 Hz instead of 32000 Hz"


def test_one_bad_song_does_not_stop_the_others(challenge: Path, commands: Commands) -> None:
    song = challenge / "audio/at_mic_music/train/Plain-hlp_0001"
    mixture = song / "mixture.wav"
    content = mixture.read_bytes()
    mixture.unlink()
    os.mkfifo(mixture)
    assert "2 failed" in commands("enhance", expect=1)
    mixture.unlink()
    mixture.write_bytes(content[:-1000])
    told = commands("enhance", expect=1)
    assert "mixture.wav is cut off: it holds" in told
    write_wav(mixture, np.full((2, 100), 0.1))
    assert "lasts 0.002 s; loudness needs at least 0.4 s" in commands("enhance", expect=1)
    assert len(list((challenge.parent / "exp/none/enhanced_signals").iterdir())) == 4


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of files that this process, root or not, may not read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    write_wav(folder / "closed.wav", music(1)["bass"])
    write_wav(folder / "folder/a.wav", music(1)["bass"])
    (folder / "closed.json").write_text("{}")
    for name in ("closed.wav", "closed.json", "folder"):
        (folder / name).chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(os.getuid())
    (folder / "folder").chmod(0o700)
    shutil.rmtree(folder)


def test_what_may_not_be_read_is_named(as_nobody: Path) -> None:
    with pytest.raises(AudioError, match=r"closed\.wav is not a readable audio file"):
        read_header(as_nobody / "closed.wav")
    with pytest.raises(AudioError, match=r"a\.wav is missing"):
        read_header(as_nobody / "folder/a.wav")
    with pytest.raises(MetadataError, match=r"closed\.json is not readable JSON .*Permission denied"):
        metadata.read_object(as_nobody / "closed.json")
    with pytest.raises(MetadataError, match=r"b\.json is not readable JSON .*Permission denied"):
        metadata.read_object(as_nobody / "folder/b.json")


def test_no_warning_is_hidden() -> None:
    """But one of pyloudnorm's, on its way to the right answer for silence."""
    hiding = re.compile(r"filterwarnings|simplefilter|disable_warnings|PYTHONWARNINGS")
    found = [
        (path.name, line.strip())
        for path in (REPOSITORY / "cadenza_remix").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if hiding.search(line)
    ]
    assert found == [("loudness.py", 'warnings.filterwarnings("ignore", message="Mean of empty slice")')]


@pytest.mark.parametrize(
    ("call", "event"),
    [
        ("socket.socket().connect_ex(('127.0.0.1', 9))", "socket.connect "),
        ("socket.getaddrinfo('localhost', 9)", "socket.getaddrinfo "),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))", "socket.sendto "),
        ("a, b = socket.socketpair(); a.sendmsg([b'x'])", None),  # how workers are reached
    ],
)
def test_the_demos_witness_would_see_the_network(tmp_path: Path, call: str, event: str | None) -> None:
    program = [sys.executable, "-c", f"import socket; {call}"]
    subprocess.run(program, env=watched(tmp_path), check=True)
    told = (tmp_path / "network").read_text() if event else None
    assert (told is None) == (not (tmp_path / "network").exists())
    assert event is None or event in str(told)
