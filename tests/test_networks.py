"""Trained networks: the published layout, the reference's output, and how a separator runs them."""

import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cadenza_remix.demix import bsrnn, bsroformer, convtasnet, hdemucs, network, openunmix
from cadenza_remix.demix.network import NetworkSeparator, choose_device, load_state
from cadenza_remix.demix.segments import BaselineChunks, OverlapAdd
from cadenza_remix.demix.trivial import EqualSplit
from cadenza_remix.demix.weights import WeightsFile, read_tensors
from cadenza_remix.enhance import warn_of_terms
from cadenza_remix.errors import ConfigError, WeightsError
from tests.conftest import SAMPLE_RATE, music
from tests.references.networks import fill_state, golden, run
from tests.small_networks import SMALL

ONE_PASS = {"shifts": 0, "seed": 0, "swap_channels": False, "flip_polarity": False, "batch_size": None}
SHORT = OverlapAdd(segment_s=1.0, overlap=0.25)
MIXTURE = np.sum(list(music(3).values()), axis=0)


@pytest.mark.parametrize(("quantity", "samples"), [("wave", 132300), ("wave_6s", 264677)])
def test_hdemucs_gives_torchaudios_output(hdemucs_weights: Path, quantity: str, samples: int) -> None:
    output = run(hdemucs.load((hdemucs_weights,)), samples)
    assert golden("hdemucs_high", quantity, output) < 1e-5


def test_open_unmix_gives_the_packages_output(openunmix_weights: Path) -> None:
    paths = tuple(openunmix_weights / f"{source}.pth" for source in openunmix.SOURCES)
    assert golden("umxhq", "wave_niter0", run(openunmix.load(paths), 132300)) < 1e-5


def test_open_unmix_takes_one_file_for_all_targets(openunmix_weights: Path, tmp_path: Path) -> None:
    torch.save(fill_state("umxhq"), tmp_path / "umxhq.pt")
    parts = openunmix.load(tuple(openunmix_weights / f"{source}.pth" for source in openunmix.SOURCES))
    whole = openunmix.load((tmp_path / "umxhq.pt",))
    assert all(torch.equal(x, whole.state_dict()[name]) for name, x in parts.state_dict().items())


def test_weights_of_another_network_are_refused(openunmix_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"vocals\.pth does not fit the network: encoder\.0\.conv\.weight should"
    ):
        hdemucs.load((openunmix_weights / "vocals.pth",))
    tensors = read_tensors(openunmix_weights / "bass.pth") | {"fc1.weight": torch.zeros(512, 2)}
    with pytest.raises(WeightsError, match=r"fc1\.weight should be \(512, 2974\), there is \(512, 2\)"):
        load_state(openunmix.Target(), tensors, tmp_path)


def test_old_files_lack_counters_and_may_hold_more(openunmix_weights: Path, tmp_path: Path) -> None:
    tensors = {"more": torch.zeros(1)} | read_tensors(openunmix_weights / "bass.pth")
    without = {name: x for name, x in tensors.items() if not name.endswith("num_batches_tracked")}
    target = openunmix.Target()
    load_state(target, without, tmp_path)
    assert torch.equal(target.fc3.weight, tensors["fc3.weight"])


