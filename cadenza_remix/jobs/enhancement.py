"""Enhance one song at the microphones for all its scenes and listeners."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cadenza_remix import output, pipeline
from cadenza_remix.amplify.base import Amplifier
from cadenza_remix.closed_loop.base import ClosedLoop
from cadenza_remix.datasets.challenge import MIXTURE, Music, check_given
from cadenza_remix.demix.base import Separator, Stems
from cadenza_remix.demix.correction import Correction
from cadenza_remix.jobs.pairs import DoPair, do_pairs, remix_once_per_scene
from cadenza_remix.jobs.stem_cache import StemCache
from cadenza_remix.ledger import Record, fingerprint, known, stamps
from cadenza_remix.limit import Limiter
from cadenza_remix.remix import MixtureBlend
from cadenza_remix.scenes import Job, Outcome, Pair

Signal = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Enhancement:
    """Separates a song once, remixes it once per scene, and amplifies it once per listener.

    Attributes:
        exp_folder: the run's folder.
        music: where each song at the microphones lies.
        given_stems: where each song's stems lie, if they are not to be separated.
        separator: takes the mixture apart where no stems are given.
        corrections: improve the stems, in this order.
        mixture_blend: brings some of the mixture back into the remix, if it is to.
        amplifier: makes the remix audible.
        limiter: fits it into full scale.
        closed_loop: fits what the limiter gives to the ear, if it is to.
        sample_rate: Hz, of the music.
        output_sample_rate: Hz, of the enhanced signals.
        truncate: cut samples to 16 bits instead of rounding them.
        keep_stems: write the corrected stems to `<exp_folder>/stems`.
        stem_cache: keeps the separated stems for other runs, if it is to.
    """

    exp_folder: Path
    music: Mapping[str, Music]
    given_stems: Mapping[str, Music] | None
    separator: Separator | None
    corrections: tuple[Correction, ...]
    mixture_blend: MixtureBlend | None
    amplifier: Amplifier
    limiter: Limiter
    closed_loop: ClosedLoop | None
    sample_rate: int
    output_sample_rate: int
    truncate: bool
    keep_stems: bool
    stem_cache: StemCache | None

    def __call__(self, job: Job) -> list[Outcome]:
        """Enhance every pair of the song that is not finished yet.

        Raises:
            CadenzaError: if the song cannot be read or separated.
        """
        return do_pairs(job, self.runs, "enhance", self._origin, self._begin)

    @property
    def runs(self) -> tuple[Path, ...]:
        """The one run that is enhanced."""
        return (self.exp_folder,)

    def check(self, job: Job) -> float:
        """Look at the headers of what the job will read; about how many bytes it will write.

        Raises:
            AudioError: if something is missing or of another format, or no scene asks for what is separated.
        """
        header = self.music[job.song].check([MIXTURE])
        if self.given_stems:
            check_given(self.given_stems[job.song], job.pairs[0].scene.gains_db, header)
        if self.separator:
            sources, asked = self.separator.sources, [pair.scene.gains_db for pair in job.pairs]
            if all(set(gains_db) != set(sources) for gains_db in asked):
                pipeline.check_sources(sources, asked[0])
        return self._bytes_to_write(job, header.samples)

    def _bytes_to_write(self, job: Job, samples: int) -> float:
        missing = sum(not output.enhanced_path(self.exp_folder, pair).exists() for pair in job.pairs)
        enhanced = missing * output.flac_bytes(samples / self.sample_rate * self.output_sample_rate)
        kept = self.keep_stems and not (self.exp_folder / "stems" / job.song).exists()
        stems = len(job.pairs[0].scene.gains_db) if kept else 0
        return enhanced + stems * 2 * samples * np.dtype(np.float32).itemsize

    def _begin(self, pairs: Sequence[Pair]) -> DoPair:
        song = pairs[0].scene.song
        mixture = self.music[song].mixture()
        begin_s = time.perf_counter()
        stems = pipeline.correct(self.corrections, self._stems(pairs[0], mixture), mixture)
        self._keep(song, stems)
        share_s = round((time.perf_counter() - begin_s) / len(pairs), 3)
        separation = {} if self.given_stems else {"separation_seconds": share_s}

        remix = remix_once_per_scene(
            pairs, stems, mixture, sample_rate=self.sample_rate, blend=self.mixture_blend
        )
        return lambda pair, _: {self.exp_folder: self._enhance(pair, remix(pair), separation)}

    def _stems(self, pair: Pair, mixture: Signal) -> Stems:
        if self.given_stems:
            return self.given_stems[pair.scene.song].stems(pair.scene.gains_db)
        assert self.separator is not None
        separate = self.stem_cache.separate if self.stem_cache else pipeline.separate
        return separate(self.separator, mixture, sample_rate=self.sample_rate)

    def _keep(self, song: str, stems: Stems) -> None:
        if self.keep_stems:
            for source, stem in stems.items():
                path = self.exp_folder / "stems" / song / f"{source}.wav"
                output.write_float(path, stem, sample_rate=self.sample_rate)

    def _enhance(self, pair: Pair, remixed: Signal, separation: Mapping[str, float]) -> Record:
        begin_s = time.perf_counter()
        enhanced = pipeline.enhance_scene(
            remixed,
            pair.listener,
            amplifier=self.amplifier,
            limiter=self.limiter,
            sample_rate=self.sample_rate,
            output_sample_rate=self.output_sample_rate,
            closed_loop=self.closed_loop,
        )
        path = output.enhanced_path(self.exp_folder, pair)
        output.write_pcm16(
            path,
            enhanced,
            sample_rate=self.output_sample_rate,
            file_format="FLAC",
            truncate=self.truncate,
        )
        seconds = round(time.perf_counter() - begin_s, 3)
        values = {"seconds": seconds, "made_of": self._made_of(pair), **separation}
        return Record(self._origin(pair, self.exp_folder), stamps([path]), values)

    def _made_of(self, pair: Pair) -> dict[str, Any]:
        """By what `evaluate` tells that a signal is out of date."""
        song = pair.scene.song
        made_of = {"pair": fingerprint(pair), "mixture": known(self.music[song].path(MIXTURE))}
        if not self.given_stems:
            return made_of
        given = self.given_stems[song]
        stems = {source: known(given.path(source)) for source in pair.scene.gains_db}
        return made_of | {"stems_folder": str(given.folder), "stems": stems}

    def _origin(self, pair: Pair, _run: Path) -> str:
        inputs = [self.music[pair.scene.song].path(MIXTURE)]
        if self.given_stems:
            given = self.given_stems[pair.scene.song]
            inputs += [given.path(source) for source in pair.scene.gains_db]
        remixing = (self.separator, self.corrections, self.mixture_blend)
        components = (*remixing, self.amplifier, self.limiter, self.closed_loop)
        form = (self.sample_rate, self.output_sample_rate, self.truncate)
        return fingerprint((pair, stamps(inputs), components, form))
