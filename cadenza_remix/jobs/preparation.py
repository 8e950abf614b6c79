"""Bring one dry song to the microphones of one head."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cadenza_remix import ledger, output, pipeline
from cadenza_remix.audio import is_there
from cadenza_remix.datasets.challenge import MIXTURE, DrySong, Music
from cadenza_remix.datasets.heads import Heads, HrtfFiles
from cadenza_remix.errors import AudioError, ConfigError
from cadenza_remix.hrtf import to_microphones
from cadenza_remix.ledger import Ledger, Record

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preparation:
    """Writes a song's mixture and stems at the microphones, a 16-bit WAV each.

    Attributes:
        heads: gives the impulse responses.
        music_dir: where the songs at the microphones go.
        sample_rate: Hz, of everything.
        shared_loudness: level all files by one gain, so that the stems sum to the mixture, instead of each
            on its own.
    """

    heads: Heads
    music_dir: Path
    sample_rate: int
    shared_loudness: bool

    @property
    def ledger(self) -> Ledger:
        """What is made already."""
        return Ledger(self.music_dir / ".prepared")

    def bytes_to_write(self, song: DrySong) -> float:
        """About how many bytes a song will take; none where it is there, or cannot be made."""
        if (self.music_dir / song.folder).exists():
            return 0
        with suppress(AudioError):  # told when it is its turn
            return song.dry.check([MIXTURE]).samples * 2 * 2 * (1 + len(song.sources))
        return 0

    def __call__(self, song: DrySong) -> bool:
        """Make the song's files; false if they were there already.

        Raises:
            ConfigError: if files made elsewhere are there and another head or loudness is asked for.
            CadenzaError: if a dry signal or an impulse response cannot be used, or nothing can be written.
        """
        targets = self._targets(song)
        signals = list(targets)
        inputs = [song.dry.path(name) for name in signals] + self.heads.files(song.head)
        settings = (self.heads, song.head, self.shared_loudness, self.sample_rate)
        origin = ledger.fingerprint((ledger.stamps(inputs), settings))
        record = self.ledger.read(song.name).get(song.name)
        if record and record.is_current(origin):
            return False
        if not record and self.is_made(song):
            self._check_as_the_challenge(song)
            return False  # somebody else's data, such as the challenge's own
        song.dry.check(signals)
        self.ledger.forget([song.name])  # from here on the files are ours, finished or not
        # Should this be interrupted, the song has gaps, which are noticed, and no old signals among new ones.
        output.remove(path.with_suffix(suffix) for path in targets.values() for suffix in (".wav", ".flac"))
        head = self.heads(song.head, sample_rate=self.sample_rate)
        gain_db = None
        if self.shared_loudness:
            mixture = song.dry.mixture()
            gain_db = pipeline.lost_loudness_db(
                mixture, to_microphones(mixture, head), sample_rate=self.sample_rate
            )
        for name, target in targets.items():
            at_mic = pipeline.prepare_song(
                song.dry.read(name), head, sample_rate=self.sample_rate, gain_db=gain_db
            )
            output.write_pcm16(target, at_mic, sample_rate=self.sample_rate, file_format="WAV")
            if self.shared_loudness and np.abs(at_mic).max(initial=0) > 1:
                logger.warning(
                    "%s is cut off at full scale, so there the stems do not sum to the mixture.", target
                )
        self.ledger.write(song.name, {song.name: Record(origin, ledger.stamps(targets.values()))})
        return True

    def is_made(self, song: DrySong) -> bool:
        """Whether all of the song's files are there."""
        made = Music(self.music_dir / song.folder, self.sample_rate)
        return all(is_there(made.path(name)) for name in self._targets(song))

    def _targets(self, song: DrySong) -> dict[str, Path]:
        folder = self.music_dir / song.folder
        return {name: folder / f"{name}.wav" for name in (MIXTURE, *song.sources)}

    def _check_as_the_challenge(self, song: DrySong) -> None:
        """Keep files made elsewhere only where they are what the settings ask for, as far as can be told."""
        asked = [] if isinstance(self.heads, HrtfFiles) else [f"the head {type(self.heads).__name__}"]
        asked += ["prepare.loudness=shared"] if self.shared_loudness else []
        if asked:
            raise ConfigError(
                f"{self.music_dir / song.folder} was made elsewhere; expected music made with "
                f"{' and '.join(asked)}: say overwrite=true to replace it, or another path.output_music_dir."
            )
