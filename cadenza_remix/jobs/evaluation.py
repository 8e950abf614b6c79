"""Score one song's enhanced signals, for all its scenes and listeners."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cadenza_remix import output, pipeline
from cadenza_remix.audio import is_there
from cadenza_remix.datasets.challenge import MIXTURE, Music
from cadenza_remix.errors import AudioError, CadenzaError
from cadenza_remix.jobs.pairs import DoPair, do_pairs, remix_once_per_scene
from cadenza_remix.ledger import Ledger, Record, fingerprint, is_known, stamps
from cadenza_remix.metrics.base import Metric
from cadenza_remix.output import Enhanced
from cadenza_remix.scenes import Job, Outcome, Pair, rng_of

Signal = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Compares enhanced signals with the ideal ones, made from the true stems once per scene.

    Attributes:
        runs: the folders of the runs; those that share scenes share what is ideal in them.
        music: where each song at the microphones lies.
        metric: compares two signals for a listener.
        sample_rate: Hz, of the music.
        output_sample_rate: Hz, that the enhanced signals should have.
        set_random_seed: draw the metric's noise from the scene's name instead of afresh.
    """

    runs: tuple[Path, ...]
    music: Mapping[str, Music]
    metric: Metric
    sample_rate: int
    output_sample_rate: int
    set_random_seed: bool

    def __call__(self, job: Job) -> list[Outcome]:
        """Score every pair of the song that is not finished yet.

        Raises:
            CadenzaError: if the song's true stems cannot be read.
        """
        return do_pairs(job, self.runs, "evaluate", self._origin, self._begin)

    def check(self, job: Job) -> float:
        """Look at the headers of the true stems; scores take no space to speak of.

        Raises:
            AudioError: if something is missing or of another format.
        """
        self.music[job.song].check([MIXTURE, *job.pairs[0].scene.gains_db])
        return 0

    def _begin(self, pairs: Sequence[Pair]) -> DoPair:
        music = self.music[pairs[0].scene.song]
        mixture = music.mixture()
        stems = {
            source: stem.astype(np.float64) for source, stem in music.stems(pairs[0].scene.gains_db).items()
        }

        ideal_remix = remix_once_per_scene(pairs, stems, mixture, sample_rate=self.sample_rate)
        return lambda pair, runs: self._evaluate(pair, runs, ideal_remix(pair))

    def _evaluate(
        self, pair: Pair, runs: Sequence[Path], ideal_remix: Signal
    ) -> Mapping[Path, Record | Exception]:
        begin_s = time.perf_counter()
        made: dict[Path, Record | Exception] = {}
        heard: dict[Path, Enhanced] = {}
        for run in runs:
            try:
                heard[run] = self._read(pair, run, ideal_remix.shape[1] / self.sample_rate)
            except CadenzaError as error:
                made[run] = error
        scores = pipeline.evaluate_scene(
            list(heard.values()),
            ideal_remix,
            pair.listener,
            metric=self.metric,
            sample_rate=self.sample_rate,
            rng=rng_of(pair.scene.name) if self.set_random_seed else np.random.RandomState(),
        )
        seconds = (time.perf_counter() - begin_s) / max(len(heard), 1)
        for (run, enhanced), values in zip(heard.items(), scores, strict=True):
            details = {
                "status": self._status(enhanced),
                "clipped_percent": round(enhanced.clipped_percent, 4),
                "seconds": round(seconds, 3),
            }
            made[run] = Record(self._origin(pair, run), values=values | details)
        return made

    def _read(self, pair: Pair, run: Path, duration_s: float) -> Enhanced:
        tail_s = pipeline.REFERENCE_AMPLIFIER.nfir / self.sample_rate
        path = output.enhanced_path(run, pair)
        enhanced = output.read_enhanced(path, duration_s=duration_s, tail_s=tail_s)
        outdated = self._outdated(pair, run)
        if outdated:
            raise AudioError(outdated)
        return enhanced

    def _outdated(self, pair: Pair, run: Path) -> str:
        """Why `enhance` has yet to make a signal again, with other settings or of other things; empty if not.

        Where it has no records of a song, the signals are others', and nothing is known of them.
        """
        path, mixture = output.enhanced_path(run, pair), self.music[pair.scene.song].path(MIXTURE)
        records = Ledger(run / "parts" / "enhance").read(pair.scene.song)
        if not records:
            return ""
        made_of = records[pair.name].values.get("made_of") if pair.name in records else None
        if not made_of:
            return f"{path} is to be made again, which enhance has not done so far; run it again."
        if made_of["pair"] != fingerprint(pair):
            return (
                f"{path} was made for other gains or another audiogram than there are now; run enhance again."
            )
        if not is_known(mixture, made_of["mixture"]):
            return f"{path} was made from another {mixture} than there is now; run enhance again."
        for source, seen in made_of.get("stems", {}).items():
            stem = Music(Path(made_of["stems_folder"]), self.sample_rate).path(source)
            if is_there(stem) and not is_known(stem, seen):  # they may be elsewhere where it is evaluated
                return f"{path} was made from another {stem} than there is now; run enhance again."
        return ""

    def _status(self, enhanced: Enhanced) -> str:
        """What is odd about a signal that can be scored all the same."""
        oddities = []
        if enhanced.sample_rate != self.output_sample_rate:
            oddities.append(f"{enhanced.sample_rate} Hz instead of {self.output_sample_rate} Hz")
        if enhanced.silent_ears:
            oddities.append("silent ear")
        return "; ".join(oddities) or "ok"

    def _origin(self, pair: Pair, run: Path) -> str:
        music = self.music[pair.scene.song]
        inputs = [music.path(name) for name in (MIXTURE, *pair.scene.gains_db)]
        inputs.append(output.enhanced_path(run, pair))
        settings = (self.metric, self.sample_rate, self.set_random_seed)
        return fingerprint((pair, stamps(inputs), settings, self._outdated(pair, run)))
