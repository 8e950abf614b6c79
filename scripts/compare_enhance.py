"""Compare `experiment=icassp2024_baseline` with pyclarity's `enhance.py`, signal by signal, and time both.

    python scripts/shared_scenes.py ../shared/data/open exp/open --seconds 25 --listeners-per-scene 1
    cadenza-remix prepare path.root=exp/open
    python scripts/compare_enhance.py PYTHON exp/open WEIGHTS [--separator openunmix]

PYTHON belongs to an environment of its own with pyclarity==0.9.0, torch==2.11.0, torchaudio==2.11.0 and
openunmix==1.3.0. WEIGHTS is what `separator.weights` takes: the file of Hybrid Demucs, or the folder of
Open-Unmix; `python -m tests.references.networks DIR` makes some by formula. Both programs use the CPU and
the same files.

pyclarity is changed from outside in two places: `torch.hub.load`, which would fetch Open-Unmix's code from
GitHub, takes the same function from the package; and `separate_sources` tells how long it took. Our first
separation includes loading the network.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from cadenza_remix.demix import hdemucs, openunmix
from cadenza_remix.demix.weights import Published

PUBLISHED = {"hdemucs": (hdemucs.PUBLISHED,), "openunmix": openunmix.PUBLISHED}
MODEL = {"hdemucs": "demucs", "openunmix": "openunmix"}
TOLD = "separated "
TIMED = f"""
import sys, time
def timed(function):
    def call(*arguments, **more):
        begin_s, cpu_begin_s = time.perf_counter(), time.process_time()
        result = function(*arguments, **more)
        wall_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - cpu_begin_s
        stem = result["vocals"] if isinstance(result, dict) else result[0, 0]
        print("{TOLD}", wall_s, cpu_s, stem.size / 2, file=sys.stderr)
        return result
    return call
"""
OURS = f"""{TIMED}
from cadenza_remix.demix.network import NetworkSeparator
NetworkSeparator.__call__ = timed(NetworkSeparator.__call__)
from cadenza_remix.enhance import main
main()
"""
THEIRS = f"""{TIMED}
import runpy
import openunmix, torch.hub
import clarity.utils.source_separation_support as support
support.separate_sources = timed(support.separate_sources)
torch.hub.load = lambda repository, name, **more: getattr(openunmix, name)(**more)
runpy.run_module("recipes.cad_icassp_2024.baseline.enhance", run_name="__main__", alter_sys=True)
"""
SAMPLE_RATE = 44100
Seconds = tuple[float, float]  # on the wall's clock, and of processor time


def main() -> None:
    """Read the arguments, run both, print what differs; exits with 1 if it is more than a step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("python", type=Path, help="of the environment that has pyclarity 0.9.0")
    parser.add_argument("root", type=Path, help="challenge folder with music at the microphones")
    parser.add_argument("weights", type=Path, help="a file, or a folder with a file per target")
    parser.add_argument("--separator", choices=PUBLISHED, default="hdemucs")
    parser.add_argument("--threads", type=int, default=2, help="of either program")
    parser.add_argument("--repeats", type=int, default=1, help="alternating runs, for the times")
    options = parser.parse_args()
    seconds: dict[str, list[Seconds]] = {"ours": [], "pyclarity": []}
    with tempfile.TemporaryDirectory() as scratch:
        folders = Path(scratch) / "ours", Path(scratch) / "theirs"
        torch_home = cache(PUBLISHED[options.separator], options.weights.resolve(), Path(scratch) / "torch")
        for _ in range(options.repeats):
            seconds["ours"] += ours(options, folders[0])
            seconds["pyclarity"] += theirs(options, folders[1], torch_home)
        worst = compare(*(folder / "enhanced_signals" for folder in folders))
    for name, taken in seconds.items():
        wall_s, cpu_s = (statistics.median(kind) for kind in zip(*taken, strict=True))
        print(f"{name}: {wall_s:.2f} s ({cpu_s:.2f} s of processor time) for 10 s, median of {len(taken)}")
    sys.exit(worst > 1)


def cache(published: tuple[Published, ...], weights: Path, torch_home: Path) -> Path:
    """Show the weights where the libraries look for what they downloaded."""
    for one in published:
        link = torch_home / "hub" / one.library_cache / one.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(weights / f"{one.part}.pth" if weights.is_dir() else weights)
    return torch_home


def ours(options: argparse.Namespace, folder: Path) -> list[Seconds]:
    """Enhance with this project; what each separation of 10 s took."""
    choice = [f"separator={options.separator}", f"separator.weights={options.weights.resolve()}"]
    how = ["device=cpu", "executor=serial", f"executor.threads={options.threads}", "overwrite=true"]
    arguments = ["experiment=icassp2024_baseline", *choice, *how, f"path.exp_folder={folder}"]
    return run([sys.executable, "-c", OURS, *arguments, f"path.root={options.root.resolve()}"], {})


def theirs(options: argparse.Namespace, folder: Path, torch_home: Path) -> list[Seconds]:
    """Enhance with pyclarity; what each separation of 10 s took."""
    arguments = [f"path.root={options.root.resolve()}", f"path.exp_folder={folder}"]
    arguments += [f"separator.model={MODEL[options.separator]}", "separator.device=cpu"]
    environment = {"OMP_NUM_THREADS": str(options.threads), "TORCH_HOME": str(torch_home)}
    return run([str(options.python), "-c", THEIRS, *arguments], environment)


def run(command: list[str], environment: dict[str, str]) -> list[Seconds]:
    """Run a program; what it tells of its separations."""
    result = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"{command} failed:\n{result.stdout}\n{result.stderr}")
    told = [line.removeprefix(TOLD).split() for line in result.stderr.splitlines() if line.startswith(TOLD)]
    per_10_s = [(10 * SAMPLE_RATE / float(samples), wall, cpu) for wall, cpu, samples in told]
    return [(scale * float(wall), scale * float(cpu)) for scale, wall, cpu in per_10_s]


def compare(ours: Path, theirs: Path) -> int:
    """Print a row for each signal; the largest difference in 16-bit steps."""
    print("| signal | s | largest difference (16-bit steps) | samples that differ | full scale |")
    print("|---|--:|--:|--:|--:|")
    worst = 0
    for path in sorted(theirs.glob("*.flac")):
        a, b = (
            soundfile.read(folder / path.name, dtype="int16")[0].astype(np.int32) for folder in (ours, theirs)
        )
        if a.shape != b.shape:
            sys.exit(f"{path.name} has {a.shape} and {b.shape} samples")
        steps = np.abs(a - b)
        full = np.mean((b >= 32767) | (b <= -32768))
        print(
            f"| {path.stem} | {len(a) / 32000:.2f} | {steps.max()} | {np.mean(steps > 0):.2e} | {full:.1%} |"
        )
        worst = max(worst, int(steps.max()))
    return worst


if __name__ == "__main__":
    main()
