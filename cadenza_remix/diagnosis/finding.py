"""What is told of a thing that was looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is."""

    ok = "ok"
    note = "note"  # good to know; nothing fails for it
    problem = "problem"  # something that was asked for will fail


@dataclass(frozen=True)
class Finding:
    """A thing, how it is, and what to do about it.

    Attributes:
        subject: what was looked at.
        told: how it is.
        level: how bad that is.
        remedy: one line, empty where nothing is to be done.
        details: more lines.
    """

    subject: str
    told: str
    level: Level = Level.ok
    remedy: str = ""
    details: tuple[str, ...] = ()


def some(names: Sequence[str], shown: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def by_cause(causes: Mapping[str, str]) -> tuple[str, ...]:
    """What failed, each cause once, whatever the number of things it befell.

    Args:
        causes: by the name of what failed.
    """
    befell: dict[str, list[str]] = {}
    for name, cause in causes.items():
        befell.setdefault(cause, []).append(name)
    told = [cause if len(names) == 1 else f"{len(names)} × {cause}" for cause, names in befell.items()]
    return (*told[:3], *([f"and {len(told) - 3} more causes"] if len(told) > 3 else []))
