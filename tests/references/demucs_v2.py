"""What Demucs 2 makes of a track with weights by formula, cut into segments of 2 s.

    pip install --no-deps --target DIR demucs==2.0.3 diffq==0.1.1
    PYTHONPATH=DIR:. python tests/references/demucs_v2.py

writes `demucs_v2.npz`, every `wave__step`-th value of the stems of a narrow network, and `demucs_v2.json`,
its tensors' shapes.
"""

import json
from pathlib import Path

import numpy as np

WIDTH = 4
SEGMENT_SAMPLES = 88200
SAMPLES = 200001
FOLDER = Path(__file__).parent


def main() -> None:
    import torch
    from demucs.model import Demucs
    from demucs.utils import apply_model

    from tests.references.networks import fill, make_input

    sources = ["drums", "bass", "other", "vocals"]
    network = Demucs(sources, channels=WIDTH, segment_length=SEGMENT_SAMPLES).eval()
    shapes = {name: list(x.shape) for name, x in network.state_dict().items()}
    network.load_state_dict({name: fill(name, tuple(shape)) for name, shape in shapes.items()})
    with torch.inference_mode():
        wave = apply_model(network, torch.from_numpy(make_input(SAMPLES)), split=True).numpy()
    step = wave.size // 4000
    np.savez(
        FOLDER / "demucs_v2.npz", wave=wave.ravel()[::step], wave__step=step, wave__shape=np.array(wave.shape)
    )
    (FOLDER / "demucs_v2.json").write_text(json.dumps({"state_dict": shapes}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
