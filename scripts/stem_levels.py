"""By how much a perfect separator of the mixture at the microphones gets the level of each stem wrong.

The challenge levelled the mixture and every stem on its own: each is as loud at the microphones as it was
dry. So a true stem there is the mixture's component times a number that depends on the head and on the song.
This measures it over every song, head and loudspeaker angle in DATA (folders in the challenge's layout), and
fits the scales of conf/correction/calibrate.yaml, to all and to all but one song or head at a time:

    python scripts/stem_levels.py ../shared/data/open ../shared/data/nc --out exp/stem_levels.md
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from compare_limiters import SAMPLE_RATE, markdown

from cadenza_remix import audio, pipeline
from cadenza_remix.demix.base import SOURCES
from cadenza_remix.hrtf import Head, to_microphones
from cadenza_remix.loudness import amplitude


def main() -> None:
    """Read the arguments, measure, write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="folders with audio/music and audio/hrtf")
    parser.add_argument("--heads", type=Path, help="folder of all heads; default: those of every DATA")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file; CSV goes beside it")
    options = parser.parse_args()
    folders = [options.heads] if options.heads else [folder / "audio" / "hrtf" for folder in options.data]
    heads = [head for folder in folders for head in read_heads(folder)]
    songs = [song for folder in options.data for song in sorted((folder / "audio/music/train").iterdir())]
    measured = pd.DataFrame([row for song in songs for row in measure(song, heads)])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    measured.to_csv(options.out.with_suffix(".csv"), index=False)
    options.out.write_text(report(measured), encoding="utf-8")


def read_heads(folder: Path) -> Iterator[tuple[str, str, Head]]:
    """Every head with its loudspeakers at equal angles: its name, the angle, its responses."""
    for left in sorted(folder.glob("*-n*.wav")):
        name, angle = left.stem.rsplit("-n", 1)
        right = folder / f"{name}-p{angle}.wav"
        yield name, angle, Head(*(audio.read(path, sample_rate=SAMPLE_RATE) for path in (left, right)))


def measure(song: Path, heads: list[tuple[str, str, Head]]) -> Iterator[dict[str, Any]]:
    """For a song and each head, how many dB each true stem is above its component, and the energy of that."""
    dry = {name: audio.read(song / f"{name}.wav", sample_rate=SAMPLE_RATE) for name in (*SOURCES, "mixture")}
    for name, angle, head in heads:
        at_mic = {file: to_microphones(signal, head) for file, signal in dry.items()}
        lost_db = {
            file: pipeline.lost_loudness_db(dry[file], at_mic[file], sample_rate=SAMPLE_RATE) for file in dry
        }
        for source in SOURCES:
            component = at_mic[source] * np.float32(amplitude(lost_db["mixture"]))
            yield {
                "song": song.name,
                "head": name,
                "angle": angle,
                "source": source,
                "level_db": lost_db[source] - lost_db["mixture"],
                "energy": float(np.sum(component.astype(np.float64) ** 2)),
            }


def scales(measured: pd.DataFrame) -> pd.Series:
    """The number for each stem that is best in the sense of least squares."""
    weighted = (amplitude_of(measured["level_db"]) * measured["energy"]).groupby(measured["source"]).sum()
    return (weighted / measured.groupby("source")["energy"].sum())[list(SOURCES)]


def amplitude_of(level_db: pd.Series) -> pd.Series:
    """The factors that levels in dB stand for."""
    return 10 ** (level_db / 20)


def sdr_db(level_db: pd.Series, scale: pd.Series | float) -> pd.Series:
    """The uSDR of components times a scale, against stems that are components at these levels."""
    true = amplitude_of(level_db)
    return 20 * np.log10(true / np.maximum(np.abs(true - scale), 1e-9))


def report(measured: pd.DataFrame) -> str:
    """All tables as Markdown."""
    levels = measured.pivot_table(index=["head", "song", "angle"], columns="source", values="level_db")
    levels = levels[list(SOURCES)]
    spread = pd.DataFrame(
        {
            "mean": levels.mean(),
            "lowest": levels.min(),
            "highest": levels.max(),
            "deviation over heads": levels.groupby("head").mean().std(),
            "deviation over songs": levels.groupby("song").mean().std(),
            "deviation over angles": levels.groupby("angle").mean().std(),
        }
    )
    fitted = pd.DataFrame({"scale": scales(measured), "dB": 20 * np.log10(scales(measured))})
    parts = {
        "Level of the true stems above the components, dB": spread,
        "By head": levels.groupby("head").mean(),
        "By song": levels.groupby("song").mean(),
        "Least squares": fitted,
        "Mean uSDR of the components, dB": left_out(measured),
    }
    return "\n".join(f"## {title}\n\n{markdown(table)}\n" for title, table in parts.items())


def left_out(measured: pd.DataFrame) -> pd.DataFrame:
    """Before and after scales that are fitted without the song, or the head, on which they are tried."""
    rows = {"as they are": sdr_db(measured["level_db"], 1.0)}
    for what in ("song", "head"):
        if measured[what].nunique() == 1:
            continue
        scale = pd.Series(0.0, index=measured.index)
        for one, own in measured.groupby(what):
            scale[own.index] = own["source"].map(scales(measured[measured[what] != one]))
        rows[f"scales without the {what}"] = sdr_db(measured["level_db"], scale)
    table = {name: values.groupby(measured["source"]).mean()[list(SOURCES)] for name, values in rows.items()}
    return pd.DataFrame(table).T


if __name__ == "__main__":
    main()
