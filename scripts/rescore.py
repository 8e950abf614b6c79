"""Score a folder of signals that somebody published, and compare with the scores that were published.

    python scripts/rescore.py SIGNALS cadenza_data --published scores.csv [key=value …]

SIGNALS holds `<scene>_<listener>_remix.flac`; cadenza_data the challenge's metadata and the true stems at
the microphones. This is `cadenza-remix evaluate` on a folder that links to SIGNALS, into which nothing is
written; the results are in exp/<name of SIGNALS>. Published scores are a CSV file in the challenge's columns,
or a JSON file with an object per row. Pairs without a signal are listed as failures and left out.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd

PAIR, SCORES = ["scene", "listener"], ["left_score", "right_score", "score"]


def main() -> None:
    """Read the arguments, score, and compare; exits with 1 if a pair has no score."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("signals", type=Path, help="folder of the published signals")
    parser.add_argument("root", type=Path, help="the challenge's folder")
    parser.add_argument("--split", default="test", help="whose metadata: train, valid or test (default)")
    parser.add_argument("--published", type=Path, help="scores to compare with, CSV or JSON")
    parser.add_argument("--exp", type=Path, help="where results go (default exp/<name of SIGNALS>)")
    options, keys = parser.parse_known_args()
    signals = options.signals.resolve()
    exp = options.exp or Path("exp") / (
        signals.parent.name if signals.name == "enhanced_signals" else signals.name
    )
    link(exp / "enhanced_signals", signals)
    arguments = [f"path.root={options.root}", f"split={options.split}", f"path.exp_folder={exp}"]
    codes = [
        subprocess.run(
            [sys.executable, "-m", "cadenza_remix", command, f"name={exp.name}", *arguments, *keys],
            check=False,
        ).returncode
        for command in ("evaluate", "report")
    ]
    if options.published and (exp / "scores.csv").is_file():
        print(compare(pd.read_csv(exp / "scores.csv"), read(options.published)))
    sys.exit(any(codes))


def link(target: Path, signals: Path) -> None:
    """Let `target` show the signals; a folder that shows others is refused."""
    if not signals.is_dir():
        sys.exit(f"error: {signals} is missing; give the folder of the signals.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not (target.exists() or target.is_symlink()):
        target.symlink_to(signals)
    if target.resolve() != signals:
        sys.exit(f"error: {target} shows other signals; choose another folder with --exp.")


def read(path: Path) -> pd.DataFrame:
    """A table of published scores, with the columns that are compared."""
    table = pd.read_json(path) if path.suffix == ".json" else pd.read_csv(path)
    missing = {*PAIR, "score"} - set(table.columns)
    if missing:
        sys.exit(f"error: {path} lacks {sorted(missing)}; it has {list(table.columns)}.")
    return table


def compare(ours: pd.DataFrame, published: pd.DataFrame) -> str:
    """How many pairs both have, their means, and how far the scores are apart."""
    both = ours.merge(published, on=PAIR, suffixes=("", "_published"), validate="one_to_one")
    shared = [name for name in SCORES if f"{name}_published" in both]
    only = f"{len(ours) - len(both)} only here, {len(published) - len(both)} only there"
    rows = [f"{len(both)} pairs in both; {only}"]
    for name in shared if len(both) else []:
        here, there = both[name], both[f"{name}_published"]
        apart = (here - there).abs()
        rows.append(
            f"{name:11} here {here.mean():.6f}, published {there.mean():.6f}; "
            f"largest difference {apart.max():.1e}, at {' '.join(both.loc[apart.idxmax(), PAIR])}"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
