"""Where things stand in a chart; the page draws it with x in percent, so that text keeps its size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cadenza_remix.listener import Audiogram, Listener
from cadenza_remix.reporting import tables
from cadenza_remix.reporting.runs import CEILING, FLOOR, RunResult

MOST_DOTS, MOST_DOTS_OF_SCATTER = 60, 600  # of a run in a row, in a picture
MOST_LINES = 7  # of an axis
STEPS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high` with a line every `step`."""

    low: float
    high: float
    step: float

    @classmethod
    def over(cls, values: pd.Series, *, zero: bool = False) -> "Axis":
        """The shortest axis that holds all values, and zero if it must, between two of its lines."""
        held = (
            pd.concat([values.dropna(), pd.Series([0.0])])
            if zero or values.dropna().empty
            else values.dropna()
        )
        low, high = float(held.min()), float(held.max())
        step = next((each for each in STEPS if (high - low) / each <= MOST_LINES - 2), STEPS[-1])
        first, last = math.floor(low / step), math.ceil(high / step)
        return cls(first * step, max(last, first + 1) * step, step)

    @property
    def lines(self) -> list[float]:
        """Where the lines are."""
        return [self.low + step * self.step for step in range(round((self.high - self.low) / self.step) + 1)]

    def percent(self, value: float) -> float:
        """How far along the axis a value is."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


@dataclass(frozen=True)
class Lane:
    """How the scores of a run are distributed in a group; without scores, nothing."""

    mean: float
    quantiles: Sequence[float]
    dots: Sequence[float]


@dataclass(frozen=True)
class Row:
    """A group of ears: a lane for each run shown, and the means of floor and ceiling in it."""

    name: str
    count: int
    lanes: Sequence[Lane | None]
    floor: float | None
    ceiling: float | None


def rows(group: str, runs: Sequence[RunResult]) -> list[Row]:
    """A chart of ears by group: severities ascending, music from the lowest score on, others by name."""
    shown, floor, ceiling = lanes_and_limits(runs)
    ears = {run.label: tables.by_ear(run.scores).assign(all="all") for run in runs}
    names = pd.concat([table[group] for table in ears.values()]).unique()
    order = list(tables.SEVERITIES) if group == "severity" else sorted(names)
    made = []
    for name in [*order, *(set(names) - set(order))]:
        scores = {label: table.loc[table[group] == name, "score"] for label, table in ears.items()}
        if name in names:
            made.append(
                Row(
                    name=str(name),
                    count=max(map(len, scores.values())),
                    lanes=[_lane(scores[run.label]) for run in shown],
                    floor=_mean(scores, floor),
                    ceiling=_mean(scores, ceiling),
                )
            )
    if group == "music":
        made.sort(key=lambda row: row.lanes[0].mean if row.lanes[0] else math.inf)
    return made


def lanes_and_limits(
    runs: Sequence[RunResult],
) -> tuple[list[RunResult], RunResult | None, RunResult | None]:
    """The runs that get a lane, which are all where none is a system; the first floor; the first ceiling."""
    systems = [run for run in runs if run.role not in (FLOOR, CEILING)]
    floors, ceilings = ([run for run in runs if run.role == role] for role in (FLOOR, CEILING))
    return systems or list(runs), next(iter(floors), None), next(iter(ceilings), None)


def scatter(table: pd.DataFrame, x: str, y: str) -> list[tuple[float, float]]:
    """Points of a picture, evenly thinned out where there are too many to see."""
    points = table[[x, y]].dropna()
    every_nth = math.ceil(len(points) / MOST_DOTS_OF_SCATTER) or 1
    return list(points.iloc[::every_nth].itertuples(index=False, name=None))


def _lane(scores: pd.Series) -> Lane | None:
    if scores.empty:
        return None
    dots = list(scores) if len(scores) <= MOST_DOTS else []
    return Lane(float(scores.mean()), tables.quantiles(scores), dots)


def _mean(scores: dict[str, pd.Series], run: RunResult | None) -> float | None:
    return float(scores[run.label].mean()) if run and len(scores[run.label]) else None


# The audiogram's own frame, in units of its drawing.
AUDIOGRAM_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
AUDIOGRAM_DB_HL = (0, 20, 40, 60, 80, 100)


def audiogram_x(frequency_hz: float) -> float:
    """An octave is 30 units, from 125 Hz on."""
    return round(30 * math.log2(max(frequency_hz, 125) / 125), 1)


def audiogram_y(level_db_hl: float) -> float:
    """A decibel is a unit, from -10 dB HL downwards."""
    return level_db_hl + 10


def audiogram_points(audiogram: Audiogram) -> list[tuple[float, float]]:
    """Where the thresholds lie in the drawing."""
    levels = zip(audiogram.frequencies_hz, audiogram.levels_db_hl, strict=True)
    return [(audiogram_x(frequency), audiogram_y(level)) for frequency, level in levels]


def audiogram_told(listener: Listener) -> str:
    """Both ears in words, for those who do not see the drawing."""
    ears = zip(tables.EARS, listener.ears, strict=True)
    return "; ".join(
        f"{ear} ear "
        + ", ".join(
            f"{level:g} at {hz:g} Hz" for hz, level in zip(a.frequencies_hz, a.levels_db_hl, strict=True)
        )
        for ear, a in ears
    )
