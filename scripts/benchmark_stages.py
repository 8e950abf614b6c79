"""Time the stages of `enhance` behind the network beside pyclarity's: remix, amplify, and write 32-kHz FLAC.

    python scripts/benchmark_stages.py /path/to/python-with-pyclarity [--runs 5]

Both work on the same 10 s of noise in four stems, in fresh processes that take turns, one thread each. The
table holds medians in seconds; the resampling belongs to the writing. (What a network takes is in
`compare_enhance.py`.)
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).resolve().parent.parent
WORKER = """
import json, sys, tempfile, time
from pathlib import Path
import numpy as np
rng = np.random.RandomState(3)
SOURCES = ("vocals", "drums", "bass", "other")
stems = {name: 0.05 * rng.standard_normal((2, 441000)).astype(np.float32) for name in SOURCES}
mixture = sum(stems.values())
gains = {"vocals": 3, "drums": -6, "bass": 0, "other": 0}
frequencies, levels = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000], [20, 25, 35, 45, 50, 55, 60, 65]
taken = {}
def timed(name, function):
    begin = time.perf_counter()
    result = function()
    taken[name] = time.perf_counter() - begin
    return result
if sys.argv[1] == "pyclarity":
    from clarity.enhancer.nalr import NALR
    from clarity.utils.audiogram import Audiogram
    from clarity.utils.flac_encoder import FlacEncoder
    from clarity.utils.signal_processing import clip_signal, resample, to_16bit
    from recipes.cad_icassp_2024.baseline.evaluate import apply_gains, apply_ha, remix_stems
    ear, nalr = Audiogram(levels=np.array(levels), frequencies=np.array(frequencies)), NALR(220, 44100)
    def write(path):
        low = resample(amplified, 44100, 32000)
        FlacEncoder().encode(to_16bit(clip_signal(low, False)[0]), 32000, path)
    for _ in range(2):
        remixed = timed("remix", lambda: remix_stems(apply_gains(stems, 44100, gains), mixture.T, 44100))
        both = lambda: np.stack([apply_ha(nalr, None, x, ear, False) for x in remixed.T], 1)
        amplified = timed("amplify", both)
        timed("write", lambda: write(Path(tempfile.mkdtemp()) / "x.flac"))
else:
    from cadenza_remix import audio, output
    from cadenza_remix.amplify.nalr import Nalr
    from cadenza_remix.limit import HardClip, Multiband
    from cadenza_remix.listener import Audiogram, Listener
    from cadenza_remix.pipeline import remix_scene
    ear = Audiogram(tuple(frequencies), tuple(levels))
    listener, nalr = Listener("x", ear, ear), Nalr(220)
    def write(path):
        low = HardClip()(audio.resample(amplified, 44100, 32000), listener, sample_rate=32000)
        output.write_pcm16(path, low, sample_rate=32000, file_format="FLAC", truncate=False)
    for _ in range(2):
        remixed = timed("remix", lambda: remix_scene(stems, gains, mixture, sample_rate=44100))
        amplified = timed("amplify", lambda: nalr(remixed, listener, sample_rate=44100))
        timed("write", lambda: write(Path(tempfile.mkdtemp()) / "x.flac"))
        timed("limit (multiband)", lambda: Multiband()(5 * remixed, listener, sample_rate=32000))
print(json.dumps(taken))
"""


def measure(python: str, system: str) -> dict[str, float]:
    """Seconds per stage in a fresh process, the second time round."""
    own = "" if system == "pyclarity" else str(REPOSITORY)
    environment = os.environ | {"PYTHONPATH": own, "OMP_NUM_THREADS": "1"}
    command = [python, "-c", WORKER, system]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def main() -> None:
    """Read the arguments, take turns, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("oracle", help="python of an environment with pyclarity 0.9.0")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    ours, theirs = [], []
    for _ in range(options.runs):
        theirs.append(measure(options.oracle, "pyclarity"))
        ours.append(measure(sys.executable, "ours"))
    print("| stage, 10 s, both ears | ours (s) | pyclarity (s) |\n|---|--:|--:|")
    for stage in ours[0]:
        there = f"{median(run[stage] for run in theirs):.3f}" if stage in theirs[0] else ""
        print(f"| {stage} | {median(run[stage] for run in ours):.3f} | {there} |")


if __name__ == "__main__":
    main()
