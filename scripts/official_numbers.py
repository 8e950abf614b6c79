"""The official scores beside those of this implementation, for who has the data and the weights.

    python scripts/official_numbers.py cadenza_data [key=value …]

Runs the reference implementation's own pipeline with Hybrid Demucs and with Open-Unmix over the evaluation
set (--split valid: the validation set), scores both together, and prints the means beside the published
ones. --system takes others, --all every one; their entrants fine-tuned networks, so those of the published
weights should differ. Keys go to every command, those of the separator to enhance only, for which the runs
are best done one by one. Interrupted, it continues when started again. The evaluation set is 19,200 pairs of
10 s and two ears each; evaluate.small_test=true takes every 15th.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd

BASELINES = ("hdemucs", "openunmix")
SYSTEMS = {
    "hdemucs": ["experiment=icassp2024_baseline"],
    "openunmix": ["experiment=icassp2024_baseline", "separator=openunmix"],
    "do_nothing": ["experiment=do_nothing", "limiter=hard_clip"],
    "winner2024": ["experiment=winner2024"],
    "ustc2024": ["experiment=ustc2024"],
    "htdemucs": ["experiment=htdemucs", "limiter=hard_clip"],
    "icassp2024": ["experiment=icassp2024"],
    "scnet": ["experiment=scnet"],
    "best": ["experiment=best"],
    "oracle": ["experiment=oracle"],
}
OFFICIAL = {  # mean HAAQI
    "test": {
        "hdemucs": 0.5697,
        "openunmix": 0.5113,
        "winner2024": 0.6317,
        "ustc2024": 0.5923,
        "htdemucs": 0.5731,
    },
    "valid": {"hdemucs": 0.6677, "openunmix": 0.5963, "do_nothing": 0.65, "ustc2024": 0.6870},
}


def main() -> None:
    """Read the arguments, run everything, and print the table; exits with the code of what failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="the challenge's folder")
    parser.add_argument("--split", default="test", choices=["test", "valid", "train"])
    parser.add_argument("--system", action="append", choices=list(SYSTEMS), help="this one; may be repeated")
    parser.add_argument("--all", action="store_true", help="every system")
    parser.add_argument("--weights", action="append", default=[], metavar="SYSTEM=PATH", help="of a system")
    options, keys = parser.parse_known_args()
    weights = dict(each.partition("=")[::2] for each in options.weights)
    if not weights.keys() <= SYSTEMS.keys() or not all(weights.values()):
        parser.error(f"--weights {' '.join(options.weights)}: say {' or '.join(SYSTEMS)}, =, and a path.")
    of_separator = [key for key in keys if key.lstrip("+").startswith("separator.")]
    data = [f"path.root={options.root}", f"split={options.split}"]
    data += [key for key in keys if key not in of_separator]
    runs = {
        system: Path("exp") / f"official_{system}_{options.split}"
        for system in (SYSTEMS if options.all else options.system or BASELINES)
    }
    enhanced = []
    for system, folder in runs.items():
        chosen = [*SYSTEMS[system], f"name={folder.name}"]
        if system in weights:
            chosen.append(f"separator.weights={weights[system]}")
        enhanced.append(cadenza_remix("enhance", *chosen, *data, *of_separator))
    evaluated = cadenza_remix("evaluate", f"runs=[{','.join(map(str, runs.values()))}]", *data)
    if evaluated != 0:
        sys.exit(evaluated)
    print(f"{'system':10} {'pairs':>6} {'here':>8} {'official':>9} {'difference':>11}")
    for system, folder in runs.items():
        scores = pd.read_csv(folder / "scores.csv")["score"]
        official = OFFICIAL.get(options.split, {}).get(system, float("nan"))
        here = scores.mean()
        print(f"{system:10} {len(scores):6} {here:8.4f} {official:9.4f} {here - official:11.4f}")
    sys.exit(max(enhanced))


def cadenza_remix(*arguments: str) -> int:
    """Run a command; its exit code."""
    return subprocess.run([sys.executable, "-m", "cadenza_remix", *arguments], check=False).returncode


if __name__ == "__main__":
    main()
