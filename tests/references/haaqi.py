"""Write haaqi.json: pyclarity's figures for the signals of signals.py.

    pip install pyclarity==0.9.0      (in an environment of its own)
    python tests/references/haaqi.py

The figures were read through: identical signals score above 0.99, silence below 0.1, the rest in between as
the damage suggests.
"""

import json
from pathlib import Path

import numpy as np
from clarity.evaluator.haaqi.haaqi import HAAQI_AUDIOGRAM_FREQUENCIES, haaqi_v1
from clarity.utils.audiogram import Audiogram
from signals import AUDIOGRAMS_DB_HL, SHARED, Case, real_cases, synthetic_cases

NAMES = ("cepstral_correlation", "vibration_coherence", "spectrum_match", "relative_spectrum_match")


def figures(case: Case) -> dict[str, float | str]:
    audiogram = Audiogram(
        levels=np.array(AUDIOGRAMS_DB_HL[case.audiogram], float), frequencies=HAAQI_AUDIOGRAM_FREQUENCIES
    )
    np.random.seed(case.seed)  # noqa: NPY002 (pyclarity draws from the global generator)
    score, nonlinear, linear, parts = haaqi_v1(
        case.reference,
        case.sample_rate,
        case.processed,
        case.sample_rate,
        audiogram,
        equalisation=2,
        level1=case.level_of_rms_1_db_spl,
    )
    values = {"score": score, "nonlinear": nonlinear, "linear": linear}
    values |= dict(zip(NAMES, parts, strict=True))
    print(case.name, score, flush=True)
    return {
        **{name: float(value) for name, value in values.items()},
        "next_normal": float(np.random.standard_normal()),  # noqa: NPY002
        "sha256": case.sha256,
    }


def main() -> None:
    cases = [*synthetic_cases(), *(real_cases() if SHARED.is_dir() else ())]
    table = {case.name: figures(case) for case in cases}
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"pyclarity": "0.9.0", "cases": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
