"""Doing the pairs of a song that are not finished yet, each on its own account."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cadenza_remix import pipeline
from cadenza_remix.audio import Float
from cadenza_remix.errors import CadenzaError, NothingWritableError
from cadenza_remix.ledger import Ledger, Record
from cadenza_remix.parallel import describe
from cadenza_remix.remix import MixtureBlend
from cadenza_remix.scenes import Job, Outcome, Pair

logger = logging.getLogger(__name__)
# Does a pair for some runs; for each, the record of what was made or why it was not.
DoPair = Callable[[Pair, Sequence[Path]], Mapping[Path, Record | Exception]]


def do_pairs(
    job: Job,
    runs: Sequence[Path],
    command: str,
    origin: Callable[[Pair, Path], str],
    begin: Callable[[Sequence[Pair]], DoPair],
) -> list[Outcome]:
    """Do every pair of a song whose record is not current, and write the records down.

    Args:
        job: the song with its pairs.
        runs: folders; a pair is done for all of them at once, since they share what it is made from.
        command: whose records these are.
        origin: gives the fingerprint of what a pair of a run is made from.
        begin: does what the pairs share, and gives the function that does one; not called if all are
            finished.

    Returns:
        An outcome per run and pair, pairs in the job's order.

    Raises:
        CadenzaError: what `begin` raises; then no pair of this song can be done.
        NothingWritableError: if nothing can be written any more.
    """
    ledgers = {run: Ledger(run / "parts" / command) for run in runs}
    records = {run: ledger.read(job.song) for run, ledger in ledgers.items()}

    def finished(pair: Pair, run: Path) -> bool:
        record = records[run].get(pair.name)
        return record is not None and record.is_current(origin(pair, run))

    todo = [(pair, [run for run in runs if not finished(pair, run)]) for pair in job.pairs]
    todo = [(pair, unfinished) for pair, unfinished in todo if unfinished]
    causes: dict[tuple[Path, str], str] = {}
    if todo:
        do_pair = begin([pair for pair, _ in todo])
        for pair, unfinished in todo:
            for run, made in _attempt(do_pair, pair, unfinished).items():
                if isinstance(made, Record):
                    records[run][pair.name] = made
                else:
                    causes[run, pair.name] = _told(made, pair)
        for run, ledger in ledgers.items():
            ledger.write(job.song, records[run])
    return [_outcome(pair, run, records, causes) for run in runs for pair in job.pairs]


def remix_once_per_scene(
    pairs: Sequence[Pair],
    stems: Mapping[str, npt.NDArray[Float]],
    mixture: npt.NDArray[np.float32],
    *,
    sample_rate: int,
    blend: MixtureBlend | None = None,
) -> Callable[[Pair], npt.NDArray[Float]]:
    """Give the remix of a pair's scene; pairs of a scene follow each other, so the last one is kept."""
    gains_db = {pair.scene.name: pair.scene.gains_db for pair in pairs}

    @lru_cache(maxsize=1)
    def remix(scene: str) -> npt.NDArray[Float]:
        return pipeline.remix_scene(stems, gains_db[scene], mixture, sample_rate=sample_rate, blend=blend)

    return lambda pair: remix(pair.scene.name)


def _attempt(do_pair: DoPair, pair: Pair, runs: Sequence[Path]) -> Mapping[Path, Record | Exception]:
    try:
        return do_pair(pair, runs)
    except NothingWritableError:
        raise
    except Exception as error:
        return dict.fromkeys(runs, error)


def _told(error: Exception, pair: Pair) -> str:
    if not isinstance(error, CadenzaError):
        logger.error("Unexpected failure at %s", pair.name, exc_info=error)
    return describe(error)


def _outcome(
    pair: Pair,
    run: Path,
    records: Mapping[Path, Mapping[str, Record]],
    causes: Mapping[tuple[Path, str], str],
) -> Outcome:
    if (run, pair.name) in causes:
        return Outcome(pair, run, cause=causes[run, pair.name])
    return Outcome(pair, run, records[run][pair.name].values)
