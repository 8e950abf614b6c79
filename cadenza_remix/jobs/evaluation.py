"""Score one song's enhanced signals, for all its scenes and listeners."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cadenza_remix import output, pipeline
from cadenza_remix.datasets.challenge import MIXTURE, Music
from cadenza_remix.jobs.pairs import DoPair, do_pairs
from cadenza_remix.ledger import Ledger, Record, fingerprint, stamps
from cadenza_remix.metrics.base import Metric
from cadenza_remix.output import Enhanced
from cadenza_remix.results import Outcome
from cadenza_remix.scenes import Job, Pair

Signal = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Compares enhanced signals with the ideal ones, made from the true stems once per scene.

    Attributes:
        exp_folder: the run's folder.
        music: where each song at the microphones lies.
        metric: compares two signals for a listener.
        sample_rate: Hz, of the music.
        output_sample_rate: Hz, that the enhanced signals should have.
        set_random_seed: draw the metric's noise from the scene's name instead of afresh.
        overwrite: score again what is scored already.
    """

    exp_folder: Path
    music: Mapping[str, Music]
    metric: Metric
    sample_rate: int
    output_sample_rate: int
    set_random_seed: bool
    overwrite: bool

    def __call__(self, job: Job) -> list[Outcome]:
        """Score every pair of the song that is not finished yet.

        Raises:
            CadenzaError: if the song's true stems cannot be read.
        """
        ledger = Ledger(self.exp_folder / "parts" / "evaluate")
        origins = {pair.name: self._origin(pair) for pair in job.pairs}
        return do_pairs(job, ledger, origins, self._begin, overwrite=self.overwrite)

    def check(self, job: Job) -> None:
        """Look at the headers of the true stems.

        Raises:
            AudioError: if something is missing or of another format.
        """
        self.music[job.song].check([MIXTURE, *job.pairs[0].scene.gains_db])

    def _begin(self, pairs: Sequence[Pair]) -> DoPair:
        music = self.music[pairs[0].scene.song]
        mixture = music.mixture()
        stems = {
            source: stem.astype(np.float64) for source, stem in music.stems(pairs[0].scene.gains_db).items()
        }

        @lru_cache(maxsize=1)  # pairs of a scene follow each other
        def ideal_remix(scene: str) -> Signal:
            gains_db = next(pair.scene.gains_db for pair in pairs if pair.scene.name == scene)
            return pipeline.remix_scene(stems, gains_db, mixture, sample_rate=self.sample_rate)

        return lambda pair: self._evaluate(pair, ideal_remix(pair.scene.name))

    def _evaluate(self, pair: Pair, ideal_remix: Signal) -> Record:
        begin_s = time.perf_counter()
        enhanced = output.read_enhanced(
            output.enhanced_path(self.exp_folder, pair),
            duration_s=ideal_remix.shape[1] / self.sample_rate,
            tail_s=pipeline.REFERENCE_AMPLIFIER.nfir / self.sample_rate,
        )
        scores = pipeline.evaluate_scene(
            enhanced,
            ideal_remix,
            pair.listener,
            metric=self.metric,
            sample_rate=self.sample_rate,
            rng=pipeline.scene_rng(pair.scene.name) if self.set_random_seed else np.random.RandomState(),
        )
        details = {
            "status": self._status(enhanced),
            "clipped_percent": round(enhanced.clipped_percent, 4),
            "seconds": round(time.perf_counter() - begin_s, 3),
        }
        return Record(self._origin(pair), values=scores | details)

    def _status(self, enhanced: Enhanced) -> str:
        """What is odd about a signal that can be scored all the same."""
        oddities = []
        if enhanced.sample_rate != self.output_sample_rate:
            oddities.append(f"{enhanced.sample_rate} Hz instead of {self.output_sample_rate} Hz")
        if not all(channel.any() for channel in enhanced.signal):
            oddities.append("silent ear")
        return "; ".join(oddities) or "ok"

    def _origin(self, pair: Pair) -> str:
        music = self.music[pair.scene.song]
        inputs = [music.path(name) for name in (MIXTURE, *pair.scene.gains_db)]
        inputs.append(output.enhanced_path(self.exp_folder, pair))
        return fingerprint((pair, stamps(inputs), self.metric, self.sample_rate, self.set_random_seed))
