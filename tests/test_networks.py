"""Trained networks: the published layout, the reference's output, and how a separator runs them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cadenza_remix.demix import hdemucs, openunmix
from tests.references.networks import FOLDER, make_input


def golden(network: str, quantity: str, output: np.ndarray) -> float:
    """Largest difference to the reference's output, relative to that output's maximum."""
    stored = np.load(FOLDER / f"{network}.npz")
    assert output.shape == tuple(stored[f"{quantity}__shape"])
    expected = stored[quantity]
    return float(
        np.abs(output.ravel()[:: int(stored[f"{quantity}__step"])] - expected).max() / np.abs(expected).max()
    )


def run(network: torch.nn.Module, samples: int) -> np.ndarray:
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(make_input(samples))[None]).numpy()


@pytest.mark.parametrize(("quantity", "samples"), [("wave", 132300), ("wave_6s", 264677)])
def test_hdemucs_gives_torchaudios_output(hdemucs_weights: Path, quantity: str, samples: int) -> None:
    output = run(hdemucs.load((hdemucs_weights,)), samples)
    assert golden("hdemucs_high", quantity, output) < 1e-5


def test_open_unmix_gives_the_packages_output(openunmix_weights: Path) -> None:
    paths = tuple(openunmix_weights / f"{source}.pth" for source in openunmix.SOURCES)
    assert golden("umxhq", "wave_niter0", run(openunmix.load(paths), 132300)) < 1e-5
