"""Where HAAQI's time goes, and what the machine could do at best.

    python scripts/stages_haaqi.py [--seconds 10]

Every stage is timed within one ear on one thread, the best of five runs. Beside it stands a floor: the
stage's operations, counted in the kernels, at the rates that one core reaches here without memory, for
multiplications and additions in equal numbers, for divisions and roots, and for recursions, which last as
long as their longest chain of dependent operations. Counts are per sample of both signals and band. Bytes
are those that leave the second-level cache, beside the rate of copying arrays as large as one band's.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cadenza_remix import cochlea, ear, noise
from cadenza_remix.compiled import compiled
from cadenza_remix.lanes import load, splat, store
from cadenza_remix.listener import Audiogram
from cadenza_remix.metrics import alignment, bands, haaqi, segments

LOSS = Audiogram(ear.AUDIOGRAM_HZ, (20.0, 25.0, 30.0, 45.0, 60.0, 65.0))


class Stage(NamedTuple):
    """A function that does a stage, and what it does per sample and band."""

    name: str
    module: Any
    function: str
    operations: int = 0  # multiplications, additions and the like
    divisions: int = 0  # and square roots
    chained: int = 0  # multiplications and additions that wait for each other
    bytes: int = 0


STAGES = (
    Stage("control filters", cochlea, "control_powers", 0, 0, 3, 32),
    # filters 3 in a row; 142 for logarithm and exponential, 8 to scale
    Stage("signal filters and compression", cochlea, "compress_band", 150, 4, 3, 64),
    # 46 transforms of 7 passes, 34 operations for every four samples; products
    Stage("delays of the bands", alignment, "band_delays", 200, 0, 0, 40),
    # levels 66, drive 12, noise 60 and 82 / 2 on half as wide integers, smoothing 8, covariances 248
    Stage("hair cells, noise, covariances", segments, "hear_band", 435, 7, 3, 32),
    Stage("running through the noise once", noise, "fork", 60),
    Stage("broadband alignment", alignment, "align_broadband"),
    Stage("middle ear", ear, "middle_ear"),
    Stage("slowest filter", bands, "longest_delay"),
    Stage("features", haaqi, "compare"),
)


@compiled
def multiply_and_add(count: int, factor: float, out: Any) -> None:
    """Eight chains of additions and eight of multiplications, 16 × 8 operations a round."""
    k = splat(factor)
    a = b = c = d = e = f = g = h = k
    p = q = r = s = t = u = v = w = k
    for _ in range(count):
        a, b, c, d, e, f, g, h = a + k, b + k, c + k, d + k, e + k, f + k, g + k, h + k
        p, q, r, s, t, u, v, w = p * k, q * k, r * k, s * k, t * k, u * k, v * k, w * k
    store(out, 0, a + b + c + d + e + f + g + h + (p * q * r * s * t * u * v * w))


@compiled
def divide(count: int, x: Any) -> None:
    """1024 divisions a round."""
    for _ in range(count):
        for i in range(1024):
            x[i] = 1.5 / x[i]


@compiled
def chain(count: int, x: float) -> float:
    """Multiplications and additions that wait for each other, one of each a round."""
    for _ in range(count):
        x = x * 0.5 + 1.0
    return x


@compiled
def copy(x: Any, y: Any) -> None:
    """From one array to another."""
    for i in range(0, len(x), 8):
        store(y, i, load(x, i))


def best(work: Callable[[], Any], times: int = 20) -> float:
    """Processor seconds of the fastest of some runs, the first of which compiles."""
    taken = []
    for _ in range(times + 1):
        begin_s = time.process_time()
        work()
        taken.append(time.process_time() - begin_s)
    return min(taken[1:])


def seconds_per_operation(samples: int) -> tuple[float, float, float, float]:
    """Of independent operations, divisions, links of a chain, and bytes copied."""
    out, x = np.ones(8), np.ones(1024)
    band = np.ones((2, samples // 8 * 8))
    return (
        best(lambda: multiply_and_add(100_000, 1.0, out)) / (128 * 100_000),
        best(lambda: divide(100, x)) / (1024 * 100),
        best(lambda: chain(1_000_000, 1.0)) / 2_000_000,
        best(lambda: copy(band[0], band[1])) / (16 * samples),
    )


def stage_seconds(seconds: float) -> tuple[dict[str, float], float]:
    """Processor time of each stage and of the whole."""
    rng = np.random.RandomState(5)
    reference = np.repeat(rng.standard_normal(int(10 * seconds)), 2400) * rng.standard_normal(
        2400 * int(10 * seconds)
    )
    processed = np.clip(reference, -1, 1)
    taken = dict.fromkeys((stage.name for stage in STAGES), 0.0)

    def clocked(stage: Stage) -> Callable[..., Any]:
        work = getattr(stage.module, stage.function)

        def clock(*arguments: Any) -> Any:
            begin_s = time.perf_counter()
            result = work(*arguments)
            taken[stage.name] += time.perf_counter() - begin_s
            return result

        return clock

    def score() -> None:
        haaqi.haaqi(reference, processed, LOSS, sample_rate=ear.SAMPLE_RATE)

    whole = best(score, 5)
    for stage in STAGES:
        setattr(stage.module, stage.function, clocked(stage))
    runs = []
    for _ in range(5):
        taken.update(dict.fromkeys(taken, 0.0))
        score()
        runs.append(dict(taken))
    return {name: min(run[name] for run in runs) for name in taken}, whole


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="HAAQI's stages beside what the machine could do.")
    parser.add_argument("--seconds", type=float, default=10)
    seconds = parser.parse_args().seconds
    samples = int(seconds * ear.SAMPLE_RATE)
    rates = seconds_per_operation(samples)
    print(
        "per ns: {:.1f} operations, {:.2f} divisions, {:.2f} links, {:.1f} bytes\n".format(
            *(1e-9 / rate for rate in rates)
        )
    )
    taken, whole = stage_seconds(seconds)
    print("| stage | ms | floor (ms) | of the time | bytes at the copying rate (ms) |\n|---|--:|--:|--:|--:|")
    floors, units = 0.0, 1e3 * samples * ear.N_BANDS  # milliseconds per second and sample of a band
    for stage in STAGES:
        counts = (stage.operations, stage.divisions, stage.chained, stage.bytes)
        *computing, moving = (n * rate * units for n, rate in zip(counts, rates, strict=True))
        floor, stage_ms = sum(computing), 1e3 * taken[stage.name]
        floors += floor
        told = f"{floor:.1f} | {100 * floor / stage_ms:.0f} % | {moving:.1f}" if any(counts) else "| |"
        print(f"| {stage.name} | {stage_ms:.1f} | {told} |")
    print(f"| together | {1e3 * whole:.0f} | {floors:.0f} | {floors / (10 * whole):.0f} % | |")


if __name__ == "__main__":
    main()
