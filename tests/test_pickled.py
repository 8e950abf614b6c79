"""PyTorch's files against PyTorch's own reader, and files that were made to do harm."""

import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import pytest
import torch

from cadenza_remix.demix.pickled import Inert, read_pickle
from tests.references.demucs_files import SOURCES

TENSORS = {
    **{str(dtype): torch.arange(6).to(dtype) for dtype in (torch.float64, torch.half, torch.bfloat16)},
    **{str(dtype): torch.arange(6).to(dtype) for dtype in (torch.int64, torch.int32, torch.int16)},
    **{str(dtype): torch.arange(6).to(dtype) for dtype in (torch.int8, torch.uint8, torch.bool)},
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "part": torch.arange(100.0)[3:50:2],
    "empty": torch.zeros(0, 3),
    "number": torch.tensor(1.5),
    "parameter": torch.nn.Parameter(torch.ones(2)),
}


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_are_those_that_pytorch_reads(tmp_path: Path, zipped: bool) -> None:
    shared = {"again": TENSORS["turned"], "as ever": TENSORS["turned"].view(3, 2)}
    file = tmp_path / "a.pt"
    torch.save({**TENSORS, **shared}, file, _use_new_zipfile_serialization=zipped)
    expected, found = torch.load(file), read_pickle(file, lambda _: Inert)
    assert list(found) == list(expected)
    for name, tensor in found.items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name]), name


def test_plain_values_are_read_and_nothing_else(tmp_path: Path) -> None:
    plain = [1, -(2**70), 0.5, "é", None, True, (), (1, 2, 3, [4, {"a": 5}])]
    torch.save({"plain": plain, "array": np.zeros(3), Fraction: 1, 7: 2}, tmp_path / "a.pt")
    found = read_pickle(tmp_path / "a.pt", lambda _: Inert)
    assert found["plain"] == plain
    assert isinstance(found["array"], Inert)
    assert list(found) == ["plain", "array"]

    def refuse(name: str) -> None:
        raise UnpicklingError(name)

    with pytest.raises(UnpicklingError, match="numpy"):
        read_pickle(tmp_path / "a.pt", refuse)


# --- Pickles by hand ---

