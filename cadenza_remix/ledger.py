"""What is finished: one small file per job, so that a repeated command continues where it stopped.

A piece of work is finished if it was made from the same input with the same settings (its `origin`) and
what it made is still there as it was left.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cadenza_remix.errors import ConfigError
from cadenza_remix.output import write_text

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Record:
    """A finished piece of work.

    Attributes:
        origin: fingerprint of the input and the settings.
        files: what it wrote, as `stamp` saw it.
        values: figures that belong to it.
    """

    origin: str
    files: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def is_current(self, origin: str) -> bool:
        """Whether this is what `origin` would give, and all of it is still there."""
        return self.origin == origin and all(stamp(Path(name)) == seen for name, seen in self.files.items())


@dataclass(frozen=True)
class Ledger:
    """The records of one command, a file per job in `folder`."""

    folder: Path

    def read(self, job: str) -> dict[str, Record]:
        """The records of a job by name; none if the file is missing or damaged."""
        content = _read_object(self._path(job))
        records = content.get("records", {})
        if content.get("seal") != fingerprint(records):
            return {}
        return {name: Record(**record) for name, record in records.items()}

    def write(self, job: str, records: dict[str, Record]) -> None:
        """Replace the records of a job."""
        plain = {name: asdict(record) for name, record in records.items()}
        as_read = json.loads(json.dumps(plain))  # numbers and names as they come back
        content = {"job": job, "records": as_read, "seal": fingerprint(as_read)}
        write_text(self._path(job), json.dumps(content, indent=1))

    def _path(self, job: str) -> Path:
        return self.folder / f"{fingerprint(job)[:32]}.json"


def stamp(path: Path) -> str:
    """Size and time of last change: enough to notice that a file was replaced."""
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} bytes, {status.st_mtime_ns} ns"


def stamps(paths: Iterable[Path]) -> dict[str, str]:
    """The stamp of each file."""
    return {str(path): stamp(path) for path in paths}


def fingerprint(value: Any) -> str:
    """A hash that is equal for equal values; anything with a readable `repr` will do."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def claim(folder: Path, command: str, settings: dict[str, Any], *, overwrite: bool) -> None:
    """Write down with which settings a command fills `folder`, and refuse to mix it with other ones.

    Args:
        folder: the run's folder.
        command: whose settings these are.
        settings: those that its results depend on, by dotted key.
        overwrite: replace what an earlier run said.

    Raises:
        ConfigError: naming the keys that changed since the folder was begun.
    """
    manifest = _read_manifest(folder)
    before = manifest.get(command, settings)
    changed = sorted(key for key in before | settings if before.get(key) != settings.get(key))
    if changed and not overwrite:
        told = "; ".join(f"{key} was {before.get(key)!r}, now {settings.get(key)!r}" for key in changed)
        raise ConfigError(
            f"{folder} was begun with other settings ({told}); choose another name=, "
            "or overwrite=true to redo it."
        )
    write_text(folder / MANIFEST, json.dumps(manifest | {command: settings}, indent=2))


def claimed(folder: Path, command: str) -> dict[str, Any]:
    """The settings with which a command filled `folder`; none if it did not."""
    settings: dict[str, Any] = _read_manifest(folder).get(command, {})
    return settings


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    manifest = _read_object(folder / MANIFEST)
    return {command: settings for command, settings in manifest.items() if isinstance(settings, dict)}


def _read_object(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one if the file is missing, damaged, or a pipe that would be waited for."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
