"""The Demucs family against the package itself, and files that are not what they should be."""

import json
import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from demucs.api import Separator
from safetensors.torch import save_file
from torch import nn

from cadenza_remix.demix import demucs, demucs_v2
from cadenza_remix.demix.segments import OverlapAdd
from cadenza_remix.errors import ConfigError, WeightsError
from tests.conftest import SAMPLE_RATE, music
from tests.references.demucs_files import HYBRID, SOURCES, TIME, TRANSFORMER, package, write_network
from tests.references.demucs_v2 import SAMPLES, SEGMENT_SAMPLES, WIDTH
from tests.references.networks import fill_state, golden, make_input

MIXTURE = np.sum(list(music(3, 3.6).values()), axis=0) + np.float32(0.01)


def write_bag(folder: Path, *kinds: tuple[type[nn.Module], dict[str, Any]], **bag: Any) -> list[str]:
    """A folder as `demucs` takes it; the names of its files."""
    for number, kind in enumerate(kinds):
        write_network(folder / f"net{number}.th", kind, number)
    names = [f"net{number}" for number in range(len(kinds))]
    (folder / "bag.yaml").write_text(yaml.safe_dump({"models": names} | bag))
    return names


def ours(folder: Path, names: list[str], blend: list[list[float]], segments: OverlapAdd, shifts: int = 0):
    return demucs.demucs(
        str(folder),
        files=[f"https://nowhere.invalid/{name}-00000000.th" for name in names],
        blend=blend,
        allow_download=False,
        segments=segments,
        shifts=shifts,
        seed=4,
        swap_channels=False,
        flip_polarity=False,
        batch_size=2,
        device="cpu",
        threads=1,
        training_data="none",
        allowed_by_rules=True,
        licence="none",
        source_url="none",
    )


def theirs(folder: Path, **how: Any) -> dict[str, np.ndarray]:
    separator = Separator("bag", repo=folder, device="cpu", overlap=0.25, progress=False, **how)
    return {name: x.numpy() for name, x in separator.separate_tensor(torch.from_numpy(MIXTURE))[1].items()}