MIB = 1 << 20
BEGIN, SAME = b"\x80\x02", b"h\0"  # SAME: what was put at place 0


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def number(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def called(name: str, *arguments: bytes) -> bytes:
    module, _, last = name.rpartition(".")
    return b"c" + f"{module}\n{last}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def dictionary(*keys_and_values: bytes) -> bytes:
    return b"}(" + b"".join(keys_and_values) + b"u"


def storage(key: bytes = text("0"), length: int = 4) -> bytes:
    return b"(" + text("storage") + b"ctorch\nFloatStorage\n" + key + text("cpu") + number(length) + b"tQ"


def tensor(shape: bytes, strides: bytes, offset: int = 0) -> bytes:
    parts = (storage(), number(offset), shape, strides, b"\x89", b"N")
    return called("torch._utils._rebuild_tensor_v2", *parts)


def vector(length: int, stride: int, offset: int = 0) -> bytes:
    return tensor(number(length) + b"\x85", number(stride) + b"\x85", offset)


def doubled(times: int = 64) -> bytes:
    """A tuple of a tuple twice, of a tuple twice …"""
    return b"Nq\0" + times * (SAME + b"\x86q\0")


def deep(levels: int = MIB // 8) -> bytes:
    return b"N" + levels * b"\x85"


def demucs(**changed: bytes) -> bytes:
    parts = {
        "klass": b"cdemucs.demucs\nDemucs\n",
        "args": b")",
        "kwargs": dictionary(text("sources"), b"](" + b"".join(map(text, SOURCES)) + b"e"),
        "state": dictionary(text("a"), vector(4, 1)),
    }
    return dictionary(*(text(key) + value for key, value in (parts | changed).items()))


TALL = vector(2**44, 0)  # of one element
HEX = (called("_codecs.encode", SAME, text("hex")) + b"q\0") * 40
HARMFUL = {
    # for memory
    "a bytearray": dictionary(text("a"), called("builtins.bytearray", number(2**33))),
    "codecs": called("_codecs.encode", text("x" * 64), text("latin1")) + b"q\0" + HEX,
    "place 4 G of the memo": b"Nr" + b"\xff" * 4,
    "a bytearray of protocol 5": b"\x96" + (2**40).to_bytes(8, "little"),
    "bytes of protocol 4": b"\x8e" + (2**40).to_bytes(8, "little"),
    "a frame": b"\x95" + (2**40).to_bytes(8, "little"),
    "a text of 4 GiB": b"X" + b"\xff" * 4,
    "64 million dictionaries": 64 * MIB * b"}",
    "a tall tensor": dictionary(text("a"), TALL),
    "2 ** 64 elements": dictionary(text("a"), tensor(2 * number(2**32) + b"\x86", 2 * number(0) + b"\x86")),
    "a tensor for arguments": b"ccollections\nOrderedDict\n" + TALL + b"R",
    "a tensor for a place": TALL + b"Q",
    "a tensor for sources": demucs(kwargs=dictionary(text("sources"), TALL)),
    "a tensor for a network's arguments": demucs(args=TALL),
    "a storage of 2 ** 60": dictionary(text("a"), storage(length=2**60)),
    # for what lies beside the tensor
    "behind the storage": dictionary(text("a"), vector(2, 2**62)),
    "before the storage": dictionary(text("a"), vector(2, 1, offset=-4)),
    "a negative stride": dictionary(text("a"), vector(2, -1)),
    "another file": dictionary(text("a"), storage(text("../../../etc/passwd"))),
    # for time
    "a doubled key": dictionary(doubled(), b"N"),
    "a doubled place": dictionary(text("a"), storage(doubled())),
    "doubled sources": demucs(kwargs=dictionary(text("sources"), doubled())),
    "a doubled class": demucs(klass=doubled()),
    "a doubled fraction": demucs(kwargs=dictionary(text("segment"), called("fractions.Fraction", doubled()))),
    "equal hashes": dictionary(*(number((2**61 - 1) * n) + b"N" for n in range(1, 60_000))),
    "a number of a million digits": b"L" + MIB * b"9" + b"L\n",
    # for the stack
    "depth": deep(),
    "a deep key": dictionary(deep(), b"N"),
    "a deep place": dictionary(text("a"), storage(deep())),
    "a deep class": demucs(klass=deep()),
    "deep sources": demucs(kwargs=dictionary(text("sources"), deep())),
    "marks": MIB // 8 * b"(",
    "itself": b"]q\0" + SAME + b"a",
    # to run something
    "a command": called("os.system", text("touch ran")),
    "a command of protocol 0": b"(" + text("touch ran") + b"ios\nsystem\n",
    "code for a function": b"ctorch._utils\n_rebuild_tensor_v2\n" + dictionary(text("__code__"), b"N") + b"b",
    "an extension": b"\x82\x01",
}
# Run where memory is limited: which reader took what how, how long, and the most memory so far in MiB.
READ_ALL = """
import resource, sys, time, warnings
from pathlib import Path
from cadenza_remix.demix.demucs import load_network
from cadenza_remix.demix.weights import read_tensors
from cadenza_remix.errors import WeightsError

def status(what):
    return int(Path("/proc/self/status").read_text().split(f"{what}:")[1].split()[0]) >> 10

warnings.simplefilter("error")
resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + 1024 << 20,) * 2)
resident = status("VmRSS")
for path in sorted(Path(sys.argv[1]).iterdir()):
    for read in (read_tensors, load_network):
        began = time.perf_counter()
        try:
            told = f"read {len(read(path))}"
        except WeightsError as error:
            told = "refused" if type(error.__cause__) is not MemoryError else "no memory"
        seconds = time.perf_counter() - began
        print(path.stem, read.__name__, told, f"{seconds:.1f}", status("VmHWM") - resident, sep=";")
"""


def write_archive(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", BEGIN + content + b".")
        archive.writestr("archive/data/0", bytes(16))
        archive.writestr("archive/version", b"3\n")  # without which PyTorch reads nothing


def write_legacy(path: Path, content: bytes) -> None:
    torch.save({}, path, _use_new_zipfile_serialization=False)
    *before, _, _ = path.read_bytes().split(BEGIN)  # magic number, version and system; content, storages
    keys = BEGIN + b"]" + text("0") + b"a." + (4).to_bytes(8, "little") + bytes(16)
    path.write_bytes(BEGIN.join(before) + BEGIN + content + b"." + keys)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("write", [write_archive, write_legacy])
def test_harmful_files_cost_little_and_do_nothing(write: object, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in HARMFUL.items():
        write(folder / f"{name}.th", content)  # type: ignore[operator]
    write(folder / "valid.th", dictionary(text("a"), vector(4, 1)))  # type: ignore[operator]
    result = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(folder)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-500:] + result.stderr[-2000:]
    lines = [line.split(";") for line in result.stdout.splitlines()]
    assert len(lines) == 2 * (len(HARMFUL) + 1)
    for name, reader, told, seconds, memory in lines:
        # What is harmful may lie beside what is read.
        whole = 1 if name == "valid" or b"state" in HARMFUL[name] else 0
        expected = ("refused", f"read {whole}") if reader == "read_tensors" else ("refused",)
        assert told in expected, (name, reader, told)
        assert float(seconds) < 30, (name, seconds)
        assert int(memory) < 700, (name, memory)
    assert not (tmp_path / "ran").exists()
