"""Make `nalr.json`: NAL-R filters of pyclarity 0.9.0.

Run in an environment of its own: pip install pyclarity==0.9.0; python tests/references/nalr.py
The figures were looked at: flat ears give a unit pulse, the others are symmetric about tap nfir / 2.
"""

import json
from pathlib import Path

import numpy as np
from clarity.enhancer.nalr import NALR
from clarity.utils.audiogram import Audiogram

FREQUENCIES_HZ = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
LEVELS_DB_HL = {
    "none": [0, 0, 0, 0, 0, 0, 0, 0],
    "better than normal": [-5, -10, -5, 0, 0, -5, -5, 0],
    "mild": [10, 15, 20, 25, 30, 35, 40, 45],
    "moderate": [35, 35, 40, 50, 55, 60, 65, 65],
    "severe": [60, 65, 75, 80, 85, 90, 95, 100],  # above 180 dB over 0.5, 1 and 2 kHz
    "reverse": [80, 70, 50, 30, 20, 15, 10, 10],
}


def main() -> None:
    filters = []
    for sample_rate, nfir in ((44100, 220), (24000, 140), (32000, 100)):
        for name, levels in LEVELS_DB_HL.items():
            audiogram = Audiogram(levels=np.array(levels, float), frequencies=np.array(FREQUENCIES_HZ))
            taps, _ = NALR(nfir, sample_rate).build(audiogram)
            filters.append({"name": name, "sample_rate": sample_rate, "nfir": nfir, "levels": levels})
            filters[-1]["taps"] = [float(f"{tap:.15g}") for tap in taps[: nfir // 2 + 1]]
    content = {"frequencies_hz": FREQUENCIES_HZ, "filters": filters}
    Path(__file__).with_suffix(".json").write_text(json.dumps(content))


if __name__ == "__main__":
    main()
