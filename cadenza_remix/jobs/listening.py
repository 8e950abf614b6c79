"""Cut out of a song what a report lets one listen to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadenza_remix import output, pipeline
from cadenza_remix.datasets.challenge import Music
from cadenza_remix.jobs.pairs import remix_once_per_scene
from cadenza_remix.reporting.clips import Clip, Signal, loudest, make_clips
from cadenza_remix.scenes import Job, Pair

REFERENCE, MIXTURE = "reference", "mixture"
EXCERPT_S = 6.0


@dataclass(frozen=True)
class Excerpt:
    """The same few seconds of all signals of a pair.

    Attributes:
        start_s: where they begin.
        song_s: how long the song is.
        clips: by the run's label, then `reference` and `mixture`.
    """

    start_s: float
    song_s: float
    clips: Mapping[str, Clip]


@dataclass(frozen=True)
class Listening:
    """Cuts the loudest seconds of a scene's ideal remix out of every signal of its pairs.

    Attributes:
        runs: the folders of the runs by label; a run that lacks the signal of a pair is left out there.
        music: where each song at the microphones lies.
        sample_rate: Hz, of the music.
    """

    runs: Mapping[str, Path]
    music: Mapping[str, Music]
    sample_rate: int

    def __call__(self, job: Job) -> dict[str, Excerpt]:
        """The excerpts of a song's pairs by name.

        Raises:
            CadenzaError: if a signal cannot be read.
        """
        music = self.music[job.song]
        mixture, stems = music.mixture(), music.stems(job.pairs[0].scene.gains_db)
        ideal_remix = remix_once_per_scene(job.pairs, stems, mixture, sample_rate=self.sample_rate)
        return {pair.name: self._cut(pair, ideal_remix(pair), mixture) for pair in job.pairs}

    def _cut(self, pair: Pair, ideal_remix: Signal, mixture: Signal) -> Excerpt:
        rate = self.sample_rate
        start_s = loudest(ideal_remix, sample_rate=rate, seconds=EXCERPT_S)
        song_s = mixture.shape[1] / rate
        signals = {label: signal for label, run in self.runs.items() if (signal := _read(run, pair, song_s, rate))}
        signals[REFERENCE] = pipeline.reference_scene(ideal_remix, pair.listener, sample_rate=rate), rate
        signals[MIXTURE] = mixture, rate
        cut = {}
        for name, (signal, its_rate) in signals.items():
            begin = round(start_s * its_rate)
            cut[name] = signal[:, begin : begin + round(min(EXCERPT_S, song_s) * its_rate)], its_rate
        return Excerpt(start_s, song_s, make_clips(cut))


def _read(run: Path, pair: Pair, song_s: float, sample_rate: int) -> tuple[Signal, int] | None:
    path = output.enhanced_path(run, pair)
    if not path.is_file():
        return None
    tail_s = pipeline.REFERENCE_AMPLIFIER.nfir / sample_rate
    enhanced = output.read_enhanced(path, duration_s=song_s, tail_s=tail_s)
    return enhanced.signal, enhanced.sample_rate
