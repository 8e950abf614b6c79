"""Look at one song's enhanced signals as those who will score them do, without its stems."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cadenza_remix import output
from cadenza_remix.audio import is_there, read_header
from cadenza_remix.datasets.challenge import MIXTURE, Music
from cadenza_remix.errors import AudioError
from cadenza_remix.pipeline import REFERENCE_AMPLIFIER
from cadenza_remix.scenes import Job, Pair

CRITERIA = ("there", "format", "whole", "audible")  # a signal meets them one after the other


class Inspected(NamedTuple):
    """What was found of a pair's file.

    Attributes:
        path: the file.
        clipped_percent: samples at full scale; None where the file is not whole.
        failed: the first criterion that it does not meet, None where it meets all.
        cause: why.
    """

    path: Path
    clipped_percent: float | None = None
    failed: str | None = None
    cause: str | None = None


@dataclass(frozen=True)
class Inspection:
    """Reads every signal of a song and compares it with the challenge's convention.

    A signal is whole if it lasts as long as the song's mixture, or longer by no more than the reference
    amplifier's filter. Where the mixture is not here, it must last as long as most signals of the song do.

    Attributes:
        exp_folder: holds `enhanced_signals`.
        mixtures: where the songs at the microphones lie, as far as they are here.
        output_sample_rate: Hz, that the signals must have.
    """

    exp_folder: Path
    mixtures: Mapping[str, Music]
    output_sample_rate: int

    def __call__(self, job: Job) -> list[Inspected]:
        """What was found, by pair in the job's order.

        Raises:
            AudioError: if the mixture is damaged.
        """
        duration_s, tail_s = self._lengths_s(job)
        return [self._inspect(pair, duration_s, tail_s) for pair in job.pairs]

    def _lengths_s(self, job: Job) -> tuple[float, float]:
        """What a signal must last, and what may come on top."""
        if job.song in self.mixtures:
            mixture = self.mixtures[job.song].check([MIXTURE])
            return mixture.samples / mixture.sample_rate, REFERENCE_AMPLIFIER.nfir / mixture.sample_rate
        durations_s: Counter[float] = Counter()
        for pair in job.pairs:
            try:
                header = read_header(output.enhanced_path(self.exp_folder, pair))
            except AudioError:
                continue  # told when it is inspected
            durations_s[header.samples / header.sample_rate] += 1
        (most_common, _), *_ = durations_s.most_common(1) or [(0.0, 0)]
        return most_common, 0.0

    def _inspect(self, pair: Pair, duration_s: float, tail_s: float) -> Inspected:
        path = output.enhanced_path(self.exp_folder, pair)
        if not is_there(path):
            return Inspected(
                path, failed="there", cause=f"{path} is missing; enhance it, or correct its name."
            )
        try:
            output.check_format(path, sample_rate=self.output_sample_rate)
        except AudioError as error:
            return Inspected(path, failed="format", cause=str(error))
        try:
            enhanced = output.read_enhanced(path, duration_s=duration_s, tail_s=tail_s)
        except AudioError as error:
            return Inspected(path, failed="whole", cause=str(error))
        if enhanced.silent_ears:
            cause = f"{path} is silent in the {' and the '.join(enhanced.silent_ears)} ear; enhance it again."
            return Inspected(path, enhanced.clipped_percent, "audible", cause)
        return Inspected(path, enhanced.clipped_percent)
