"""Summarise a run's scores, in the console and in `summary.csv`."""

from cadenza_remix.config import Run, command

SHOWN_MISSING = 5


def report(run: Run) -> bool:
    """Print and write the means of each run; true if every pair of the scene list has a score."""
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix import results
    from cadenza_remix.datasets.challenge import read_pairs

    settings, path = run.settings, run.settings.path
    tables = {folder: results.read_scores(folder) for folder in settings.runs or [path.exp_folder]}
    pairs = read_pairs(path, every_nth=settings.evaluate.every_nth)
    complete = True
    for folder, scores in tables.items():
        summary = results.summarise(scores)
        results.write_summary(folder, summary)
        scored = set(zip(scores["scene"], scores["listener"], strict=True))
        missing = [pair.name for pair in pairs if (pair.scene.name, pair.listener.name) not in scored]
        print(summary.to_string(index=False, float_format="{:.4f}".format))
        for name in missing[:SHOWN_MISSING]:
            print(f"missing: {name}")
        separation = results.separation_means(folder)
        if len(separation):
            print(separation.to_string(index=False, float_format="{:.2f} dB".format))
        done = f"{len(pairs) - len(missing)} of {len(pairs)} pairs scored"
        print(f"report: {done}; all results are in {folder}")
        complete &= not missing
    return complete


main = command("report", "Summarise a run's scores.", report)

if __name__ == "__main__":
    main()
