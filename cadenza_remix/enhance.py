"""Separate, remix, amplify and limit: one enhanced FLAC per scene and listener."""

import logging
from pathlib import Path
from typing import Any

from cadenza_remix.config import Run, build, command, decisive, flatten, named
from cadenza_remix.parallel import import_early

logger = logging.getLogger(__name__)
FREE_LICENCES = ("none", "MIT", "BSD-3-Clause", "Apache-2.0", "CC BY 4.0")  # "none": nothing to license


def enhance(run: Run) -> bool:
    """Enhance every pair of the scene list; true if none failed."""
    early = ["cadenza_remix.jobs.enhancement"]
    if run.settings.closed_loop:
        early.append("cadenza_remix.closed_loop.ascent")  # PyTorch, once for all workers
    import_early(*early, workers=run.settings.executor.workers)
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix import pipeline
    from cadenza_remix.datasets.challenge import read_music, read_pairs, stems_in
    from cadenza_remix.demix.base import Separator
    from cadenza_remix.jobs.enhancement import Enhancement
    from cadenza_remix.jobs.run import filling, report_failures, run_jobs
    from cadenza_remix.jobs.stem_cache import StemCache
    from cadenza_remix.ledger import provenance
    from cadenza_remix.results import failure
    from cadenza_remix.shards import remove_scores, take_songs

    settings, path, shard = run.settings, run.settings.path, run.settings.shard
    separated = settings.stems == "separate"
    separator = build(settings.separator, "separator", Separator) if separated else None
    corrected = settings.correction
    corrections = tuple(build(node, f"correction.{name}") for name, node in corrected.items())
    blend = build(settings.mixture_blend, "mixture_blend") if settings.mixture_blend else None
    amplifier, limiter = build(settings.amplifier, "amplifier"), build(settings.limiter, "limiter")
    closed_loop = build(settings.closed_loop, "closed_loop") if settings.closed_loop else None
    if run.is_demo:
        from cadenza_remix import demo

        demo.write_music_at_microphones(settings)
    pairs = read_pairs(path, every_nth=settings.evaluate.every_nth)
    pipeline.check_corrections(corrections, pairs[0].scene.gains_db)
    pairs = take_songs(pairs, index=shard.index, count=shard.count)
    music = read_music(path.given("music_file"), path.given("music_dir"), pairs, settings.sample_rate)
    given_stems = music if settings.stems.lower() == "true" else stems_in(Path(settings.stems), music)
    depends_on = {
        "path.root": settings.path.root,  # another one is other music under the same names
        "split": settings.split,
        "stems": settings.stems,
        "separator": identity(settings.separator, separator) if separated else None,
        "correction": {"in order": list(corrected), **corrected} if corrected else None,
        "mixture_blend": settings.mixture_blend,
        "amplifier": settings.amplifier,
        "limiter": settings.limiter,
        "closed_loop": settings.closed_loop,
        "sample_rate": settings.sample_rate,
        "remix_sample_rate": settings.remix_sample_rate,
        "keep_stems": settings.keep_stems,
        "truncate": settings.truncate,
    }
    work = Enhancement(
        exp_folder=path.exp_folder,
        music=music,
        given_stems=None if separated else given_stems,
        separator=separator,
        corrections=corrections,
        mixture_blend=blend,
        amplifier=amplifier,
        limiter=limiter,
        closed_loop=closed_loop,
        sample_rate=settings.sample_rate,
        output_sample_rate=settings.remix_sample_rate,
        truncate=settings.truncate,
        keep_stems=settings.keep_stems,
        stem_cache=StemCache(settings.stem_cache, settings.stem_cache_gb) if settings.stem_cache else None,
    )
    executor = settings.executor
    with filling(
        path.exp_folder,
        "enhance",
        pairs,
        named(run, depends_on),
        made_with=provenance(flatten(settings), path.inputs()),
        overwrite=settings.overwrite,
        suffix=shard.suffix,
        wait_s=shard.wait_s,
        scored=True,
    ):
        if settings.overwrite:
            remove_scores(path.exp_folder, shard.suffix)  # of the signals that were there
        if separator:
            warn_of_terms(separator)
        outcomes = run_jobs(work, pairs, "enhance", workers=executor.workers, timeout_s=executor.timeout_s)
        failures = [failure(outcome) for outcome in outcomes if outcome.cause]
        print(
            f"enhance: {len(outcomes) - len(failures)} of {len(outcomes)} signals in "
            f"{path.exp_folder / 'enhanced_signals'}"
        )
        return report_failures(path.exp_folder, "enhance", failures, shard.suffix)


def warn_of_terms(separator: Any) -> None:
    """Say what keeps a separator's results from being entered or used freely."""
    if not separator.allowed_by_rules:
        logger.warning(
            "The separator learnt from %s, which the challenge's rules do not admit; "
            "enter no results of it, or choose another separator.",
            separator.training_data,
        )
    licence = getattr(separator, "licence", FREE_LICENCES[0])
    if not set(licence.split("; ")) <= set(FREE_LICENCES):  # those of an ensemble's members
        logger.warning("Terms of the separator's weights: %s.", licence)


def identity(node: Any, separator: Any) -> dict[str, Any]:
    """What makes a separator the one it is: its settings, and its weights by content wherever they lie.

    An ensemble is what its members are.
    """
    told = decisive(node) | {
        "training_data": separator.training_data,
        "allowed_by_rules": separator.allowed_by_rules,
    }
    if hasattr(separator, "members"):
        members = separator.members.items()
        return told | {"members": {name: identity(node["members"][name], one) for name, one in members}}
    sha256 = getattr(separator, "weights_sha256", None)
    return told | ({"weights": sha256} if sha256 else {})


main = command("enhance", "Separate, remix, amplify and limit music for every scene and listener.", enhance)

if __name__ == "__main__":
    main()
