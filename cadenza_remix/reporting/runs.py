"""What a run's folder says of the run: its scores, its role, what it lacks and what it cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cadenza_remix import results
from cadenza_remix.demix.trivial import EqualSplit
from cadenza_remix.errors import MetadataError
from cadenza_remix.ledger import Ledger, claimed
from cadenza_remix.reporting import tables

FLOOR, CEILING, SYSTEM = "floor", "ceiling", "system"
STAGES = {"separate": "separation_seconds", "amplify and limit": "seconds"}  # and what enhance calls them


@dataclass(frozen=True, eq=False)  # tables have no one answer to ==
class RunResult:
    """Everything that a report tells of a run.

    Attributes:
        label: how it is called, different for every run.
        folder: where it lies.
        role: `floor` if it leaves the mixture as it is, `ceiling` if it has the true stems, else `system`.
        settings: those of `enhance` by dotted key; none where the signals were made elsewhere.
        scores: a row per scored pair, with what `tables.describe` says of it.
        summary: means by group, as `summary.csv` has them.
        missing: the pairs without a score, and why.
        separation: uSDR, SI-SDR and cSDR by source; without rows if the run has no stems.
        seconds: mean per pair by stage; NaN where it was not recorded.
    """

    label: str
    folder: Path
    role: str
    settings: dict[str, Any]
    scores: pd.DataFrame
    summary: pd.DataFrame
    missing: pd.DataFrame
    separation: pd.DataFrame
    seconds: dict[str, float]


def read_runs(scores: Mapping[Path, pd.DataFrame], described: pd.DataFrame) -> list[RunResult]:
    """Join each run's scores, by folder, with what is known of the pairs, and read what else the folder has.

    Raises:
        MetadataError: if a table is damaged, or no pair of the scene list is scored.
    """
    names = [folder.name for folder in scores]
    return [
        _read(folder.name if names.count(folder.name) == 1 else str(folder), folder, own, described)
        for folder, own in scores.items()
    ]


def _read(label: str, folder: Path, own: pd.DataFrame, described: pd.DataFrame) -> RunResult:
    scores = described.merge(own, on=tables.KEY, how="inner")
    if scores.empty:
        raise MetadataError(
            f"{folder / results.SCORES} holds no pair of the scene list; choose the split= or "
            "path.root= it was made of."
        )
    settings = claimed(folder, "enhance")
    return RunResult(
        label=label,
        folder=folder,
        role=role(settings),
        settings=settings,
        scores=scores,
        summary=tables.summarise(scores),
        missing=tables.missing(described, scores, results.read_failures(folder)),
        separation=results.separation_by_source(folder),
        seconds=_seconds(folder, scores),
    )


def role(settings: dict[str, Any]) -> str:
    """What a run is among others, by the settings of its `enhance`."""
    if str(settings.get("stems")).lower() == "true":
        return CEILING
    nothing = f"{EqualSplit.__module__}.{EqualSplit.__qualname__}"
    return FLOOR if settings.get("separator._target_") == nothing else SYSTEM


def _seconds(folder: Path, scores: pd.DataFrame) -> dict[str, float]:
    ledger = Ledger(folder / "parts" / "enhance")
    records = [record.values for song in scores["song"].unique() for record in ledger.read(song).values()]
    enhanced = {
        stage: _mean([values[name] for values in records if name in values]) for stage, name in STAGES.items()
    }
    return enhanced | {"score": float(scores["seconds"].mean())}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
