"""Make `scene_lists.json`: scene lists of pyclarity 0.9.0's own generator.

Run in an environment of its own: pip install pyclarity==0.9.0; python tests/references/scene_lists.py
Short lists are kept whole, the long ones (100 songs) as the SHA-256 of pyclarity's files.
"""

import hashlib
import json
import tempfile
from pathlib import Path

from omegaconf import OmegaConf
from recipes.cad_icassp_2024.generate_dataset import generate_train_scenes

TITLES = [
    "A Classic Education - NightOwl",
    'Anna & Co - "Blue", too',
    "Röyksopp - Øde, 東京",
    "It's - (100%) <b>not<b>",
]
CASES = {  # songs, gains, heads, listeners, scenes per song, listeners per scene
    "as the challenge": (TITLES, 1105, 144, 83, 4, 2),
    "more scenes": (TITLES, 1105, 144, 83, 8, 3),
    "down to the last one": (TITLES, 5, 3, 2, 3, 2),
    "hundred": ([f"Song {n:03d}" for n in range(100)], 1105, 144, 83, 4, 2),
    "hundred, more scenes": ([f"Song {n:03d}" for n in range(100)], 1105, 144, 83, 8, 2),
}


def main() -> None:
    content = {}
    for name, (songs, gains, heads, listeners, per_song, per_scene) in CASES.items():
        inputs = {
            "songs": songs,
            "gains": [f"gain_{n:04d}" for n in range(1, gains + 1)],
            "heads": [f"hlp_{n:04d}" for n in range(1, heads + 1)],
            "listeners": [f"L{n:04d}" for n in range(1, listeners + 1)],
        }
        scenes, scene_listeners = generate(inputs, per_song, per_scene)
        content[name] = {
            "songs": songs,
            "counts": {"gains": gains, "heads": heads, "listeners": listeners},
            "scenes_per_song": per_song,
            "listeners_per_scene": per_scene,
            "sha256": [hashlib.sha256(text.encode()).hexdigest() for text in (scenes, scene_listeners)],
        }
        if len(songs) < 10:
            content[name] |= {"scenes": json.loads(scenes), "scene_listeners": json.loads(scene_listeners)}
    Path(__file__).with_suffix(".json").write_text(json.dumps(content))


def generate(inputs: dict[str, list[str]], per_song: int, per_scene: int) -> tuple[str, str]:
    """The texts of both files as pyclarity writes them."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {
            "gains.json": dict.fromkeys(inputs["gains"]),
            "head_loudspeaker_positions.json": dict.fromkeys(inputs["heads"]),
            "listeners.train.json": dict.fromkeys(inputs["listeners"]),
            "musdb18.train.json": [{"Track Name": song} for song in inputs["songs"]],
        }
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
        config = OmegaConf.create(
            {
                "path": {
                    "metadata_dir": scratch,
                    "gains_file": f"{scratch}/gains.json",
                    "head_loudspeaker_positions_file": f"{scratch}/head_loudspeaker_positions.json",
                },
                "scene": {"number_scenes_per_song": per_song},
                "scene_listener": {"number_listeners_per_scene": per_scene},
            }
        )
        generate_train_scenes.generate_scenes(config)
        generate_train_scenes.generate_scene_listener(config)
        scenes, listeners = (folder / f"{name}.train.json" for name in ("scenes", "scene_listeners"))
        return scenes.read_text(encoding="utf-8"), listeners.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
