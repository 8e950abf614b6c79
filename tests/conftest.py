"""A tiny challenge folder, and where the real material lies."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cadenza_remix.__main__ import main
from cadenza_remix.listener import Audiogram, Listener
from tests.references import networks

SAMPLE_RATE = 44100
SOURCES = ("vocals", "drums", "bass", "other")
REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared" / "data"
# A shell in the background has SIGINT ignored, which commands that are to be interrupted would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def listener() -> Listener:
    """A sloping moderate loss on the left, a milder one on the right."""
    frequencies = (250.0, 500.0, 1000.0, 2000.0, 3000.0, 4000.0, 6000.0, 8000.0)
    left = Audiogram(frequencies, (20.0, 25.0, 35.0, 45.0, 50.0, 60.0, 65.0, 70.0))
    right = Audiogram(frequencies, (10.0, 10.0, 15.0, 25.0, 35.0, 45.0, 50.0, 50.0))
    return Listener("L0001", left, right)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real songs and heads beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"the real music is not here ({SHARED})")
    return SHARED


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose content, half a gigabyte, does not outlive the tests."""
    folder = tmp_path_factory.mktemp("weights")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def hdemucs_weights(weights_folder: Path) -> Path:
    """Weights by formula in the published layout: one file."""
    return networks.write_hdemucs(weights_folder)


@pytest.fixture(scope="session")
def openunmix_weights(weights_folder: Path) -> Path:
    """Weights by formula in the published layout: a folder with a file per target."""
    return networks.write_openunmix(weights_folder)


def music(seed: int, seconds: float = 3.0) -> dict[str, np.ndarray]:
    """Four stereo stems of shaped noise and tones, (2, samples)."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    beat = np.exp(-8 * (time % 0.5))
    sung = np.sin(2 * np.pi * 330 * time + 3 * np.sin(2 * np.pi * 5 * time)) * (time % 1.5 < 1)
    stems = {
        "vocals": 0.1 * np.stack([sung, sung]),
        "drums": 0.1 * beat * rng.standard_normal((2, len(time))),
        "bass": 0.1 * np.sin(2 * np.pi * 80 * time) * np.ones((2, 1)),
        "other": 0.05 * np.stack([np.sin(2 * np.pi * f * time) for f in (440, 554)]),
    }
    return {name: stem.astype(np.float32) for name, stem in stems.items()}


def write_wav(
    path: Path, signal: np.ndarray, sample_rate: int = SAMPLE_RATE, subtype: str = "PCM_16"
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal.T, sample_rate, subtype=subtype)


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    """A challenge folder with music at the microphones: 2 songs, 3 scenes, 2 listeners each."""
    return write_challenge(tmp_path / "cadenza_data", ['Anna & Co - "Blue", too', "Plain"])


def write_challenge(root: Path, titles: list[str]) -> Path:
    """The same with two other titles."""
    names = [f"{title}-hlp_0001" for title in titles]
    for seed, name in enumerate(names):
        stems = music(seed)
        stems["mixture"] = np.sum(list(stems.values()), axis=0)
        for source, samples in stems.items():
            write_wav(root / "audio/at_mic_music/train" / name / f"{source}.wav", samples)
    frequencies = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
    people = {"L0001": 20, "L0002": 45}
    scene = {"head_loudspeaker_positions": "hlp_0001"}
    write_metadata(
        root,
        {
            "at_mic_music.train": {
                n: {"Track Name": n, "Split": "train", "Path": f"train/{n}"} for n in names
            },
            "gains": {
                "gain_0001": dict.fromkeys(SOURCES, 0),
                "gain_0007": dict.fromkeys(SOURCES, 0) | {"vocals": 10, "drums": -6},
            },
            "listeners.train": {
                name: {
                    "name": name,
                    "audiogram_cfs": frequencies,
                    "audiogram_levels_l": [loss] * 8,
                    "audiogram_levels_r": [loss + 5] * 8,
                }
                for name, loss in people.items()
            },
            "scenes.train": {
                "scene_10001": scene | {"music": names[0][:-9], "gain": "gain_0007"},
                "scene_10002": scene | {"music": names[1][:-9], "gain": "gain_0007"},
                "scene_10003": scene | {"music": names[0][:-9], "gain": "gain_0001"},
            },
            "scene_listeners.train": {f"scene_1000{n}": list(people) for n in (1, 2, 3)},
        },
    )
    return root


WITNESS = """
import os, sys
def note(event, details):
    remote = event in LOOK_UPS or any(isinstance(each, tuple) for each in details)
    if event.startswith("socket.") and remote:
        with open(os.environ["WITNESSED"], "a") as file:
            print(event, details, file=file)
LOOK_UPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
sys.addaudithook(note)
"""


def watched(folder: Path) -> dict[str, str]:
    """An environment in which every Python writes what it does with the network to `folder/network`.

    Workers are reached by sockets of this machine, whose addresses are no pairs of a host and a port.
    Temporary files go to `folder/temporary`.
    """
    (folder / "temporary").mkdir()
    (folder / "site").mkdir()
    (folder / "site/sitecustomize.py").write_text(WITNESS, encoding="utf-8")
    python_path = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])
    places = {"TMPDIR": str(folder / "temporary"), "WITNESSED": str(folder / "network")}
    return os.environ | places | {"PYTHONPATH": python_path}


def write_metadata(root: Path, files: dict[str, Any]) -> None:
    (root / "metadata").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / "metadata" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def edit_metadata(root: Path, name: str, change: Callable[[Any], None]) -> None:
    path = root / "metadata" / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


Commands = Callable[..., str]


@pytest.fixture
def commands(challenge: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Commands:
    """Run commands on the challenge from its parent folder, in this process; gives everything printed."""
    monkeypatch.chdir(challenge.parent)

    def run_here(*names: str, expect: int = 0, more: tuple[str, ...] = ("separator=none",)) -> str:
        for name in names:
            arguments = ["cadenza-remix", name, f"path.root={challenge}", "executor=serial", *more]
            monkeypatch.setattr(sys, "argv", arguments)
            code = 0
            try:
                main()
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
                print(stop.code, file=sys.stderr)
            assert code == expect
        printed = "".join(capfd.readouterr())
        assert "Traceback" not in printed
        return printed

    return run_here
