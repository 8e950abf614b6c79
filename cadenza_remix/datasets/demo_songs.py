"""Songs for the demo: scores as data, played by synthesized instruments, the same every time.

Each has the four stems of MUSDB18, with pauses in all of them. A sound is `(samples,)` until it is
panned; stems are `(2, samples)`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, oaconvolve, sosfilt

Audio = npt.NDArray[np.float64]
Spectrum = npt.NDArray[np.complex128]
Sound = tuple[float, Audio, float]  # start in s, samples, pan from -1 (left) to 1 (right)
Hit = tuple[float, Audio, str, list[int]]  # start in s, times in s, symbol, notes of the chord

PEAK = 0.9  # of the mixture
LEVELS_DB = {"vocals": 0.0, "drums": 0.0, "bass": -1.0, "other": -3.0}  # RMS, one to another
TAIL_S = 0.5  # after the last bar, for the room
ROOM_DECAY_S = 0.05  # by 1/e, which is 60 dB in 0.35 s
BRIGHTEST_HZ = 8000.0  # where harmonics end, so that none aliases
TABLE_SIZE = 4096  # samples in the one period that a tone repeats

SEMITONES = {"C": 0, "C#": 1, "D": 2, "E": 4, "F": 5, "F#": 6, "G": 7, "A": 9, "B": 11}
CHORDS = {"": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10)}  # semitones above the root
BASS_STEPS = {"1": 0, "5": 7, "8": 12}  # semitones above the root
LOUDNESS = {"x": 1.0, "o": 0.4}
SYLLABLE = re.compile(r"(?:([A-G]#?)(\d)([aeiou])|-)([\d.]+)")  # note, octave, vowel, beats
FORMANTS_HZ = {  # average of men: Peterson & Barney (1952), table II
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}
HIGHER_FORMANTS_HZ = (3500, 4500, 5500, 6500, 7500)  # of a tube of 17 cm


@dataclass(frozen=True)
class DemoSong:
    """A score.

    Patterns are one bar, divided evenly by their characters: `.` is a rest, `-` holds what came
    before, anything else starts a sound: `x` is loud, `o` soft, a number a step of the scale.
    """

    title: str  # artist - song; also a file name
    genre: str  # in MUSDB18's words
    tempo_bpm: float
    beats_per_bar: int
    bars: str  # of each bar: its chord, and who plays: d(rums), b(ass), o(ther)
    drums: tuple[str, str, str]  # patterns of the kick, the snare and the hi-hat
    bass: str  # a pattern, as is the next
    other: str
    harmonics: tuple[float, ...]  # of the chords: amplitudes from the fundamental upwards
    decay_s: float  # of the chords, by 1/e
    voice_size: float  # formants relative to a man's; a woman's are 1.15 to 1.2 times as high
    melody: str  # of each syllable: note, octave, vowel and beats; a rest is `-` and beats

    @property
    def bar_s(self) -> float:
        """Length of a bar."""
        return self.beats_per_bar * 60 / self.tempo_bpm


DEMO_SONGS = (
    DemoSong(
        title="Rosie & the Band - It's Late, Again",
        genre="Pop/Rock",
        tempo_bpm=116,
        beats_per_bar=4,
        bars="Am:o F:dbo C:dbo G:db Am:dbo",
        drums=("x.....x.x.......", "....x.......x..o", "x.o.x.o.x.o.x.o."),
        bass="1-1-1-5-",
        other="x--x--x-",
        harmonics=tuple(1 / k for k in range(1, 16)),
        decay_s=0.5,
        voice_size=1.17,
        melody="-4 A4o1 C5a1 B4e.5 A4i1.5 C5a1.5 E5e.5 D5i1 C5o1 D5a2 B4u1 -1 A4o3",
    ),
    DemoSong(
        title="Café Lumière - Été sans fin",
        genre="Singer/Songwriter",
        tempo_bpm=138,
        beats_per_bar=3,
        bars="D:bo F#m:dbo Bm:dbo G:do Em:dbo A7:dbo D:b D:o",
        drums=("x.....", "..o.o.", "..x.x."),
        bass="1---..",
        other=".xx",
        harmonics=(1.0, 0.1, 0.5, 0.05, 0.3, 0.02, 0.1),
        decay_s=0.3,
        voice_size=1.0,
        melody="-3 C#4a2 F#4i1 F#4e2 D4o1 B3u2.5 -1.5 E4a1 G4e1 G4i1 E4a1 C#4o1 D4a4",
    ),
    DemoSong(
        title="Kilowatt Choir - Static Bloom",
        genre="Electronic",
        tempo_bpm=128,
        beats_per_bar=4,
        bars="F#m:d D:dbo A:dbo E:bo F#m:dbo D:do",
        drums=("xxxx", "....x.......x...", "..x...x...x...xo"),
        bass="..1...1...1.8.5.",
        other="x---",
        harmonics=tuple(k**-1.5 for k in range(1, 30)),
        decay_s=3.0,
        voice_size=1.17,
        melody="-4 C#5u1 C#5a.5 -.5 E5i.5 -1 C#5u1 -.5 A4o1 D5a1 C#5e1 A4i1 -4 B4u1 E5i2 C#5a3",
    ),
)


def synthesize(song: DemoSong, *, sample_rate: int) -> dict[str, npt.NDArray[np.float32]]:
    """Play a song.

    Args:
        song: its score.
        sample_rate: Hz, at least 20 kHz.

    Returns:
        Stems by name, each (2, samples). The peak of their sum, the mixture, is 0.9.
    """
    rng = np.random.default_rng(list(song.title.encode()))
    played = {
        "vocals": _sing(song, rng, sample_rate),
        "drums": _drum(song, rng, sample_rate),
        "bass": _play_bass(song, sample_rate),
        "other": _play_chords(song, sample_rate),
    }
    n_samples = round((len(song.bars.split()) * song.bar_s + TAIL_S) * sample_rate)
    stems = {name: _mix(sounds, n_samples, sample_rate) for name, sounds in played.items()}
    stems = {name: _add_room(stem, rng, sample_rate) for name, stem in stems.items()}
    gains = {name: 10 ** (LEVELS_DB[name] / 20) / np.std(stem) for name, stem in stems.items()}
    mixture = sum(gains[name] * stem for name, stem in stems.items())
    scale = PEAK / np.max(np.abs(mixture))
    return {name: (scale * gains[name] * stem).astype(np.float32) for name, stem in stems.items()}


def _hits(song: DemoSong, player: str, pattern: str, sample_rate: int) -> Iterator[Hit]:
    """Go through the bars in which the player takes part."""
    step_s = song.bar_s / len(pattern)
    for index, bar in enumerate(song.bars.split()):
        chord, players = bar.split(":")
        root = chord.rstrip("m7")
        notes = [SEMITONES[root] + interval for interval in CHORDS[chord.removeprefix(root)]]
        for match in re.finditer(r"[^.-]-*", pattern if player in players else ""):
            times_s = _times(len(match[0]) * step_s, sample_rate)
            yield index * song.bar_s + match.start() * step_s, times_s, match[0][0], notes


def _sing(song: DemoSong, rng: np.random.Generator, sample_rate: int) -> Iterator[Sound]:
    """A voice with vibrato; each syllable starts with a hiss."""
    start_s = 0.0
    for note, octave, vowel, beats in SYLLABLE.findall(song.melody):
        length_s = float(beats) * 60 / song.tempo_bpm
        if note:
            t = _times(length_s, sample_rate)
            pitch_hz = _hz(12 * (int(octave) + 1) + SEMITONES[note])
            vibrato = 0.012 * np.minimum(t / 0.3, 1) * np.sin(2 * np.pi * 5.5 * t)
            harmonics = _vowel(pitch_hz, song.voice_size, vowel)
            voice = _tone(t, pitch_hz * (1 + vibrato), harmonics) * _envelope(t, 2, 0.04)
            yield start_s, voice + 0.1 * rng.standard_normal(len(t)) * _envelope(t, 0.02), 0
        start_s += length_s


def _vowel(pitch_hz: float, voice_size: float, vowel: str) -> Spectrum:
    """Harmonics of a glottal pulse (1/k) behind resonances of 10 % bandwidth; of total power 1."""
    formants_hz = voice_size * np.array(FORMANTS_HZ[vowel] + HIGHER_FORMANTS_HZ)
    order = np.arange(1, int(BRIGHTEST_HZ / pitch_hz))
    ratio = order * pitch_hz / formants_hz[:, None]
    harmonics = 1 / order / np.prod(1 - ratio**2 + 0.1j * ratio, axis=0)
    return np.asarray(harmonics / np.linalg.norm(harmonics))


def _drum(song: DemoSong, rng: np.random.Generator, sample_rate: int) -> Iterator[Sound]:
    """A kick whose pitch drops, a snare of tone and noise, a hi-hat of high noise."""
    t = _times(0.4, sample_rate)
    noise = rng.standard_normal(len(t))
    rattle = sosfilt(butter(2, (1200, 7000), "band", output="sos", fs=sample_rate), noise)
    hiss = sosfilt(butter(4, 7000, "high", output="sos", fs=sample_rate), noise)
    kick = _tone(t, 48 + 130 * np.exp(-t / 0.03), np.ones(1)) * _envelope(t, 0.1)
    body = _tone(t, 185.0, np.ones(1)) * _envelope(t, 0.05)
    snare = 0.5 * body + 0.6 * rattle * _envelope(t, 0.08)
    kit = ((kick, 0.0), (snare, -0.1), (0.4 * hiss * _envelope(t, 0.03), 0.3))
    for pattern, (drum, pan) in zip(song.drums, kit, strict=True):
        for start_s, _, symbol, _ in _hits(song, "d", pattern, sample_rate):
            yield start_s, LOUDNESS[symbol] * drum, pan


def _play_bass(song: DemoSong, sample_rate: int) -> Iterator[Sound]:
    """A plucked string: its upper harmonics die first."""
    harmonics = 1 / np.arange(1, 25)
    for start_s, t, symbol, (root, *_) in _hits(song, "b", song.bass, sample_rate):
        pitch_hz = _hz(33 + (root - 33) % 12 + BASS_STEPS[symbol])
        body = _tone(t, pitch_hz, harmonics[:3]) * _envelope(t, 0.6)
        yield start_s, body + 0.5 * _tone(t, pitch_hz, harmonics) * _envelope(t, 0.08), 0


def _play_chords(song: DemoSong, sample_rate: int) -> Iterator[Sound]:
    """Every note twice, a little out of tune, one to the left and one to the right."""
    for start_s, t, _, notes in _hits(song, "o", song.other, sample_rate):
        for note in notes:
            for side in (-1, 1):
                pitch_hz = _hz(55 + (note - 55) % 12 + 0.04 * side)  # the octave around middle C
                tone = _tone(t, pitch_hz, np.array(song.harmonics))
                yield start_s, tone * _envelope(t, song.decay_s), 0.6 * side


def _hz(pitch: float) -> float:
    """Frequency of a MIDI pitch, in semitones: 69 is A4."""
    return float(440 * 2 ** ((pitch - 69) / 12))


def _times(length_s: float, sample_rate: int) -> Audio:
    return np.arange(round(length_s * sample_rate)) / sample_rate


def _envelope(t: Audio, decay_s: float, attack_s: float = 0.004) -> Audio:
    """Exponential decay, by 1/e in `decay_s`; it fades in and out, so that nothing clicks."""
    fades: Audio = np.minimum(np.minimum(t / attack_s, (t[-1] - t) / 0.03), 1)
    return fades * np.exp(-t / decay_s)


def _tone(t: Audio, pitch_hz: float | Audio, harmonics: Audio | Spectrum) -> Audio:
    """A periodic sound of fixed or gliding pitch; `harmonics` are amplitudes of sines."""
    audible = np.append(0, -1j * harmonics[: int(BRIGHTEST_HZ / np.max(pitch_hz))])
    table: Audio = np.fft.irfft(audible, TABLE_SIZE) * TABLE_SIZE / 2
    phase: Audio = np.cumsum(np.broadcast_to(pitch_hz, t.shape)) * t[1]
    return np.interp(phase, np.arange(TABLE_SIZE) / TABLE_SIZE, table, period=1)


def _mix(sounds: Iterable[Sound], n_samples: int, sample_rate: int) -> Audio:
    """Add up panned sounds, with equal power from left to right."""
    track = np.zeros((2, n_samples))
    for start_s, samples, pan in sounds:
        start, angle = round(start_s * sample_rate), (pan + 1) * np.pi / 4
        space = track[:, start : start + len(samples)]
        space += np.outer([np.cos(angle), np.sin(angle)], samples[: space.shape[1]])
    return track


def _add_room(track: Audio, rng: np.random.Generator, sample_rate: int) -> Audio:
    """Add a little decaying reverberation, different on the two sides."""
    t = _times(7 * ROOM_DECAY_S, sample_rate)
    impulse = rng.standard_normal((2, len(t))) * np.exp(-t / ROOM_DECAY_S)
    impulse *= 0.25 / np.linalg.norm(impulse, axis=1, keepdims=True)
    wet = oaconvolve(track.mean(axis=0, keepdims=True), impulse, axes=1)
    return np.asarray(track + wet[:, : track.shape[1]])
