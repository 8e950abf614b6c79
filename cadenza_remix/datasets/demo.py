"""The embedded demo as a challenge folder: synthesised songs, a rigid-sphere head, standard audiograms."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cadenza_remix.datasets.challenge import MIXTURE
from cadenza_remix.datasets.demo_songs import DEMO_SONGS, DemoSong, synthesize
from cadenza_remix.datasets.metadata import HeadPosition
from cadenza_remix.demix.base import SOURCES
from cadenza_remix.output import write_float, write_pcm16, write_text
from cadenza_remix.sphere import sphere_impulse_responses

SAMPLE_RATE = 44100
ANGLES = ((-30.0, 30.0), (-22.5, 37.5), (-37.5, 22.5), (-30.0, 22.5))  # degrees, left and right loudspeaker
HEADS = {
    f"hlp_{number:04d}": HeadPosition("S1", "sphere", left, right)
    for number, (left, right) in enumerate(ANGLES, 1)
}
# Entries of the challenge's own gains.json: dB for vocals, drums, bass, other.
GAINS = {
    "gain_0001": (0, 0, 0, 0),
    "gain_0007": (10, 0, 0, 0),
    "gain_0138": (0, -10, 6, 0),
    "gain_0381": (3, 10, -6, 0),
}
# Bisgaard, Vlaming & Dahlquist (2010), "Standard audiograms for the IEC 60118-15 measurement procedure",
# tables 2 and 4.
FREQUENCIES_HZ = (250, 375, 500, 750, 1000, 1500, 2000, 3000, 4000, 6000)
AUDIOGRAMS_DB_HL = {
    "N1": (10, 10, 10, 10, 10, 10, 15, 20, 30, 40),
    "N2": (20, 20, 20, 22.5, 25, 30, 35, 40, 45, 50),
    "N3": (35, 35, 35, 35, 40, 45, 50, 55, 60, 65),
    "N4": (55, 55, 55, 55, 55, 60, 65, 70, 75, 80),
    "N5": (65, 67.5, 70, 72.5, 75, 80, 80, 80, 80, 80),
    "N6": (75, 77.5, 80, 82.5, 85, 90, 90, 95, 100, 100),
    "N7": (90, 92.5, 95, 100, 105, 105, 105, 105, 105, 105),
    "S1": (10, 10, 10, 10, 10, 10, 15, 30, 55, 70),
    "S2": (20, 20, 20, 22.5, 25, 35, 55, 75, 95, 95),
    "S3": (30, 30, 35, 47.5, 60, 70, 75, 80, 80, 85),
}
# Who listens to the two scenes of each song: mild to severe, flat and sloping.
LISTENERS_PER_SCENE = (("N2", "S2"), ("N3", "S1"))


def write_demo(root: Path) -> None:
    """Write the dry music, the impulse responses and the metadata of the demo.

    Args:
        root: the challenge folder to make; `metadata/` and `audio/` appear in it.

    Raises:
        OutputError: if the folder cannot be written.
    """
    for song in DEMO_SONGS:
        _write_song(root / "audio" / "music" / "train" / song.title, song)
    for head in HEADS.values():
        angles = (head.left_angle, head.right_angle)
        for name, angle in zip(head.hrtf_files, angles, strict=True):
            responses = sphere_impulse_responses(angle, sample_rate=SAMPLE_RATE)
            write_float(root / "audio" / "hrtf" / name, responses, sample_rate=SAMPLE_RATE)
    for name, content in _metadata().items():
        text = json.dumps(content, indent=4, ensure_ascii=False)
        write_text(root / "metadata" / name, text)


def _write_song(folder: Path, song: DemoSong) -> None:
    stems = synthesize(song, sample_rate=SAMPLE_RATE)
    mixture = np.sum(list(stems.values()), axis=0)
    for name, signal in (stems | {MIXTURE: mixture}).items():
        write_pcm16(folder / f"{name}.wav", signal, sample_rate=SAMPLE_RATE, file_format="WAV")


def _metadata() -> dict[str, Any]:
    """The challenge's files by name; the list of tracks last, as it tells that the demo is complete."""
    scenes, scene_listeners = {}, {}
    gains = list(GAINS)
    for number, song in enumerate(DEMO_SONGS):
        for take, listeners in enumerate(LISTENERS_PER_SCENE):
            scene = f"scene_{10001 + 2 * number + take}"
            scenes[scene] = {
                "music": song.title,
                "gain": gains[(number + take) % len(gains)],
                "head_loudspeaker_positions": list(HEADS)[number % len(HEADS)],
            }
            scene_listeners[scene] = list(listeners)
    return {
        "gains.json": {name: dict(zip(SOURCES, gain, strict=True)) for name, gain in GAINS.items()},
        "head_loudspeaker_positions.json": {name: vars(head) for name, head in HEADS.items()},
        "listeners.train.json": {name: _listener(name) for name in AUDIOGRAMS_DB_HL},
        "scenes.train.json": scenes,
        "scene_listeners.train.json": scene_listeners,
        "musdb18.train.json": [_track(song) for song in DEMO_SONGS],
    }


def _listener(name: str) -> dict[str, Any]:
    levels = AUDIOGRAMS_DB_HL[name]
    ears = {"audiogram_levels_l": levels, "audiogram_levels_r": levels}
    return {"name": name, "audiogram_cfs": FREQUENCIES_HZ, **ears}


def _track(song: DemoSong) -> dict[str, str]:
    return {
        "Track Name": song.title,
        "Genre": song.genre,
        "Source": "synthesised",
        "License": "MIT",
        "Split": "train",
        "Path": f"train/{song.title}",
    }
