import functools
import re
import unicodedata

import numpy as np
import numpy.typing as npt
import pyloudnorm
import pytest
from scipy.fft import next_fast_len

from cadenza_remix.datasets.demo_songs import DEMO_SONGS, SYLLABLE, DemoSong, synthesize

SAMPLE_RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")
every_song = pytest.mark.parametrize("song", DEMO_SONGS, ids=lambda song: song.genre)
ROSIE, CAFE, KILOWATT = DEMO_SONGS

Audio = npt.NDArray[np.float32]
stems_of = functools.cache(functools.partial(synthesize, sample_rate=SAMPLE_RATE))


def mixture_of(song: DemoSong) -> Audio:
    return np.asarray(sum(stems_of(song).values()))


def loudness(signal: Audio) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(signal.T.astype(np.float64)))


def energy(signal: Audio, low_hz: float = 0.0, high_hz: float = np.inf) -> float:
    n_fft = next_fast_len(signal.shape[1])
    frequencies = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE)
    spectrum = np.abs(np.fft.rfft(signal, n_fft)) ** 2
    return float(np.sum(spectrum[:, (frequencies >= low_hz) & (frequencies < high_hz)]))


def beats(song: DemoSong, signal: Audio, first: float, last: float) -> Audio:
    per_beat = 60 / song.tempo_bpm * SAMPLE_RATE
    return signal[:, round(first * per_beat) : round(last * per_beat)]


