"""What each decision around a separator is worth, and each decibel of separation: HAAQI of stand-ins.

No network's weights are needed. What a perfect separator would give are the components of the mixture at the
microphones: each stem through the head, all with the mixture's gain, so that they sum to it. They are spoilt
in controlled ways, at several levels each, remixed with and without every decision, amplified, and scored
after the challenge's hard clip and after the default limiter. The reference is the challenge's: the stems at
the microphones, each levelled on its own. Songs, excerpts and gains are those of compare_limiters.py:

    python scripts/ablation.py ../shared/data/open ../shared/data/nc --out exp/ablation.md

Scales, mixers and shares of an ensemble are fitted on the other songs. A run that was stopped goes on where
it was; the scores of finished songs are in the CSV beside the Markdown file.
"""

import argparse
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from compare_limiters import (
    COMPRESSOR,
    OUTPUT_RATE,
    SAMPLE_RATE,
    SECONDS,
    draw_scenes,
    excerpts,
    from_file,
    markdown,
    read_listeners,
)
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.signal import istft, stft

from cadenza_remix import pipeline
from cadenza_remix.amplify.base import Amplifier
from cadenza_remix.config import CONF
from cadenza_remix.demix.base import SOURCES
from cadenza_remix.demix.correction import Consistency, Correction, Mixer, Residual, Scales
from cadenza_remix.demix.fitting import Fit, FitMixer, FitScales, FitShares, Gram, gram
from cadenza_remix.hrtf import Head, to_microphones
from cadenza_remix.limit import HardClip, Multiband
from cadenza_remix.listener import Listener
from cadenza_remix.metrics.haaqi import Haaqi
from cadenza_remix.metrics.sdr import sdr_db
from cadenza_remix.output import Enhanced
from cadenza_remix.remix import MixtureBlend
from cadenza_remix.reporting.tables import interval
from cadenza_remix.scenes import rng_of

Array = npt.NDArray[np.float32]
Stems = Mapping[str, Array]

LISTENERS = ("N2/N3", "S1/N4", "L0048")  # mild and moderate; steep and severe; asymmetric and severe
LIMITERS = {"hard clip": HardClip(), "multiband": Multiband()}
TRUE, NONE, PERFECT = "true stems", "mixture / 4", "perfect components"
WITHOUT = "without"
FRAME, PATCH = 2048, (16, 12)  # samples; bins and frames
PUBLISHED_DB = (3, 10)  # uSDR, where published networks lie
SLOPES_DB = (PUBLISHED_DB, (0, 15))
TOGETHER = 32  # signals that are scored at once


# --- Stand-ins: the components of the mixture, spoilt. ---


def leaking(stems: Stems, share: float, rng: np.random.Generator) -> Stems:  # noqa: ARG001
    """A share of the sum of the others in each stem."""
    return {name: stem + np.float32(share) * others(stems, name) for name, stem in stems.items()}