class Shares(nn.Module):
    """A network that gives its input back, as a half and a quarter, and counts how often it was made."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        self.shares = nn.Parameter(torch.tensor([0.5, 0.25]))
        self.heard: list[torch.Tensor] = []
        Shares.made += 1

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        self.heard.append(mixture)
        return mixture[:, None] * self.shares[:, None, None]


def load_shares(_: tuple[Path, ...]) -> nn.Module:
    return Shares()


def separator(
    *,
    segments: OverlapAdd | BaselineChunks = SHORT,
    standardised: bool = False,
    name: str = "a",
    load=load_shares,
    **how,
):
    return NetworkSeparator(
        load=load,
        weights=(WeightsFile(Path(name), "0" * 64),),
        sources=("half", "quarter"),
        segments=segments,
        standardised=standardised,
        **(ONE_PASS | how),
        device="cpu",
        threads=1,
        training_data="none",
        allowed_by_rules=True,
        licence="none",
        source_url="none",
    )


def test_a_network_that_changes_nothing_changes_nothing() -> None:
    stems = separator()(MIXTURE)
    assert list(stems) == ["half", "quarter"]
    np.testing.assert_allclose(stems["half"], MIXTURE / 2, atol=1e-7)
    np.testing.assert_allclose(stems["quarter"], MIXTURE / 4, atol=1e-7)


def test_a_standardised_mixture_has_mean_0_and_deviation_1_as_a_whole() -> None:
    mixture = MIXTURE + np.float32(0.1)
    whole = OverlapAdd(segment_s=10.0, overlap=0.25)
    stems = separator(segments=whole, standardised=True, name="standardised")(mixture)
    made = network._loaded(load_shares, (Path("standardised"),), torch.device("cpu"))
    mono = made.heard[0][0].mean(0, dtype=torch.float64)
    assert float(mono.mean()) == pytest.approx(0, abs=1e-6)
    assert float(mono.std(correction=0)) == pytest.approx(1, abs=1e-6)
    # As in the reference implementation every stem gets the mean back.
    mean = mixture.mean()
    np.testing.assert_allclose(stems["half"], (mixture - mean) / 2 + mean, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_a_constant_stays_one(level: float) -> None:
    constant = np.full((2, 3 * SAMPLE_RATE), level, np.float32)
    for stem in separator(standardised=True)(constant).values():
        assert (stem == level).all()


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_channels_that_cancel_are_not_silence(level: float) -> None:
    sides = np.stack([MIXTURE[0], -MIXTURE[0]]) + np.float32(level)
    whole = OverlapAdd(segment_s=10.0, overlap=0.25)
    stems = separator(segments=whole, standardised=True, name=f"sides {level}")(sides)
    np.testing.assert_allclose(stems["half"], (sides - level) / 2 + level, atol=1e-6)
    (path,) = separator(name=f"sides {level}").weights
    made = network._loaded(load_shares, (path.path,), torch.device("cpu"))
    assert float(made.heard[0].std()) == pytest.approx(1, abs=1e-3)


def of_weights(load, *paths: Path, **how) -> NetworkSeparator:
    """A separator that runs a real network."""
    made = separator(load=load, name="unused", **how)
    sources = tuple("abcd")
    return replace(made, weights=tuple(WeightsFile(path, "0" * 64) for path in paths), sources=sources)


@pytest.mark.parametrize("name", ["hdemucs", "openunmix"])
def test_stems_do_not_depend_on_the_batch_size(
    name: str, hdemucs_weights: Path, openunmix_weights: Path
) -> None:
    targets = tuple(openunmix_weights / f"{source}.pth" for source in openunmix.SOURCES)
    given = {"hdemucs": (hdemucs.load, hdemucs_weights), "openunmix": (openunmix.load, *targets)}[name]
    one, three = (of_weights(*given, batch_size=size)(MIXTURE) for size in (1, 3))
    for source, stem in one.items():
        np.testing.assert_allclose(three[source], stem, atol=1e-5 * np.abs(stem).max())


def load_small_openunmix(_: tuple[Path, ...]) -> nn.Module:
    return openunmix.OpenUnmix()


def load_small_bsroformer(_: tuple[Path, ...]) -> nn.Module:
    return bsroformer.Load(n_sources=4, width=8, depth=1, hop=512, mask_expansion=1).network()


def load_small_bsrnn(_: tuple[Path, ...]) -> nn.Module:
    return bsrnn.BandSplitRnns()


def load_small_convtasnet(_: tuple[Path, ...]) -> nn.Module:
    return convtasnet.ConvTasNet(replace(SMALL, sources=4), causal=True)


@pytest.mark.parametrize(
    ("load", "least"),
    [
        (load_small_openunmix, 2049),
        (load_small_bsroformer, 1025),
        (load_small_bsrnn, 1025),
        (load_small_convtasnet, 20),
    ],
)
def test_snippets_go_through_with_what_is_around_them(load, least: int, monkeypatch) -> None:
    monkeypatch.setattr(openunmix, "HIDDEN", 8)
    for name, value in {"WIDTH": 8, "LSTM_WIDTH": 8, "MASK_WIDTH": 8, "DEPTH": 1}.items():
        monkeypatch.setattr(bsrnn, name, value)
    torch.manual_seed(0)
    whole = of_weights(load, Path(load.__name__))
    made = network._loaded(load, (Path(load.__name__),), torch.device("cpu"))
    for samples in (1, least // 2, least - 1):
        short = MIXTURE[:, SAMPLE_RATE:][:, :samples]
        stems = np.stack(list(whole(short).values()))
        before = (least - samples) // 2
        heard = np.pad(short, ((0, 0), (before, least - samples - before)))
        with torch.inference_mode():
            expected = made(torch.from_numpy(heard)[None])[0].numpy()
        assert np.abs(stems).max() > 0
        np.testing.assert_array_equal(stems, expected[..., before : before + samples])
    # The last segment of a long track may be as short.
    ends_short = replace(whole, segments=OverlapAdd(segment_s=0.5, overlap=0.0, fade=0.0, end="short"))
    track = MIXTURE[:, : SAMPLE_RATE // 2 + 1]
    last = np.stack(list(ends_short(track).values()))[..., -1]
    before = (least - 1) // 2
    heard = np.pad(track[:, -1 - before :], ((0, 0), (0, least - 1 - before)))
    with torch.inference_mode():
        expected = made(torch.from_numpy(heard)[None])[0].numpy()
    np.testing.assert_array_equal(last, expected[..., before])


def test_a_batch_holds_segments_of_one_length_and_no_more_than_asked_for() -> None:
    segments = OverlapAdd(segment_s=0.5, overlap=0.25, end="short")
    how = separator(segments=segments, name="batches", batch_size=3)
    how(MIXTURE)
    made = network._loaded(load_shares, (Path("batches"),), torch.device("cpu"))
    lengths = [len(window) for _, window in segments.windows(MIXTURE.shape[1], sample_rate=SAMPLE_RATE)]
    assert [tuple(heard.shape) for heard in made.heard] == [
        (3, 2, 22050),
        (3, 2, 22050),
        (1, 2, 22050),
        (1, 2, lengths[-1]),
    ]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_memory_holds_the_stems_and_a_few_segments_of_a_long_track(batch_size: int) -> None:
    long = np.tile(MIXTURE, 15)
    how = separator(load=load_left_alone, batch_size=batch_size)
    how(MIXTURE)
    tracemalloc.start()
    how(long)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    samples = long.shape[1]
    stems, standardised, windows = 2 * 2 * 4 * samples, 2 * 4 * samples, 4 * samples
    segment = 4 * 2 * SAMPLE_RATE
    assert peak < stems + standardised + windows + (8 + 3 * batch_size) * segment


class LeftAlone(nn.Module):
    """A network that hears the left channel only, and only its positive half."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        heard = mixture.clamp(min=0)
        heard[:, 1] = 0
        return heard[:, None].repeat(1, 2, 1, 1)


