"""Pack enhanced signals for handing in."""

from cadenza_remix.check import check
from cadenza_remix.config import Run, command


def pack(run: Run) -> bool:
    """Check the signals and write them into one ZIP archive; false if the check fails."""
    if not check(run):
        print("pack: nothing was packed, since a submission must be complete; mend what is told above.")
        return False
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix.datasets.challenge import read_pairs
    from cadenza_remix.output import ENHANCED, enhanced_path, write_zip

    path, target = run.settings.path, run.settings.pack.file
    signals = [enhanced_path(path.exp_folder, pair) for pair in read_pairs(path)]
    write_zip(target, {f"{ENHANCED}/{signal.name}": signal for signal in signals})
    print(f"pack: {len(signals)} signals, {target.stat().st_size / 1e6:.1f} MB, in {target}")
    return True


main = command("pack", "Check enhanced signals and pack them into one archive.", pack)

if __name__ == "__main__":
    main()
