"""Measure what a second process gains: `evaluate` with 1 and 2 workers, and a loop that shares nothing.

    python scripts/shared_scenes.py ../shared/data/open exp/twenty --listeners-per-scene 2 --seconds 6
    cadenza-remix prepare path.root=exp/twenty
    cadenza-remix enhance path.root=exp/twenty experiment=do_nothing name=twenty_do_nothing
    python scripts/benchmark_executor.py exp/twenty exp/twenty_do_nothing

Each round times all four, one after the other: the loop in one process and in two, `evaluate` with one worker
and with two, a thread each. The machine sets how much faster two loops are than one (two threads of one core,
a clock that falls); `evaluate` should reach 0.9 of that. The start of
the workers counts, that of the program does not. A song is done by one worker, so few songs cannot be divided
evenly: of three equal ones, two workers do at most 1.5 times as much; the bound is printed first.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cadenza_remix.datasets.challenge import read_music, read_pairs
from cadenza_remix.jobs.evaluation import Evaluation
from cadenza_remix.ledger import Ledger
from cadenza_remix.metrics.haaqi import Haaqi
from cadenza_remix.parallel import import_early, run_all
from cadenza_remix.scenes import Job, Outcome, group_by_song
from cadenza_remix.shards import take_share

SAMPLE_RATE = 44100
LOOPS = 8


def main() -> None:
    """Read the arguments, measure, and print a line per round."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="challenge folder, with music at the microphones")
    parser.add_argument("run", type=Path, help="folder with enhanced_signals/")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    import_early("cadenza_remix.jobs.evaluation", workers=2)
    work, jobs = evaluation(options.root, options.run)
    list(run_all(work, jobs[:2], workers=2))  # compile and read once
    sizes = [len(job.pairs) for job in jobs]
    shares = [sum(take_share(sizes, sizes, index=index, count=2)) for index in range(2)]
    print(
        f"{len(jobs)} songs: two workers at most {sum(sizes) / max(shares):.2f} times as fast, by their pairs"
    )
    reached = []
    for _ in range(options.rounds):
        loop = seconds(spin, range(LOOPS), 1) / seconds(spin, range(LOOPS), 2)
        ours = seconds(work, jobs, 1) / seconds(work, jobs, 2)
        reached.append(ours / loop)
        print(f"two processes: loop {loop:.2f} times as fast, evaluate {ours:.2f}, {ours / loop:.2f} of it")
    median = statistics.median(reached)
    print(f"median {median:.2f}; at least 0.9 is promised")
    sys.exit(median < 0.9)


def evaluation(root: Path, run: Path) -> tuple["Afresh", list[Job]]:
    """What `evaluate` does, and the songs to do it with, the longest first as there."""

    class Files:
        scenes_file = root / "metadata/scenes.train.json"
        scene_listeners_file = root / "metadata/scene_listeners.train.json"
        gains_file = root / "metadata/gains.json"
        listeners_file = root / "metadata/listeners.train.json"

    pairs = read_pairs(Files())
    music = read_music(
        root / "metadata/at_mic_music.train.json", root / "audio/at_mic_music", pairs, SAMPLE_RATE
    )
    work = Evaluation(
        runs=(run,),
        music=music,
        metric=Haaqi(sample_rate=24000),
        sample_rate=SAMPLE_RATE,
        output_sample_rate=32000,
        set_random_seed=True,
    )
    return Afresh(work), sorted(group_by_song(pairs), key=lambda job: len(job.pairs), reverse=True)


class Afresh:
    """Does every job as if it had never been done."""

    def __init__(self, work: Evaluation) -> None:
        """Of this work."""
        self.work = work

    def __call__(self, job: Job) -> list[Outcome]:
        """Forget the job, and do it."""
        for run in self.work.runs:
            Ledger(run / "parts" / "evaluate").forget([job.song])
        return self.work(job)


def spin(_: int) -> int:
    """Something that keeps one core busy and shares nothing."""
    total = 0
    for number in range(10_000_000):
        total += number * number
    return total


def seconds(work: Callable[[Any], Any], jobs: Sequence[Any], workers: int) -> float:
    """Wall time of all jobs, the start of the workers included."""
    begin_s = time.perf_counter()
    for _, result in run_all(work, jobs, workers=workers):
        if isinstance(result, str):
            sys.exit(f"failed: {result}")
    return time.perf_counter() - begin_s


if __name__ == "__main__":
    main()
