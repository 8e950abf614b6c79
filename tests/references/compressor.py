"""Make `compressor.json`: gains of pyclarity 0.9.0's compressor.

Run in an environment of its own: pip install pyclarity==0.9.0; python tests/references/compressor.py
Every 9973rd gain is kept, and the RMS over all of them.
"""

import json
from pathlib import Path

import numpy as np
from clarity.enhancer.compressor import Compressor
from signals import AMPLIFIED, bursts, left_channel

KEPT = 9973
CASES = {  # sample rate, settings other than the recipe's
    "recipe": (44100, {}),
    "fast": (44100, {"attack": 5.0, "release": 20.0, "threshold": 0.1}),
    "32 kHz": (32000, {"rms_buffer_size": 0.2}),
    "wide": (44100, {"rms_buffer_size": 5.0}),  # longer than the signal
    "louder": (44100, {"makeup_gain": 2.0, "attenuation": 0.5}),
}
RECIPE = {
    "attack": 50.0,
    "release": 1000.0,
    "threshold": 0.35,
    "attenuation": 0.1,
    "rms_buffer_size": 0.064,
    "makeup_gain": 1.0,
}


def gains(signal: np.ndarray, sample_rate: int, settings: dict[str, float]) -> dict[str, object]:
    """What is kept of pyclarity's gains."""
    makeup = settings["makeup_gain"]
    _, _, ratios = Compressor(fs=sample_rate, **settings).process(signal)
    all_gains = makeup * np.array(ratios)
    return {
        "sample_rate": sample_rate,
        "settings": settings,
        "rms": float(np.sqrt(np.mean(all_gains**2))),
        "gains": all_gains[::KEPT].tolist(),
    }


def main() -> None:
    content = {name: gains(bursts(rate), rate, RECIPE | settings) for name, (rate, settings) in CASES.items()}
    for name, gain in AMPLIFIED.items():
        content[name] = gains(left_channel(name, gain), 44100, RECIPE)
    Path(__file__).with_suffix(".json").write_text(json.dumps(content))


if __name__ == "__main__":
    main()
