"""KUIELab-MDX-Net and DTTNet: the published layouts, the originals' outputs, segments and the mixer."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from cadenza_remix.demix import dttnet, mdxnet, tfc_tdf
from cadenza_remix.errors import WeightsError
from tests.conftest import SAMPLE_RATE
from tests.references import mdxnet_onnx
from tests.references.networks import FOLDER, fill_state, golden, make_input, run, shapes
from tests.small_networks import shrink_dttnet, shrink_mdxnet, write_dttnet, write_mdxnet
from tests.test_conformance import component

CONSTANT = ("window", "freq_pad")  # in the published files, made anew here
FORMULA_SAMPLES = 64512


@pytest.mark.parametrize("source", ["vocals", "bass"])
@pytest.mark.parametrize("family", [mdxnet, dttnet])
def test_the_layout_is_the_published_one(family, source: str) -> None:
    found = {name: list(x.shape) for name, x in family.target(source).state_dict().items()}
    published = shapes(f"{family.__name__.rsplit('.', 1)[1]}_{source}")
    constant = {name: published.pop(name) for name in CONSTANT}
    assert found == {family._renamed(name): shape for name, shape in published.items()}
    target = family.target(source)
    assert constant == {name: list(getattr(target, name).shape) for name in CONSTANT}


def test_mdxnet_gives_the_originals_output(tmp_path: Path) -> None:
    torch.save({"state_dict": fill_state("mdxnet_vocals"), "epoch": 3}, tmp_path / "vocals.ckpt")
    output = run(mdxnet.Load("vocals")((tmp_path / "vocals.ckpt",)), FORMULA_SAMPLES)
    assert golden("mdxnet_vocals", "wave", output[:, 0]) < 1e-5


def test_dttnet_gives_the_originals_output() -> None:
    network = dttnet.target("vocals")
    state = {dttnet._renamed(name): x for name, x in fill_state("dttnet_vocals").items()}
    network.load_state_dict({name: x for name, x in state.items() if name not in CONSTANT})
    output = run(network, FORMULA_SAMPLES)
    assert golden("dttnet_vocals", "wave", output[:, 0]) < 1e-5


def test_the_spectrum_gives_the_sound_back() -> None:
    network = mdxnet.target("drums")  # which hears all frequencies but the last
    sound = torch.sin(torch.arange(1024 * 31) * 0.1).expand(1, 2, -1)
    parts = network.spectrogram(sound)
    assert parts.shape == (1, 4, 2048, 32)
    np.testing.assert_allclose(network.waveform(parts), sound, atol=1e-4)
    stored = np.load(FOLDER / "dttnet_vocals.npz")
    assert stored["spec_in__shape"].tolist() == [1, 4, 2048, 64]
    packed = dttnet.target("vocals").spectrogram(torch.from_numpy(make_input(FORMULA_SAMPLES))[None])
    assert golden("dttnet_vocals", "spec_in", packed.numpy()) < 1e-6


SHORT = "separator.segment_s=1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small networks for the sources, and a mixer."""
    shrink_mdxnet(monkeypatch)
    return write_mdxnet(tmp_path)


def test_segments_are_those_of_the_submission(folder: Path) -> None:
    separator = component("separator", "mdxnet", f"separator.weights={folder}")
    samples = 2_000_000
    for network, n_fft in zip(separator.networks, (16384, 4096, 8192, 6144), strict=True):
        chunk, trimmed = 1024 * (2 * 256 - 1), n_fft // 2
        step = chunk - 2 * trimmed
        windows = list(network.segments.windows(samples, sample_rate=SAMPLE_RATE))
        assert [start for start, _ in windows] == list(range(-trimmed, samples - trimmed, step))
        for start, window in windows:
            assert len(window) == chunk
            kept = np.flatnonzero(window)
            assert kept[0] == trimmed
            assert kept[-1] == min(chunk - trimmed, samples - start) - 1
            assert (window[kept] == 1).all()


def test_dttnets_chunks_have_its_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_dttnet(monkeypatch)
    separator = component("separator", "dttnet", f"separator.weights={write_dttnet(tmp_path)}")
    windows = list(separator.segments.windows(600_000, sample_rate=SAMPLE_RATE))
    assert [(start, len(window)) for start, window in windows[:2]] == [(0, 261120), (130560, 261120)]
    crossfade = windows[0][1][130560:]
    np.testing.assert_allclose(np.diff(crossfade), -1 / 130561, atol=1e-6)  # a straight line


@pytest.mark.parametrize(("choice", "parts"), [("dttnet", 4), ("mdxnet", 5)])
def test_the_file_of_one_source_is_not_taken_for_all(tmp_path: Path, choice: str, parts: int) -> None:
    torch.save({}, tmp_path / "bass.ckpt")
    with pytest.raises(WeightsError, match=rf"bass\.ckpt is one file of {parts}; give a folder"):
        component("separator", choice, f"separator.weights={tmp_path / 'bass.ckpt'}")


