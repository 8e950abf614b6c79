"""SCNet, BS-RoFormer and BandSplitRNN: published layouts, the originals' output, what the papers state."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cadenza_remix.demix import bsrnn, bsroformer, scnet
from cadenza_remix.errors import WeightsError
from tests.references.networks import fill_state, golden, make_input, run, shapes

SMALL = scnet.Load((32, 64, 128), (0.175, 0.392), standardised_inside=False)
LARGE = scnet.Load((64, 128, 256), (0.225, 0.372), standardised_inside=False)
TINY = scnet.Load((8, 12, 16), (0.175, 0.392), standardised_inside=False)
ONE_SOURCE = bsroformer.Load(n_sources=1, width=192, depth=6, hop=512, mask_expansion=4)
PUBLISHED = bsroformer.Load(n_sources=4, width=384, depth=8, hop=441, mask_expansion=2)


def layout(network: torch.nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def n_millions(network: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


@pytest.mark.parametrize(("quantity", "inside"), [("wave", False), ("wave_normalised", True)])
def test_scnet_gives_the_originals_output(quantity: str, inside: bool, tmp_path: Path) -> None:
    torch.save(fill_state("scnet_small"), tmp_path / "scnet.ckpt")
    load = scnet.Load(SMALL.widths, SMALL.band_shares, inside)
    assert golden("scnet_small", quantity, run(load((tmp_path / "scnet.ckpt",)), 132300)) < 1e-5


def test_scnet_has_the_published_layout() -> None:
    assert layout(SMALL.network()) == shapes("scnet_small")
    assert n_millions(SMALL.network()) == pytest.approx(10.58, abs=0.01)
    assert n_millions(LARGE.network()) == pytest.approx(42.2, abs=0.05)


def test_scnet_takes_any_length_and_gives_it_back() -> None:
    network = TINY.network()
    for samples in (1, 1023, 1024, 2048, 2049, 10240, 30001):
        output = run(network, samples)
        assert output.shape == (1, 4, 2, samples)
        assert np.isfinite(output).all()


def test_bs_roformer_gives_the_originals_output(tmp_path: Path) -> None:
    torch.save(fill_state("bs_roformer_musdb_192x6"), tmp_path / "a.ckpt")
    network = ONE_SOURCE((tmp_path / "a.ckpt",))
    assert golden("bs_roformer_musdb_192x6", "wave", run(network, 44113)) < 1e-5


def test_bs_roformer_has_the_published_layout() -> None:
    with torch.device("meta"):
        network = PUBLISHED.network()
    assert layout(network) == shapes("bs_roformer_musdb_384x8")
    assert n_millions(network) == pytest.approx(131.70, abs=0.01)


def test_turned_features_know_distances_only() -> None:
    turn = bsroformer.RotaryEmbedding()
    query, key = torch.randn(2, bsroformer.HEAD_WIDTH, generator=torch.Generator().manual_seed(1))
    queries, keys = (turn(x.expand(50, -1)) for x in (query, key))
    products = (queries @ keys.T).detach().numpy()
    for distance in (-20, 0, 1, 7):
        np.testing.assert_allclose(np.diagonal(products, distance), products[20, 20 + distance], rtol=1e-4)
    np.testing.assert_allclose(products[3, 3], float(query @ key), rtol=1e-5)


@pytest.mark.parametrize(
    ("source", "n_bands", "millions"),
    [("vocals", 41, 27.5), ("other", 41, 27.5), ("bass", 30, 29.2), ("drums", 55, 30.1)],
)
def test_bsrnn_has_the_papers_bands_and_as_many_parameters(
    source: str, n_bands: int, millions: float
) -> None:
    n_bins = bsrnn.band_bins(bsrnn.BANDS[source])
    assert len(n_bins) == n_bands
    assert sum(n_bins) == bsrnn.BINS
    with torch.device("meta"):
        network = bsrnn.BandSplitRnn(n_bins)
    assert n_millions(network) == pytest.approx(millions, abs=0.05)


def test_bands_are_as_wide_as_the_paper_says() -> None:
    n_bins = bsrnn.band_bins(bsrnn.BANDS["vocals"])
    edges_hz = np.cumsum(n_bins) * bsrnn.SAMPLE_RATE / bsrnn.WINDOW
    expected = [*range(100, 1001, 100), *range(1250, 4001, 250), *range(4500, 8001, 500)]
    expected += [*range(9000, 16001, 1000), 18000, 20000]
    assert (np.abs(edges_hz[:-1] - expected) <= bsrnn.SAMPLE_RATE / bsrnn.WINDOW).all()


@pytest.fixture
def small_bsrnn(monkeypatch: pytest.MonkeyPatch) -> bsrnn.BandSplitRnns:
    for name, value in {"WIDTH": 8, "LSTM_WIDTH": 8, "MASK_WIDTH": 8, "DEPTH": 1}.items():
        monkeypatch.setattr(bsrnn, name, value)
    torch.manual_seed(0)
    return bsrnn.BandSplitRnns()


def test_the_chunk_length_is_not_baked_into_bsrnn(small_bsrnn: bsrnn.BandSplitRnns) -> None:
    for samples in (1025, 20000, 50001):
        assert run(small_bsrnn, samples).shape == (1, 4, 2, samples)


@pytest.mark.parametrize("channels", [(1.0, 1.0), (1.0, 0.0), (0.0, 0.5)])
def test_a_mask_is_for_each_bin_and_channel(
    channels: tuple[float, float], small_bsrnn: bsrnn.BandSplitRnns
) -> None:
    for linear in small_bsrnn.networks["drums"].mask_estimation.linears:
        torch.nn.init.zeros_(linear[-1].weight)
        n_bins = len(linear[-1].bias) // 8
        real = torch.tensor([channels[0], 0.0, channels[1], 0.0])  # no imaginary part
        linear[-1].bias.data = torch.cat([real.repeat(n_bins), torch.full((4 * n_bins,), 100.0)])
    drums = run(small_bsrnn, 30000)[0, bsrnn.SOURCES.index("drums")]
    np.testing.assert_allclose(drums, make_input(30000) * np.array(channels)[:, None], atol=1e-6)


def test_bsrnn_takes_a_file_per_source_or_one_for_all(
    small_bsrnn: bsrnn.BandSplitRnns, tmp_path: Path
) -> None:
    torch.save(small_bsrnn.state_dict(), tmp_path / "all.pth")
    paths = [tmp_path / f"{source}.pth" for source in bsrnn.SOURCES]
    for path, network in zip(paths, small_bsrnn.networks.values(), strict=True):
        torch.save(network.state_dict(), path)
    expected = run(small_bsrnn, 5000)
    for given in ((tmp_path / "all.pth",), tuple(paths)):
        np.testing.assert_array_equal(run(bsrnn.load(given), 5000), expected)


def test_bsrnn_asks_for_weights() -> None:
    with pytest.raises(WeightsError, match=r"say separator\.weights=PATH"):
        bsrnn.bsrnn(None, allow_download=True)
