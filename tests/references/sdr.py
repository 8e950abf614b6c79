"""Make `sdr.json`: separation scores by torchmetrics, which knows nothing of the Music Demixing challenges.

Run in an environment of its own: pip install torchmetrics==1.9.0; python tests/references/sdr.py
Its signal-to-noise ratio lacks the 1e-7 that those challenges add, so the estimates here differ by far more.
"""

import json
from pathlib import Path

import torch
from signals import separated
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

CASES = range(6)


def main() -> None:
    content = []
    for case in CASES:
        true, estimate = (torch.from_numpy(signal).ravel() for signal in separated(case))
        sdr = signal_noise_ratio(estimate, true).item()
        si_sdr = scale_invariant_signal_distortion_ratio(estimate, true).item()
        content.append({"case": case, "sdr": sdr, "si_sdr": si_sdr})
    Path(__file__).with_suffix(".json").write_text(json.dumps(content))


if __name__ == "__main__":
    main()
