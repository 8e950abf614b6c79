"""PyTorch's files, read without Python's unpickler or PyTorch's.

A pickle is a program. Here it runs on a machine that knows only the operations that `torch.save` writes,
calls nothing but what a reader admits, and makes no more of a file than it holds: a list, tuple or dictionary
that is repeated counts for nothing, since doubling one some fifty times would outgrow any memory; a storage
is made once; and what a dictionary has under anything but a text is left out, as a number or tuple can be
made to take for ever to look up.
Checked against `torch.load` on files of its two formats, that before version 1.6 and the archive since.
"""

import pickletools
import re
import struct
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

LONGEST = 1 << 22  # bytes of a file's pickles, enough for ten thousands of tensors; one may take 70 of memory
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}


class Inert:
    """Stands for whatever a file names beside tensors, so that none of it is imported or run."""

    def __init__(self, *_: object) -> None:
        """Take no notice."""


def read_pickle(path: Path, admitted: Callable[[str], Any]) -> Any:
    """What a PyTorch file holds: tensors, plain values, and what it may name beside them.

    Args:
        path: the file.
        admitted: gives what stands for a class or function of some dotted name, or raises an
            `UnpicklingError`; where the file calls it, that is called.

    Raises:
        UnpicklingError: if the file names what is not admitted, or does what `torch.save` does not.
        Exception: of any other kind, if it is damaged, or holds less than it says.
    """
    read = _read_archive if zipfile.is_zipfile(path) else _read_legacy
    return read(path, lambda name: TENSOR_PARTS[name] if name in TENSOR_PARTS else admitted(name))


def _read_archive(path: Path, named: Callable[[str], Any]) -> Any:
    with zipfile.ZipFile(path) as archive:  # PyTorch compresses nothing
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise ValueError("compressed")
        names = set(archive.namelist())
        (root,) = {name.removesuffix("data.pkl") for name in names if re.fullmatch(r"[^/]+/data\.pkl", name)}
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder").decode() != sys.byteorder:
            raise ValueError("another order of bytes")

        @cache
        def content(key: str) -> bytearray:
            return bytearray(archive.read(f"{root}data/{key}"))

        def storage(key: str, dtype: torch.dtype, _: object, n_elements: int) -> Tensor:
            held = content(key)
            if len(held) != n_elements * dtype.itemsize:
                raise ValueError("a storage of another length")
            return torch.frombuffer(held, dtype=dtype) if held else torch.empty(0, dtype=dtype)

        with archive.open(f"{root}data.pkl") as file:
            return _run(BytesIO(file.read(LONGEST)), named, storage)


def _read_legacy(path: Path, named: Callable[[str], Any]) -> Any:
    """Five pickles, then what the storages hold."""
    storages: dict[str, Tensor] = {}
    n_bytes = 0

    def storage(key: str, dtype: torch.dtype, _: object, n_elements: int, view: object = None) -> Tensor:
        nonlocal n_bytes
        if key not in storages:
            n_bytes += n_elements * dtype.itemsize
            if view is not None or n_bytes > path.stat().st_size:
                raise EOFError
            storages[key] = torch.empty(n_elements, dtype=dtype)
        return storages[key]

    with path.open("rb") as file:
        pickles = BytesIO(file.read(LONGEST))
        magic, _, system = (_run(pickles, _nothing, storage) for _ in range(3))
        if magic != LEGACY_MAGIC or system["little_endian"] != (sys.byteorder == "little"):
            raise ValueError("another format or order of bytes")
        content = _run(pickles, named, storage)
        keys = _run(pickles, _nothing, storage)
        file.seek(pickles.tell())
        for key in keys:
            held = storages.pop(str(key))
            if struct.unpack("<q", file.read(8)) != (len(held),):
                raise ValueError("a storage of another length")
            if file.readinto(held.view(torch.uint8).numpy().data) != held.nbytes:
                raise EOFError
    if storages:
        raise EOFError
    return content


def _nothing(name: str) -> Any:
    raise UnpicklingError(f"{name} is named")


def _tensor(
    storage: Tensor, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> Any:
    return torch.as_strided(storage, shape, strides, offset)


# What makes tensors, by the names in a file.
TENSOR_PARTS: dict[str, Any] = {
    "collections.OrderedDict": lambda: {},
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    **{f"torch.{name}Storage": dtype for name, dtype in DTYPES.items()},
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


def _run(file: BytesIO, named: Callable[[str], Any], storage: Callable[..., Tensor]) -> Any:
    """Run one pickle; the file then stands behind it."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def popped(at: int) -> list[Any]:
        items = stack[at:]
        del stack[at:]
        return items

    value: Any
    for operation, value, _ in pickletools.genops(file):
        match operation.name:
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                stack.append(value)
            case "SHORT_BINSTRING" | "BINSTRING":  # of Python 2
                stack.append(value)
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                stack.append(CONSTANTS[operation.name])
            case "EMPTY_LIST" | "EMPTY_DICT":
                stack.append([] if operation.name == "EMPTY_LIST" else {})
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                known = memo[value]
                stack.append(Inert() if isinstance(known, list | tuple | dict) else known)
            case "MARK":
                marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(popped(marks.pop())))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(popped(-int(operation.name[-1]))))
            case "APPEND" | "APPENDS":
                items = popped(-1 if operation.name == "APPEND" else marks.pop())
                if isinstance(stack[-1], list):
                    stack[-1].extend(items)
            case "SETITEM" | "SETITEMS":
                items = popped(-2 if operation.name == "SETITEM" else marks.pop())
                if isinstance(stack[-1], dict):
                    pairs = zip(items[::2], items[1::2], strict=True)
                    stack[-1].update((key, item) for key, item in pairs if isinstance(key, str))
            case "GLOBAL":
                stack.append(named(value.replace(" ", ".", 1)))
            case "REDUCE" | "NEWOBJ":
                make, arguments = popped(-2)
                if not isinstance(arguments, tuple):
                    raise TypeError
                stack.append(make(*arguments))
            case "BUILD":  # gives attributes, and nothing here has any
                stack.pop()
            case "BINPERSID":
                match stack.pop():
                    case ("storage", torch.dtype() as dtype, str() as key, *about):
                        stack.append(storage(key, dtype, *about))
                    case _:
                        raise UnpicklingError("what lies elsewhere is no storage")
            case "PROTO":
                pass
            case "STOP":
                return stack.pop()
            case other:
                raise UnpicklingError(f"{other} is no operation of torch.save")
    raise EOFError
