"""Score enhanced signals against the ideal remix."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cadenza_remix.config import Run, build, command, decisive, flatten, named, overrides
from cadenza_remix.parallel import import_early
from cadenza_remix.settings import Settings

if TYPE_CHECKING:  # --help and --cfg answer at once
    from cadenza_remix.datasets.challenge import Music
    from cadenza_remix.scenes import Pair


def evaluate(run: Run) -> bool:
    """Score every pair of the scene list; true if none failed."""
    import_early("cadenza_remix.jobs.evaluation", workers=run.settings.executor.workers)
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix.datasets.challenge import read_music, read_pairs
    from cadenza_remix.jobs.evaluation import Evaluation
    from cadenza_remix.jobs.run import filling, report_failures, run_jobs
    from cadenza_remix.ledger import provenance
    from cadenza_remix.metrics.base import Metric
    from cadenza_remix.results import SCORES, failure, table_path, write_failures, write_scores
    from cadenza_remix.shards import remove_scores, take_songs

    settings, path, shard = run.settings, run.settings.path, run.settings.shard
    if run.is_demo:
        from cadenza_remix import demo

        demo.write_music_at_microphones(settings)
    pairs = read_pairs(path, every_nth=settings.evaluate.every_nth)
    pairs = take_songs(pairs, index=shard.index, count=shard.count)
    work = Evaluation(
        runs=tuple(settings.runs or [path.exp_folder]),
        music=read_music(path.given("music_file"), path.given("music_dir"), pairs, settings.sample_rate),
        metric=build(settings.metric, "metric", Metric),
        sample_rate=settings.sample_rate,
        output_sample_rate=settings.remix_sample_rate,
        set_random_seed=settings.evaluate.set_random_seed,
    )
    depends_on = {
        "metric": decisive(settings.metric),
        "sample_rate": settings.sample_rate,
        "evaluate.set_random_seed": settings.evaluate.set_random_seed,
    }
    executor = settings.executor
    with ExitStack() as stack:
        for folder in work.runs:
            own_folder = filling(
                folder,
                "evaluate",
                pairs,
                named(run, depends_on),
                made_with=provenance(flatten(settings), path.inputs()),
                overwrite=settings.overwrite,
                suffix=shard.suffix,
                wait_s=shard.wait_s,
                scored=True,
            )
            stack.enter_context(own_folder)
            remove_scores(folder, shard.suffix)
            tell_of_other_choices(run, folder)
        outcomes = run_jobs(work, pairs, "evaluate", workers=executor.workers, timeout_s=executor.timeout_s)
        succeeded = True
        for folder in work.runs:
            own = [outcome for outcome in outcomes if outcome.run == folder]
            write_scores(folder, own, shard.suffix)
            failures = [failure(outcome) for outcome in own if outcome.cause]
            table = table_path(folder, SCORES, shard.suffix)
            print(f"evaluate: {len(own) - len(failures)} of {len(own)} scores in {table}")
            failures += score_separation(folder, settings, pairs, work.music)
            if shard.count == 1:
                write_failures(folder, "merge", [])  # what an earlier one missed has been told anew
            succeeded &= report_failures(folder, "evaluate", failures, shard.suffix)
        return succeeded


def tell_of_other_choices(run: Run, folder: Path) -> None:
    """Say which choices of the user's the signals were not made with; they are for `enhance`."""
    from cadenza_remix.ledger import claimed

    typed = {override.partition("=")[0] for override in overrides()}
    made_with = claimed(folder, "enhance")
    for group in sorted(typed & run.choices.keys() & made_with.keys()):
        asked, made = (f"{group}={choices[group] or 'null'}" for choices in (run.choices, made_with))
        if asked != made:
            print(f"evaluate: {folder} was made with {made}; {asked} is for enhance, and changes no score.")


def score_separation(
    folder: Path, settings: Settings, pairs: Sequence["Pair"], music: Mapping[str, "Music"]
) -> list[dict[str, str]]:
    """Score the stems that a run kept or was given, if it was; the failures.

    Which stems a run used is written in its manifest; `stems=` says it of signals that were made elsewhere.
    """
    from cadenza_remix.datasets.challenge import stems_in
    from cadenza_remix.jobs.separation import Separation
    from cadenza_remix.ledger import claimed
    from cadenza_remix.parallel import run_all
    from cadenza_remix.results import SEPARATION, table_path, write_separation

    suffix = settings.shard.suffix
    manifest = claimed(folder, "enhance")
    used = str(manifest.get("stems", settings.stems))
    kept = manifest.get("keep_stems", False)  # corrected, where they were
    given = used.lower() not in ("separate", "true") and not kept
    if given and manifest.get("correction"):  # what was remixed lies nowhere
        return []
    stems = Path(used) if given else folder / "stems"
    if not stems.is_dir() or not (given or manifest.get("keep_stems", True)):
        return []
    sources = {pair.scene.song: tuple(pair.scene.gains_db) for pair in pairs}
    work = Separation(folder, stems_in(stems, music), music, sources)
    if settings.overwrite:
        work.ledger.forget(sources)
    executor = settings.executor
    results = dict(run_all(work, list(sources), workers=executor.workers, timeout_s=executor.timeout_s))
    scores = {song: results[song] for song in sources}
    causes = [{"song": song, "cause": each} for song, each in scores.items() if isinstance(each, str)]
    scored = {song: each for song, each in scores.items() if not isinstance(each, str)}
    write_separation(folder, scored, suffix)
    table = table_path(folder, SEPARATION, suffix)
    print(f"evaluate: separation scores of {len(scored)} of {len(sources)} songs in {table}")
    return causes


main = command("evaluate", "Score enhanced signals with HAAQI against the ideal remix.", evaluate)

if __name__ == "__main__":
    main()
