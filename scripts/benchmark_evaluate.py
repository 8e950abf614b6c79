"""Time `evaluate` against pyclarity's `evaluate.py` on the same signals, end to end, and compare the scores.

    python scripts/shared_scenes.py ../shared/data/open exp/forty --scenes-per-song 5 --seconds 10
    cadenza-remix prepare path.root=exp/forty
    cadenza-remix enhance path.root=exp/forty experiment=do_nothing name=forty_do_nothing
    python scripts/benchmark_evaluate.py PYTHON exp/forty exp/forty_do_nothing [exp/another …]

PYTHON belongs to an environment of its own with pyclarity==0.9.0; it gets one process and one thread.
The first run is scored by both; with more runs, ours are also scored one by one and all together.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

SCORES = ["left_score", "right_score", "score"]


def main() -> None:
    """Read the arguments, run both, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("python", type=Path, help="of the environment that has pyclarity 0.9.0")
    parser.add_argument("root", type=Path, help="challenge folder")
    parser.add_argument("runs", type=Path, nargs="+", help="folders with enhanced_signals/")
    parser.add_argument("--out", type=Path, default=Path("exp/benchmark_evaluate.md"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        copies = [copy(run, Path(scratch) / run.name) for run in options.runs]
        rows = [compare(options.python, options.root.resolve(), copies[0], Path(scratch) / "theirs")]
        rows += together(options.root.resolve(), copies) if len(copies) > 1 else []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(rows) + "\n", encoding="utf-8")
    print("\n".join(rows))


def copy(run: Path, target: Path) -> Path:
    """A run's folder without its results; the signals are linked."""
    target.mkdir()
    (target / "enhanced_signals").symlink_to((run / "enhanced_signals").resolve())
    return target


def ours(root: Path, runs: list[Path]) -> float:
    """Seconds that `evaluate` takes for some runs together, from the start of the process to its end."""
    folders = ",".join(f'"{run}"' for run in runs)
    arguments = ["evaluate", f"path.root={root}", f"runs=[{folders}]", "overwrite=true"]
    return timed([sys.executable, "-m", "cadenza_remix", *arguments], os.environ)


def compare(python: Path, root: Path, run: Path, theirs: Path) -> str:
    """Both on one run: seconds, their ratio and the largest difference of any score."""
    ours_s = ours(root, [run])
    copy(run, theirs)
    recipe = "recipes.cad_icassp_2024.baseline.evaluate"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    arguments = [f"path.root={root}", f"path.exp_folder={theirs}"]
    theirs_s = timed([str(python), "-m", recipe, *arguments], environment)
    both = pd.read_csv(run / "scores.csv").merge(
        pd.read_csv(theirs / "scores.csv"), on=["scene", "song", "listener"], validate="one_to_one"
    )
    difference = max((both[f"{name}_x"] - both[f"{name}_y"]).abs().max() for name in SCORES)
    return (
        f"{len(both)} pairs: ours {ours_s:.1f} s on {os.cpu_count()} cores, pyclarity {theirs_s:.1f} s "
        f"in one process, {theirs_s / ours_s:.1f} times; largest difference {difference:.1e}"
    )


def together(root: Path, runs: list[Path]) -> list[str]:
    """Ours on several runs, one by one and all at once."""
    alone_s = sum(ours(root, [run]) for run in runs)
    at_once_s = ours(root, runs)
    ratio = at_once_s / alone_s
    return [f"{len(runs)} runs: one by one {alone_s:.1f} s, together {at_once_s:.1f} s, {ratio:.2f} of that"]


def timed(command: list[str], environment: os._Environ[str] | dict[str, str]) -> float:
    """Seconds that a command takes; its output goes to a file that is shown if it fails."""
    begin_s = time.perf_counter()
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{command} failed:\n{result.stdout}\n{result.stderr}")
    return time.perf_counter() - begin_s


if __name__ == "__main__":
    main()
