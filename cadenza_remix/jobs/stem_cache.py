"""Separated stems, kept between runs: a folder that may be deleted at any time."""

import hashlib
import inspect
import os
import pickle
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cadenza_remix import __version__, pipeline
from cadenza_remix.demix.base import Separator, Stems
from cadenza_remix.ledger import fingerprint
from cadenza_remix.output import remove_leftovers, replacing

Mixture = npt.NDArray[np.float32]
DIGEST_BYTES = 32  # of what follows, so that a damaged file counts for nothing


@dataclass(frozen=True)
class StemCache:
    """Finds stems by the mixture's content, and by the separator's settings, weights and code.

    Attributes:
        folder: where they are.
        max_gb: how much there may be; those that were not used for longest go.
    """

    folder: Path
    max_gb: float

    def separate(self, separator: Separator, mixture: Mixture, *, sample_rate: int) -> Stems:
        """As `pipeline.separate`, unless that was done before.

        Raises:
            OutputError: if the stems cannot be written.
        """
        path = self._path(separator, mixture, sample_rate)
        stems = _read(path)
        if stems is None:
            separated = pipeline.separate(separator, mixture, sample_rate=sample_rate)
            stems = np.stack([separated[source] for source in separator.sources])
            with replacing(path) as partial, partial.open("w+b") as file:
                file.write(bytes(DIGEST_BYTES))
                np.save(file, stems)
                digest = _digest(file)
                file.seek(0)
                file.write(digest)
            self._drop_the_oldest()
        return dict(zip(separator.sources, stems, strict=True))

    def _path(self, separator: Separator, mixture: Mixture, sample_rate: int) -> Path:
        content = hashlib.sha256(mixture.tobytes()).hexdigest()
        key = (content, mixture.shape, sample_rate, separator, _making(separator), __version__)
        return self.folder / f"{fingerprint(key)}.npy"

    def _drop_the_oldest(self) -> None:
        remove_leftovers(self.folder)
        found = []
        for path in self.folder.glob("*.npy"):
            with suppress(OSError):  # dropped by another process
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        total_bytes = sum(size_bytes for _, size_bytes, _ in found)
        for _, size_bytes, path in sorted(found):
            if total_bytes > self.max_gb * 1e9:
                path.unlink(missing_ok=True)
                total_bytes -= size_bytes


def _read(path: Path) -> npt.NDArray[np.float32] | None:
    """What is in a file; none if it is not there, or damaged."""
    try:
        with path.open("rb") as file:
            digest = file.read(DIGEST_BYTES)
            if digest != _digest(file):
                return None
            file.seek(DIGEST_BYTES)
            stems: npt.NDArray[np.float32] = np.load(file)
        os.utime(path)  # used just now
    except OSError:
        return None
    return stems


def _digest(file: BufferedIOBase) -> bytes:
    file.seek(DIGEST_BYTES)
    return hashlib.file_digest(file, "sha256").digest()


def _making(separator: Any) -> tuple[Any, ...]:
    """How the stems are made, beyond what the separator tells of itself; of an ensemble, by each member.

    A network is told apart by what loads it, a plain object by its attributes, and all by their modules,
    since an entrant may change these between two runs.
    """
    attributes = getattr(separator, "__dict__", {})
    load, members = attributes.get("load"), attributes.get("members", {})
    network_class = getattr(load, "network_class", None)
    makers = [separator, load, network_class() if network_class else None]
    return (
        None if is_dataclass(separator) else attributes,
        pickle.dumps(load),
        *(_code(maker) for maker in makers if maker is not None),
        *((name, _making(member)) for name, member in members.items()),
    )


def _code(maker: Any) -> str:
    """What the module of a component, function or class says."""
    named = inspect.isclass(maker) or inspect.isfunction(maker)
    source = inspect.getsourcefile(maker if named else type(maker))
    return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""
