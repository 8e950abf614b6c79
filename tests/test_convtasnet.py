"""Conv-TasNet: the published layouts, the originals' outputs, and how far the causal one looks ahead."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cadenza_remix.demix.convtasnet import ConvTasNet, Load, _renamed, convtasnet
from cadenza_remix.demix.segments import OverlapAdd
from cadenza_remix.errors import WeightsError
from tests.conftest import SAMPLE_RATE
from tests.references.networks import fill_state, golden, make_input, run, shapes
from tests.small_networks import SMALL, write_convtasnet
from tests.test_conformance import component
from tests.test_networks import ONE_PASS

CHECKPOINT = "checkpoints/convtasnet_clarity_2023/model_0018_loss_0.32211965.pth"
HOW = ONE_PASS | {
    "allow_download": False,
    "device": "cpu",
    "threads": 1,
    "training_data": "none",
    "allowed_by_rules": True,
    "licence": "none",
    "source_url": "none",
}
FIVE_MS = round(0.005 * SAMPLE_RATE)


def by_formula(folder: Path, name: str, *, causal: bool = False) -> ConvTasNet:
    torch.save(fill_state(name), folder / "net.pt")
    network = Load(2, causal)((folder / "net.pt",))
    assert isinstance(network, ConvTasNet)
    return network


@pytest.fixture(params=[False, True], ids=["non-causal", "causal"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bool]:
    """The file of a small network, and whether it is causal."""
    return write_convtasnet(tmp_path / "small.pt", causal=request.param), request.param


@pytest.mark.parametrize(
    ("name", "causal"),
    [
        ("convtasnet_cad2_noncausal", False),
        ("convtasnet_cad2_causal", True),
        ("convtasnet_clarity_ooshyun", False),
    ],
)
def test_the_layout_is_the_published_one(tmp_path: Path, name: str, causal: bool) -> None:
    found = by_formula(tmp_path, name, causal=causal).state_dict()
    published = {_renamed(key): shape for key, shape in shapes(name).items()}
    assert {key: list(tensor.shape) for key, tensor in found.items()} == published


@pytest.mark.parametrize(
    ("name", "causal", "samples"),
    [("convtasnet_cad2_noncausal", False, 44107), ("convtasnet_cad2_causal", True, 22057)],
)
def test_music_gives_the_originals_output(tmp_path: Path, name: str, causal: bool, samples: int) -> None:
    output = run(by_formula(tmp_path, name, causal=causal), samples)
    assert golden(name, "wave", output) < 1e-5


def test_speech_gives_the_originals_output(tmp_path: Path) -> None:
    output = run(by_formula(tmp_path, "convtasnet_clarity_ooshyun"), 64000, sample_rate=16000)
    assert golden("convtasnet_clarity_ooshyun", "fill_wave", output) < 1e-5


@pytest.mark.shared
def test_the_published_weights_give_the_originals_output(shared_data: Path) -> None:
    network = Load(2, causal=False)((shared_data / CHECKPOINT,))
    output = run(network, 64000, sample_rate=16000)
    assert golden("convtasnet_clarity_ooshyun", "raw_wave", output) < 1e-5


@pytest.mark.shared
def test_the_entrys_whole_way_gives_its_output(shared_data: Path) -> None:
    separator = component("separator", "convtasnet_clarity", f"separator.weights={shared_data / CHECKPOINT}")
    stems = separator(make_input(67200, 16000))
    output = np.stack([stems["target"], stems["interferer"]])[None]
    assert golden("convtasnet_clarity_ooshyun", "eval_wave", output) < 1e-5


def test_the_causal_network_looks_ahead_less_than_five_milliseconds(small: tuple[Path, bool]) -> None:
    path, causal = small
    segments = OverlapAdd(segment_s=0.5, overlap=0.1, fade=0.1, end="short")
    separator = convtasnet(
        str(path), sources=["vocals", "background"], causal=causal, segments=segments, **HOW
    )
    mixture = make_input(SAMPLE_RATE)
    before = separator(mixture)
    heard_early = []
    for changed in (11111, 22000, 22222, 40000):  # within a segment, and where two fade into each other
        other = mixture.copy()
        other[:, changed] += 1
        difference = np.abs(separator(other)["vocals"] - before["vocals"]).max(axis=0)
        heard_early.append(changed - int(np.flatnonzero(difference)[0]))
    assert separator.causal == causal
    assert max(heard_early) < 20 if causal else min(heard_early) > FIVE_MS
    assert max(heard_early) > 0


def test_the_sizes_are_those_of_the_file(small: tuple[Path, bool]) -> None:
    path, causal = small
    network = Load(2, causal)((path,))
    assert network.state_dict()["separator.network.3.weight"].shape == (32, 8, 1)
    told = f"is of a {'' if causal else 'non-'}causal network for 2 sources; correct separator"
    with pytest.raises(WeightsError, match=told):
        Load(2, not causal)((path,))
    with pytest.raises(WeightsError, match=told):
        Load(4, causal)((path,))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"fc1.weight": torch.zeros(3, 3)}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"holds no Conv-TasNet \('encoder\.conv1d_U\.weight'\)"):
        Load(2, causal=False)((tmp_path / "net.pt",))


def test_a_track_that_fills_no_hop_ends_in_silence() -> None:
    torch.manual_seed(0)
    output = run(ConvTasNet(SMALL, causal=True), 1007)
    assert output.shape == (1, 2, 2, 1007)
    assert not output[..., -7:].any()
    assert output[..., :-7].any()
