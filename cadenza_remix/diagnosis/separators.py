"""Whether a separator can be made here, and what may be done with it."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from cadenza_remix.demix.base import Separator
from cadenza_remix.diagnosis.finding import Finding, Level
from cadenza_remix.errors import CadenzaError, WeightsError

ORIGIN = ("training_data", "allowed_by_rules")


def separator(
    name: str, settings: Mapping[str, Any], made: Separator | CadenzaError, *, chosen: bool
) -> Finding:
    """What is to be told of a separator.

    Args:
        name: of the choice.
        settings: its YAML node.
        made: the separator, or why it cannot be made.
        chosen: whether it is the one asked for, of which more is told.
    """
    subject = f"{name} (chosen)" if chosen else name
    labels = {"licence": "licence", "source_url": "source"}
    terms = (f"{label}: {settings[key]}" for key, label in labels.items() if key in settings)
    if isinstance(made, WeightsError) and settings.get("allow_download"):
        return Finding(subject, f"to be downloaded{_origin(settings)}", Level.note, details=tuple(terms))
    if isinstance(made, CadenzaError):
        told = f"not usable here{_origin(settings)}"
        return Finding(subject, told, Level.problem, str(made), tuple(terms))
    facts = {key: getattr(made, key) for key in ORIGIN}
    files = (f"{file.path}, SHA-256 {file.sha256}" for file in getattr(made, "weights", ()))
    level = Level.ok if made.allowed_by_rules else Level.note
    return Finding(subject, f"ready{_origin(facts)}", level, details=(*files, *terms) if chosen else ())


def not_usable(names: Sequence[str]) -> Finding:
    """Those that were not asked for and cannot be made, mostly for want of weights: no more than names."""
    details = textwrap.wrap(", ".join(names), 76)
    remedy = "cadenza-remix doctor separator=NAME says why, and where its weights come from"
    return Finding("others", "not usable here:", Level.note, remedy, tuple(details))


def _origin(facts: Mapping[str, Any]) -> str:
    """What a separator was learnt from and whether that is allowed, if both are known."""
    if not all(key in facts for key in ORIGIN):
        return ""
    training_data, allowed = (facts[key] for key in ORIGIN)
    special = {"none": "learnt from nothing", "not said": "what it learnt from is not said"}
    learnt = special.get(training_data, f"learnt from {training_data}")
    return f"; {learnt}, {'allowed by' if allowed else 'against'} the challenge's rules"
