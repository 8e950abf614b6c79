"""Separate, remix, amplify and limit: one enhanced FLAC per scene and listener."""

from pathlib import Path
from typing import Any

from cadenza_remix.config import Run, build, command, decisive, flatten
from cadenza_remix.parallel import import_early


def enhance(run: Run) -> bool:
    """Enhance every pair of the scene list; true if none failed."""
    import_early("cadenza_remix.jobs.enhancement", workers=run.settings.executor.workers)
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix.datasets.challenge import read_music, read_pairs, stems_in
    from cadenza_remix.demix.base import Separator
    from cadenza_remix.jobs.enhancement import Enhancement
    from cadenza_remix.jobs.run import report_failures, run_jobs
    from cadenza_remix.ledger import claim
    from cadenza_remix.results import failure

    settings, path = run.settings, run.settings.path
    separated = settings.stems == "separate"
    separator = build(settings.separator, "separator", Separator) if separated else None
    amplifier, limiter = build(settings.amplifier, "amplifier"), build(settings.limiter, "limiter")
    closed_loop = build(settings.closed_loop, "closed_loop") if settings.closed_loop else None
    if closed_loop:
        closed_loop.start(limiter)  # whether its ranges fit, before any work
    if run.is_demo:
        from cadenza_remix import demo

        demo.write_music_at_microphones(settings)
    pairs = read_pairs(path, every_nth=settings.evaluate.every_nth)
    music = read_music(path.given("music_file"), path.given("music_dir"), pairs, settings.sample_rate)
    given_stems = music if settings.stems.lower() == "true" else stems_in(Path(settings.stems), music)
    depends_on = {
        "stems": settings.stems,
        "separator": _identity(settings.separator, separator) if separated else None,
        "amplifier": settings.amplifier,
        "limiter": settings.limiter,
        "closed_loop": settings.closed_loop,
        "sample_rate": settings.sample_rate,
        "remix_sample_rate": settings.remix_sample_rate,
        "keep_stems": settings.keep_stems,
        "truncate": settings.truncate,
    }
    claim(path.exp_folder, "enhance", flatten(depends_on), overwrite=settings.overwrite)
    work = Enhancement(
        exp_folder=path.exp_folder,
        music=music,
        given_stems=None if separated else given_stems,
        separator=separator,
        amplifier=amplifier,
        limiter=limiter,
        closed_loop=closed_loop,
        sample_rate=settings.sample_rate,
        output_sample_rate=settings.remix_sample_rate,
        truncate=settings.truncate,
        keep_stems=settings.keep_stems,
        overwrite=settings.overwrite,
    )
    outcomes = run_jobs(work, pairs, "enhance", workers=settings.executor.workers)
    failures = [failure(outcome) for outcome in outcomes if outcome.cause]
    print(
        f"enhance: {len(outcomes) - len(failures)} of {len(outcomes)} signals in "
        f"{path.exp_folder / 'enhanced_signals'}"
    )
    return report_failures(path.exp_folder, "enhance", failures)


def _identity(node: Any, separator: Any) -> dict[str, Any]:
    """What makes a separator the one it is: its settings, and its weights by content wherever they lie."""
    sha256 = getattr(separator, "weights_sha256", None)
    return decisive(node) | ({"weights": sha256} if sha256 else {})


main = command("enhance", "Separate, remix, amplify and limit music for every scene and listener.", enhance)

if __name__ == "__main__":
    main()
