"""Every component that a YAML names binds to its class and keeps its contract."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from cadenza_remix.audio import rms
from cadenza_remix.config import CONF, build
from cadenza_remix.demix import bsrnn, bsroformer, demucs_v2, scnet
from cadenza_remix.demix.base import SOURCES, Separator
from cadenza_remix.demix.network import NetworkSeparator
from cadenza_remix.errors import AudioError
from cadenza_remix.listener import Listener
from cadenza_remix.metrics.base import Metric
from cadenza_remix.pipeline import correct, enhance_scene, remix_scene, separate
from cadenza_remix.settings import Settings
from tests.conftest import SAMPLE_RATE, music
from tests.references.demucs_files import HYBRID, TRANSFORMER, write_network
from tests.small_networks import (
    shrink_dttnet,
    shrink_mdxnet,
    write_convtasnet,
    write_dttnet,
    write_mdxnet,
)

STEMS = music(5)
MIXTURE = np.sum(list(STEMS.values()), axis=0)


DEMUCS = ("mdx", "repro_mdx_a_hybrid_only", "htdemucs", "htdemucs_ft", "hdemucs_mmi")
WEIGHTS = {"hdemucs": "hdemucs_weights", "openunmix": "openunmix_weights", "demucs_v2": "demucs_v2_weights"}
WEIGHTS |= {name: f"{name}_weights" for name in ("scnet", "scnet_large", "bs_roformer", "bsrnn")}
WEIGHTS |= dict.fromkeys(DEMUCS, "demucs_folder")
WEIGHTS |= {
    "convtasnet": "convtasnet_weights",
    "convtasnet_causal": "convtasnet_causal_weights",
    "convtasnet_clarity": "convtasnet_weights",
    "dttnet": "dttnet_folder",
    "mdxnet": "mdxnet_folder",
}
MEMBERS = {
    "mdxnet_demucs": {"mdxnet": "mdxnet", "demucs": "demucs_v2"},
    "hdemucs_mdxnet_dttnet": dict.fromkeys(("hdemucs", "mdxnet", "dttnet")),
}
OTHER_SOURCES = {
    "convtasnet": {"vocals", "background"},
    "convtasnet_causal": {"vocals", "background"},
    "convtasnet_clarity": {"target", "interferer"},
}
SMALLER = {
    "convtasnet_clarity": ["separator.segments.step_s=1"],
    "mdxnet": ["separator.segment_s=2"],
    "demucs_v2": ["separator.width=4"],
    "scnet": ["separator.widths=[8,12,16]"],
    "scnet_large": ["separator.widths=[8,12,16]"],
    "bs_roformer": ["separator.width=8", "separator.depth=1"],
    "htdemucs": ["separator.segments.segment_s=1.5"],
    "htdemucs_ft": ["separator.segments.segment_s=1.5"],
}


@pytest.fixture(scope="session")
def demucs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small networks in the place of all of Demucs' own; a file says what it holds."""
    folder = tmp_path_factory.mktemp("demucs")
    for choice in DEMUCS:
        for url in OmegaConf.load(CONF / f"separator/{choice}.yaml").files:
            name = url.rsplit("/", 1)[1].split("-")[0]  # what follows promises another content
            write_network(folder / f"{name}.th", TRANSFORMER if choice.startswith("htdemucs") else HYBRID)
    return folder


@pytest.fixture
def demucs_v2_weights(tmp_path: Path) -> Path:
    return save(demucs_v2.DemucsV2(4), tmp_path)


@pytest.fixture
def scnet_weights(tmp_path: Path) -> Path:
    return save(scnet.Load((8, 12, 16), (0.175, 0.392), standardised_inside=False).network(), tmp_path)


@pytest.fixture
def scnet_large_weights(scnet_weights: Path) -> Path:
    return scnet_weights  # the shares of the bands change no weights


@pytest.fixture
def bs_roformer_weights(tmp_path: Path) -> Path:
    load = bsroformer.Load(n_sources=4, width=8, depth=1, hop=441, mask_expansion=2)
    return save(load.network(), tmp_path)


