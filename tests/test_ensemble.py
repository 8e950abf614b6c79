"""Several separators as one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from cadenza_remix.config import CONF, flatten
from cadenza_remix.demix.base import Stems
from cadenza_remix.demix.ensemble import Ensemble
from cadenza_remix.enhance import identity
from cadenza_remix.errors import ConfigError
from tests.conftest import SAMPLE_RATE, music

MIXTURE = np.sum(list(music(3).values()), axis=0)


@dataclass(frozen=True)
class Times:
    """Gives each source the mixture times a factor."""

    factor: float
    sources: tuple[str, ...] = ("vocals", "drums")
    sample_rate: int = SAMPLE_RATE
    channels: int = 2
    causal: bool = True
    training_data: str = "songs"
    allowed_by_rules: bool = True
    licence: str = "MIT"

    def __call__(self, mixture: np.ndarray) -> Stems:
        return {source: mixture * np.float32(self.factor) for source in self.sources}


@dataclass(frozen=True)
class Weighted(Times):
    """The same with weights."""

    @property
    def weights_sha256(self) -> list[str]:
        return ["0" * 64]


def ensemble(shares: dict[str, Any], **members: Times) -> Ensemble:
    return Ensemble(members, shares)


def test_a_stem_is_the_weighted_sum_of_the_members_stems() -> None:
    shares = {"vocals": {"a": 0.25, "b": 0.75}, "drums": {"b": 1.0}}
    stems = ensemble(shares, a=Times(1), b=Times(3))(MIXTURE)
    assert list(stems) == ["vocals", "drums"]
    np.testing.assert_allclose(stems["vocals"], 2.5 * MIXTURE, rtol=1e-6)
    np.testing.assert_allclose(stems["drums"], 3 * MIXTURE, rtol=1e-6)


def test_a_member_needs_only_the_sources_it_is_asked_for() -> None:
    shares = {"vocals": {"a": 1}, "drums": {"b": 1}, "bass": {"b": 1}}
    stems = ensemble(shares, a=Times(1, ("vocals",)), b=Times(2, ("bass", "drums")))(MIXTURE)
    np.testing.assert_array_equal(stems["vocals"], MIXTURE)
    np.testing.assert_array_equal(stems["bass"], 2 * MIXTURE)


def test_an_ensemble_may_do_what_all_its_members_may() -> None:
    shares = {"vocals": {"a": 0.5, "b": 0.5}}
    both = ensemble(shares, a=Times(1), b=Times(1))
    assert both.allowed_by_rules
    assert both.causal
    assert both.training_data == "songs"
    private = Times(1, causal=False, allowed_by_rules=False, training_data="private songs")
    mixed = ensemble(shares, a=Times(1), b=private)
    assert not mixed.allowed_by_rules
    assert not mixed.causal
    assert mixed.training_data == "songs; private songs"
    assert mixed.licence == "MIT"


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({"vocals": {"c": 1}}, "shares of vocals name c; those that separate it are a, b"),
        ({"bass": {"a": 1}}, "shares of bass name a; those that separate it are none"),
        ({"vocals": {}}, "shares of vocals name no member"),
        ({}, "should have members and shares"),
    ],
)
def test_shares_that_fit_no_member_are_refused(shares: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ensemble(shares, a=Times(1), b=Times(1))


def test_members_at_different_rates_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"a 2 at 44100 Hz, b 2 at 16000 Hz"):
        ensemble({"vocals": {"a": 1}}, a=Times(1), b=Times(1, sample_rate=16000))


def test_the_manifest_says_what_every_member_is() -> None:
    made = ensemble({"vocals": {"a": 0.5, "b": 0.5}}, a=Times(1), b=Weighted(1, allowed_by_rules=False))
    node = {
        "_target_": "ensemble",
        "members": {
            "a": {"_target_": "times", "device": "cpu"},
            "b": {"_target_": "weighted", "weights": "/somewhere/b.pt", "allow_download": True},
        },
        "shares": made.shares,
    }
    told = flatten(identity(node, made))
    assert told["members.b.weights"] == ["0" * 64]
    assert told["members.a.training_data"] == "songs"
    assert (told["members.a.allowed_by_rules"], told["members.b.allowed_by_rules"]) == (True, False)
    assert told["allowed_by_rules"] is False
    assert told["shares.vocals.a"] == 0.5
    assert not {"members.a.device", "members.b.allow_download"} & set(told)


def test_authors_blend() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        chosen = compose("separator/mdxnet_demucs").separator
    # As KUIELab entered it: what MDX-Net counts; Demucs counts the rest.
    counts = {"bass": 0.5, "drums": 0.5, "other": 0.7, "vocals": 0.9}
    for stem, shares in chosen.shares.items():
        assert shares.mdxnet == counts.pop(stem)
        assert shares.mdxnet + shares.demucs == pytest.approx(1)
    assert not counts
    assert chosen.members.demucs.segments.overlap == 0.5
