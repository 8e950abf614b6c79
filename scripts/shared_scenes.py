"""Make a challenge folder over real songs and measured heads that lie elsewhere.

The challenge's own scene lists name tracks and heads that few people have all of. This draws scenes over
those in DATA (a folder in the challenge's layout), so that the whole pipeline can be tried on real music:

    python scripts/shared_scenes.py ../shared/data/open exp/open --scenes-per-song 2
    cadenza-remix experiment=do_nothing path.root=exp/open

Audio is linked, not copied, unless it is cut; nothing is written into DATA.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


def main() -> None:
    """Read the arguments and write the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with metadata/, audio/music/ and audio/hrtf/")
    parser.add_argument("root", type=Path, help="the challenge folder to make")
    parser.add_argument("--scenes-per-song", type=int, default=1)
    parser.add_argument("--listeners-per-scene", type=int, default=2)
    parser.add_argument("--seconds", type=float, help="cut the music to its first seconds (copies it)")
    parser.add_argument("--seed", type=int, default=2024)
    options = parser.parse_args()
    link_audio(options.data, options.root, ["hrtf"] if options.seconds else ["hrtf", "music"])
    if options.seconds:
        cut_music(options.data, options.root, options.seconds)
    metadata = draw_scenes(
        options.data,
        scenes_per_song=options.scenes_per_song,
        listeners_per_scene=options.listeners_per_scene,
        rng=np.random.default_rng(options.seed),
    )
    (options.root / "metadata").mkdir(parents=True, exist_ok=True)
    for name, content in metadata.items():
        text = json.dumps(content, indent=4, ensure_ascii=False)
        (options.root / "metadata" / name).write_text(text, encoding="utf-8")
    print(f"{len(metadata['scenes.train.json'])} scenes in {options.root / 'metadata'}")


def link_audio(data: Path, root: Path, names: list[str]) -> None:
    """Let `root/audio` show folders of `data/audio`."""
    (root / "audio").mkdir(parents=True, exist_ok=True)
    for name in names:
        link = root / "audio" / name
        if not link.exists():
            link.symlink_to((data / "audio" / name).resolve())


def cut_music(data: Path, root: Path, seconds: float) -> None:
    """Copy the beginning of every signal."""
    for path in (data / "audio/music").rglob("*.wav"):
        frames, sample_rate = soundfile.read(path, dtype="int16")
        target = root / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(target, frames[: round(seconds * sample_rate)], sample_rate, subtype="PCM_16")


def draw_scenes(
    data: Path, *, scenes_per_song: int, listeners_per_scene: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Metadata files by name: a few scenes for every song, each with its own gain, head and listeners."""
    source = {name: json.loads((data / "metadata" / name).read_text(encoding="utf-8")) for name in COPIED}
    heads = find_heads(data / "audio" / "hrtf")
    gains, listeners = list(source["gains.json"]), list(source["listeners.train.json"])
    scenes, scene_listeners = {}, {}
    for track in source["musdb18.train.json"]:
        track["Path"] = f"{track['Split']}/{track['Track Name']}"
        for _ in range(scenes_per_song):
            name = f"scene_{10001 + len(scenes)}"
            scenes[name] = {
                "music": track["Track Name"],
                "gain": str(rng.choice(gains)),
                "head_loudspeaker_positions": str(rng.choice(list(heads))),
            }
            scene_listeners[name] = [
                str(x) for x in rng.choice(listeners, listeners_per_scene, replace=False)
            ]
    drawn = {"head_loudspeaker_positions.json": heads, "scenes.train.json": scenes}
    return source | drawn | {"scene_listeners.train.json": scene_listeners}


COPIED = ("gains.json", "listeners.train.json", "musdb18.train.json")


def find_heads(hrtf_dir: Path) -> dict[str, dict[str, Any]]:
    """Every combination of a left and a right loudspeaker for which impulse responses are there."""
    heads = []
    for left in sorted(hrtf_dir.glob("*-n*.wav")):
        mic, subject, left_angle = left.stem.split("-")
        for right in sorted(hrtf_dir.glob(f"{mic}-{subject}-p*.wav")):
            angles = {
                "left_angle": -float(left_angle[1:]),
                "right_angle": float(right.stem.split("-")[2][1:]),
            }
            heads.append({"subject": subject, **angles, "mic": mic})
    return {f"hlp_{number:04d}": head for number, head in enumerate(heads, 1)}


if __name__ == "__main__":
    main()
