"""Compare every way to fit amplified music into full scale: HAAQI over real songs, heads and audiograms.

For each song in DATA (folders in the challenge's layout) one scene is drawn: a head, gains, and six seconds
from the middle. Its remix is amplified for listeners from mild to profound, goes through each method, is
quantised to 16 bits, and is scored against the true stems' remix, amplified and never limited:

    python scripts/compare_limiters.py ../shared/data/open ../shared/data/nc --out exp/limiters.md

`--leakage 0.25` degrades the stems (each gets a quarter of the sum of the others); the reference stays true.
The last table chooses among settings of the closed loop song by song, on the other songs only.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import firwin, oaconvolve

from cadenza_remix import audio, pipeline
from cadenza_remix.amplify.base import Amplifier
from cadenza_remix.amplify.compressor import Compressed
from cadenza_remix.closed_loop.ascent import Ascent
from cadenza_remix.closed_loop.base import ClosedLoop
from cadenza_remix.datasets import metadata
from cadenza_remix.demix.base import SOURCES
from cadenza_remix.hrtf import Head
from cadenza_remix.limit import HardClip, Limiter, LookAhead, Multiband, PerceptualClip, Scale, Tanh
from cadenza_remix.limit.smoothing import hann_average
from cadenza_remix.listener import Audiogram, Listener
from cadenza_remix.metrics.haaqi import Haaqi
from cadenza_remix.output import FULL_SCALE, Enhanced, quantise
from cadenza_remix.scenes import rng_of

Floats = npt.NDArray[np.float64]

SAMPLE_RATE, OUTPUT_RATE = 44100, 32000
SECONDS = 6
STANDARD = (
    ("N2", "N3"),
    ("S1", "N4"),
    ("S2", "S3"),
    ("N5", "N6"),
)  # left and right ear
REAL = ("L0017", "L0040", "L0048", "L0059")  # asymmetric, rising, asymmetric severe, steeply sloping


class SevenBands:
    """The crude limiter of the first trials: a ceiling shared by seven bands at each sample, 20-ms gains."""

    def __call__(self, signal: Floats, listener: Listener, *, sample_rate: int) -> Floats:
        """Limit a `(2, samples)` signal."""
        low_passed = [
            oaconvolve(signal, firwin(1023, edge, fs=sample_rate)[np.newaxis], mode="same", axes=-1)
            for edge in (250, 500, 1000, 2000, 4000, 8000)
        ]
        edges = [np.zeros_like(signal), *low_passed, signal]
        bands = np.stack([upper - lower for lower, upper in pairwise(edges)])
        envelopes = np.abs(bands)
        low, high = np.zeros(signal.shape), np.maximum(envelopes.max(axis=0), 1)
        for _ in range(25):
            middle = (low + high) / 2
            over = np.minimum(envelopes, middle).sum(axis=0) > 1
            low, high = np.where(over, low, middle), np.where(over, middle, high)
        reach = sample_rate // 100
        gains = np.minimum(1, low / np.maximum(envelopes, 1e-12))
        total = np.sum([band * hann_average(g, reach) for band, g in zip(bands, gains, strict=True)], axis=0)
        return LookAhead(2)(total, listener, sample_rate=sample_rate)


class Method(NamedTuple):
    """A way from the remix to the file."""

    limiter: Limiter
    amplifier: Amplifier = pipeline.REFERENCE_AMPLIFIER
    closed_loop: ClosedLoop | None = None


COMPRESSOR = Compressed(pipeline.REFERENCE_AMPLIFIER)
CANDIDATES = {  # among which the leave-one-song-out table chooses
    "ascent": Ascent(),
    "ascent, tilt 0.5": Ascent(tilt=0.5),
    "ascent, momentum 0.8": Ascent(momentum=0.8),
    "ascent, first step 0.01": Ascent(step=0.01),
}
METHODS: Mapping[str, Method] = {
    "hard clip": Method(HardClip()),
    "tanh": Method(Tanh()),
    "scaled to peak 1": Method(Scale()),
    "down by 6 dB at most, then clip": Method(Scale(most_db=6)),
    "compressor, then clip": Method(HardClip(), COMPRESSOR),
    "compressor where it clips, then clip": Method(HardClip(), replace(COMPRESSOR, only_if_clipping=True)),
    "look-ahead, 2 ms": Method(LookAhead(2)),
    "look-ahead, 5 ms": Method(LookAhead()),
    "look-ahead, half the excess": Method(LookAhead(10, share=0.5, most_db=12)),
    "crude 7 bands": Method(SevenBands()),
    "perceptual clip": Method(PerceptualClip()),
    "multiband, then look-ahead": Method(Multiband(final=LookAhead(10, share=0.5, most_db=12))),
    "multiband": Method(Multiband()),
    **{name: Method(Multiband(), closed_loop=ascent) for name, ascent in CANDIDATES.items()},
    "ascent, 30 steps": Method(Multiband(), closed_loop=Ascent(steps=30)),
    "ascent from a hard clip": Method(HardClip(), closed_loop=Ascent()),
}


class Case(NamedTuple):
    """One song for one listener."""

    song: str
    listener: Listener
    remixed: Floats
    ideal_remix: Floats


def main() -> None:
    """Read the arguments, score, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="folders with metadata/ and audio/")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file; CSV and PNG go beside it")
    parser.add_argument("--leakage", type=float, default=0.0, help="of the other stems into each")
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="NAME", help="only these")
    parser.add_argument("--every-nth", type=int, default=1, help="take only every n-th pair")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # for the workers
    cases = all_cases(options.data, options.leakage, np.random.default_rng(options.seed))
    rows = []
    with ProcessPoolExecutor(options.workers) as pool:
        score_methods = partial(score, methods={name: METHODS[name] for name in options.methods or METHODS})
        for scored in pool.map(score_methods, list(cases)[:: options.every_nth]):
            rows += scored
            print(f"{scored[0]['song']}, {scored[0]['listener']}", flush=True)
    scores = pd.DataFrame(rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    scores.to_csv(options.out.with_suffix(".csv"), index=False)
    options.out.write_text(report(scores), encoding="utf-8")
    draw(scores, options.out.with_suffix(".png"))


def all_cases(folders: list[Path], leakage: float, rng: np.random.Generator) -> Iterator[Case]:
    """Every song for every listener."""
    listeners = read_listeners(folders[0] / "metadata")
    for song, head, gains_db in draw_scenes(folders, rng):
        ideal, remixed = remixes(song, head, gains_db, leakage)
        for listener in listeners:
            yield Case(song.name, listener, remixed, ideal)


def draw_scenes(
    folders: list[Path], rng: np.random.Generator, heads: Path | None = None
) -> Iterator[tuple[Path, Head, dict[str, float]]]:
    """Every song with gains of its folder and a head of it, or of another."""
    for folder in folders:
        gains = list(json.loads((folder / "metadata" / "gains.json").read_text()).values())
        for song in sorted((folder / "audio" / "music" / "train").iterdir()):
            yield song, draw_head(heads or folder / "audio" / "hrtf", rng), gains[rng.integers(len(gains))]


def read_listeners(folder: Path) -> list[Listener]:
    """Standard audiograms in pairs, and real people."""
    table = json.loads((folder / "bisgaard2010.json").read_text())
    ears = {name: Audiogram(tuple(table["frequencies"]), tuple(x)) for name, x in table["levels"].items()}
    real = metadata.read_listeners(folder / "listeners.train.json")
    standard = [Listener(f"{left}/{right}", ears[left], ears[right]) for left, right in STANDARD]
    return standard + [real[name] for name in REAL]


def draw_head(folder: Path, rng: np.random.Generator) -> Head:
    """One of the heads with one of its loudspeaker positions to either side."""
    lefts = sorted(folder.glob("*-n*.wav"))
    left = lefts[rng.integers(len(lefts))]
    rights = sorted(folder.glob(f"{left.stem.rsplit('-', 1)[0]}-p*.wav"))
    right = rights[rng.integers(len(rights))]
    return Head(*(audio.read(path, sample_rate=SAMPLE_RATE) for path in (left, right)))


def remixes(song: Path, head: Head, gains_db: dict[str, float], leakage: float) -> tuple[Floats, Floats]:
    """The remix of the true stems, and that of stems with leakage."""
    at_ears = {
        name: pipeline.prepare_song(dry, head, sample_rate=SAMPLE_RATE)
        for name, dry in excerpts(song).items()
    }
    mixture = at_ears.pop("mixture").astype(np.float32)
    everything = sum(at_ears.values())
    degraded = {name: stem + leakage * (everything - stem) for name, stem in at_ears.items()}
    ideal, remixed = (
        pipeline.remix_scene(stems, gains_db, mixture, sample_rate=SAMPLE_RATE)
        for stems in (at_ears, degraded)
    )
    return ideal, remixed


def excerpts(song: Path, seconds: float = SECONDS) -> dict[str, Floats]:
    """The middle of each stem and of the mixture, dry."""
    samples = round(seconds * SAMPLE_RATE)
    cut = {}
    for name in (*SOURCES, "mixture"):
        dry = audio.read(song / f"{name}.wav", sample_rate=SAMPLE_RATE).astype(np.float64)
        start = max(0, (dry.shape[1] - samples) // 2)
        cut[name] = dry[:, start : start + samples]
    return cut


def score(case: Case, methods: Mapping[str, Method]) -> list[dict[str, Any]]:
    """The rows of all methods."""
    enhanced, rows = [], []
    for name, method in methods.items():
        signal, facts = enhance(case, method)
        enhanced.append(signal)
        rows.append({"limiter": name, "song": case.song, "listener": case.listener.name, **facts})
    results = pipeline.evaluate_scene(
        enhanced,
        case.ideal_remix,
        case.listener,
        metric=Haaqi(),
        sample_rate=SAMPLE_RATE,
        rng=rng_of(case.song),
    )
    for row, result in zip(rows, results, strict=True):
        row |= {name: result[f"{name}_score"] for name in ("left", "right")}
        row["score"] = result["score"]
    return rows


def enhance(case: Case, method: Method) -> tuple[Enhanced, dict[str, float]]:
    """What a method makes of a case, and what can be said of it without an ear."""
    start = time.perf_counter()
    limited = pipeline.enhance_scene(
        case.remixed,
        case.listener,
        amplifier=method.amplifier,
        limiter=method.limiter,
        sample_rate=SAMPLE_RATE,
        output_sample_rate=OUTPUT_RATE,
        closed_loop=method.closed_loop,
    )
    seconds = time.perf_counter() - start
    enhanced = from_file(limited)
    oversampled = audio.resample(enhanced.signal, OUTPUT_RATE, 4 * OUTPUT_RATE)
    return enhanced, {
        "clipped_percent": enhanced.clipped_percent,
        "peak": float(np.abs(limited).max()),
        "true_peak_db": 20 * np.log10(np.abs(oversampled).max()),
        "seconds_per_10_s_ear": seconds / 2 * 10 * OUTPUT_RATE / limited.shape[1],
    }


def from_file(limited: Floats) -> Enhanced:
    """What is read back of a signal that was written with 16 bits."""
    return Enhanced((quantise(limited) / np.float32(FULL_SCALE)).astype(np.float32), OUTPUT_RATE)


def report(scores: pd.DataFrame) -> str:
    """All tables as Markdown."""
    by_song = scores.pivot_table(index="limiter", columns="song", values="score")[scores["song"].unique()]
    by_listener = scores.pivot_table(index="limiter", columns="listener", values="score")
    by_listener = by_listener[scores["listener"].unique()]
    order = list(scores["limiter"].unique())
    parts = {
        "All pairs": summary(scores).loc[order],
        "By song": by_song.loc[order],
        "By listener": by_listener.loc[order],
    }
    if set(CANDIDATES) <= set(order):
        parts["Leave one song out"] = left_out(scores)
    return "\n".join(f"## {title}\n\n{markdown(table)}\n" for title, table in parts.items())


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """One line per method."""
    pairs = scores.pivot_table(index=["song", "listener"], columns="limiter", values="score")
    ears = scores.melt(id_vars="limiter", value_vars=["left", "right"]).groupby("limiter")["value"]
    grouped = scores.groupby("limiter")
    return pd.DataFrame(
        {
            "mean": grouped["score"].mean(),
            "5th percentile of ears": ears.quantile(0.05),
            "worst − hard clip": pairs.sub(pairs["hard clip"], axis=0).min(),
            "clipped %": grouped["clipped_percent"].mean(),
            "peak": grouped["peak"].max(),
            "true peak dB": grouped["true_peak_db"].max(),
            "s per 10 s and ear": grouped["seconds_per_10_s_ear"].median(),
        }
    )


def left_out(scores: pd.DataFrame) -> pd.DataFrame:
    """For each song the closed loop that is best on all others, and what it scores on this one."""
    table = scores.pivot_table(index="song", columns="limiter", values="score")
    rows = {}
    for song in table.index:
        chosen = str(table.drop(song)[list(CANDIDATES)].mean().idxmax())
        rows[song] = {"chosen": chosen, "score": table[chosen][song], "hard clip": table["hard clip"][song]}
    result = pd.DataFrame(rows).T
    result.loc["mean"] = ["", result["score"].mean(), result["hard clip"].mean()]
    return result


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table."""
    show: Callable[[Any], str] = lambda x: f"{x:.3f}" if isinstance(x, float) else str(x)  # noqa: E731
    lines = [["", *map(str, table.columns)], ["---"] * (1 + len(table.columns))]
    lines += [[str(index), *map(show, row)] for index, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(scores: pd.DataFrame, path: Path) -> None:
    """The scores of all ears per limiter, if matplotlib is there."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return
    ears = scores.melt(id_vars="limiter", value_vars=["left", "right"])
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    names = list(ears["limiter"].unique())
    values = [ears.loc[ears["limiter"] == name, "value"] for name in names]
    axes.boxplot(values, orientation="horizontal", tick_labels=names, whis=(5, 95))
    axes.set(xlabel="HAAQI", xlim=(0, 1))
    axes.invert_yaxis()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
