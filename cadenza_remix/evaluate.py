"""Score enhanced signals against the ideal remix."""

from cadenza_remix.config import Run, build, command, decisive, flatten
from cadenza_remix.parallel import import_early


def evaluate(run: Run) -> bool:
    """Score every pair of the scene list; true if none failed."""
    import_early("cadenza_remix.jobs.evaluation", workers=run.settings.executor.workers)
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix.datasets.challenge import read_music, read_pairs
    from cadenza_remix.jobs.evaluation import Evaluation
    from cadenza_remix.jobs.run import report_failures, run_jobs
    from cadenza_remix.ledger import claim
    from cadenza_remix.metrics.base import Metric
    from cadenza_remix.results import SCORES, failure, write_scores

    settings, path = run.settings, run.settings.path
    if run.is_demo:
        from cadenza_remix import demo

        demo.write_music_at_microphones(settings)
    pairs = read_pairs(path, every_nth=settings.evaluate.every_nth)
    work = Evaluation(
        runs=tuple(settings.runs or [path.exp_folder]),
        music=read_music(path.given("music_file"), path.given("music_dir"), pairs, settings.sample_rate),
        metric=build(settings.metric, "metric", Metric),
        sample_rate=settings.sample_rate,
        output_sample_rate=settings.remix_sample_rate,
        set_random_seed=settings.evaluate.set_random_seed,
        overwrite=settings.overwrite,
    )
    depends_on = {
        "metric": decisive(settings.metric),
        "sample_rate": settings.sample_rate,
        "evaluate.set_random_seed": settings.evaluate.set_random_seed,
    }
    for folder in work.runs:
        claim(folder, "evaluate", flatten(depends_on), overwrite=settings.overwrite)
    outcomes = run_jobs(work, pairs, "evaluate", workers=settings.executor.workers)
    succeeded = True
    for folder in work.runs:
        own = [outcome for outcome in outcomes if outcome.run == folder]
        write_scores(folder, own)
        failures = [failure(outcome) for outcome in own if outcome.cause]
        print(f"evaluate: {len(own) - len(failures)} of {len(own)} scores in {folder / SCORES}")
        succeeded &= report_failures(folder, "evaluate", failures)
    return succeeded


main = command("evaluate", "Score enhanced signals with HAAQI against the ideal remix.", evaluate)

if __name__ == "__main__":
    main()
