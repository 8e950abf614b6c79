"""Time the challenge's compressor beside pyclarity's on real music, and compare the outputs.

    python scripts/benchmark_compressor.py PYTHON MUSIC.wav [MUSIC.wav …]

PYTHON belongs to an environment of its own with pyclarity==0.9.0. Each file's left channel is made ten times
as loud, so that the compressor has something to do, and goes through both with the recipe's settings.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from cadenza_remix import audio
from cadenza_remix.amplify.compressor import compressor_gain

SAMPLE_RATE = 44100
THEIRS = """
import sys, time
import numpy as np
from clarity.enhancer.compressor import Compressor
settings = dict(threshold=0.35, attenuation=0.1, attack=50, release=1000, rms_buffer_size=0.064)
signal = np.load(sys.argv[1])
begin_s = time.perf_counter()
compressed = Compressor(**settings).process(signal)[0]
print(time.perf_counter() - begin_s)
np.save(sys.argv[2], compressed)
"""


def main() -> None:
    """Read the arguments, run both on every file, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("python", type=Path, help="of the environment that has pyclarity 0.9.0")
    parser.add_argument("music", type=Path, nargs="+", help="44.1 kHz stereo files")
    options = parser.parse_args()
    ours(np.zeros(SAMPLE_RATE))  # compiles
    print(
        "| file | s | pyclarity, s per 10 s | ours, s per 10 s | largest difference |\n|---|--:|--:|--:|--:|"
    )
    with tempfile.TemporaryDirectory() as scratch:
        given, returned = Path(scratch) / "given.npy", Path(scratch) / "returned.npy"
        for path in options.music:
            signal = 10 * audio.read(path, sample_rate=SAMPLE_RATE)[0].astype(np.float64)
            np.save(given, signal)
            command = [str(options.python), "-c", THEIRS, str(given), str(returned)]
            theirs_s = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            begin_s = time.perf_counter()
            compressed = ours(signal)
            ours_s = time.perf_counter() - begin_s
            tens = len(signal) / SAMPLE_RATE / 10
            difference = np.abs(compressed - np.load(returned)).max()
            print(
                f"| {path.parent.name} | {10 * tens:.1f} | {theirs_s / tens:.3f} | {ours_s / tens:.4f} "
                f"| {difference:.1e} |"
            )


def ours(signal: np.ndarray) -> np.ndarray:
    """One ear with the recipe's settings."""
    window, attack, release = int(0.064 * SAMPLE_RATE), 1000 / (50 * SAMPLE_RATE), 1 / SAMPLE_RATE
    return signal * compressor_gain(signal, window, 0.35, 0.1, attack, release)


if __name__ == "__main__":
    main()
