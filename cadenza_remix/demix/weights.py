"""Where a network's weights lie, and reading them.

A file is looked for where the user says, else in our cache, else in the cache of the library that uses the
same file, and is downloaded only where that is allowed.
"""

import hashlib
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from errno import ENOENT
from operator import le
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.hub import download_url_to_file

from cadenza_remix.demix.pickled import Inert, read_pickle
from cadenza_remix.errors import WeightsError

KINDS = (".pth", ".pt", ".th", ".ckpt", ".onnx", ".safetensors")
# Where a file holds more than the tensors, these lie in one of its entries.
WRAPPERS = ("state_dict", "state", "model_state_dict", "model")
# As torch.hub: what follows the last dash of a published name is the beginning of the content's SHA-256.
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8})\.[a-z]+$")


@dataclass(frozen=True)
class Published:
    """A file of weights as its authors publish it.

    Attributes:
        part: what the file holds, such as one of four targets; names it in a folder of the user's.
        url: where to fetch it.
        library_cache: the folder below `$TORCH_HOME/hub` where a library that uses it keeps it, if any.
        saved_as: the file's name in a cache; None: the last part of `url`.
        by_hand: whether `url` is a page where only a person finds the file.
        sha256: of the content, or its beginning, where it is known and not in the name.
    """

    part: str
    url: str
    library_cache: str | None = None
    saved_as: str | None = None
    by_hand: bool = False
    sha256: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.saved_as or self.url.rsplit("/", 1)[1]

    @property
    def expected(self) -> str | None:
        """What the content's SHA-256 begins with, where it is known."""
        return self.sha256 or _hash_in_name(self.name)


@dataclass(frozen=True)
class WeightsFile:
    """A file that was found; where it lies does not matter, only what is in it.

    Attributes:
        path: the file.
        sha256: of its content, in hexadecimal digits.
    """

    path: Path = field(repr=False)
    sha256: str


def find_weights(
    published: Sequence[Published],
    *,
    given: str | Path | None,
    allow_download: bool,
    one_for_all: bool = False,
) -> tuple[WeightsFile, ...]:
    """Find the files that a network needs.

    Args:
        published: one or more files.
        given: the file, or a folder that holds each as `<part>*` with one of the endings of `KINDS`; None:
            look into the caches.
        allow_download: fetch what is in no cache into ours.
        one_for_all: whether a given file may hold the content of all.

    Returns:
        The given file, or a file for each of `published`.

    Raises:
        WeightsError: if a file is nowhere, cannot be fetched, is not the one that its name promises, or is
            given alone where several are needed.
    """
    if given is None:
        missing = [one for one in published if not _in_caches(one)]
        if missing and (not allow_download or any(one.by_hand for one in missing)):
            raise WeightsError(_missing(missing))
        found = [(_in_caches(one) or _download(one), one.expected) for one in published]
    else:
        whole = Path(given)
        paths = [_in_folder(whole, one) for one in published] if whole.is_dir() else [whole]
        if len(paths) < len(published) and not one_for_all:
            raise WeightsError(f"{whole} is one file of {len(published)}; give a folder that holds each.")
        found = [(path, _hash_in_name(path.name)) for path in paths]
    return tuple(WeightsFile(path, _verified_sha256(path, expected)) for path, expected in found)


def _hash_in_name(name: str) -> str | None:
    expected = HASH_IN_NAME.search(name)
    return expected[1] if expected else None


def own_cache() -> Path:
    """The folder that downloads go to."""
    return _user_cache() / "cadenza_remix"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def _caches(published: Published) -> list[Path]:
    if published.library_cache is None:
        return [own_cache()]
    torch_home = os.environ.get("TORCH_HOME")
    home = Path(torch_home).expanduser() if torch_home else _user_cache() / "torch"
    return [own_cache(), home / "hub" / published.library_cache]


def _in_caches(published: Published) -> Path | None:
    paths = [folder / published.name for folder in _caches(published)]
    return next((path for path in paths if path.is_file()), None)


def _in_folder(folder: Path, published: Published) -> Path:
    paths = [path for path in sorted(folder.glob(f"{published.part}*")) if path.suffix in KINDS]
    if len(paths) != 1:
        found = ", ".join(path.name for path in paths) or "none"
        raise WeightsError(
            f"{folder} should hold one file {published.part}* ({', '.join(KINDS)}), but holds {found}; "
            f"put that of {published.url} there."
        )
    return paths[0]


def _missing(published: Sequence[Published]) -> str:
    names, urls = (
        ", ".join(dict.fromkeys(words))
        for words in zip(*((one.name, one.url) for one in published), strict=True)
    )
    if any(one.by_hand for one in published):
        return (
            f"The weights {names} are not on this machine, and only a person can fetch them: find them by "
            f"{urls} and put them into {own_cache()}, or say separator.weights=PATH."
        )
    return (
        f"The weights {names} are not on this machine; fetch {urls} into {own_cache()}, "
        "or say separator.weights=PATH or separator.allow_download=true."
    )


def _download(published: Published) -> Path:
    target = own_cache() / published.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: it writes beside the target and checks the hash before renaming.
        download_url_to_file(published.url, str(target), hash_prefix=published.expected)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"{published.url} cannot be fetched ({error}); fetch it elsewhere and put it to {target}."
        ) from error
    return target


def _verified_sha256(path: Path, expected: str | None) -> str:
    try:
        if not path.is_file():  # a pipe would wait for a writer
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(
            f"The weights {path} cannot be read ({error.strerror}); correct separator.weights."
        ) from error
    if expected and not sha256.startswith(expected):
        raise WeightsError(
            f"{path} has the SHA-256 {sha256[:8]}…, its name promises {expected[:8]}; fetch it again."
        )
    return sha256


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read named tensors, and nothing that could run, from a PyTorch or a safetensors file.

    A checkpoint that holds more than them, such as one of Lightning, gives its tensors alone.

    Raises:
        WeightsError: if there are none.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = read_pickle(path, lambda _: Inert)
    except Exception as error:  # a damaged file raises whatever its bytes happen to say
        raise WeightsError(
            f"{path} cannot be read as weights ({type(error).__name__}); fetch it again."
        ) from error
    if isinstance(content, dict):
        content = next((content[name] for name in WRAPPERS if isinstance(content.get(name), dict)), content)
    if not isinstance(content, dict) or not are_whole_tensors(content, path):
        raise WeightsError(
            f"{path} is no plain list of named tensors; export the network's state dict alone."
        )
    return content


def are_whole_tensors(named: dict[str, Any], path: Path) -> bool:
    """Whether these are tensors each of whose elements was in the file.

    A file can also repeat one element as often as it likes, which takes no memory until it is copied; some
    networks share a few weights, so that all may have twice the file's size.
    """
    if not all(isinstance(x, torch.Tensor) for x in named.values()):
        return False
    sizes = [math.prod(x.shape) * x.element_size() for x in named.values()]  # where PyTorch's may overflow
    held = [x.untyped_storage().nbytes() for x in named.values()]
    return sum(sizes) <= 2 * path.stat().st_size and all(map(le, sizes, held))
