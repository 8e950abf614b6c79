"""What is finished: one small file per job, so that a repeated command continues where it stopped.

A piece of work is finished if it was made from the same input with the same settings (its `origin`) and
what it made is still there as it was left.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cadenza_remix.errors import ConfigError, OutputError
from cadenza_remix.output import write_text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

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
        try:
            content = json.loads(self._path(job).read_text(encoding="utf-8"))
            return {name: Record(**record) for name, record in content["records"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def write(self, job: str, records: dict[str, Record]) -> None:
        """Replace the records of a job."""
        content = {"job": job, "records": {name: asdict(record) for name, record in records.items()}}
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
    with one_at_a_time(folder):
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


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here with this folder; the tasks of a cluster begin together.

    The lock goes with the process that holds it, however that ends. Where there is none to be had (Windows,
    some file systems of clusters), nobody waits.

    Raises:
        OutputError: if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error}); choose another folder.") from error
    with file:
        if fcntl:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest
