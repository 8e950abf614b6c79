"""What Hydra and OmegaConf object to, in the words of those who type settings or write them in a file."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from cadenza_remix.annotations import expected, fits
from cadenza_remix.config import CONF, flatten
from cadenza_remix.settings import GROUPS, RENAMED_KEYS, all_keys, declared_type, renamed


def explain(error: Exception) -> str:
    """The value, what was expected and what to type instead, in one sentence."""
    told = str(error)
    if isinstance(error, RecursionError):
        return "Settings are nested too deeply; make their file simpler."
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return f"Settings are not understood ({' '.join(told.split())}); mend what is named there."
    if isinstance(error, OverrideParseException):
        return f"{error.override} is not understood; quote a value with signs in it twice, 'key=\"a (b)\"'."
    ambiguous = re.match(r"Ambiguous value for argument '(.*)'\n", told)
    if ambiguous:
        return (
            f"{ambiguous[1]} is several values; write a list in brackets, or quote a comma twice, "
            "'key=\"a,b\"', or do each in turn by -m."
        )
    no_choice = re.search(r"Could not (?:find|load) '(\w+)/([^']*)'", told)
    if no_choice:
        return _no_choice(no_choice[1], no_choice[2], told)
    file = re.match(r"In '([^']+)': (?:\w+ raised while composing config:)?", told)
    if file:
        return f"In {file[1]}.yaml: {_objection(error, told.removeprefix(file[0]).strip())}"
    return _objection(error, told)


def _objection(error: Exception, told: str) -> str:
    """What is wrong with a key or its value."""
    unknown = re.match(r"Could not override '([^']+)'", told)
    typed = unknown[1] if unknown else ""
    chain = (error, error.__cause__, error.__context__)
    cause = next((each for each in chain if isinstance(each, OmegaConfBaseException)), None)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return _no_key(max(typed, str(cause.full_key), key=len), cause)
    if isinstance(cause, ValidationError) and declared_type(str(cause.full_key)):
        return _wrong_value(str(cause.full_key), cause.value)
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} has no value; give it one, as {cause.full_key}=…."
    if typed:
        return _no_setting(typed)
    told = re.split(r"Config search path|\n *(?:full_key|reference_type|object_type)", told)[0]
    told = f"{cause.full_key}: {told}" if isinstance(cause, InterpolationResolutionError) else told
    return " ".join(told.split()).rstrip(".") + "."


def _no_choice(group: str, name: str, told: str) -> str:
    inner, _, chosen = name.partition("/")
    if inner in GROUPS:  # Hydra looks for the choice of a group beside the file that lists it
        return f"In a file of {group}, the choice of another group is written override /{inner}: {chosen}."
    listed = re.search(r"Available options in '\w+':\n((?:\t.*\n?)+)", told)
    there = listed[1].split() if listed else sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    similar = _similar(name, there)
    return f"There is no {group}={name}; " + (f"did you mean {similar}?" if similar else _list(there))


def _no_key(key: str, error: OmegaConfBaseException) -> str:
    """A key is not there: in the settings, or among those of what is chosen."""
    where = str(error.full_key).rpartition(".")[0]
    old = [name for name in RENAMED_KEYS if f"{name}.".startswith(f"{error.full_key}.")]
    if old:  # in a file of the user's
        return " ".join(str(renamed(name)) for name in old)
    group, _, missing = key.partition(".")
    if group not in GROUPS or not missing:
        return _no_setting(key)
    node = error.parent_node
    chosen = OmegaConf.to_container(node) if isinstance(node, DictConfig) else None
    missing = key.removeprefix(f"{where}.")
    there = [name for name in flatten(chosen or {}) if name and not re.search(r"(^|\.)_", name)]
    deeper = next((name for name in there if name.endswith(f".{missing}")), None)
    if deeper and "members" in (chosen or {}):
        return f"An ensemble has no key {key}; give it to its members, such as {where}.{deeper}=…."
    similar = deeper or _similar(missing, there)
    if similar:
        return f"There is no key {key}; did you mean {where}.{similar}?"
    if where == "correction":
        name = key.split(".")[1]
        return f"There is no key {key}; choose that correction first, correction=[{name}]."
    if not chosen:
        return f"There is no key {key}, as no {where} is chosen; add {where}=NAME."
    return f"There is no key {key}; {_list(dict.fromkeys(name.split('.')[0] for name in there))}"


def _no_setting(key: str) -> str:
    similar = _similar(key, [*all_keys(), *GROUPS], cutoff=0.5)
    return f"There is no key {key}" + (f"; did you mean {similar}?" if similar else ".")


def _wrong_value(key: str, value: Any) -> str:
    declared = declared_type(key)
    if is_dataclass(declared):
        inner = f"{key}.{fields(declared)[0].name}"
        return f"{key} is {value!r}; it holds several keys, so set one, such as {inner}=…."
    told = f"{key} is {value!r}; give {expected(declared)}"
    similar = _similar(str(value), getattr(declared, "__members__", ()))
    if similar:
        return f"{told}; did you mean {similar}?"
    return told + (f", such as {key}=[{value}]." if fits([value], declared) else ".")


def _similar(name: str, there: Iterable[str], cutoff: float = 0.6) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(there), n=1, cutoff=cutoff)), None)


def _list(names: Iterable[str]) -> str:
    listed = list(names)
    return f"there {'is' if len(listed) == 1 else 'are'} {', '.join(listed)}."