def leaking_in_patches(stems: Stems, share: float, rng: np.random.Generator) -> Stems:
    """As much leakage on average, but from patch to patch of time and frequency more or less."""

    def spoilt(name: str, stem: Array) -> Array:
        leak = spectrum(others(stems, name))
        patches = np.sqrt(
            rng.exponential(size=[1 + n // m for n, m in zip(leak.shape[1:], PATCH, strict=True)])
        )
        gains = patches.repeat(PATCH[0], axis=0).repeat(PATCH[1], axis=1)[: leak.shape[1], : leak.shape[2]]
        return stem + np.float32(share) * signal(leak * gains.astype(np.float32), stem.shape[1])

    return {name: spoilt(name, stem) for name, stem in stems.items()}


def wrong_gains(stems: Stems, error_db: float, rng: np.random.Generator) -> Stems:
    """Every stem too loud or too quiet."""
    signs = rng.choice([-1, 1], len(stems))
    gains = 10 ** (error_db * signs / 20)
    return {name: stem * np.float32(gain) for (name, stem), gain in zip(stems.items(), gains, strict=True)}


def musical_noise(stems: Stems, share: float, rng: np.random.Generator) -> Stems:
    """A share of all time-frequency points lost, and in a third of it those of the others instead."""

    def spoilt(name: str, stem: Array) -> Array:
        own, foreign = spectrum(stem), spectrum(others(stems, name))
        kept, intruding = rng.random((2, *own.shape), dtype=np.float32)
        return signal(own * (kept >= share) + foreign * (intruding < share / 3), stem.shape[1])

    return {name: spoilt(name, stem) for name, stem in stems.items()}


def band_limited(stems: Stems, octaves: float, rng: np.random.Generator) -> Stems:  # noqa: ARG001
    """Nothing above a frequency, by how many octaves it lies under half the sample rate."""
    kept = np.linspace(0, 1, FRAME // 2 + 1) <= 2**-octaves
    return {name: signal(spectrum(stem) * kept[:, None], stem.shape[1]) for name, stem in stems.items()}


def smeared(stems: Stems, frames: float, rng: np.random.Generator) -> Stems:  # noqa: ARG001
    """Magnitudes averaged over so many frames of 12 ms before and after."""
    reach = int(frames)

    def spoilt(stem: Array) -> Array:
        points = spectrum(stem)
        magnitudes = np.abs(points)
        padded = np.pad(magnitudes, ((0, 0), (0, 0), (reach + 1, reach)))
        sums = np.cumsum(padded, axis=2, dtype=np.float64)
        means = (sums[..., 2 * reach + 1 :] - sums[..., : -2 * reach - 1]) / (2 * reach + 1)
        return signal(points * (means / np.maximum(magnitudes, 1e-12)).astype(np.float32), stem.shape[1])

    return {name: spoilt(stem) for name, stem in stems.items()}


def others(stems: Stems, name: str) -> Array:
    """The sum of all stems but one."""
    return np.sum([stem for other, stem in stems.items() if other != name], axis=0, dtype=np.float32)


def spectrum(stem: Array) -> npt.NDArray[np.complex64]:
    """(channels, bins, frames)."""
    points: npt.NDArray[np.complex64] = stft(stem, nperseg=FRAME, noverlap=FRAME * 3 // 4)[2]
    return points


def signal(points: npt.NDArray[np.complexfloating], samples: int) -> Array:
    """(channels, samples)."""
    restored: Array = istft(points, nperseg=FRAME, noverlap=FRAME * 3 // 4)[1][:, :samples].astype(np.float32)
    return restored


class Kind(NamedTuple):
    """A way to spoil stems, the levels of it, and the level at which the decisions are tried."""

    spoil: Callable[[Stems, float, np.random.Generator], Stems]
    levels: Sequence[float]
    decided_at: float


def unspoilt(stems: Stems, level: float, rng: np.random.Generator) -> Stems:  # noqa: ARG001
    """What a perfect separator gives."""
    return stems


KINDS: Mapping[str, Kind] = {
    PERFECT: Kind(unspoilt, (0,), 0),
    "leakage": Kind(leaking, (0.05, 0.1, 0.25, 0.5), 0.25),
    "leakage in patches": Kind(leaking_in_patches, (0.05, 0.1, 0.25, 0.5), 0.25),
    "wrong gains, dB": Kind(wrong_gains, (1, 2, 3, 4.5), 3),
    "musical noise": Kind(musical_noise, (0.05, 0.1, 0.2, 0.4), 0.2),
    "band-limited, octaves": Kind(band_limited, (1, 2, 3, 4), 3),
    "smeared, frames": Kind(smeared, (2, 5, 10, 25), 10),
}


# --- Decisions. ---


@dataclass(frozen=True)
class Fits:
    """What is fitted on other songs: for the perfect components, a stand-in, and it beside the next one."""

    calibrate: Scales
    scales: Scales
    mixer: Mixer
    shares: Mapping[str, Sequence[float]]
    equal: Mapping[str, Sequence[float]] = field(default_factory=lambda: dict.fromkeys(SOURCES, (0.5, 0.5)))


@dataclass(frozen=True)
class Decision:
    """What is done besides separating.

    Attributes:
        corrections: of the stems; a name stands for what was fitted.
        blend: of the mixture into the remix.
        amplifier: what makes it audible.
        shares: the name of what the stand-in and the next one count in an ensemble.
    """

    corrections: Sequence[Correction | str] = ()
    blend: MixtureBlend | None = None
    amplifier: Amplifier = pipeline.REFERENCE_AMPLIFIER
    shares: str | None = None


ADDED, CROSSFADED = (
    instantiate(OmegaConf.load(CONF / f"mixture_blend/{name}.yaml")) for name in ("added", "crossfaded")
)
IF_CLIPPING = replace(COMPRESSOR, only_if_clipping=True)
DECISIONS: Mapping[str, Decision] = {
    WITHOUT: Decision(),
    "consistency": Decision((Consistency(),)),
    "residual 0.25": Decision((Residual(0.25),)),
    "residual 0.5": Decision((Residual(0.5),)),
    "residual 1": Decision((Residual(1),)),
    "mixture added": Decision(blend=ADDED),
    "mixture crossfaded": Decision(blend=CROSSFADED),
    "calibrate": Decision(("calibrate",)),
    "scales of its own": Decision(("scales",)),
    "mixer": Decision(("mixer",)),
    "ensemble, equal shares": Decision(shares="equal"),
    "ensemble, fitted": Decision(shares="shares"),
    "compressor if clipping": Decision(amplifier=IF_CLIPPING),
    "consistency, calibrate": Decision((Consistency(), "calibrate")),
    "ensemble, consistency": Decision((Consistency(),), shares="equal"),
    "mixer, mixture crossfaded": Decision(("mixer",), blend=CROSSFADED),
    "ensemble, residual 0.5, compressor": Decision((Residual(0.5),), amplifier=IF_CLIPPING, shares="equal"),
}


# --- A song with all that is tried on it. ---


class Scene(NamedTuple):
    """What is to be prepared: a song's folder, its head and gains, and how much of it."""

    folder: Path
    head: Head
    gains_db: dict[str, float]
    seconds: float


class Song(NamedTuple):
    """A song at the microphones, what a perfect separator makes of it, and the change asked for."""

    name: str
    gains_db: dict[str, float]
    mixture: Array
    true: Stems
    components: Stems


def at_microphones(scene: Scene) -> Song:
    """Each stem at a level of its own, and all with the gain of the mixture."""
    dry = excerpts(scene.folder, scene.seconds)
    prepare = partial(pipeline.prepare_song, head=scene.head, sample_rate=SAMPLE_RATE)
    mixture = dry["mixture"]
    at_mic = to_microphones(mixture, scene.head)
    gain_db = pipeline.lost_loudness_db(mixture, at_mic, sample_rate=SAMPLE_RATE)
    return Song(
        scene.folder.name,
        scene.gains_db,
        prepare(mixture, gain_db=gain_db).astype(np.float32),
        {name: prepare(dry[name]).astype(np.float32) for name in SOURCES},
        {name: prepare(dry[name], gain_db=gain_db).astype(np.float32) for name in SOURCES},
    )


def stand_in(song: Song, kind: str, level: float) -> Stems:
    """The estimates of a stand-in; the same draws at every level."""
    rng = np.random.default_rng(zlib.crc32(f"{kind}, {song.name}".encode()))
    return KINDS[kind].spoil(song.components, level, rng)


def partner(kind: str) -> str:
    """The stand-in beside it in an ensemble: the next one."""
    imperfect = [name for name in KINDS if name != PERFECT]
    return imperfect[(imperfect.index(kind) + 1) % len(imperfect)] if kind in imperfect else kind


FITS: Mapping[str, Fit] = {
    "scales": FitScales(),
    "mixer": FitMixer(SOURCES),
    "shares": FitShares(dict.fromkeys(SOURCES, ("own", "next"))),
}
Grams = Mapping[str, Mapping[str, Gram]]  # of each of these, of each stem


def grams(scene: Scene) -> dict[str, Grams]:
    """What least squares need of each stand-in for a song."""
    song = at_microphones(scene)
    stems = {kind: stand_in(song, kind, KINDS[kind].decided_at) for kind in KINDS}
    return {kind: grams_of(song, own, stems[partner(kind)]) for kind, own in stems.items()}


def grams_of(song: Song, own: Stems, second: Stems) -> Grams:
    """What least squares need of a stand-in and the next one."""
    members = {"shares": [own, second]}
    return {
        name: {
            source: gram(fit.signals(source, members.get(name, [own]), song.mixture, true))
            for source, true in song.true.items()
        }
        for name, fit in FITS.items()
    }


def fitted(songs: Sequence[Mapping[str, Grams]]) -> dict[str, Fits]:
    """The least squares of each stand-in over some songs."""
    calibrate = fit([song[PERFECT] for song in songs])["scales"]
    return {kind: Fits(calibrate, **fit([song[kind] for song in songs])) for kind in KINDS}


def fit(songs: Sequence[Grams]) -> dict[str, Any]:
    """Scales, mixer and shares over some songs."""
    scales, mixer, shares = (
        {source: each.weights(sum(song[name][source] for song in songs)) for source in SOURCES}
        for name, each in FITS.items()
    )
    return {
        "scales": Scales({source: float(weights[0, 0]) for source, weights in scales.items()}),
        "mixer": Mixer(SOURCES, np.vstack(list(mixer.values())).tolist()),
        "shares": {source: weights[0].tolist() for source, weights in shares.items()},
    }


def all_systems(job: "Job", song: Song) -> Iterator[tuple[str, float, str, Stems]]:
    """Stand-in, level, decision and the stems that come of them."""
    yield TRUE, 0, WITHOUT, song.true
    yield NONE, 0, WITHOUT, dict.fromkeys(SOURCES, song.mixture / 4)
    for kind in job.kinds:
        _, levels, decided_at = KINDS[kind]
        for level in levels:
            yield kind, level, WITHOUT, stand_in(song, kind, level)
        stems = stand_in(song, kind, decided_at)
        second = stand_in(song, partner(kind), KINDS[partner(kind)].decided_at)
        for name in job.decisions:
            decision = DECISIONS[name]
            if decision.shares is None or kind != PERFECT:
                yield kind, decided_at, name, decided(decision, stems, second, song.mixture, job.fits[kind])


def decided(decision: Decision, stems: Stems, second: Stems, mixture: Array, fits: Fits) -> Stems:
    """The stems after a decision."""
    if decision.shares:
        shares = getattr(fits, decision.shares)
        stems = {
            name: np.float32(shares[name][0]) * stems[name] + np.float32(shares[name][1]) * second[name]
            for name in SOURCES
        }
    corrections = [getattr(fits, each) if isinstance(each, str) else each for each in decision.corrections]
    return pipeline.correct(corrections, dict(stems), mixture)


class Job(NamedTuple):
    """A song, who hears it, and what was fitted on the others."""

    scene: Scene
    listeners: Sequence[Listener]
    fits: Mapping[str, Fits]
    kinds: Sequence[str]
    decisions: Sequence[str]


def score(job: Job) -> list[dict[str, Any]]:
    """The rows of all systems for a song's listeners."""
    song = at_microphones(job.scene)
    remix = partial(
        pipeline.remix_scene, gains_db=song.gains_db, mixture=song.mixture, sample_rate=SAMPLE_RATE
    )
    facts, remixes = [], []
    for kind, level, name, stems in all_systems(job, song):
        sdrs = {f"sdr_{source}": sdr_db(song.true[source], stems[source]) for source in SOURCES}
        row = {"song": song.name, "stand_in": kind, "level": level, "decision": name}
        facts.append(row | {"sdr": np.mean(list(sdrs.values()))} | sdrs)
        remixes.append(remix(stems, blend=DECISIONS[name].blend))
    ideal = remix(song.true)
    rows = []
    for listener in job.listeners:
        tried = [
            (fact | {"listener": listener.name, "limiter": limiter}, remixed, limiter)
            for fact, remixed in zip(facts, remixes, strict=True)
            for limiter in LIMITERS
        ]
        for start in range(0, len(tried), TOGETHER):
            part = tried[start : start + TOGETHER]
            results = pipeline.evaluate_scene(
                [enhance(remixed, listener, row["decision"], limiter) for row, remixed, limiter in part],
                ideal.astype(np.float64),
                listener,
                metric=Haaqi(),
                sample_rate=SAMPLE_RATE,
                rng=rng_of(song.name),
            )
            for (row, *_), result in zip(part, results, strict=True):
                rows.append(row | {key: result[key] for key in ("left_score", "right_score", "score")})
    return rows


def enhance(remixed: Array, listener: Listener, decision: str, limiter: str) -> Enhanced:
    """What is heard of a remix."""
    limited = pipeline.enhance_scene(
        remixed,
        listener,
        amplifier=DECISIONS[decision].amplifier,
        limiter=LIMITERS[limiter],
        sample_rate=SAMPLE_RATE,
        output_sample_rate=OUTPUT_RATE,
    )
    return from_file(limited)


def main() -> None:
    """Read the arguments, fit, score, write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="folders with metadata/ and audio/")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file; CSV and PNG go beside it")
    parser.add_argument("--heads", type=Path, help="folder of all heads; default: those beside the songs")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="stand-ins")
    parser.add_argument("--decisions", nargs="+", choices=DECISIONS, default=list(DECISIONS)[1:])
    parser.add_argument("--listeners-per-song", type=int, default=len(LISTENERS), help="they take turns")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each song")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # for the workers
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table = options.out.with_suffix(".csv")
    drawn = draw_scenes(options.data, np.random.default_rng(options.seed), options.heads)
    scenes = {scene[0].name: Scene(*scene, options.seconds) for scene in drawn}
    known = {listener.name: listener for listener in read_listeners(options.data[0] / "metadata")}
    turns = [known[name] for name in 2 * LISTENERS]
    finished = set(pd.read_csv(table)["song"]) if table.exists() else set()
    with ProcessPoolExecutor(options.workers) as pool:
        found = dict(zip(scenes, pool.map(grams, scenes.values()), strict=True))
        jobs = [
            Job(
                scene,
                turns[number % len(LISTENERS) :][: options.listeners_per_song],
                fitted([each for other, each in found.items() if other != name]),
                options.kinds,
                options.decisions,
            )
            for number, (name, scene) in enumerate(scenes.items())
            if name not in finished
        ]
        for rows in pool.map(score, jobs):
            pd.DataFrame(rows).to_csv(table, mode="a", header=not table.exists(), index=False)
            print(rows[0]["song"], flush=True)
    scores = pd.read_csv(table)
    options.out.write_text(report(scores), encoding="utf-8")
    draw(scores, options.out.with_suffix(".png"))


# --- Tables and the picture. ---


def report(scores: pd.DataFrame) -> str:
    """All tables as Markdown."""
    kinds = [kind for kind in KINDS if (scores["stand_in"] == kind).any()]
    parts = {
        "Stand-ins": levels(scores).pipe(flat),
        **{f"HAAQI per dB of uSDR, {low} to {high} dB": slopes(scores, low, high) for low, high in SLOPES_DB},
        "Decisions, all but perfect stand-ins": decisions(
            scores, [kind for kind in kinds if kind != PERFECT]
        ),
        **{f"Decisions, {kind}": decisions(scores, [kind]) for kind in kinds},
    }
    return "\n".join(f"## {title}\n\n{markdown(table)}\n" for title, table in parts.items())


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """With stand-in and level as one name."""
    return table.set_axis([f"{kind}, {level:g}" for kind, level in table.index])


def levels(scores: pd.DataFrame) -> pd.DataFrame:
    """How well every stand-in separates, and how it sounds."""
    alone = scores[scores["decision"] == WITHOUT]
    keys = ["stand_in", "level"]
    sound = alone.pivot_table(index=keys, columns="limiter", values="score", sort=False)
    sdrs = alone.groupby(keys, sort=False)[["sdr", *(f"sdr_{name}" for name in SOURCES)]].mean()
    return sdrs.join(sound[list(LIMITERS)])


def decisions(scores: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    """By how much each decision changes uSDR and HAAQI, with the interval over songs."""
    scores = scores[scores["stand_in"].isin(kinds)]
    keys = ["stand_in", "level", "song", "listener", "limiter"]
    paired = scores.merge(scores[scores["decision"] == WITHOUT], on=keys, suffixes=("", "_without"))
    rows: dict[str, dict[str, Any]] = {}
    for name, tried in paired[paired["decision"] != WITHOUT].groupby("decision", sort=False):
        row: dict[str, Any] = {"uSDR, dB": signed(tried["sdr"] - tried["sdr_without"], tried["song"], 2)}
        for limiter in LIMITERS:
            own = tried[tried["limiter"] == limiter]
            row[limiter] = signed(own["score"] - own["score_without"], own["song"], 3)
        rows[str(name)] = row
    return pd.DataFrame(rows).T


def signed(differences: pd.Series, songs: pd.Series, digits: int) -> str:
    """A mean and its interval."""
    low, high = interval(differences, songs)
    return f"{differences.mean():+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def slopes(scores: pd.DataFrame, low: float, high: float) -> pd.DataFrame:
    """HAAQI per dB between the levels whose mean uSDR lies in a range, for each song, and their mean."""
    alone = scores[(scores["decision"] == WITHOUT) & scores["stand_in"].isin(KINDS)]
    means = alone.groupby(["stand_in", "level"])["sdr"].transform("mean")
    alone = alone[(means >= low) & (means <= high)]
    several = alone.groupby("stand_in")["level"].transform("nunique") > 1
    alone = alone[several]
    groups = alone.groupby(["stand_in", "song", "listener", "limiter"])
    centred = alone.assign(
        **{name: alone[name] - groups[name].transform("mean") for name in ("sdr", "score")}
    )
    kinds = {"all": list(KINDS), **{kind: [kind] for kind in KINDS if (alone["stand_in"] == kind).any()}}
    rows = {
        title: {limiter: slope(centred[centred["stand_in"].isin(members)], limiter) for limiter in LIMITERS}
        for title, members in kinds.items()
    }
    return pd.DataFrame(rows).T


def slope(centred: pd.DataFrame, limiter: str) -> str:
    """Mean over songs of the regression's slope, with its interval."""
    own = centred[centred["limiter"] == limiter]
    sums = pd.DataFrame({"xy": own["sdr"] * own["score"], "xx": own["sdr"] ** 2}).groupby(own["song"]).sum()
    each = sums["xy"] / sums["xx"]
    return signed(each, each.index.to_series(), 4)


def draw(scores: pd.DataFrame, path: Path) -> None:
    """HAAQI over uSDR for each limiter, if matplotlib is there."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return
    table = levels(scores)
    figure, axes = pyplot.subplots(figsize=(8, 5.5), layout="constrained")
    markers = {kind: marker for kind, marker in zip(KINDS, "*osv^Dd", strict=True) if kind in table.index}
    grid = np.arange(0, 20, 0.1)
    for colour, limiter in zip(("tab:orange", "tab:blue"), LIMITERS, strict=True):
        curves = []
        for kind, marker in markers.items():
            points = table.loc[[kind]].sort_values("sdr")
            axes.plot(points["sdr"], points[limiter], color=colour, marker=marker, alpha=0.4, linewidth=0.8)
            if points["sdr"].min() < np.mean(PUBLISHED_DB) < points["sdr"].max():
                curves.append(np.interp(grid, points["sdr"], points[limiter], left=np.nan, right=np.nan))
        mean = np.mean(curves, axis=0)  # where all of these have a value
        axes.plot(grid, mean, color=colour, linewidth=2.5, label=f"after {limiter}, mean")
        (best,) = table.loc[TRUE, limiter]
        axes.axhline(best, color=colour, linestyle=":", label=f"true stems, after {limiter}")
    for kind, marker in markers.items():
        axes.plot([], [], color="grey", marker=marker, linewidth=0.8, label=kind.split(",")[0])
    axes.set(xlabel="uSDR against the stems at the microphones (dB), mean of four", ylabel="HAAQI")
    axes.axvspan(*PUBLISHED_DB, color="grey", alpha=0.08)
    figure.legend(loc="outside lower center", fontsize="small", ncols=4)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
