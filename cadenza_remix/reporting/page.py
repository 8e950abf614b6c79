"""The page: tables, charts and clips as one HTML file that needs no network."""

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
import pandas as pd
from markupsafe import Markup

from cadenza_remix import __version__
from cadenza_remix.ledger import as_typed
from cadenza_remix.reporting import charts, clips, tables
from cadenza_remix.reporting.clips import Clip, Excerpt
from cadenza_remix.reporting.runs import RunResult
from cadenza_remix.scenes import Pair

FEW_SONGS = 10  # below, an interval over songs is rough
SHOWN_OPEN = 20  # longer lists are folded


@dataclass(frozen=True)
class Heard:
    """A pair to listen to: its excerpts, or in one sentence why there are none."""

    pair: Pair
    excerpt: Excerpt | str


def render(
    runs: Sequence[RunResult],
    differences: pd.DataFrame,
    heard: Mapping[str, Sequence[Heard]],
    *,
    total_pairs: int,
    split: str,
) -> str:
    """The report as HTML.

    Args:
        runs: the first one is the subject.
        differences: the subject against the others, as `tables.differences` gives them.
        heard: pairs to listen to, by heading.
        total_pairs: how many pairs the scene list has.
        split: which scene list.
    """
    shown, floor, ceiling = charts.lanes_and_limits(runs)
    ears = {run.label: tables.by_ear(run.scores) for run in runs}
    stems = _stems(runs)
    every_score = pd.concat([table["score"] for table in ears.values()])
    template = _environment().get_template("report.html")
    return template.render(
        runs=runs,
        shown=shown,
        floor=floor,
        ceiling=ceiling,
        overall={run.label: run.summary.iloc[0] for run in runs},
        lowest={run.label: tables.quantiles(ears[run.label]["score"])[0] for run in runs},
        way={
            run.label: tables.way_from_floor_to_ceiling(run.scores, floor.scores, ceiling.scores)
            for run in shown
            if floor and ceiling and run not in (floor, ceiling)
        },
        songs={run.label: run.scores["music"].nunique() for run in runs},
        stems=stems,
        separation={run.label: _separation(run, stems) for run in runs},
        axis=charts.Axis.over(every_score),
        groups={
            group: charts.rows(group, runs) for group in ("ear", *tables.GROUPS[2:]) if group != "listener"
        },
        losses={run.label: charts.scatter(ears[run.label], "loss_db_hl", "score") for run in shown},
        clipping={run.label: charts.scatter(run.scores, "clipped_percent", "score") for run in shown},
        clipped_axis=charts.Axis.over(pd.concat([run.scores["clipped_percent"] for run in shown]), zero=True),
        loss_axis=charts.Axis.over(pd.concat([ears[run.label]["loss_db_hl"] for run in shown]).dropna()),
        differences=differences.to_dict("records"),
        difference_axis=charts.Axis.over(
            pd.concat([differences[name] for name in ("difference", "difference_low", "difference_high")]),
            zero=True,
        ),
        heard=heard,
        scores={run.label: run.scores.set_index(["scene", "listener"]) for run in runs},
        changed_settings=_changed(runs),
        settings=sorted({key for run in runs for key in run.settings}),
        total_pairs=total_pairs,
        split=split,
        version=__version__,
        signals_of=_signals_of,
        few_songs=FEW_SONGS,
        shown_open=SHOWN_OPEN,
        otherwise_made=_otherwise_made,
        plain=str,
        severity_told=_severity_told,
        angles_told=_angles_told,
        walls=list(tables.SEVERITIES.values())[1:],
        charts=charts,
        clips=clips,
        tables=tables,
    )


def _signals_of(excerpt: Excerpt) -> list[tuple[str, Clip]]:
    """What there is to hear, by name; the only run needs none."""
    enhanced = list(excerpt.enhanced.items())
    if len(enhanced) == 1:
        enhanced = [("enhanced", enhanced[0][1])]
    return [*enhanced, ("reference", excerpt.reference), ("mixture", excerpt.mixture)]


def _stems(runs: Sequence[RunResult]) -> list[str]:
    """All stems that were scored."""
    return list(dict.fromkeys(source for run in runs for source in run.separation["source"]))


def _separation(run: RunResult, stems: list[str]) -> dict[str, list[float]]:
    """Each score of a run's stems by its name, their mean last; nothing where it has no stems."""
    if run.separation.empty:
        return {}
    table = run.separation.set_index("source").reindex(stems)
    return {name: [*table[column], float(table[column].mean())] for column, name in tables.SEPARATION.items()}


def _changed(runs: Sequence[RunResult]) -> list[str]:
    """The settings in which runs differ."""
    keys = {key for run in runs for key in run.settings}
    return sorted(key for key in keys if len({str(run.settings.get(key)) for run in runs}) > 1)


def _otherwise_made(*runs: RunResult) -> bool:
    """Whether the runs differ behind the separation too."""
    return not all(
        key.split(".")[0] in ("stems", "separator", "correction", "keep_stems") for key in _changed(runs)
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cadenza_remix.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": number,
        "signed": signed,
        "base64": _base64,
        "gains": _gains,
        "breakable": _breakable,
        "as_typed": as_typed,
        "is_finite": math.isfinite,
    }
    return environment


def number(value: float, digits: int = 3) -> str:
    """A number as the field writes it; a dash where there is none."""
    return _written(f"{value:.{digits}f}")


def signed(value: float, digits: int = 3) -> str:
    """The same with its sign; what is exactly nothing has none."""
    return _written(f"{value:+.{digits}f}") if value else number(value, digits)


def _written(number: str) -> str:
    return "–" if "nan" in number else number.replace("-", "−").replace("inf", "∞")


def _gains(gains_db: Mapping[str, float]) -> str:
    changed = [f"{source} {gain:+g} dB".replace(" -", " −") for source, gain in gains_db.items() if gain]
    return ", ".join(changed) or "nothing changed"


def _severity_told(name: str) -> str:
    above = tables.SEVERITIES.get(name, -math.inf)
    return f"{name}, > {above:g} dB HL" if math.isfinite(above) else name


def _angles_told(name: str) -> str:
    """Both angles with their unit; "unknown" stays."""
    return name.replace("-", "−").replace("/", "° / ") + ("°" if "/" in name else "")


def _breakable(name: str) -> Markup:
    """A name that may be broken between its words, behind dots and underscores, but not within a number."""
    return Markup("<wbr>").join(re.split(r"(?<=\.)(?=[^\W\d])|(?<=[^\W_]_)(?=\w)", name))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
