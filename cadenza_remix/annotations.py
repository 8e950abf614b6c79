"""Whether the values of a component's YAML node have the types that its class or factory declares.

It is asked before the component is made, so that a wrong type is named by its key instead of failing in some
computation.
"""

import inspect
import types
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from typing import Any, Union, get_args, get_origin, get_type_hints

TARGET = "_target_"
PLAIN = {
    bool: ("true or false", bool),
    int: ("a whole number", int),
    float: ("a number", int | float),
    str: ("a text", str),
    Path: ("a path", str | Path),
    types.NoneType: ("null", types.NoneType),
}


def wrong_values(node: Mapping[str, Any], key: str) -> Iterator[str]:
    """What is wrong with the values of a node and of those in it, a sentence each.

    Args:
        node: `_target_` and its arguments.
        key: the node's dotted name.
    """
    hints = _hints(node[TARGET])
    for name, value in node.items():
        if name in hints and not fits(value, hints[name]):
            yield f"{key}.{name} is {value!r}; give {expected(hints[name])}."
        for inner_key, inner in _nodes_in(value, f"{key}.{name}"):
            yield from wrong_values(inner, inner_key)


def _nodes_in(value: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The components among what a value holds."""
    if _is_node(value):
        yield key, value
    elif isinstance(value, Collection) and not isinstance(value, str):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, part in parts:
            yield from _nodes_in(part, f"{key}.{name}")


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and TARGET in value


def _hints(target: str) -> dict[str, Any]:
    """The declared types of what a target takes; none where it cannot be found or declares none.

    A factory hands on what it does not name itself to the dataclass that it returns.
    """
    try:
        found = locate(target)
        hints = get_type_hints(found.__init__ if inspect.isclass(found) else found)
    except (
        ErrorDuringImport,
        AttributeError,
        NameError,
        TypeError,
    ):  # what is wrong with it is told when it is made
        return {}
    returned = hints.pop("return", None)
    return (get_type_hints(returned) if is_dataclass(returned) else {}) | hints


def fits(value: Any, hint: Any) -> bool:
    """Whether a value that YAML can hold may stand for a declared type."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if kind in PLAIN:
        # To Python a truth value is a whole number too.
        return isinstance(value, PLAIN[kind][1]) and (kind is bool or not isinstance(value, bool))
    if _is_node(value) or not inspect.isclass(kind):
        return True
    if issubclass(kind, Enum):
        return isinstance(value, str) and value in kind.__members__
    if issubclass(kind, Mapping):
        each = inner[1] if inner else Any
        return isinstance(value, Mapping) and all(fits(one, each) for one in value.values())
    if issubclass(kind, Collection):
        listed = isinstance(value, Collection) and not isinstance(value, str | Mapping)
        if not listed:
            return False
        return all(map(fits, value, _inner(kind, inner, len(value))))
    return not _is_component(kind)


def _inner(kind: type, inner: tuple[Any, ...], length: int) -> Sequence[Any]:
    """The declared types of the elements, as far as they are: `tuple[int, str]` has one for each."""
    if issubclass(kind, tuple) and Ellipsis not in inner:
        return inner
    is_for_all = len(inner) == 1 or inner[1:] == (Ellipsis,)
    return inner[:1] * length if is_for_all else ()


def _is_component(kind: type) -> bool:
    return is_dataclass(kind) or getattr(kind, "_is_protocol", False)


def expected(hint: Any) -> str:
    """What a declared type takes, in a user's words."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, types.UnionType):
        return _either(expected(one) for one in inner)
    if kind in PLAIN:
        return PLAIN[kind][0]
    if issubclass(kind, Enum):
        return _either(kind.__members__)
    if issubclass(kind, Mapping):
        return "named values" + (f", each {expected(inner[1])}" if inner[1:] not in ((), (Any,)) else "")
    if issubclass(kind, Collection):
        elements = [expected(one) for one in _inner(kind, inner, 1)]
        return "a list" + (
            f", {'each ' if len(elements) == 1 else ''}{' and '.join(elements)}" if inner else ""
        )
    return f"a component, a node with {TARGET}"


def _either(words: Iterable[str]) -> str:
    *first, last = words
    joined = ", ".join(first)
    return f"{joined}{',' if 'each' in joined else ''} or {last}" if first else last
