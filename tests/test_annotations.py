"""A value in a YAML is compared with what the class declares, however deep it lies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pytest
from omegaconf import OmegaConf

from cadenza_remix.annotations import wrong_values

INF, HERE = float("inf"), "tests.test_annotations"


class Part(Protocol):
    def __call__(self) -> float: ...


@dataclass(frozen=True)
class Leaf:
    number: float = 0.0

    def __call__(self) -> float:
        return self.number


@dataclass(frozen=True)
class Whole:
    count: int
    switch: bool
    maybe: str | None
    folder: Path
    names: tuple[str, ...]
    anything: Any
    part: Part
    parts: Sequence[Part] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    function: Callable[[], None] = print
    named: tuple[int, str] = (0, "")
    array: npt.NDArray[np.float64] | None = None


def factory(switch: bool, **how: Any) -> Whole:
    return Whole(switch=switch, **how)


class Plain:
    def __init__(self, number: float, undeclared=None) -> None: ...


def leaf(number: object) -> dict[str, object]:
    return {"_target_": f"{HERE}.Leaf", "number": number}


@pytest.mark.parametrize("target", ["Whole", "factory"])
@pytest.mark.parametrize(
    "values",
    [
        {"count": 3, "switch": False, "maybe": None, "folder": "a/b", "names": ["a"], "anything": {"a": 1}},
        {"named": [3, "a"], "array": [0.5, 1]},
        {"maybe": "x", "names": [], "part": leaf(1), "parts": [leaf(INF), leaf(2.5)], "weights": {"a": 1}},
    ],
)
def test_values_that_fit(target: str, values: dict[str, object]) -> None:
    node = OmegaConf.create({"_target_": f"{HERE}.{target}"} | values)
    assert list(wrong_values(node, "group")) == []


@pytest.mark.parametrize("target", ["Whole", "factory"])
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"count": 1.5}, "group.count is 1.5; give a whole number."),
        ({"count": True}, "group.count is True; give a whole number."),
        ({"switch": 1}, "group.switch is 1; give true or false."),
        ({"maybe": 1}, "group.maybe is 1; give a text or null."),
        ({"folder": 1}, "group.folder is 1; give a path."),
        ({"names": "abc"}, "group.names is 'abc'; give a list, each a text."),
        ({"names": [1]}, "group.names is [1]; give a list, each a text."),
        ({"named": ["x", "a"]}, "group.named is ['x', 'a']; give a list, a whole number and a text."),
        ({"part": 1}, "group.part is 1; give a component, a node with _target_."),
        ({"part": None}, "group.part is None; give a component, a node with _target_."),
        ({"part": leaf("x")}, "group.part.number is 'x'; give a number."),
        ({"parts": [leaf(1), leaf(None)]}, "group.parts.1.number is None; give a number."),
        ({"anything": {"deep": leaf([1])}}, "group.anything.deep.number is [1]; give a number."),
        ({"weights": [1]}, "group.weights is [1]; give named values, each a number."),
        ({"weights": {"a": "x"}}, "group.weights is {'a': 'x'}; give named values, each a number."),
    ],
)
def test_values_that_do_not_fit(target: str, values: dict[str, object], told: str) -> None:
    assert list(wrong_values({"_target_": f"{HERE}.{target}"} | values, "group")) == [told]


def test_what_declares_nothing_takes_everything() -> None:
    node = {"_target_": f"{HERE}.Plain", "number": "x", "undeclared": "x", "unknown": 1}
    assert list(wrong_values(node, "group")) == ["group.number is 'x'; give a number."]
    assert list(wrong_values({"_target_": "not.there", "a": 1}, "group")) == []
