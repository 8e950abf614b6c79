"""The numbers of a report: who hears what, means with their intervals, and differences between runs.

Tables go in and come out. A table of scores has a row per pair, as `results.read_scores` gives it, joined
with what `describe` knows of the pair; `by_ear` makes it a row per ear.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from cadenza_remix.datasets.metadata import HeadPosition, SceneEntry
from cadenza_remix.listener import Audiogram
from cadenza_remix.results import DIFFERENCE_COLUMNS, SUMMARY_COLUMNS
from cadenza_remix.scenes import Pair

EARS = ("left", "right")
KEY = ["scene", "song", "listener"]
# Mean threshold in dB HL above which a hearing loss has the name, as pyclarity 0.9.0 `Audiogram.severity`,
# which says "none" of a loss that was not measured.
SEVERITIES = {"none": -math.inf, "mild": 15.0, "moderate": 35.0, "severe": 56.0}
SEVERITY_BAND_HZ = (2000, 8000)
GROUPS = ("all", "song", "music", "listener", "severity", "changed_stems", "angles")
SEPARATION = {"sdr": "uSDR", "si_sdr": "SI-SDR", "csdr": "cSDR"}  # as papers call the columns
RESAMPLES, SEED = 2000, 0
INTERVAL = (0.025, 0.975)


def mean_loss_db_hl(audiogram: Audiogram) -> float:
    """Mean of the thresholds that were measured from 2 to 8 kHz; NaN if none was."""
    low, high = SEVERITY_BAND_HZ
    levels = zip(audiogram.frequencies_hz, audiogram.levels_db_hl, strict=True)
    inside = [level for frequency, level in levels if low <= frequency <= high]
    return sum(inside) / len(inside) if inside else math.nan


def severity(loss_db_hl: float) -> str:
    """The name of a hearing loss; "unknown" where it was not measured."""
    names = [name for name, above in SEVERITIES.items() if loss_db_hl > above]
    return names[-1] if names else "unknown"


def describe(
    pairs: Iterable[Pair], scenes: Mapping[str, SceneEntry], heads: Mapping[str, HeadPosition]
) -> pd.DataFrame:
    """What is known of each pair before anything is enhanced, a row each.

    Returns:
        `scene`, `song`, `listener`; `music`, the song without its head; `changed_stems`, how many gains are
        not 0 dB; `angles`, where the loudspeakers stand in degrees ("unknown" if the head is);
        `left_loss_db_hl` and `right_loss_db_hl`.
    """
    rows = []
    for pair in pairs:
        entry = scenes[pair.scene.name]
        head = heads.get(entry.head)
        rows.append(
            {
                "scene": pair.scene.name,
                "song": pair.scene.song,
                "listener": pair.listener.name,
                "music": entry.music,
                "changed_stems": str(sum(gain != 0 for gain in pair.scene.gains_db.values())),
                "angles": f"{head.left_angle:g}/{head.right_angle:g}" if head else "unknown",
                "left_loss_db_hl": mean_loss_db_hl(pair.listener.left),
                "right_loss_db_hl": mean_loss_db_hl(pair.listener.right),
            }
        )
    return pd.DataFrame(rows)


def by_ear(scores: pd.DataFrame) -> pd.DataFrame:
    """A row per ear, left ears first: `ear`, `score`, `loss_db_hl`, `severity`, and what the pair has."""
    shared = scores.drop(columns=[f"{ear}_{what}" for ear in EARS for what in ("score", "loss_db_hl")])
    tables = [
        shared.assign(ear=ear, score=scores[f"{ear}_score"], loss_db_hl=scores[f"{ear}_loss_db_hl"])
        for ear in EARS
    ]
    ears = pd.concat(tables, ignore_index=True)
    return ears.assign(severity=ears["loss_db_hl"].map(severity))


def interval(values: pd.Series, songs: pd.Series) -> tuple[float, float]:
    """The range in which the mean lies with 95 %: percentiles of a bootstrap over songs, its seed fixed.

    Whole songs are drawn, as the pairs of a song are much alike; a song that is drawn brings all its pairs.

    Returns:
        The lower and the upper end; NaN where there are fewer than two songs.
    """
    sums = values.groupby(songs).agg(["sum", "count"]).to_numpy(dtype=float)
    number = len(sums)
    if number < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(number, np.full(number, 1 / number), size=RESAMPLES) @ sums
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], INTERVAL)
    return float(low), float(high)


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean scores and clipping over all pairs and by group, as `summary.csv` has them.

    Rows are of ears. Both ears of a pair are in the same row but for `severity`, which is an ear's: there a
    pair whose ears differ counts in two rows. The clipped share is a file's: both ears of a pair count it.
    """
    ears = by_ear(scores).assign(all="all")
    rows = [
        {"group": group, "name": name, **_means(members)}
        for group in GROUPS
        for name, members in _in_order(group, ears)
    ]
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _in_order(group: str, ears: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    parts = {str(name): members for name, members in ears.groupby(group)}
    if group == "severity":
        return [(name, parts[name]) for name in (*SEVERITIES, "unknown") if name in parts]
    return list(parts.items())


def _means(ears: pd.DataFrame) -> dict[str, float]:
    low, high = interval(ears["score"], ears["music"])
    return {
        "pairs": len(ears[["scene", "listener"]].drop_duplicates()),
        "ears": len(ears),
        **{f"{ear}_score": ears.loc[ears["ear"] == ear, "score"].mean() for ear in EARS},
        "score": ears["score"].mean(),
        "score_low": low,
        "score_high": high,
        "clipped_percent": ears["clipped_percent"].mean(),
    }


def differences(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """By how much the first run is better than every other one, on the pairs that both have.

    Args:
        runs: scores by the run's name.

    Returns:
        The columns of `differences.csv`, a row for every other run.
    """
    (first, own), *others = runs.items()
    rows = []
    for other, theirs in others:
        both = own.merge(theirs[[*KEY, "score"]], on=KEY, suffixes=("", "_of_other"))
        difference = both["score"] - both["score_of_other"]
        by_song = difference.groupby(both["music"]).mean()
        low, high = interval(difference, both["music"])
        rows.append(
            {
                "run": first,
                "other": other,
                "pairs": len(both),
                "pairs_equal": int((difference == 0).sum()),
                "songs": len(by_song),
                "difference": difference.mean(),
                "difference_low": low,
                "difference_high": high,
                "songs_better": int((by_song > 0).sum()),
            }
        )
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


def way_from_floor_to_ceiling(run: pd.DataFrame, floor: pd.DataFrame, ceiling: pd.DataFrame) -> float:
    """What part of the way from floor to ceiling a run goes, on the pairs all have; NaN without a way."""
    tables = [run, floor, ceiling]
    common = pd.concat([table.set_index(KEY)["score"] for table in tables], axis=1, join="inner").mean()
    own, low, high = common
    return float((own - low) / (high - low)) if high > low else math.nan


def extremes(scores: pd.DataFrame, *, worst: int, best: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pairs with the lowest scores, the lowest first, and those with the highest, the highest first."""
    ranked = scores.sort_values("score", kind="stable")
    lowest = ranked.head(worst)
    return lowest, ranked.iloc[len(lowest) :].tail(best).iloc[::-1]


def missing(described: pd.DataFrame, scores: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
    """The pairs without a score: `scene`, `song`, `listener`, and `cause`, if only that there is none."""
    scored = set(zip(scores["scene"], scores["listener"], strict=True))
    absent = [key not in scored for key in zip(described["scene"], described["listener"], strict=True)]
    causes = failures.groupby(["scene", "listener"])["cause"].agg("; ".join)
    table = described.loc[absent, KEY].merge(causes, on=["scene", "listener"], how="left")
    return table.fillna({"cause": "not enhanced or not evaluated yet"})


def quantiles(values: Sequence[float] | pd.Series) -> list[float]:
    """The 5th, 25th, 50th, 75th and 95th percentile."""
    return [float(value) for value in np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))]
