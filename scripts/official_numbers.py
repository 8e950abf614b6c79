"""Reproduce the official scores of the challenge's two baselines, for who has the data and the weights.

    python scripts/official_numbers.py cadenza_data [key=value …]

Runs the reference implementation's own pipeline with Hybrid Demucs and with Open-Unmix over the evaluation
set (--split valid: the validation set), scores both together, and prints the means beside the published
ones. Keys go to every command. Interrupted, it continues when started again. The evaluation set is 19,200
pairs of 10 s and two ears each; evaluate.small_test=true takes every 15th.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd

SYSTEMS = {"hdemucs": [], "openunmix": ["separator=openunmix"]}
OFFICIAL = {  # mean HAAQI
    "test": {"hdemucs": 0.5697, "openunmix": 0.5113},
    "valid": {"hdemucs": 0.6677, "openunmix": 0.5963},
}


def main() -> None:
    """Read the arguments, run everything, and print the table; exits with 1 if anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="the challenge's folder")
    parser.add_argument("--split", default="test", choices=["test", "valid", "train"])
    parser.add_argument("--experiment", default="icassp2024_baseline", help="the pipeline of both systems")
    parser.add_argument("--system", action="append", choices=list(SYSTEMS), help="only this one")
    options, keys = parser.parse_known_args()
    data = [f"path.root={options.root}", f"split={options.split}", *keys]
    runs = {
        system: Path("exp") / f"{options.experiment}_{system}_{options.split}"
        for system in options.system or SYSTEMS
    }
    succeeded = True
    for system, folder in runs.items():
        chosen = [f"experiment={options.experiment}", *SYSTEMS[system], f"name={folder.name}"]
        succeeded &= cadenza_remix("enhance", *chosen, *data)
    succeeded &= cadenza_remix("evaluate", f"runs=[{','.join(map(str, runs.values()))}]", *data)
    print(f"{'system':10} {'pairs':>6} {'here':>8} {'official':>9} {'difference':>11}")
    for system, folder in runs.items():
        scores = pd.read_csv(folder / "scores.csv")["score"]
        official = OFFICIAL.get(options.split, {}).get(system, float("nan"))
        here = scores.mean()
        print(f"{system:10} {len(scores):6} {here:8.4f} {official:9.4f} {here - official:11.4f}")
    sys.exit(not succeeded)


def cadenza_remix(*arguments: str) -> bool:
    """Run a command; true if nothing failed in it."""
    return subprocess.run([sys.executable, "-m", "cadenza_remix", *arguments], check=False).returncode == 0


if __name__ == "__main__":
    main()