def difference(some: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> float:
    """Largest difference, relative to the largest sample."""
    assert list(some) == list(others)
    loudest = max(np.abs(stem).max() for stem in others.values())
    return float(max(np.abs(some[name] - others[name]).max() for name in others) / loudest)


@pytest.mark.filterwarnings("ignore:Dropping inexistant parameter")
@pytest.mark.parametrize("shifts", [0, 2])
@pytest.mark.parametrize(
    ("kind", "segment_s"),
    [(TIME, 2.0), (HYBRID, 2.0), (TRANSFORMER, 1.5)],
    ids=["time", "hybrid", "transformer"],
)
def test_a_network_gives_the_packages_stems(
    kind: Any, segment_s: float, shifts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_bag(tmp_path, kind, segment=segment_s)
    drawn = list(np.random.RandomState(4).randint(0, SAMPLE_RATE // 2 + 1, shifts))
    monkeypatch.setattr(random, "randint", lambda _low, high: high - int(drawn.pop(0)))
    expected = theirs(tmp_path, shifts=shifts)
    stems = ours(tmp_path, names, [[1, 1, 1, 1]], OverlapAdd(segment_s, 0.25, end="short"), shifts)(MIXTURE)
    assert difference(stems, expected) < 1e-5


@pytest.mark.filterwarnings("ignore:Dropping inexistant parameter")
def test_a_bag_gives_the_packages_stems(tmp_path: Path) -> None:
    blend = [[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 3.0]]
    names = write_bag(tmp_path, TIME, HYBRID, weights=blend, segment=4.0)
    stems = ours(tmp_path, names, blend, OverlapAdd(4.0, 0.25, end="short"))(MIXTURE)
    assert difference(stems, theirs(tmp_path, shifts=0)) < 1e-5


def test_both_formats_hold_the_same(tmp_path: Path) -> None:
    made = package(TRANSFORMER, 1)
    torch.save(made, tmp_path / "a.th")
    kwargs = made["kwargs"] | {"segment": {"_type": "fraction", "numerator": 3, "denominator": 2}}
    header = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(kwargs)}
    save_file(made["state"], tmp_path / "a.safetensors", header)
    one, other = (demucs.load_network(tmp_path / f"a.{suffix}") for suffix in ("th", "safetensors"))
    assert one.segment == other.segment == Fraction(3, 2)
    for name, tensor in one.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, other.state_dict()[name])


class Surprise:
    """What would run if a file were unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this must not run",))


@pytest.mark.parametrize("place", ["klass", "args", "kwargs", "state", "training_args"])
@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_runs(
    place: str, zipped: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.save(
        package(TIME, 0) | {place: Surprise()}, tmp_path / "a.th", _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(WeightsError, match=r"more than tensors and plain values.*convert it: python -c"):
        demucs.load_network(tmp_path / "a.th")
    assert "must not run" not in capfd.readouterr().out


class Endless:
    """A fraction that would take for ever to work out."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Fraction, ("1e99999999999",))


@pytest.mark.parametrize("suffix", [".th", ".safetensors"])
def test_a_fraction_is_of_whole_numbers(suffix: str, tmp_path: Path) -> None:
    made = package(TIME, 0)
    if suffix == ".th":
        torch.save(made | {"kwargs": made["kwargs"] | {"segment": Endless()}}, tmp_path / "a.th")
    else:
        endless = {"_type": "fraction", "numerator": "1e99999999999", "denominator": None}
        header = {
            "klass": "demucs.demucs.Demucs",
            "args": "[]",
            "kwargs": json.dumps(made["kwargs"] | {"segment": endless}),
        }
        save_file(made["state"], tmp_path / "a.safetensors", header)
    with pytest.raises(WeightsError, match=r"is no network of demucs .ValueError"):
        demucs.load_network(tmp_path / f"a{suffix}")


def test_the_conversion_that_an_error_offers_keeps_the_network(tmp_path: Path) -> None:
    made = package(TIME, 0)
    torch.save(made | {"training_args": Surprise()}, tmp_path / "a.th")
    kept = {key: made[key] for key in ("klass", "args", "kwargs", "state")}
    torch.save(kept, tmp_path / "converted.th")
    demucs.load_network(tmp_path / "converted.th")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"klass": nn.Linear}, "more than tensors"),
        ({"state": {"__quantized": True}}, "is no network of demucs .ValueError"),
        ({"state": [torch.zeros(1)]}, "is no network of demucs .AttributeError"),
        ({"klass": {}}, "is no network of demucs .TypeError"),
        ({"kwargs": {"sources": ["vocals", "other"], "channels": 4}}, "for the sources"),
        ({"kwargs": {}}, "describes no network of demucs .TypeError"),
        ({"kwargs": {"sources": SOURCES, "depth": "six"}}, "describes no network"),
        ({"kwargs": {"sources": SOURCES, "channels": 5}}, "does not fit the network"),
        ({"kwargs": {"sources": SOURCES, "channels": 10**6}}, "does not fit the network"),
        ({"kwargs": {"sources": SOURCES, "lstm_layers": 10**9}}, "lstm_layers=1000000000 where"),
        ({"args": (SOURCES, 2, 4, 1, 10**9), "kwargs": {}}, "depth=1000000000 where"),
        (
            {"kwargs": {"sources": SOURCES, "samplerate": 8000}},
            "is for the sources, channels and sample rate",
        ),
        ({"kwargs": {"sources": SOURCES, "segment": 10**9}}, "segment=1000000000 where 100"),
        ({"kwargs": {"sources": torch.zeros(1).expand(2**44)}}, "no plain values"),
    ],
)
def test_files_of_something_else_are_refused(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    torch.save(package(TIME, 0) | changed, tmp_path / "a.th")
    with pytest.raises(WeightsError, match=told):
        demucs.load_network(tmp_path / "a.th")


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 half an archive"])
@pytest.mark.parametrize("suffix", [".th", ".safetensors"])
def test_damaged_files_are_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(WeightsError, match="fetch it again"):
        demucs.load_network(tmp_path / f"a{suffix}")


def test_a_bag_needs_all_its_files(tmp_path: Path) -> None:
    names = write_bag(tmp_path, TIME)
    with pytest.raises(WeightsError, match=r"net0\.th is one file of 2; give a folder"):
        ours(tmp_path / "net0.th", [*names, "net1"], [[1.0] * 4] * 2, OverlapAdd(4.0, 0.25))


@pytest.mark.parametrize("blend", [[[1.0] * 4], [[1.0] * 4] * 3, [[1.0, 0.0, 0.0, 0.0]] * 2])
def test_a_blend_that_fits_no_bag_is_refused(blend: list[list[float]], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="should have a row for each of 2 files"):
        ours(tmp_path, ["net0", "net1"], blend, OverlapAdd(4.0, 0.25))


def test_a_network_of_a_fixed_length_refuses_longer_segments(tmp_path: Path) -> None:
    names = write_bag(tmp_path, TRANSFORMER)
    with pytest.raises(ConfigError, match=r"takes no segments so long .*set segment_s lower"):
        ours(tmp_path, names, [[1.0] * 4], OverlapAdd(2.0, 0.25))(MIXTURE)


def test_version_2_gives_its_packages_stems(tmp_path: Path) -> None:
    torch.save({name: x.half() for name, x in fill_state("demucs_v2").items()}, tmp_path / "half.th")
    assert demucs_v2.Load(WIDTH)((tmp_path / "half.th",)).lstm.linear.weight.dtype == torch.float32
    torch.save(fill_state("demucs_v2"), tmp_path / "demucs.th")
    how = ours(
        tmp_path, ["demucs"], [[1.0] * 4], OverlapAdd(SEGMENT_SAMPLES / SAMPLE_RATE, 0.25, end="short")
    )
    how = replace(how, load=demucs_v2.Load(WIDTH), standardised=False)
    stems = np.stack(list(how(make_input(SAMPLES)).values()))
    assert golden("demucs_v2", "wave", stems) < 1e-5
