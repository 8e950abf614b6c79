"""Compare the stems of a song with the true ones, for what is fitted over all songs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cadenza_remix import ledger, pipeline
from cadenza_remix.datasets.challenge import MIXTURE, Music, check_given
from cadenza_remix.demix.base import Separator, Stems
from cadenza_remix.demix.correction import Correction
from cadenza_remix.demix.fitting import Fit, Gram, Signal, Weights, energies, gram
from cadenza_remix.errors import AudioError
from cadenza_remix.jobs.stem_cache import StemCache
from cadenza_remix.ledger import Ledger, Record
from cadenza_remix.metrics.sdr import sdr_of_energies_db


@dataclass(frozen=True)
class Fitting:
    """Sums up how every stem of a song depends on what was separated.

    Attributes:
        run: the folder of the fit.
        music: where each song at the microphones lies, with its true stems.
        sources: the stems that every song has.
        given_stems: where each song's stems lie, if they are not to be separated.
        separators: take the mixture apart where no stems are given; the members of an ensemble.
        corrections: what is done to the stems before.
        fit: what is fitted.
        sample_rate: Hz, of the music.
        stem_cache: keeps the separated stems for other runs, if it is to.
    """

    run: Path
    music: Mapping[str, Music]
    sources: tuple[str, ...]
    given_stems: Mapping[str, Music] | None
    separators: tuple[Separator, ...]
    corrections: tuple[Correction, ...]
    fit: Fit
    sample_rate: int
    stem_cache: StemCache | None

    def __call__(self, song: str) -> dict[str, Gram]:
        """The Gram matrices of a song, see `demix.fitting`; taken from its record if nothing has changed.

        Raises:
            CadenzaError: if a signal cannot be read, or the mixture not be separated.
        """
        music, sources = self.music[song], self.sources
        folders = [music, self.given_stems[song]] if self.given_stems else [music]
        inputs = [music.path(MIXTURE), *(folder.path(source) for folder in folders for source in sources)]
        made_by = (self.separators, self.corrections, self.fit, self.sample_rate)
        origin = ledger.fingerprint((ledger.stamps(inputs), made_by))
        records = Ledger(self.run / "parts" / "fit")
        record = records.read(song).get(song)
        if not record or not record.is_current(origin):
            grams = {source: each.tolist() for source, each in self._grams(song).items()}
            record = Record(origin, values=grams)
            records.write(song, {song: record})
        return {source: np.array(record.values[source]) for source in sources}

    def _grams(self, song: str) -> dict[str, Gram]:
        music, sources = self.music[song], self.sources
        header = music.check([MIXTURE, *sources])  # before anything is separated
        if self.given_stems:
            check_given(self.given_stems[song], sources, header)
        mixture = music.mixture()
        members = [pipeline.correct(self.corrections, stems, mixture) for stems in self._stems(song, mixture)]
        return {
            source: gram(self.fit.signals(source, members, mixture, music.read(source))) for source in sources
        }

    def _stems(self, song: str, mixture: Signal) -> list[Stems]:
        if self.given_stems:
            return [self.given_stems[song].stems(self.sources)]
        separate = self.stem_cache.separate if self.stem_cache else pipeline.separate
        return [separate(each, mixture, sample_rate=self.sample_rate) for each in self.separators]


def found(fit: Fit, sources: Sequence[str], songs: Sequence[Mapping[str, Gram]]) -> dict[str, Weights]:
    """What fits the stems of all songs best.

    Raises:
        AudioError: if nothing can be learnt about one of them.
    """
    weights = {source: _fitted(fit, [grams[source] for grams in songs]) for source in sources}
    for source, each in weights.items():
        if np.isnan(each).any():
            raise AudioError(
                f"{source} is silent in all songs, as it is or as it was separated, so nothing can be learnt "
                "about it; take scenes, or a separator, with that stem."
            )
    return weights


def scores(
    fit: Fit, weights: Mapping[str, Weights], songs: Sequence[Mapping[str, Gram]]
) -> dict[str, dict[str, float]]:
    """The mean uSDR over songs in dB, of each stem.

    Returns:
        stem → `before`, by the member that is best on these songs; `fitted`; then both where each song in
        turn is left out: `left out, before`, by the member that is best on the other songs, and `left out`,
        fitted to these; NaN where they teach nothing about the stem. Then by each member.
    """
    return {
        source: _scores(fit, source, each, [song[source] for song in songs])
        for source, each in weights.items()
    }


def _scores(fit: Fit, source: str, fitted: Weights, songs: Sequence[Gram]) -> dict[str, float]:
    alone = {name: _sdr_db(songs, [each] * len(songs)) for name, each in fit.before(source).items()}
    by_member = np.stack(list(alone.values()))
    others = [[*songs[:number], *songs[number + 1 :]] for number in range(len(songs))]
    unknown = np.full_like(fitted, np.nan)
    left_out = _sdr_db(songs, [_fitted(fit, each) if each else unknown for each in others])
    best_on_others = np.argmax(by_member.sum(axis=1, keepdims=True) - by_member, axis=0)
    chosen = by_member[best_on_others, np.arange(len(songs))]
    told = ~np.isnan(left_out)
    columns = {
        "before": by_member[by_member.mean(axis=1).argmax()],
        "fitted": _sdr_db(songs, [fitted] * len(songs)),
        "left out, before": chosen[told],
        "left out": left_out[told],
    } | alone
    return {name: float(each.mean()) if each.size else float("nan") for name, each in columns.items()}


def _fitted(fit: Fit, songs: Sequence[Gram]) -> Weights:
    return fit.weights(np.sum(songs, axis=0))


def _sdr_db(songs: Sequence[Gram], weights: Sequence[Weights]) -> npt.NDArray[np.float64]:
    """Of each song with weights of its own."""
    pairs = zip(songs, weights, strict=True)
    return np.array([sdr_of_energies_db(*energies(each, by)) for each, by in pairs])
