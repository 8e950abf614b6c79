"""Check enhanced signals before they are handed in; nothing is written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cadenza_remix.config import Run, command
from cadenza_remix.errors import AudioError
from cadenza_remix.parallel import import_early

if TYPE_CHECKING:  # --help and --cfg answer at once
    from cadenza_remix.datasets.challenge import Music
    from cadenza_remix.jobs.inspection import Inspected
    from cadenza_remix.scenes import Pair

SHOWN = 5  # files of a kind; the others are counted


def check(run: Run) -> bool:
    """Look at the signals of all pairs and print a table of what was found; true if all is well.

    `evaluate.small_test` does not count here, since a submission holds every pair.

    Raises:
        CadenzaError: if there are no signals, or the metadata cannot be read.
    """
    import_early("cadenza_remix.jobs.inspection", workers=run.settings.executor.workers)
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix.datasets.challenge import read_pairs
    from cadenza_remix.jobs.inspection import CRITERIA
    from cadenza_remix.output import ENHANCED

    signals = run.settings.path.exp_folder / ENHANCED
    if not signals.is_dir():
        raise AudioError(f"{signals} is missing; run enhance first, or say path.exp_folder=DIR.")
    pairs = read_pairs(run.settings.path)
    mixtures = mixtures_here(run, pairs)
    inspected = inspect(run, pairs, mixtures)
    all_here = all(pair.scene.song in mixtures for pair in pairs)
    or_else = "" if all_here else f", or the song's others ({len(mixtures)} mixtures are here)"
    meanings = (
        "a signal for every scene and listener",
        f"FLAC, 16 bit, stereo, {run.settings.remix_sample_rate} Hz",
        f"readable to the end, as long as the mixture{or_else}",
        "sound in both ears",
    )
    asked_for = {one.path.name for one in inspected}
    others = sorted(path.name for path in signals.iterdir() if path.name not in asked_for)
    criteria = dict(zip(CRITERIA, meanings, strict=True))
    print(*table(inspected, criteria), f"others   {listed(others)}", *causes(inspected), sep="\n")
    good = sum(one.cause is None for one in inspected)
    print(f"check: {good} of {len(inspected)} signals in {signals} are as the challenge wants them")
    return good == len(inspected)


def inspect(run: Run, pairs: "Sequence[Pair]", mixtures: "Mapping[str, Music]") -> "list[Inspected]":
    """Look at every signal, song by song; sorted by name."""
    from tqdm import tqdm

    from cadenza_remix.jobs.inspection import Inspected, Inspection
    from cadenza_remix.output import enhanced_path
    from cadenza_remix.parallel import run_all
    from cadenza_remix.scenes import group_by_song

    folder, jobs = run.settings.path.exp_folder, group_by_song(pairs)
    work = Inspection(folder, mixtures, run.settings.remix_sample_rate)
    inspected: list[Inspected] = []
    done = run_all(work, jobs, workers=run.settings.executor.workers)
    for job, found in tqdm(done, desc="check", total=len(jobs), unit="song", disable=None, leave=False):
        if isinstance(found, str):  # the mixture is damaged
            found = [Inspected(enhanced_path(folder, pair), None, "whole", found) for pair in job.pairs]
        inspected += found
    return sorted(inspected, key=lambda one: one.path.name)


def mixtures_here(run: Run, pairs: "Sequence[Pair]") -> "dict[str, Music]":
    """The songs at the microphones whose mixtures are on this machine; a submission may come without any."""
    from cadenza_remix.datasets.challenge import MIXTURE, read_music

    path = run.settings.path
    music_file = path.given("music_file")
    if not music_file.is_file():
        return {}
    music = read_music(music_file, path.given("music_dir"), pairs, run.settings.sample_rate)
    return {song: one for song, one in music.items() if one.path(MIXTURE).is_file()}


def table(inspected: "Sequence[Inspected]", meanings: Mapping[str, str]) -> Iterator[str]:
    """A line for each criterion: of those that met the ones before, how many meet it; then the clipping."""
    left = len(inspected)
    for criterion, meaning in meanings.items():
        asked, left = left, left - sum(one.failed == criterion for one in inspected)
        yield f"{criterion:8} {left} of {asked}: {meaning}"
    clipped = {one.path.name: one.clipped_percent for one in inspected if one.clipped_percent is not None}
    if clipped:
        worst = max(clipped, key=lambda name: clipped[name])
        mean = sum(clipped.values()) / len(clipped)
        yield f"clipped  mean {mean:.2f} %, worst {clipped[worst]:.2f} % of a signal's samples ({worst})"


def listed(others: Sequence[str]) -> str:
    """Files that nothing asks for; they are no fault, but one may be a misspelt name."""
    if not others:
        return "no other files"
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    return f"{len(others)} of no scene and listener: {', '.join(others[:SHOWN])}{more}"


def causes(inspected: "Sequence[Inspected]") -> Iterator[str]:
    """The first failures of each kind."""
    by_kind: dict[str, list[str]] = {}
    for one in inspected:
        if one.failed and one.cause:
            by_kind.setdefault(one.failed, []).append(one.cause)
    for kind, told in by_kind.items():
        yield from (f"not {kind}: {cause}" for cause in told[:SHOWN])
        if len(told) > SHOWN:
            yield f"not {kind}: {len(told) - SHOWN} more"


main = command("check", "Check enhanced signals before they are handed in.", check)

if __name__ == "__main__":
    main()