@pytest.fixture
def bsrnn_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {"WIDTH": 8, "LSTM_WIDTH": 8, "MASK_WIDTH": 8, "DEPTH": 1}.items():
        monkeypatch.setattr(bsrnn, name, value)
    return save(bsrnn.BandSplitRnns(), tmp_path)


def save(network: torch.nn.Module, folder: Path) -> Path:
    torch.save(network.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


@pytest.fixture
def convtasnet_weights(tmp_path: Path) -> Path:
    return write_convtasnet(tmp_path / "convtasnet.pt", causal=False)


@pytest.fixture
def convtasnet_weights_of_four_stems(tmp_path: Path) -> Path:
    return write_convtasnet(tmp_path / "convtasnet.pt", causal=False, sources=4)


@pytest.fixture
def convtasnet_causal_weights(tmp_path: Path) -> Path:
    return write_convtasnet(tmp_path / "convtasnet.pt", causal=True)


@pytest.fixture
def dttnet_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shrink_dttnet(monkeypatch)
    return write_dttnet(tmp_path / "dttnet")


@pytest.fixture
def mdxnet_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shrink_mdxnet(monkeypatch)
    return write_mdxnet(tmp_path / "mdxnet")


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(*arguments: str) -> Any:
    ConfigStore.instance().store(name="schema", node=Settings)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [*arguments])


def component(group: str, choice: str, *overrides: str) -> Any:
    return build(composed(f"{group}={choice}", *overrides)[group], group)


@pytest.fixture(params=choices("separator"))
def separator(request: pytest.FixtureRequest) -> Separator:
    """Every separator, networks with weights by formula, or by chance and as small as its settings allow."""
    made: Separator = component("separator", request.param, *settings(request, request.param))
    return made


def settings(request: pytest.FixtureRequest, choice: str) -> list[str]:
    weights = WEIGHTS.get(choice)
    given = [f"separator.weights={request.getfixturevalue(weights)}"] if weights else []
    for name, member in MEMBERS.get(choice, {}).items():
        of_member = settings(request, member or name)
        given += [one.replace("separator.", f"separator.members.{name}.", 1) for one in of_member]
    return given + SMALLER.get(choice, [])


@pytest.mark.parametrize("choice", choices("experiment"))
def test_every_experiment_makes_a_signal(
    choice: str, listener: Listener, request: pytest.FixtureRequest
) -> None:
    config = composed(f"experiment={choice}")
    stems = STEMS
    if config.stems == "separate":
        (used,) = re.findall(r"override /separator: (\w+)", (CONF / f"experiment/{choice}.yaml").read_text())
        given = settings(request, used)
        if used == "convtasnet":
            given = [f"separator.weights={request.getfixturevalue('convtasnet_weights_of_four_stems')}"]
        config = composed(f"experiment={choice}", *given)
        stems = separate(build(config.separator, "separator"), MIXTURE, sample_rate=SAMPLE_RATE)
    corrections = [build(node, f"correction.{name}") for name, node in config.correction.items()]
    remixed = remix_scene(
        correct(corrections, stems, MIXTURE),
        {"vocals": 3.0, "drums": -3.0, "bass": 0.0, "other": 6.0},
        MIXTURE,
        sample_rate=SAMPLE_RATE,
        blend=build(config.mixture_blend, "mixture_blend") if config.mixture_blend else None,
    )
    enhanced = enhance_scene(
        remixed,
        listener,
        amplifier=build(config.amplifier, "amplifier"),
        limiter=build(config.limiter, "limiter"),
        sample_rate=SAMPLE_RATE,
        output_sample_rate=config.remix_sample_rate,
    )
    assert rms(enhanced) > 0.01