def load_left_alone(_: tuple[Path, ...]) -> nn.Module:
    return LeftAlone()


def test_passes_average_what_a_network_treats_unlike() -> None:
    positive, left = MIXTURE.clip(0), np.array([[1], [0]])
    expected = {
        (False, False): positive * left,
        (True, False): positive / 2,
        (False, True): MIXTURE / 2 * left,
        (True, True): MIXTURE / 4,
    }
    for (swap, flip), stem in expected.items():
        how = separator(load=load_left_alone, swap_channels=swap, flip_polarity=flip)
        np.testing.assert_allclose(how(MIXTURE)["half"], stem, atol=1e-7)


def test_shifts_are_drawn_from_the_seed_and_cut_the_track_elsewhere() -> None:
    def heard(name: str, **how) -> list[torch.Tensor]:
        separator(name=name, **how)(MIXTURE)
        return network._loaded(load_shares, (Path(name),), torch.device("cpu")).heard

    shifted = heard("shifted", shifts=2, seed=1)
    assert all(torch.equal(x, y) for x, y in zip(shifted, heard("again", shifts=2, seed=1), strict=True))
    silences = [
        int(np.flatnonzero(first.numpy()[0, 0])[0]) for first in (shifted[0], shifted[len(shifted) // 2])
    ]
    drawn = np.random.RandomState(1).randint(0, SAMPLE_RATE // 2 + 1, 2)
    assert silences == pytest.approx(drawn, abs=1)  # the sung tone begins with a 0
    assert not torch.equal(shifted[0], heard("other", shifts=2, seed=2)[0])
    stems = separator(shifts=3, seed=5)(MIXTURE)
    np.testing.assert_allclose(stems["half"], MIXTURE / 2, atol=1e-7)


@pytest.mark.parametrize(
    ("wrong", "told"), [({"shifts": -1}, "shifts=-1 "), ({"batch_size": 0}, "batch_size=0 ")]
)
def test_numbers_that_mean_nothing_are_refused(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        separator(**wrong)


def test_the_baseline_loses_the_end_of_a_short_track() -> None:
    stems = separator(segments=BaselineChunks(10, 0.1))(MIXTURE)
    fade = np.ones(MIXTURE.shape[1])
    fade[-4410:] = np.linspace(1, 0, 4410)
    np.testing.assert_allclose(stems["half"], MIXTURE / 2 * fade, atol=1e-7)


def test_the_network_is_loaded_once_and_not_before_it_is_needed() -> None:
    made = Shares.made
    travelled = pickle.loads(pickle.dumps(separator(name="lazy")))
    assert Shares.made == made
    travelled(MIXTURE)
    travelled(MIXTURE)
    assert Shares.made == made + 1


def test_a_run_tells_what_keeps_its_results_from_being_used(caplog: pytest.LogCaptureFixture) -> None:
    made = separator()
    warn_of_terms(made)
    warn_of_terms(EqualSplit())
    warn_of_terms(replace(made, licence="MIT; CC BY 4.0"))  # of an ensemble's members
    assert not caplog.messages
    warn_of_terms(replace(made, licence="CC BY-NC-SA 4.0"))
    warn_of_terms(replace(made, training_data="a secret", allowed_by_rules=False))
    licence, rules = caplog.messages
    assert licence == "Terms of the separator's weights: CC BY-NC-SA 4.0."
    assert "learnt from a secret, which the challenge's rules do not admit" in rules


def test_what_a_separator_is_does_not_depend_on_where_it_runs() -> None:
    here, there = separator(name="here"), separator(name="there")
    object.__setattr__(there, "threads", 2)
    assert repr(here) == repr(there)
    assert "0" * 64 in repr(here)


@pytest.mark.parametrize("device", ["gpu0", "cuda:", "CPU", ""])
def test_a_misspelt_device_is_named(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device={device} is not known; say auto, cpu, cuda"):
        choose_device(device)


@pytest.mark.parametrize("device", ["cuda:99", "mps" if not torch.backends.mps.is_available() else "cuda"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(ConfigError, match=rf"device={device} is not in this machine.*say device=cpu"):
        choose_device(device)


def test_a_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpus, chosen in {0: "cpu", 2: "cuda"}.items():
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpus=gpus: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        assert choose_device("auto").type == chosen
        assert choose_device("cpu").type == "cpu"
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="say device=cpu or device=cuda or device=cuda:0 or device=cuda:1"):
        choose_device("cuda:2")
