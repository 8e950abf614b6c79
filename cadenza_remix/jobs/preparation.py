"""Bring one dry song to the microphones of one head."""

from dataclasses import dataclass
from pathlib import Path

from cadenza_remix import ledger, output, pipeline
from cadenza_remix.datasets.challenge import MIXTURE, DrySong, read_head
from cadenza_remix.ledger import Ledger, Record


@dataclass(frozen=True)
class Preparation:
    """Writes a song's mixture and stems at the microphones, a 16-bit WAV each.

    Attributes:
        hrtf_dir: where the impulse responses lie.
        music_dir: where the songs at the microphones go.
        sample_rate: Hz, of everything.
        overwrite: make again what is there already.
    """

    hrtf_dir: Path
    music_dir: Path
    sample_rate: int
    overwrite: bool

    def __call__(self, song: DrySong) -> bool:
        """Make the song's files; false if they were there already.

        Raises:
            CadenzaError: if a dry signal or an impulse response cannot be used, or nothing can be written.
        """
        signals = (MIXTURE, *song.sources)
        targets = {name: self.music_dir / song.folder / f"{name}.wav" for name in signals}
        inputs = [song.dry.path(name) for name in signals]
        inputs += [self.hrtf_dir / name for name in song.head.hrtf_files]
        origin = ledger.fingerprint((ledger.stamps(inputs), self.sample_rate))
        book = Ledger(self.music_dir / ".prepared")
        record = book.read(song.name).get(song.name)
        if not self.overwrite:
            if record and record.is_current(origin):
                return False
            if not record and all(target.is_file() for target in targets.values()):
                return False  # somebody else's data, such as the challenge's own
        song.dry.check(signals)
        head = read_head(self.hrtf_dir, song.head, self.sample_rate)
        for name, target in targets.items():
            at_mic = pipeline.prepare_song(song.dry.read(name), head, sample_rate=self.sample_rate)
            output.write_pcm16(target, at_mic, sample_rate=self.sample_rate, file_format="WAV")
        book.write(song.name, {song.name: Record(origin, ledger.stamps(targets.values()))})
        return True
