"""Weights and an input by formula, for networks whose published weights are not at hand.

`hdemucs_high`, `umxhq`, `scnet_small` and `bs_roformer_*` are the state dicts' shapes (.json) and what
torchaudio 2.11.0, openunmix 1.3.0 and ZFTurbo's code (ccc011ab) make of the input with these weights (.npz:
`q` is every `q__step`-th value of an output of shape `q__shape`).

    python -m tests.references.networks DIR

writes the weights as files that either program reads: `hdemucs.pt` and a `.pth` for each of Open-Unmix's
targets.
"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

FOLDER = Path(__file__).parent
FIXED = {
    "freqs": lambda shape: 10000.0 ** (-torch.arange(*shape) / shape[0]),
    "num_batches_tracked": lambda shape: torch.zeros(shape, dtype=torch.int64),
    "freq_pad": torch.zeros,
    "sample_rate": lambda shape: torch.full(shape, 44100.0),
    "window": lambda shape: torch.hann_window(*shape),
}


def shapes(network: str) -> dict[str, list[int]]:
    return json.loads((FOLDER / f"{network}.json").read_text(encoding="utf-8"))["state_dict"]


def fill_state(network: str) -> dict[str, torch.Tensor]:
    """Every tensor from its name alone, so that any implementation can make the same ones."""
    return {name: fill(name, tuple(shape)) for name, shape in shapes(network).items()}


def fill(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    leaf = name.rsplit(".", 1)[-1]
    if leaf in FIXED:
        return FIXED[leaf](shape)
    z = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if leaf == "running_mean":
        z = 0.1 * z
    elif leaf == "running_var":
        z = 1 + 0.1 * np.abs(z)
    elif leaf == "gamma" or (leaf == "weight" and len(shape) == 1 and shape[0] > 1):
        z = 1 + 0.1 * z
    elif leaf == "beta" or (leaf.startswith("bias") and len(shape) == 1):
        z = 0.1 * z
    elif len(shape) >= 2:
        z = z / np.sqrt(np.prod(shape[1:]))
    else:
        z = 0.25 + 0.05 * z
    return torch.from_numpy(np.asarray(z, dtype=np.float32))


def make_input(samples: int, sample_rate: int = 44100) -> np.ndarray:
    """Tones, a beating one, and noise; (2, samples)."""
    time = np.arange(samples) / sample_rate
    channel = np.arange(2)[:, None]
    noise = np.random.RandomState(0).standard_normal((2, samples))
    beat = 0.5 + 0.5 * np.sin(4 * np.pi * time)
    x = 0.30 * np.sin(2 * np.pi * (110 + 3 * channel) * time + 0.3 * channel)
    x += 0.20 * np.sin(2 * np.pi * (554.37 + 7 * channel) * time + 0.5)
    x += 0.10 * np.sin(2 * np.pi * 3000 * time + 1 + 0.7 * channel) * beat
    return (x + 0.05 * noise).astype(np.float32)


def golden(network: str, quantity: str, output: np.ndarray) -> float:
    """Largest difference to the reference's output, relative to that output's maximum."""
    stored = np.load(FOLDER / f"{network}.npz")
    assert output.shape == tuple(stored[f"{quantity}__shape"])
    expected = stored[quantity]
    return float(
        np.abs(output.ravel()[:: int(stored[f"{quantity}__step"])] - expected).max() / np.abs(expected).max()
    )


def run(network: nn.Module, samples: int, sample_rate: int = 44100) -> np.ndarray:
    torch.set_num_threads(1)
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(make_input(samples, sample_rate))[None]).numpy()


def write_hdemucs(folder: Path) -> Path:
    torch.save(fill_state("hdemucs_high"), folder / "hdemucs.pt")
    return folder / "hdemucs.pt"


def write_openunmix(folder: Path) -> Path:
    state = fill_state("umxhq")
    for target in ("vocals", "drums", "bass", "other"):
        prefix = f"target_models.{target}."
        part = {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
        torch.save(part, folder / f"{target}.pth")
    return folder


if __name__ == "__main__":
    write_hdemucs(Path(sys.argv[1]))
    write_openunmix(Path(sys.argv[1]))
