"""Compare the stems of a song with the true ones, for what is fitted over all songs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cadenza_remix import ledger, pipeline
from cadenza_remix.datasets.challenge import MIXTURE, Music, check_given
from cadenza_remix.demix.base import Separator, Stems
from cadenza_remix.demix.correction import Correction
from cadenza_remix.demix.fitting import Fit, Gram, Signal, Weights, energies
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
            grams = {source: gram.tolist() for source, gram in self._grams(song).items()}
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
        return self.fit.grams(members, mixture, music.stems(sources))

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
    """The mean uSDR over songs in dB, of each stem: as it was, fitted, and of songs that were left out.

    A song's `left out` is that with the weights which are fitted to the other ones; NaN for a single song.
    """
    table = {}
    for source, fitted in weights.items():
        grams = [song[source] for song in songs]
        others = [[*grams[:number], *grams[number + 1 :]] for number in range(len(grams))]
        left_out = [_fitted(fit, each) if each else np.full_like(fitted, np.nan) for each in others]
        columns = {name: [each] * len(grams) for name, each in fit.before(source).items()}
        columns |= {"fitted": [fitted] * len(grams), "left out": left_out}
        table[source] = {name: _mean_sdr_db(grams, each) for name, each in columns.items()}
    return table


def _fitted(fit: Fit, grams: Sequence[Gram]) -> Weights:
    return fit.weights(np.sum(grams, axis=0))


def _mean_sdr_db(grams: Sequence[Gram], weights: Sequence[Weights]) -> float:
    pairs = zip(grams, weights, strict=True)
    return float(np.mean([sdr_of_energies_db(*energies(gram, each)) for gram, each in pairs]))
