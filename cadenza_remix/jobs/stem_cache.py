"""Separated stems, kept between runs: a folder that may be deleted at any time."""

import hashlib
import inspect
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cadenza_remix import __version__, pipeline
from cadenza_remix.demix.base import Separator, Stems
from cadenza_remix.ledger import fingerprint
from cadenza_remix.output import replacing

Mixture = npt.NDArray[np.float32]


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
            with replacing(path) as partial, partial.open("wb") as file:
                np.save(file, stems)
            self._drop_the_oldest()
        return dict(zip(separator.sources, stems, strict=True))

    def _path(self, separator: Separator, mixture: Mixture, sample_rate: int) -> Path:
        content = hashlib.sha256(mixture.tobytes()).hexdigest()
        key = (content, mixture.shape, sample_rate, separator, _code(separator), __version__)
        return self.folder / f"{fingerprint(key)}.npy"

    def _drop_the_oldest(self) -> None:
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
        stems: npt.NDArray[np.float32] = np.load(path)
        os.utime(path)  # used just now
    except (OSError, ValueError, EOFError):
        return None
    return stems


def _code(separator: Separator) -> str:
    """What the separator's module says, since an entrant may change it between two runs."""
    source = inspect.getsourcefile(type(separator))
    return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""
