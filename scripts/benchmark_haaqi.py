"""Time and memory of HAAQI, ours beside pyclarity's, in fresh processes that take turns.

    python scripts/benchmark_haaqi.py /path/to/python-with-pyclarity [--seconds 10 60 240] [--runs 3]

Each process makes the same signal, warms up on a second of it (so that neither counts compiling), scores one
ear and tells its wall and processor seconds and the peak of its memory. The table holds medians and goes to
exp/benchmark_haaqi.md.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).resolve().parent.parent
ONE_RUN_FROM_S = 120  # longer signals are run once: pyclarity takes minutes
SYSTEMS = ("pyclarity", "1 thread", "2 threads")

WORKER = """
import json, resource, sys, time
import numpy as np
system, seconds = sys.argv[1], float(sys.argv[2])
levels = (20.0, 25.0, 30.0, 45.0, 60.0, 65.0)
rng = np.random.RandomState(5)
time_s = np.arange(int(24000 * seconds)) / 24000
beat = np.exp(-6 * (time_s % 0.5))
x = beat * sum(np.sin(2 * np.pi * f * time_s) for f in (98, 196, 247, 523, 1046, 2093, 4186))
x += 0.3 * beat * rng.standard_normal(len(x))
x /= np.sqrt(np.mean(x**2))
y = np.clip(x, -1.5, 1.5) + 0.01 * rng.standard_normal(len(x))
if system == "pyclarity":
    from clarity.evaluator.haaqi.haaqi import HAAQI_AUDIOGRAM_FREQUENCIES, haaqi_v1
    from clarity.utils.audiogram import Audiogram
    ear = Audiogram(levels=np.array(levels), frequencies=HAAQI_AUDIOGRAM_FREQUENCIES)
    def score(x, y):
        np.random.seed(7)
        return float(haaqi_v1(x, 24000, y, 24000, ear, 2, 65.0)[0])
else:
    from cadenza_remix.ear import AUDIOGRAM_HZ
    from cadenza_remix.listener import Audiogram
    from cadenza_remix.metrics.haaqi import haaqi
    ear = Audiogram(AUDIOGRAM_HZ, levels)
    def score(x, y):
        return haaqi(x, y, ear, sample_rate=24000, rng=7, threads=int(system[0])).score
score(x[:24000], y[:24000])
wall, processor = time.perf_counter(), time.process_time()
value = score(x, y)
used = [time.perf_counter() - wall, time.process_time() - processor]
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([*used, peak_mib, value]))
"""


def measure(python: str, system: str, seconds: float) -> list[float]:
    """Wall seconds, processor seconds, peak MiB and score of one fresh process."""
    environment = os.environ | {"PYTHONPATH": "" if system == "pyclarity" else str(REPOSITORY)}
    command = [python, "-c", WORKER, system, str(seconds)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    values: list[float] = json.loads(done.stdout.splitlines()[-1])
    return values


def medians(oracle: str, seconds: float, runs: int) -> dict[str, list[float]]:
    """Medians over runs in which the systems take turns."""
    taken: dict[str, list[list[float]]] = {system: [] for system in SYSTEMS}
    for _ in range(1 if seconds >= ONE_RUN_FROM_S else runs):
        for system in SYSTEMS:
            taken[system].append(
                measure(oracle if system == "pyclarity" else sys.executable, system, seconds)
            )
    return {system: [median(column) for column in zip(*rows, strict=True)] for system, rows in taken.items()}


def lines(seconds: float, runs: int, table: dict[str, list[float]]) -> list[str]:
    """Rows of the Markdown table for one length."""
    wall, _, peak, score = table["pyclarity"]
    return [
        f"| {seconds:g} | {runs} | {system} | {row[0]:.2f} | {row[1]:.2f} | {wall / row[0]:.1f} "
        f"| {row[2]:.0f} | {peak / row[2]:.1f} | {abs(row[3] - score):.1e} |"
        for system, row in table.items()
    ]


def main() -> None:
    """Run the benchmark and keep its table."""
    parser = argparse.ArgumentParser(description="HAAQI beside pyclarity's: time and memory.")
    parser.add_argument("oracle", help="python of an environment with pyclarity 0.9.0")
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 60, 240])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "exp/benchmark_haaqi.md")
    options = parser.parse_args()
    table = [
        f"HAAQI of one ear, medians; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before.",
        "",
        "| signal (s) | runs | system | wall (s) | CPU (s) | speed-up | MiB | memory ratio | difference |",
        "|--:|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for seconds in options.seconds:
        runs = 1 if seconds >= ONE_RUN_FROM_S else options.runs
        table += lines(seconds, runs, medians(options.oracle, seconds, runs))
        print("\n".join(table), end="\n\n", flush=True)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
