"""Whether a separator can be made here, and what may be done with it."""

from collections.abc import Mapping
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
        chosen: whether it is the one asked for; only then is its failure a problem.
    """
    subject = f"{name} (chosen)" if chosen else name
    labels = {"licence": "licence", "source_url": "source"}
    terms = (f"{label}: {settings[key]}" for key, label in labels.items() if key in settings)
    if isinstance(made, WeightsError) and settings.get("allow_download"):
        return Finding(subject, f"to be downloaded{_origin(settings)}", Level.note, details=tuple(terms))
    if isinstance(made, CadenzaError):
        level = Level.problem if chosen else Level.note
        return Finding(subject, f"not usable here{_origin(settings)}", level, str(made), tuple(terms))
    facts = {key: getattr(made, key) for key in ORIGIN}
    files = (f"{file.path}, SHA-256 {file.sha256}" for file in getattr(made, "weights", ()))
    level = Level.ok if made.allowed_by_rules else Level.note
    return Finding(subject, f"ready{_origin(facts)}", level, details=(*files, *terms))


def _origin(facts: Mapping[str, Any]) -> str:
    """What a separator was learnt from and whether that is allowed, if both are known."""
    if not all(key in facts for key in ORIGIN):
        return ""
    training_data, allowed = (facts[key] for key in ORIGIN)
    special = {"none": "learnt from nothing", "not said": "what it learnt from is not said"}
    learnt = special.get(training_data, f"learnt from {training_data}")
    return f"; {learnt}, {'allowed by' if allowed else 'against'} the challenge's rules"
