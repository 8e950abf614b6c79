"""What is finished: one small file per job, so that a repeated command continues where it stopped.

A piece of work is finished if it was made from the same input with the same settings (its `origin`) and
what it made is still there as it was left.
"""

import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cadenza_remix import __version__
from cadenza_remix.errors import OtherSettingsError
from cadenza_remix.lock import locked
from cadenza_remix.output import write_text

MANIFEST = "manifest.json"
FORGOTTEN = "to be made again"  # an origin that nothing has
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # in the `repr` of what has none of its own; never the same again
PACKAGES = ("numpy", "scipy", "numba", "soxr", "soundfile", "torch", "demucs")  # that results may depend on


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

    def forget(self, jobs: Iterable[str]) -> None:
        """Take back that these jobs were ever finished, so that they are done again, interrupted or not."""
        for job in jobs:
            self.write(job, {job: Record(FORGOTTEN)})

    def forget_all(self) -> None:
        """The same of every job that there is."""
        jobs = [_read_object(path).get("job") for path in self.folder.glob("*.json")]
        self.forget(job for job in jobs if isinstance(job, str))

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


def known(path: Path) -> dict[str, str]:
    """By what a file is known again: its stamp, seen at once, and its content, wherever it was copied to."""
    seen = stamp(path)
    return {"stamp": seen, "sha256": _content(path, seen)}


def is_known(path: Path, by: Mapping[str, str]) -> bool:
    """Whether a file is the one that `known` saw, or a copy of it."""
    seen = stamp(path)
    return seen == by["stamp"] or _content(path, seen) == by["sha256"]


@lru_cache(maxsize=64)
def _content(path: Path, _stamp: str) -> str:
    """Taken once as long as the file stays."""
    return _sha256(path)


def fingerprint(value: Any) -> str:
    """A hash that is equal for values of equal `repr`; an object without one of its own is its class."""
    return hashlib.sha256(ADDRESS.sub("", repr(value)).encode()).hexdigest()


def claim(
    folder: Path,
    command: str,
    settings: Mapping[str, Any],
    *,
    made_with: Mapping[str, Any] | None = None,
    overwrite: bool,
    when_changed: Callable[[], None] = lambda: None,
) -> None:
    """Write down with which settings a command fills `folder`, and refuse to mix it with other ones.

    Args:
        folder: the run's folder.
        command: whose settings these are.
        settings: those that its results depend on, by dotted key; a key with others below it (`limiter`
            beside `limiter.release_s`) is the name under which the user chose these, and decides nothing.
        made_with: what else is worth knowing later, under `provenance`.
        overwrite: replace what an earlier run said.
        when_changed: takes back what was made with other settings, before the new ones stand there.

    Raises:
        OtherSettingsError: naming the keys that changed since the folder was begun.
    """
    with locked(folder, "manifest", wait_s=60):  # the tasks of a cluster begin together
        manifest = _read_manifest(folder)
        changed = _changes(manifest.get(command, settings), settings)
        if changed and not overwrite:
            raise OtherSettingsError(
                f"{folder} was begun with other settings ({'; '.join(changed.values())}); choose another "
                "name=, or overwrite=true to redo it.",
                changed,
            )
        if changed:
            when_changed()
        provenance = manifest.get("provenance", {}) | {command: made_with or {}}
        text = json.dumps(manifest | {command: settings, "provenance": provenance}, indent=2, default=str)
        write_text(folder / MANIFEST, text)


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """What changed, in the words of the user: another choice hides what that changes."""
    keys = sorted({*before, *now})
    names = [key for key in keys if any(other.startswith(f"{key}.") for other in keys)]
    differ = [key for key in keys if before.get(key) != now.get(key)]
    decisive = [key for key in differ if key not in names]
    chosen = [
        name for name in names if name in differ and any(key.startswith(f"{name}.") for key in decisive)
    ]
    told = chosen + [key for key in decisive if not key.startswith(tuple(f"{name}." for name in chosen))]
    return {key: f"{key} was {as_typed(before.get(key))}, now {as_typed(now.get(key))}" for key in told}


def as_typed(value: Any) -> str:
    """A setting as it stands on the command line, such as `true` or `null`."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def provenance(config: Mapping[str, Any], inputs: Iterable[Path]) -> dict[str, Any]:
    """What a folder was made with.

    Args:
        config: all settings by dotted key.
        inputs: small files, to be known by their content; audio is known by size and time of change, in the
            records, since reading all of it would take as long as some commands.
    """
    versions = {"cadenza_remix": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    contents = {str(path): _sha256(path) for path in inputs if path.is_file()}
    return {"config": dict(config), "versions": versions, "inputs": contents}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
