"""Compare `prepare` with pyclarity's generator, file by file.

    python scripts/shared_scenes.py ../shared/data/open exp/open
    python scripts/compare_prepare.py PYTHON exp/open

PYTHON belongs to an environment of its own with pyclarity==0.9.0. Both bring the same dry music to the
microphones; the largest difference is printed in 16-bit steps, and whether the lists of songs are the
same.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

RECIPE = "recipes.cad_icassp_2024.generate_dataset.generate_at_mic_musdb18"


def main() -> None:
    """Read the arguments, run both, print what differs; exits with 1 if it is more than a step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("python", type=Path, help="of the environment that has pyclarity 0.9.0")
    parser.add_argument("root", type=Path, help="challenge folder with dry music, heads and a scene list")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = Path(scratch) / "ours", Path(scratch) / "theirs"
        ours_module = [sys.executable, "-m", "cadenza_remix.prepare"]
        make(ours_module, options.root.resolve(), ours, f"path.exp_folder={scratch}/exp")
        make([str(options.python), "-m", RECIPE], options.root.resolve(), theirs, f"hydra.run.dir={scratch}")
        same_list = json.loads((ours / "list.json").read_text()) == json.loads(
            (theirs / "list.json").read_text()
        )
        steps = [difference(ours / path.relative_to(theirs), path) for path in theirs.rglob("*.wav")]
    print(f"{len(steps)} files, largest difference {max(steps)} step(s); the lists are the same: {same_list}")
    sys.exit(max(steps) > 1 or not same_list)


def make(command: list[str], root: Path, target: Path, *more: str) -> None:
    """Let either program bring the music to the microphones, into `target`."""
    target.mkdir()
    outputs = [f"path.output_music_dir={target}", f"path.output_music_file={target}/list.json"]
    subprocess.run([*command, f"path.root={root}", *outputs, *more], check=True, capture_output=True)


def difference(ours: Path, theirs: Path) -> int:
    """Largest difference between two files, in 16-bit steps."""
    a, b = (soundfile.read(path, dtype="int16")[0].astype(np.int32) for path in (ours, theirs))
    return int(np.abs(a - b).max())


if __name__ == "__main__":
    main()
