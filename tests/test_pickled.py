"""PyTorch's files against PyTorch's own reader, and files that were made to do harm."""

import pickle
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
import torch

from cadenza_remix.demix.pickled import Inert, read_pickle
from tests.references.demucs_files import SOURCES

MIB = 1 << 20
P, GET = b"\x80\x02", b"h\0"  # the beginning of a pickle, and what was put at place 0


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def number(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def called(name: str, *arguments: bytes) -> bytes:
    module, _, last = name.rpartition(".")
    return b"c" + f"{module}\n{last}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def state(*items: bytes) -> bytes:
    """A dictionary of these keys and values."""
    return b"}(" + b"".join(items) + b"u"


def stored(key: bytes = text("0"), elements: int = 4) -> bytes:
    """What stands for a storage."""
    about = text("storage") + b"ctorch\nFloatStorage\n" + key + text("cpu") + number(elements)
    return b"(" + about + b"tQ"


def tensor(storage: bytes, shape: bytes, strides: bytes, offset: int = 0) -> bytes:
    return called("torch._utils._rebuild_tensor_v2", storage, number(offset), shape, strides, b"\x89", b"N")


def doubled(first: bytes, times: int) -> bytes:
    """A tuple of a tuple twice, of a tuple twice … of something."""
    return first + b"q\0" + times * (b"0" + GET + GET + b"\x86q\0")


TALL = tensor(stored(), number(2**44) + b"\x85", number(0) + b"\x85")
ONE = tensor(stored(), number(4) + b"\x85", number(1) + b"\x85")
FRACTION = "fractions.Fraction"


def demucs(**changed: bytes) -> bytes:
    """A file of Demucs."""
    sources = (
        b"(" + b"".join(text(name) for name in SOURCES) + b"l"
        if False
        else (b"](" + b"".join(text(name) for name in SOURCES) + b"e")
    )
    parts = {
        "klass": b"cdemucs.demucs\nDemucs\n",
        "args": b")",
        "kwargs": state(text("sources"), sources),
        "state": state(text("a"), ONE),
    }
    return P + state(*(text(key) + value for key, value in (parts | changed).items())) + b"."


BOMBS = {
    # memory
    "bytearray": P + state(text("a"), called("builtins.bytearray", number(2**31))) + b".",
    "counter": P + state(text("a"), called("collections.Counter", TALL)) + b".",
    "tensor as arguments": P + b"ccollections\nOrderedDict\n" + TALL + b"R.",
    "tensor as a list": P + state(text("a"), called("builtins.list", TALL)) + b".",
    "tensor as a storage's place": P + TALL + b"Q.",
    "encode": P
    + called("_codecs.encode", text("x" * 64), text("hex"))
    + b"q\0"
    + b"".join(b"0" + called("_codecs.encode", GET, text("hex")) + b"q\0" for _ in range(40))
    + b".",
    "memo at 4 G": P + b"Nr" + b"\xff" * 4 + b".",
    "bytearray of protocol 5": P + b"\x96" + (2**40).to_bytes(8, "little") + b".",
    "bytes of protocol 4": P + b"\x8e" + (2**40).to_bytes(8, "little") + b".",
    "frame": P + b"\x95" + (2**40).to_bytes(8, "little") + b".",
    "text of 4 GiB": P + b"X" + b"\xff" * 4 + b".",
    "million lists": P + 8 * MIB * b"]" + b".",
    "million dictionaries": P + b"(" + 8 * MIB * b"}" + b"t.",
    "1 GiB of nothing": P + 1024 * MIB * b"N" + b".",
    "tall": P + state(text("a"), TALL) + b".",
    "overflow": P
    + state(text("a"), tensor(stored(), 2 * number(2**32) + b"\x86", 2 * number(0) + b"\x86"))
    + b".",
    "many of one": P
    + state(
        *(
            text(str(n)) + tensor(stored(elements=MIB), number(MIB) + b"\x85", number(1) + b"\x85")
            for n in range(2000)
        )
    )
    + b".",
    "meta": P + state(text("a"), called("torch._utils._rebuild_meta_tensor_no_storage", b"N")) + b".",
    "sparse": P + state(text("a"), called("torch._utils._rebuild_sparse_tensor", b"N")) + b".",
    "outside": P + state(text("a"), tensor(stored(), number(2) + b"\x85", number(2**62) + b"\x85")) + b".",
    "before": P + state(text("a"), tensor(stored(), number(2) + b"\x85", number(1) + b"\x85", -4)) + b".",
    "negative": P + state(text("a"), tensor(stored(), number(-2) + b"\x85", number(-1) + b"\x85")) + b".",
    "many dimensions": P
    + state(text("a"), tensor(stored(), b"(" + 10**6 * b"K\1" + b"t", b"(" + 10**6 * b"K\1" + b"t"))
    + b".",
    # time
    "doubled as a key": P + state(doubled(b"N", 64), b"N") + b".",
    "doubled as a storage's key": P + state(text("a"), stored(doubled(b"N", 64))) + b".",
    "doubled as sources": demucs(kwargs=state(text("sources"), doubled(b"N", 64))),
    "doubled as the class": demucs(klass=doubled(b"N", 64)),
    "doubled as a fraction": demucs(kwargs=state(text("segment"), called(FRACTION, doubled(b"N", 64)))),
    "equal hashes": P + state(*(number((2**61 - 1) * n) + b"N" for n in range(1, 100_000))) + b".",
    "tensor as sources": demucs(kwargs=state(text("sources"), TALL)),
    "tensor as arguments of a network": demucs(args=TALL),
    "endless fraction": demucs(kwargs=state(text("segment"), called(FRACTION, text("1e9999999999")))),
    "long number": P + b"L" + 10**6 * b"9" + b"L\n.",
    "long long": P + b"\x8b" + MIB.to_bytes(4, "little") + MIB * b"\x7f" + b".",
    # the stack of C and of Python
    "deep": P + b"N" + MIB * b"\x85" + b".",
    "deep key": P + state(b"N" + MIB * b"\x85", b"N") + b".",
    "deep place": P + state(text("a"), stored(b"N" + MIB * b"\x85")) + b".",
    "deep class": demucs(klass=b"N" + MIB * b"\x85"),
    "deep sources": demucs(kwargs=state(text("sources"), b"N" + MIB * b"\x85")),
    "deep marks": P + MIB * b"(" + b".",
    "deep dictionaries": P + MIB * (b"}" + text("a")) + b"N" + MIB * b"s" + b".",
    "itself": P + b"]q\0" + GET + b"a.",
    # what runs
    "system": P + called("os.system", text("touch ran")) + b".",
    "build": P + b"ctorch._utils\n_rebuild_tensor_v2\n" + state(text("__code__"), b"N") + b"b.",
    "instance": P + b"(" + text("touch ran") + b"ios\nsystem\n.",
    "extension": P + b"\x82\x01.",
    "odd": P + b"}(" + text("a") + b"u.",
    "empty": P,
    "no stack": P + b"0.",
    "no mark": P + b"t.",
    "dictionary of nothing": P + b"}.",
    "storage of another": P + state(text("a"), stored(text("../../../etc/passwd"))) + b".",
}

READ_ALL = """
import resource, sys, time
from pathlib import Path
from cadenza_remix.demix.demucs import load_network
from cadenza_remix.demix.weights import read_tensors
from cadenza_remix.errors import WeightsError
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)
for path in sorted(Path(sys.argv[1]).iterdir()):
    for read in (read_tensors, load_network):
        began = time.perf_counter()
        try:
            read(path)
            told = "read"
        except WeightsError as error:
            told = "refused" if len(str(error)) < 1020 else "long"
        except BaseException as error:
            told = type(error).__name__
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(path.name, read.__name__, told, f"{time.perf_counter() - began:.1f}", peak, sep=",", flush=True)
"""


def write_archive(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", bytes(4 * MIB) if b"1999" in content else bytes(16))


def write_legacy(path: Path, content: bytes) -> None:
    torch.save({"a": torch.zeros(4)}, path, _use_new_zipfile_serialization=False)
    begin, end = (pickle.dumps(x, 2) for x in ({"a": 1}, ["0"]))
    header = path.read_bytes()
    parts = header.split(b"\x80\x02")  # magic number, version, system, content, keys and storages
    path.write_bytes(b"\x80\x02".join(parts[:4]) + content + end + (4).to_bytes(8, "little") + bytes(16))
