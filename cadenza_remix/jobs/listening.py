"""Cut out of a song what a report lets one listen to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadenza_remix import output, pipeline
from cadenza_remix.datasets.challenge import Music
from cadenza_remix.jobs.pairs import remix_once_per_scene
from cadenza_remix.reporting.clips import EXCERPT_S, Excerpt, Signal, loudest, make_clips
from cadenza_remix.scenes import Job, Pair


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
            CadenzaError: if a signal cannot be read, or the song is too short to have a loudness.
        """
        music = self.music[job.song]
        mixture, stems = music.mixture(), music.stems(job.pairs[0].scene.gains_db)
        ideal_remix = remix_once_per_scene(job.pairs, stems, mixture, sample_rate=self.sample_rate)
        return {pair.name: self._cut(pair, ideal_remix(pair), mixture) for pair in job.pairs}

    def _cut(self, pair: Pair, ideal_remix: Signal, mixture: Signal) -> Excerpt:
        rate, song_s = self.sample_rate, mixture.shape[1] / self.sample_rate
        start_s = loudest(ideal_remix, sample_rate=rate, seconds=EXCERPT_S)
        duration_s = min(EXCERPT_S, song_s)
        found = {label: self._read(run, pair, song_s) for label, run in self.runs.items()}
        enhanced = {label: signal for label, signal in found.items() if signal}
        reference = pipeline.reference_scene(ideal_remix, pair.listener, sample_rate=rate)
        signals = [*enhanced.values(), (reference, rate), (mixture, rate)]
        *made, of_reference, of_mixture = make_clips(
            [(_seconds(signal, its_rate, start_s, duration_s), its_rate) for signal, its_rate in signals]
        )
        by_label = dict(zip(enhanced, made, strict=True))
        return Excerpt(start_s, duration_s, song_s, by_label, of_reference, of_mixture)

    def _read(self, run: Path, pair: Pair, song_s: float) -> tuple[Signal, int] | None:
        path = output.enhanced_path(run, pair)
        if not path.is_file():
            return None
        tail_s = pipeline.REFERENCE_AMPLIFIER.nfir / self.sample_rate
        enhanced = output.read_enhanced(path, duration_s=song_s, tail_s=tail_s)
        return enhanced.signal, enhanced.sample_rate


def _seconds(signal: Signal, sample_rate: int, start_s: float, duration_s: float) -> Signal:
    begin = round(start_s * sample_rate)
    return signal[:, begin : begin + round(duration_s * sample_rate)]
