"""Doing the pairs of a song that are not finished yet, each on its own account."""

import logging
from collections.abc import Callable, Mapping, Sequence

from cadenza_remix.errors import CadenzaError
from cadenza_remix.ledger import Ledger, Record
from cadenza_remix.parallel import describe
from cadenza_remix.results import Outcome
from cadenza_remix.scenes import Job, Pair

logger = logging.getLogger(__name__)
DoPair = Callable[[Pair], Record]


def do_pairs(
    job: Job,
    ledger: Ledger,
    origins: Mapping[str, str],
    begin: Callable[[Sequence[Pair]], DoPair],
    *,
    overwrite: bool,
) -> list[Outcome]:
    """Do every pair of a song whose record is not current, and write the records down.

    Args:
        job: the song with its pairs.
        ledger: where finished pairs are recorded.
        origins: fingerprint of what each pair is made from, by the pair's name.
        begin: does what the pairs share, and gives the function that does one; not called if all are
        finished.
        overwrite: do all of them.

    Returns:
        An outcome per pair, in the job's order.

    Raises:
        CadenzaError: what `begin` raises; then no pair of this song can be done.
    """
    records = {} if overwrite else ledger.read(job.song)
    records = {name: r for name, r in records.items() if name in origins and r.is_current(origins[name])}
    todo = [pair for pair in job.pairs if pair.name not in records]
    causes: dict[str, str] = {}
    if todo:
        do_pair = begin(todo)
        for pair in todo:
            try:
                records[pair.name] = do_pair(pair)
            except Exception as error:
                if not isinstance(error, CadenzaError):
                    logger.exception("Unexpected failure at %s", pair.name)
                causes[pair.name] = describe(error)
        ledger.write(job.song, records)
    return [
        Outcome(pair, cause=causes[pair.name])
        if pair.name in causes
        else Outcome(pair, records[pair.name].values)
        for pair in job.pairs
    ]
