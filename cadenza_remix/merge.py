"""Put the tables of a run in shards together, as if one task had done everything."""

from cadenza_remix.config import Run, command

SHOWN_REPEATED = 5


def merge(run: Run) -> bool:
    """Merge the tables of each run; true if every pair of the scene list has a score and nothing failed."""
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix import results
    from cadenza_remix.datasets.challenge import read_pairs
    from cadenza_remix.jobs.run import tell_failures
    from cadenza_remix.shards import merge_tables

    settings, path = run.settings, run.settings.path
    pairs = read_pairs(path, every_nth=settings.evaluate.every_nth)
    succeeded = True
    for folder in settings.runs or [path.exp_folder]:
        merged = merge_tables(folder, pairs)
        for name in merged.repeated[:SHOWN_REPEATED]:
            print(f"repeated: {name}")
        if merged.repeated:
            print(f"merge: {len(merged.repeated)} pairs stand in several tables, with equal scores")
        print(f"merge: {merged.scored} of {len(pairs)} scores in {folder / results.SCORES}")
        succeeded &= tell_failures(folder / results.FAILURES, merged.failures)
    return succeeded


main = command("merge", "Put the tables of a run in shards together.", merge)

if __name__ == "__main__":
    main()
