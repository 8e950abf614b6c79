"""Show how runs did: `report.html`, `summary.csv`, `differences.csv`, and the same in the console."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cadenza_remix.config import Run, command
from cadenza_remix.errors import MetadataError
from cadenza_remix.parallel import import_early
from cadenza_remix.settings import PathSettings, Settings

if TYPE_CHECKING:  # --help and --cfg answer at once
    import pandas as pd

    from cadenza_remix.reporting.clips import Excerpt
    from cadenza_remix.reporting.page import Heard
    from cadenza_remix.reporting.runs import RunResult
    from cadenza_remix.scenes import Pair

REPORT = "report.html"
SHOWN_MISSING = 5
WORST, BEST = 10, 3
MOST_SYSTEMS_HEARD = 3
SHOWN_GROUPS = ("all", "severity", "changed_stems", "angles")  # songs and listeners are many


def report(run: Run) -> bool:
    """Show how each run did; true if every pair of the scene list has a score in all of them."""
    import_early("cadenza_remix.jobs.listening", workers=run.settings.executor.workers)
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix import results
    from cadenza_remix.datasets.challenge import read_pairs
    from cadenza_remix.output import write_text
    from cadenza_remix.reporting import page, runs, tables

    settings, path = run.settings, run.settings.path
    scores = {folder: results.read_scores(folder) for folder in settings.runs or [path.exp_folder]}
    pairs = read_pairs(path, every_nth=settings.evaluate.every_nth)
    shown = runs.read_runs(scores, describe(path, pairs))
    for one in shown:
        results.write_summary(one.folder, one.summary)
        tell(one, len(pairs))
    differences = tables.differences({one.label: one.scores for one in shown})
    results.write_differences(path.exp_folder, differences)
    if len(differences):
        print(differences.to_string(index=False, float_format="{:.4f}".format))
    html = page.render(
        shown, differences, listen(settings, shown, pairs), total_pairs=len(pairs), split=settings.split
    )
    write_text(path.exp_folder / REPORT, html)
    print(f"report: open {path.exp_folder / REPORT} ({len(html) / 1e6:.1f} MB)")
    return not any(len(one.missing) for one in shown)


def describe(path: PathSettings, pairs: Sequence["Pair"]) -> "pd.DataFrame":
    """What the metadata say of each pair; the heads' file may lack where the music is at the microphones."""
    from cadenza_remix.datasets import metadata
    from cadenza_remix.reporting import tables

    heads_file = metadata.existing_head_positions(path.head_loudspeaker_positions_file)
    heads = metadata.read_head_positions(heads_file) if heads_file.is_file() else {}
    return tables.describe(pairs, metadata.read_scenes(path.scenes_file), heads)


def tell(one: "RunResult", number_of_pairs: int) -> None:
    """Print a run's means, how well it separated, and the pairs without a score."""
    from cadenza_remix import results
    from cadenza_remix.reporting import tables

    done = f"{len(one.scores)} of {number_of_pairs} pairs scored"
    print(f"{one.label}: {done} in {one.folder}; per song and listener in {one.folder / results.SUMMARY}")
    told = one.summary[one.summary["group"].isin(SHOWN_GROUPS)]
    print(told.to_string(index=False, float_format="{:.4f}".format, na_rep="-"))
    severities = one.summary.loc[one.summary["group"] == "severity", "pairs"]
    if in_two := severities.sum() - len(one.scores):
        print(f"severity is an ear's: {in_two} pairs are in two of its rows")
    if len(one.separation):
        separation = one.separation.rename(columns=tables.SEPARATION)
        print(separation.to_string(index=False, float_format="{:.2f} dB".format, na_rep="-"))
    for scene, listener in one.missing[["scene", "listener"]].head(SHOWN_MISSING).itertuples(index=False):
        print(f"missing: {scene} for {listener}")
    print()


def listen(
    settings: Settings, shown: Sequence["RunResult"], pairs: Sequence["Pair"]
) -> dict[str, list["Heard"]]:
    """The pairs on which the first run is worst and best, with excerpts of what was made of them."""
    from cadenza_remix.reporting import tables
    from cadenza_remix.reporting.page import Heard

    worst, best = tables.extremes(shown[0].scores, worst=WORST, best=BEST)
    by_key = {(pair.scene.name, pair.listener.name): pair for pair in pairs}
    chosen = {
        heading: [by_key[key] for key in zip(table["scene"], table["listener"], strict=True)]
        for heading, table in {"Lowest scores": worst, "Highest scores": best}.items()
    }
    excerpts = cut(settings, shown, [pair for those in chosen.values() for pair in those])
    return {
        heading: [Heard(pair, excerpts[pair.name]) for pair in those] for heading, those in chosen.items()
    }


def cut(
    settings: Settings, shown: Sequence["RunResult"], pairs: Sequence["Pair"]
) -> dict[str, "Excerpt | str"]:
    """An excerpt of each pair by name, or why there is none."""
    from cadenza_remix.datasets.challenge import read_music
    from cadenza_remix.jobs.listening import Listening
    from cadenza_remix.parallel import run_all
    from cadenza_remix.reporting import charts
    from cadenza_remix.scenes import Job

    path = settings.path
    try:
        music = read_music(path.given("music_file"), path.given("music_dir"), pairs, settings.sample_rate)
    except MetadataError as error:  # scores can be shown where the music is not
        return dict.fromkeys((pair.name for pair in pairs), str(error))
    scenes: dict[str, list[Pair]] = {}
    for pair in pairs:
        scenes.setdefault(pair.scene.name, []).append(pair)
    jobs = [Job(those[0].scene.song, tuple(those)) for those in scenes.values()]
    systems = [shown[0], *(one for one in charts.lanes_and_limits(shown)[0] if one is not shown[0])]
    heard = {one.label: one.folder for one in systems[:MOST_SYSTEMS_HEARD]}
    work = Listening(heard, music, settings.sample_rate)
    excerpts: dict[str, Excerpt | str] = {}
    for job, made in run_all(work, jobs, workers=settings.executor.workers):
        excerpts |= dict.fromkeys((pair.name for pair in job.pairs), made) if isinstance(made, str) else made
    return excerpts


main = command("report", "Show how runs did, in report.html, summary.csv and the console.", report)

if __name__ == "__main__":
    main()
