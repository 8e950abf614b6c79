"""Score the stems that a run used against the true ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cadenza_remix import ledger
from cadenza_remix.datasets.challenge import MIXTURE, Music, check_given
from cadenza_remix.errors import AudioError
from cadenza_remix.ledger import Ledger, Record, is_known
from cadenza_remix.metrics.sdr import csdr_db, sdr_by_second_db, sdr_db, si_sdr_db

SCORES = ("sdr", "si_sdr", "csdr")  # of each stem


@dataclass(frozen=True)
class Separation:
    """Compares every separated stem of a song with the true one.

    Attributes:
        run: the run's folder.
        stems: where each song's separated stems lie.
        true_stems: where each song at the microphones lies.
        sources: the stems that each song has.
    """

    run: Path
    stems: Mapping[str, Music]
    true_stems: Mapping[str, Music]
    sources: Mapping[str, tuple[str, ...]]

    @property
    def ledger(self) -> Ledger:
        """What is scored already."""
        return Ledger(self.run / "parts" / "separation")

    def __call__(self, song: str) -> dict[str, dict[str, float]]:
        """The scores of a song by source.

        Raises:
            AudioError: if a stem cannot be read, differs in length from the mixture, or `enhance` has yet to
                make it again.
        """
        true, estimated, sources = self.true_stems[song], self.stems[song], self.sources[song]
        if self._is_outdated(song):
            raise AudioError(
                f"{estimated.folder} holds stems of another separation or mixture than there is now; run "
                "enhance again."
            )
        inputs = [music.path(source) for music in (estimated, true) for source in sources]
        origin = ledger.fingerprint((ledger.stamps(inputs), true.sample_rate, SCORES))
        record = self.ledger.read(song).get(song)
        if record and record.is_current(origin):
            return record.values
        check_given(estimated, sources, true.check([MIXTURE, *sources]))
        scores = _score(estimated, true, sources)
        self.ledger.write(song, {song: Record(origin, values=scores)})
        return scores

    def _is_outdated(self, song: str) -> bool:
        """Whether nothing that `enhance` has noted of a song is of the mixture that there is now."""
        records = Ledger(self.run / "parts" / "enhance").read(song).values()
        made_of = [record.values["made_of"] for record in records if "made_of" in record.values]
        mixture = self.true_stems[song].path(MIXTURE)
        return bool(records) and not any(is_known(mixture, each["mixture"]) for each in made_of)


def _score(estimated: Music, true: Music, sources: Iterable[str]) -> dict[str, dict[str, float]]:
    """The scores by source; a stem at a time is in memory."""
    scores, by_second = {}, {}
    for source in sources:
        estimate, truth = estimated.read(source), true.read(source)
        scores[source] = (sdr_db(truth, estimate), si_sdr_db(truth, estimate))
        by_second[source] = sdr_by_second_db(truth, estimate, sample_rate=true.sample_rate)
    csdr = csdr_db(by_second)
    return {source: dict(zip(SCORES, (*scores[source], csdr[source]), strict=True)) for source in scores}