@pytest.mark.parametrize("name", ["linear.weight", "mixing_layer.weight"])
def test_the_mixer_takes_the_estimates_and_the_mixture(folder: Path, name: str) -> None:
    alone = component("separator", "mdxnet", f"separator.weights={folder}", "separator.mixer=false", SHORT)
    matrix = torch.zeros(8, 10)
    matrix[0, 8] = matrix[1, 9] = 1  # bass: the mixture
    matrix[2, 3] = matrix[3, 2] = 1  # drums: their channels exchanged
    matrix[4:6, 0:2] = torch.eye(2)  # other: the bass
    torch.save({"separators.bass.window": torch.zeros(3), name: matrix}, folder / "mixer.ckpt")
    mixed = component("separator", "mdxnet", f"separator.weights={folder}", SHORT)
    mixture = make_input(SAMPLE_RATE)
    estimates, stems = alone(mixture), mixed(mixture)
    np.testing.assert_array_equal(stems["bass"], mixture)
    np.testing.assert_array_equal(stems["drums"], estimates["drums"][::-1])
    np.testing.assert_array_equal(stems["other"], estimates["bass"])
    assert not stems["vocals"].any()
    assert len(mixed.weights_sha256) == 5
    assert mixed.weights_sha256[:4] == alone.weights_sha256


def test_what_is_no_mixer_is_refused(folder: Path) -> None:
    torch.save({"linear.weight": torch.zeros(8, 8)}, folder / "mixer.ckpt")
    with pytest.raises(WeightsError, match=r"no matrix of shape \(8, 10\).* say separator\.mixer=false"):
        component("separator", "mdxnet", f"separator.weights={folder}", SHORT)(make_input(SAMPLE_RATE))


def test_the_submissions_names_load_too(folder: Path) -> None:
    file = folder / "bass.ckpt"
    training = mdxnet.Load("bass")((file,)).state_dict()
    names = {"encoding_blocks": "ds_dense", "bottleneck_block": "mid_dense", "decoding_blocks": "us_dense"}
    pattern = re.compile("|".join(names))
    submission = {
        pattern.sub(lambda found: names[found[0]], name).replace(".tfc.", "."): x
        for name, x in training.items()
    }
    assert set(submission) != set(training)
    torch.save(submission, file)
    loaded = mdxnet.Load("bass")((file,)).state_dict()
    assert all(torch.equal(x, loaded[name]) for name, x in training.items())


@pytest.fixture
def onnx(monkeypatch: pytest.MonkeyPatch) -> tfc_tdf.TfcTdfUNet:
    """The network that `mdxnet_small.onnx` was made of."""
    monkeypatch.setattr(tfc_tdf, "WIDTH", mdxnet_onnx.WIDTH)
    monkeypatch.setattr(mdxnet, "BINS", mdxnet_onnx.BINS)
    return mdxnet_onnx.small()


def test_onnx_files_give_the_same_output(onnx: tfc_tdf.TfcTdfUNet) -> None:
    loaded = mdxnet.Load("drums")((FOLDER / "mdxnet_small.onnx",))
    folded = loaded.state_dict()["first_conv.0.weight"]
    assert not torch.equal(folded, onnx.state_dict()["first_conv.0.weight"])
    expected = run(onnx, 20_000)
    np.testing.assert_allclose(run(loaded, 20_000), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("size", [0, 100, 5000, -1])
@pytest.mark.usefixtures("onnx")
def test_a_damaged_onnx_file_is_refused(tmp_path: Path, size: int) -> None:
    content = (FOLDER / "mdxnet_small.onnx").read_bytes()
    (tmp_path / "drums.onnx").write_bytes(content[:size])
    with pytest.raises(WeightsError, match="cannot be read as ONNX"):
        mdxnet.Load("drums")((tmp_path / "drums.onnx",))


def test_a_network_with_more_levels_than_there_are_is_not_made(tmp_path: Path) -> None:
    torch.save({f"us.{level}.0.weight": torch.zeros(1) for level in range(500)}, tmp_path / "drums.ckpt")
    with pytest.raises(WeightsError, match="with 500 levels; expected 5 at most"):
        mdxnet.Load("drums")((tmp_path / "drums.ckpt",))


def test_an_endless_number_in_an_onnx_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "drums.onnx").write_bytes(b"\xff" * 3_000_000)
    with pytest.raises(WeightsError, match="cannot be read as ONNX"):
        mdxnet.Load("drums")((tmp_path / "drums.onnx",))


@pytest.mark.usefixtures("onnx")
def test_an_onnx_file_of_another_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdxnet, "BINS", 64)
    with pytest.raises(WeightsError, match=r"tdf\.0\.weight should be \(8, 64\), there is \(4, 32\)"):
        mdxnet.Load("drums")((FOLDER / "mdxnet_small.onnx",))
    monkeypatch.setattr(mdxnet, "tdf", lambda *_, **__: torch.nn.Identity())
    with pytest.raises(WeightsError, match=r"ds\.0\.0 should be Conv, there is MatMul"):
        mdxnet.Load("drums")((FOLDER / "mdxnet_small.onnx",))


@pytest.mark.parametrize("samples", [1, 1024, 31 * 1024, 31 * 1024 + 1])
def test_any_length_is_separated(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfc_tdf, "WIDTH", 4)
    monkeypatch.setattr(mdxnet, "BINS", 256)
    assert run(mdxnet.target("drums"), samples).shape == (1, 1, 2, samples)
