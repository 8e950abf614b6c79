"""Inputs of the HAAQI figures: what the script that runs pyclarity and the tests both make from nothing.

Signals are rounded to 2^-40, so that a last bit that differs between machines cannot change them.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.io import wavfile
from scipy.signal import butter, resample_poly, sosfilt

Signal = npt.NDArray[np.float64]
Process = Callable[[Signal, np.random.RandomState], Signal]

RATE = 24000
AMPLIFIED_DB_SPL = 105.0  # of an RMS of 1, where the reference counts as amplified for a large loss
SHARED = Path(__file__).parents[3] / "shared" / "data"
AUDIOGRAMS_DB_HL = {
    "normal": (0, 0, 0, 0, 0, 0),
    "better": (-10, -5, 0, -5, -10, 5),
    "mild": (20, 20, 25, 30, 35, 40),
    "moderate": (35, 40, 45, 50, 55, 60),
    "severe": (50, 55, 65, 70, 80, 85),
    "profound": (80, 90, 100, 105, 110, 120),
    "sloping": (5, 10, 20, 55, 75, 80),
    "rising": (70, 60, 45, 25, 15, 10),
}


class Case(NamedTuple):
    name: str
    reference: Signal
    processed: Signal
    audiogram: str
    sample_rate: int = RATE
    level_of_rms_1_db_spl: float = 65.0
    seed: int = 1

    @property
    def sha256(self) -> str:
        """Of both signals."""
        numbers = np.concatenate((self.reference, self.processed)) * 2.0**40
        return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()


def rounded(signal: Signal) -> Signal:
    return np.round(signal * 2.0**40) / 2.0**40


@cache
def music(seconds: float = 3.0, sample_rate: int = RATE, seed: int = 0) -> Signal:
    """Plucked chords over a beat of noise bursts, RMS 1."""
    rng = np.random.RandomState(seed)
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    signal = np.zeros_like(time)
    for onset in np.arange(0, seconds, 0.4):
        after = np.maximum(time - onset, 0)
        for root_hz in rng.choice([110.0, 146.8, 196.0, 261.6, 329.6, 440.0], 3, replace=False):
            for partial in range(1, 13):
                tone = np.sin(2 * np.pi * root_hz * partial * after + rng.uniform(0, 6))
                signal += (after > 0) * tone * np.exp(-after * (2 + partial)) / partial**1.2
        burst = np.exp(-after * rng.choice([25.0, 60.0])) * (after > 0)
        signal += 0.6 * burst * rng.standard_normal(len(time))
    signal = rounded(signal / np.sqrt(np.mean(signal**2)))
    signal.flags.writeable = False
    return signal


def clipped(x: Signal, _: np.random.RandomState) -> Signal:
    limit = rounded(np.sqrt(np.mean(x**2)))
    return np.clip(x, -limit, limit)


def low_passed(x: Signal, _: np.random.RandomState) -> Signal:
    return np.asarray(sosfilt(butter(4, 1500, fs=RATE, output="sos"), x))


def high_passed(x: Signal, _: np.random.RandomState) -> Signal:
    return np.asarray(sosfilt(butter(2, 800, "high", fs=RATE, output="sos"), x))


def noisy(snr_db: float) -> Process:
    return lambda x, rng: x + 10 ** (-snr_db / 20) * rng.standard_normal(len(x))


def delayed(samples: int) -> Process:
    zeros = np.zeros(abs(samples))
    if samples > 0:
        return lambda x, _: np.concatenate((zeros, x))[: len(x)]
    return lambda x, _: np.concatenate((x[-samples:], zeros))


def scaled(gain_db: float) -> Process:
    return lambda x, _: x * 10 ** (gain_db / 20)


def half_silent(x: Signal, _: np.random.RandomState) -> Signal:
    return x * (np.arange(len(x)) > len(x) // 2)


def gappy(x: Signal, _: np.random.RandomState) -> Signal:
    return x * (np.arange(len(x)) // 4000 % 3 > 0)


PROCESSES: dict[str, Process] = {
    "same": lambda x, _: x.copy(),
    "clipped": clipped,
    "low-passed": low_passed,
    "high-passed": high_passed,
    "noisy-20": noisy(20),
    "noisy-0": noisy(0),
    "delayed": lambda x, rng: noisy(30)(delayed(731)(x, rng), rng),
    "advanced": lambda x, rng: noisy(30)(delayed(-200)(x, rng), rng),
    "far-delayed": delayed(9000),
    "quieter": scaled(-12),
    "louder": scaled(15),
    "nearly-silent": scaled(-90),
    "vanishing": scaled(-180),
    "half-silent": half_silent,
    "gappy": gappy,
    "silent": lambda x, _: np.zeros_like(x),
    "unrelated": lambda x, rng: rng.standard_normal(len(x)),
    "inverted": lambda x, _: -x,
    "shorter": lambda x, _: x[: len(x) - 5001],
    "longer": lambda x, rng: np.concatenate((x, rng.standard_normal(4001))),
}


def processed(reference: Signal, process: str) -> Signal:
    return rounded(PROCESSES[process](reference, np.random.RandomState(99)))


def synthetic_cases() -> Iterator[Case]:
    """Every process, over the audiograms in turn; then levels, rates, odd lengths and rims of silence."""
    for number, process in enumerate(PROCESSES):
        reference = music(seed=number % 3)
        audiogram = list(AUDIOGRAMS_DB_HL)[number % len(AUDIOGRAMS_DB_HL)]
        level = AMPLIFIED_DB_SPL if audiogram in ("severe", "profound") else 65.0
        yield Case(process, reference, processed(reference, process), audiogram, RATE, level, number)
    for audiogram in AUDIOGRAMS_DB_HL:
        reference = music(2.0, seed=50)
        noisy_20 = processed(reference, "noisy-20")
        yield Case(f"hearing-{audiogram}", reference, noisy_20, audiogram, RATE, 90.0)
    for level_db_spl in (40.0, 95.0):
        reference = music(2.0, seed=60)
        yield Case(
            f"level-{level_db_spl:g}",
            reference,
            processed(reference, "clipped"),
            "mild",
            level_of_rms_1_db_spl=level_db_spl,
        )
    for sample_rate in (16000, 32000, 48000):
        reference = music(2.0, sample_rate, seed=70)
        yield Case(f"rate-{sample_rate}", reference, processed(reference, "clipped"), "sloping", sample_rate)
    odd = music(2.0, seed=80)[:40007]
    yield Case("odd-length", odd, processed(odd, "noisy-20"), "moderate")
    rim = np.concatenate((np.zeros(3000), odd, np.zeros(2345)))
    yield Case("silent-rims", rim, processed(rim, "clipped"), "mild")
    short = odd[12000:13500]
    yield Case("short", short, processed(short, "clipped"), "mild")
    quiet = rounded(odd * 1e-4)
    yield Case("inaudible", quiet, processed(quiet, "clipped"), "severe")


REAL = (  # excerpts: file under ../shared/data, start in seconds, process, audiogram
    ("open/audio/music/train/Clingo Mixer - Demo Song", 3.0, "clipped", "mild"),
    ("open/audio/music/train/IoSR - Anchors Demo", 2.0, "low-passed", "sloping"),
    ("open/audio/music/train/Mark Boas - Multitrack", 6.0, "noisy-20", "severe"),
    ("open/audio/music/train/Synth - Song 00", 4.0, "gappy", "moderate"),
)
REAL_SECONDS = 4.0


def real_cases() -> Iterator[Case]:
    """Real music where it is at hand: left channels, damaged or with all but the vocals taken out."""
    for folder, start, process, audiogram in REAL:
        reference = excerpt(SHARED / folder / "mixture.wav", start)
        name = Path(folder).name
        yield Case(
            f"{name}: {process}", reference, processed(reference, process), audiogram, RATE, AMPLIFIED_DB_SPL
        )
        vocals = excerpt(SHARED / folder / "vocals.wav", start)
        yield Case(f"{name}: vocals only", reference, vocals, audiogram, RATE, AMPLIFIED_DB_SPL)


def excerpt(path: Path, start: float) -> Signal:
    rate, samples = wavfile.read(path)
    part = samples[int(start * rate) : int((start + REAL_SECONDS) * rate), 0] / 32768
    return rounded(np.asarray(resample_poly(part, 80, 147)))


AMPLIFIED = {  # files under ../shared/data and a gain, as after amplification
    "open/audio/music/train/Clingo Mixer - Demo Song/mixture.wav": 2.0,
    "open/audio/music/train/Mark Boas - Multitrack/mixture.wav": 20.0,
    "nc/audio/music/train/Music Delta - 80s Rock/mixture.wav": 8.0,
}


def left_channel(name: str, gain: float) -> Signal:
    """The first channel of a 16-bit file, louder."""
    return np.asarray(wavfile.read(SHARED / name)[1][:, 0] * (gain / 32768))


def bursts(sample_rate: int) -> Signal:
    """Two seconds of noise that rises, falls silent and bursts."""
    rng = np.random.RandomState(7)
    time = np.arange(2 * sample_rate) / sample_rate
    level = 2 * np.abs(np.sin(np.pi * time)) * (time % 0.7 < 0.5) * (1 + 9 * (time > 1.8))
    return rounded(level * rng.standard_normal(len(time)))


def separated(case: int) -> tuple[Signal, Signal]:
    """A stereo stem of half a second and an estimate of it, (2, samples), worse from case to case."""
    rng = np.random.RandomState(case)
    true = rng.standard_normal((2, 22050)) * np.array([[1.0], [0.3]])
    estimate = (1 - 0.15 * case) * true + 0.1 * 2**case * rng.standard_normal(true.shape)
    return rounded(0.1 * true), rounded(0.1 * estimate)