def test_separators(separator: Separator, request: pytest.FixtureRequest) -> None:
    assert set(separator.sources) == OTHER_SOURCES.get(
        request.node.callspec.params["separator"], set(SOURCES)
    )
    assert isinstance(separator.causal, bool)
    assert isinstance(separator.allowed_by_rules, bool)
    assert separator.training_data
    if isinstance(separator, NetworkSeparator):
        assert separator.licence
        assert separator.source_url
    before = MIXTURE.copy()
    stems = separate(separator, MIXTURE, sample_rate=separator.sample_rate)
    np.testing.assert_array_equal(MIXTURE, before)
    assert all(stem.dtype == np.float32 for stem in stems.values())
    again = separator(MIXTURE)
    assert all(np.array_equal(stems[source], again[source]) for source in stems)
    assert not any(stem.any() for stem in separator(np.zeros_like(MIXTURE)).values())


def test_what_was_learnt_from_songs_that_are_not_public_is_not_allowed() -> None:
    settings = {name: OmegaConf.load(CONF / f"separator/{name}.yaml") for name in choices("separator")}
    refused = {name for name, node in settings.items() if node.get("allowed_by_rules") is False}
    assert refused == {"htdemucs", "htdemucs_ft", "hdemucs_mmi", "bsrnn", "convtasnet_clarity"}
    for name in refused - {"bsrnn", "convtasnet_clarity"}:  # no published weights; not music
        assert "not public" in settings[name].training_data


@pytest.mark.parametrize("choice", ["none", "spectral"])
def test_without_weights_stems_sum_to_the_mixture_to_its_very_end(choice: str) -> None:
    # No fade at the end of a short clip, as pyclarity's overlap-add has one.
    stems = component("separator", choice)(MIXTURE)
    np.testing.assert_allclose(sum(stems.values()), MIXTURE, atol=2e-6)


@pytest.mark.parametrize("choice", choices("amplifier"))
def test_amplifiers(choice: str, listener: Listener) -> None:
    amplified = component("amplifier", choice)(MIXTURE, listener, sample_rate=SAMPLE_RATE)
    assert amplified.dtype == np.float32
    assert amplified.shape[0] == 2
    assert amplified.shape[1] >= MIXTURE.shape[1]
    assert np.isfinite(amplified).all()


@pytest.mark.parametrize("choice", choices("limiter"))
@pytest.mark.parametrize("scale", [0.0, 0.1, 30.0])
def test_limiters(choice: str, scale: float, listener: Listener) -> None:
    loud = MIXTURE * np.float32(scale)
    before = loud.copy()
    limited = component("limiter", choice)(loud, listener, sample_rate=32000)
    np.testing.assert_array_equal(loud, before)
    assert limited.shape == loud.shape
    assert limited.dtype == loud.dtype
    assert np.abs(limited).max() <= 1


@pytest.mark.parametrize("choice", choices("metric"))
def test_metrics(choice: str, listener: Listener) -> None:
    metric: Metric = component("metric", choice)
    reference = MIXTURE[:, : 2 * metric.sample_rate].astype(np.float64)
    rng = np.random.RandomState(1)
    scores = metric(reference, reference, listener, level_of_rms_1_db_spl=(85.0, 85.0), rng=rng)
    assert {"left_score", "right_score", "score"} <= set(scores)
    assert all(isinstance(value, float) for value in scores.values())


def test_a_separator_that_breaks_its_contract_is_told_so() -> None:
    class Broken:
        sample_rate, channels, sources = SAMPLE_RATE, 2, SOURCES

        def __call__(self, mixture: np.ndarray) -> dict[str, np.ndarray]:
            return {"vocals": mixture[:, :-1]}

    with pytest.raises(AudioError, match="The separator returned"):
        separate(Broken(), MIXTURE, sample_rate=SAMPLE_RATE)


def test_every_choice_says_what_it_is() -> None:
    for path in Path(CONF).glob("*/*.yaml"):
        comments = [line for line in path.read_text().splitlines() if line.startswith("# ")]
        assert [line for line in comments if "@package" not in line], f"{path} lacks its opening comment"