def silent_frames(stem: Audio) -> npt.NDArray[np.bool_]:
    """Which 100 ms hold nothing audible."""
    frame = SAMPLE_RATE // 10
    frames = stem[:, : stem.shape[1] // frame * frame].reshape(2, -1, frame)
    power = np.mean(frames**2, axis=(0, 2))
    return np.asarray(power < 1e-6 * power.max())


def pitch_classes(signal: Audio) -> npt.NDArray[np.float64]:
    """Energy of the 12 semitones from C, of what lies between 100 and 600 Hz."""
    frequencies = np.fft.rfftfreq(signal.shape[-1], 1 / SAMPLE_RATE)
    spectrum = np.sum(np.abs(np.fft.rfft(signal)) ** 2, axis=0)
    heard = (frequencies > 100) & (frequencies < 600)
    semitones = np.round(69 + 12 * np.log2(frequencies[heard] / 440)).astype(int) % 12
    return np.bincount(semitones, spectrum[heard], minlength=12).astype(np.float64)


def test_titles_are_as_awkward_as_real_ones_and_safe_file_names() -> None:
    titles = [song.title for song in DEMO_SONGS]
    assert len(set(titles)) == len(titles)
    assert any(all(mark in title for mark in ",'&") for title in titles)
    assert any(not title.isascii() for title in titles)
    for title in titles:
        assert unicodedata.is_normalized("NFC", title)
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', title)
        assert title == title.strip(" .")


@every_song
@pytest.mark.parametrize("sample_rate", [44100, 32000])
def test_stems_are_stereo_of_one_length(song: DemoSong, sample_rate: int) -> None:
    stems = synthesize(song, sample_rate=sample_rate)
    assert tuple(stems) == STEMS
    assert len({stem.shape for stem in stems.values()}) == 1
    for stem in stems.values():
        assert stem.dtype == np.float32
        assert stem.shape[0] == 2
        assert 9 < stem.shape[1] / sample_rate < 12
        assert np.all(np.isfinite(stem))


@every_song
def test_a_song_is_the_same_every_time(song: DemoSong) -> None:
    again = synthesize(song, sample_rate=SAMPLE_RATE)
    for name, stem in stems_of(song).items():
        np.testing.assert_array_equal(stem, again[name])


@pytest.mark.parametrize(("song", "side"), [(ROSIE, 0.0259366), (CAFE, 0.0209559), (KILOWATT, 0.0187424)])
def test_a_song_is_the_same_everywhere(song: DemoSong, side: float) -> None:
    """The difference of the sides of the drums comes from random numbers."""
    left, right = stems_of(song)["drums"]
    assert np.std(left - right) == pytest.approx(side, rel=1e-4)


@every_song
def test_the_mixture_has_the_level_of_a_song(song: DemoSong) -> None:
    assert np.abs(mixture_of(song)).max() == pytest.approx(0.9, abs=1e-6)
    assert -18 < loudness(mixture_of(song)) < -14


@every_song
@pytest.mark.parametrize("name", STEMS)
def test_every_stem_is_heard(song: DemoSong, name: str) -> None:
    assert -26 < loudness(stems_of(song)[name]) < -18


@every_song
def test_every_stem_pauses_but_never_all_together(song: DemoSong) -> None:
    silent = np.array([silent_frames(stem) for stem in stems_of(song).values()])
    pauses_s = np.sum(silent[:, :-5], axis=1) / 10  # the last half second is the room's
    assert np.all((pauses_s > 1) & (pauses_s < 7))
    assert not np.any(np.all(silent[:, :-5], axis=0))


@every_song
def test_stems_keep_to_their_bands(song: DemoSong) -> None:
    stems = stems_of(song)
    share = {
        name: [energy(stem, low, high) / energy(stem) for low, high in ((0, 300), (150, 4000), (5000, 22050))]
        for name, stem in stems.items()
    }
    assert share["bass"][0] > 0.9
    assert share["vocals"][1] > 0.9
    assert share["other"][1] > 0.9
    high = {name: energy(stem, 5000) for name, stem in stems.items()}
    assert high["drums"] > 10 * max(high["vocals"], high["bass"], high["other"])
    assert energy(stems["drums"], 0, 150) > 0.3 * energy(stems["drums"])


@every_song
def test_nothing_is_below_hearing(song: DemoSong) -> None:
    for stem in stems_of(song).values():
        assert energy(stem, 0, 20) < 1e-2 * energy(stem)


def test_the_kick_falls_on_every_beat() -> None:
    drums = stems_of(KILOWATT)["drums"]
    for beat in range(12):
        assert energy(beats(KILOWATT, drums, beat, beat + 0.25), 0, 120) > 20 * energy(
            beats(KILOWATT, drums, beat + 0.75, beat + 1), 0, 120
        )


def test_hats_hiss_between_the_beats() -> None:
    off_beat = beats(KILOWATT, stems_of(KILOWATT)["drums"], 0.5, 0.6)
    assert energy(off_beat, 5000) > 0.9 * energy(off_beat, 1000)


@pytest.mark.parametrize(
    ("song", "first", "last", "notes"),
    [
        (ROSIE, 0, 4, {9, 0, 4}),  # A minor
        (ROSIE, 8, 12, {0, 4, 7}),  # C
        (CAFE, 15, 18, {9, 1, 4, 7}),  # A7
        (KILOWATT, 12, 16, {4, 8, 11}),  # E
    ],
)
def test_the_harmony_plays_the_chords(song: DemoSong, first: int, last: int, notes: set[int]) -> None:
    loudest = np.argsort(pitch_classes(beats(song, stems_of(song)["other"], first, last)))[-len(notes) :]
    assert set(loudest.tolist()) == notes


@pytest.mark.parametrize(("first", "root"), [(4, 5), (8, 0), (12, 7), (16, 9)])
def test_the_bass_starts_each_bar_on_the_root(first: int, root: int) -> None:
    note = beats(ROSIE, stems_of(ROSIE)["bass"], first, first + 1)
    frequencies = np.fft.rfftfreq(note.shape[1], 1 / SAMPLE_RATE)
    loudest_hz = frequencies[np.argmax(np.abs(np.fft.rfft(note[0])))]
    assert round(69 + 12 * np.log2(loudest_hz / 440)) % 12 == root


def test_the_voice_sings_harmonics_of_the_melody() -> None:
    note = beats(ROSIE, stems_of(ROSIE)["vocals"], 4.2, 5)  # A4, 440 Hz
    on_pitch = sum(energy(note, 440 * k - 25, 440 * k + 25) for k in range(1, 8))
    assert on_pitch > 0.95 * energy(note)


def test_vowels_differ_by_their_formants() -> None:
    vocals = stems_of(ROSIE)["vocals"]
    vowels = {
        vowel: beats(ROSIE, vocals, first, first + 0.9)
        for vowel, first in {"a": 12.1, "i": 10.1, "u": 14.1}.items()
    }
    upper = {vowel: energy(note, 2000, 4500) / energy(note) for vowel, note in vowels.items()}
    middle = {vowel: energy(note, 750, 1600) / energy(note) for vowel, note in vowels.items()}
    assert upper["i"] > 5 * max(upper["a"], upper["u"])
    assert middle["a"] > 2 * max(middle["i"], middle["u"])


@every_song
def test_scores_are_well_formed(song: DemoSong) -> None:
    assert not SYLLABLE.sub("", song.melody).strip()
    sung = sum(float(beats) for *_, beats in SYLLABLE.findall(song.melody))
    assert sung <= len(song.bars.split()) * song.beats_per_bar
