"""Where weights are looked for, in which order, and what is said when they are not there."""

import hashlib
import http.server
import os
import pickle
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from demucs.demucs import Demucs
from safetensors.torch import save_file

from cadenza_remix.demix import demucs, demucs_v2
from cadenza_remix.demix.weights import Published, find_weights, own_cache, read_tensors
from cadenza_remix.errors import WeightsError

TENSORS = {"layer.weight": torch.arange(6.0).reshape(2, 3)}
PLAIN = Published("net", "https://nowhere.invalid/models/net.pt", "torchaudio/models")


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of our own and of torch."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    return tmp_path / "cache"


def write(path: Path, tensors: dict[str, torch.Tensor] = TENSORS) -> str:
    """Write a file of weights; its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find(published: Published = PLAIN, given: Path | None = None, *, allow_download: bool = False) -> Path:
    (file,) = find_weights([published], given=given, allow_download=allow_download)
    assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
    return file.path


def test_each_place_is_preferred_to_the_next(
    caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = caches / "torch/hub/torchaudio/models/net.pt"
    write(library)
    assert find() == library
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    moved = tmp_path / "torch_home/hub/torchaudio/models/net.pt"
    write(moved)
    assert find() == moved
    write(own_cache() / "net.pt")
    assert find() == caches / "cadenza_remix/net.pt"
    write(tmp_path / "mine.pt")
    assert find(given=tmp_path / "mine.pt") == tmp_path / "mine.pt"
    write(tmp_path / "folder/net-tuned.pth")
    assert find(given=tmp_path / "folder") == tmp_path / "folder/net-tuned.pth"


def test_without_a_file_one_sentence_says_what_to_fetch_and_where_to_put_it(caches: Path) -> None:
    with pytest.raises(WeightsError) as told:
        find()
    for needed in (PLAIN.url, f"into {caches / 'cadenza_remix'}, or", "allow_download=true"):
        assert needed in str(told.value)


def test_every_file_that_is_missing_is_named(caches: Path) -> None:
    parts = [Published(name, f"https://nowhere.invalid/{name}.pth", "checkpoints") for name in "abc"]
    write(caches / "cadenza_remix/b.pth")
    with pytest.raises(WeightsError, match=r"weights a\.pth, c\.pth are not .*/a\.pth, https.*/c\.pth into"):
        find_weights(parts, given=None, allow_download=False)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder `served`, on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "served"))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_download_is_kept_and_leaves_nothing_beside_it(tmp_path: Path, served: str, caches: Path) -> None:
    sha256 = write(tmp_path / "served/a.pth")
    name = f"vocals-{sha256[:8]}.pth"
    (tmp_path / "served/a.pth").rename(tmp_path / "served" / name)
    published = Published("vocals", f"{served}/{name}", "checkpoints")
    assert find(published, allow_download=True) == caches / "cadenza_remix" / name
    assert [path.name for path in (caches / "cadenza_remix").iterdir()] == [name]
    (tmp_path / "served" / name).unlink()
    assert find(published, allow_download=True).is_file()


@pytest.mark.parametrize("name", ["vocals-00000000.pth", "missing.pth"])
def test_a_bad_download_leaves_nothing(tmp_path: Path, served: str, caches: Path, name: str) -> None:
    write(tmp_path / "served/vocals-00000000.pth")
    with pytest.raises(WeightsError, match=f"{name} cannot be fetched"):
        find(Published("vocals", f"{served}/{name}", "checkpoints"), allow_download=True)
    assert not list((caches / "cadenza_remix").iterdir())


def test_a_file_that_is_not_what_its_name_promises_is_refused(caches: Path) -> None:
    name = "vocals-b62c91ce.pth"
    write(caches / "torch/hub/checkpoints" / name)
    with pytest.raises(WeightsError, match="its name promises b62c91ce"):
        find(Published("vocals", f"https://nowhere.invalid/{name}", "checkpoints"))


@pytest.mark.parametrize("names", [[], ["net.pt", "net-2.pth"]])
def test_a_folder_must_hold_one_file_for_each_part(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    for name in names:
        write(tmp_path / "folder" / name)
    with pytest.raises(WeightsError, match=r"should hold one file net\* \(\.pth.*\), but holds"):
        find(given=tmp_path / "folder")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"net\.pt cannot be read \(No such file"):
        find(given=tmp_path / "net.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_damaged_anywhere_are_refused_or_read_in_full(tmp_path: Path, zipped: bool) -> None:
    torch.save(TENSORS, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "a.pt").read_bytes()
    refused = 0
    for place in range(0, len(content), 5):
        (tmp_path / "b.pt").write_bytes(content[:place] + b"(\x8bt." + content[place:])
        with warnings.catch_warnings():  # PyTorch's, of protocols that it does not know
            warnings.simplefilter("ignore")
            try:
                assert all(isinstance(x, torch.Tensor) for x in read_tensors(tmp_path / "b.pt").values())
            except WeightsError:
                refused += 1
    assert refused > 20


def test_a_wrong_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pt cannot be read .* correct separator\.weights"):
        find(given=tmp_path / "gone.pt")


def test_both_formats_hold_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a.pt")
    save_file(TENSORS, tmp_path / "a.safetensors")
    for name in ("a.pt", "a.safetensors"):
        (found,) = read_tensors(tmp_path / name).values()
        assert torch.equal(found, TENSORS["layer.weight"])


class Surprise:
    """What would run if a file were unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this must not run",))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # PyTorch's, of a pickle that is no archive
@pytest.mark.parametrize(
    "content",
    [b"", b"no weights at all", b"PK\x03\x04 half an archive", pickle.dumps(Surprise()), None],
)
def test_what_is_no_weights_is_refused(
    tmp_path: Path, content: bytes | None, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a{suffix}"
    if content is None:
        torch.save(Surprise(), path)
    else:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"cannot be read as weights|no plain list of named tensors"):
        read_tensors(path)
    assert "must not run" not in capfd.readouterr().out


@dataclass
class Trainer:
    """What a checkpoint of a training program may hold beside the weights."""

    epoch: int


@pytest.mark.parametrize("entry", ["state_dict", "state", "model_state_dict", "model"])
def test_a_checkpoint_of_a_training_gives_its_weights_alone(
    tmp_path: Path, entry: str, capfd: pytest.CaptureFixture[str]
) -> None:
    more = {Trainer: Trainer(3), "run": Surprise(), "path": tmp_path, "score": np.float64(1), "lr": [1e-4]}
    torch.save({"epoch": 3, "more": more, entry: TENSORS}, tmp_path / "a.ckpt")
    (found,) = read_tensors(tmp_path / "a.ckpt").values()
    assert torch.equal(found, TENSORS["layer.weight"])
    assert "must not run" not in capfd.readouterr().out


@pytest.mark.parametrize("repeated", [torch.zeros(1, dtype=torch.float16), torch.zeros(1, device="meta")])
@pytest.mark.parametrize("read", [read_tensors, demucs.load_network, demucs_v2.Load(4)])
def test_a_tensor_that_says_more_than_the_file_holds_is_refused(
    tmp_path: Path, repeated: torch.Tensor, read: Callable[..., object]
) -> None:
    state = {"encoder.0.0.weight": repeated.expand(2**44)}
    package = {"klass": Demucs, "args": (), "kwargs": {"sources": demucs.SOURCES}, "state": state}
    torch.save(package if read is demucs.load_network else state, tmp_path / "a.th")
    with pytest.raises(
        WeightsError, match=r"no plain list of named tensors|is no network of|holds more than"
    ):
        read((tmp_path / "a.th",) if isinstance(read, demucs_v2.Load) else tmp_path / "a.th")


@pytest.mark.parametrize("read", [read_tensors, demucs.load_network])
def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(
    tmp_path: Path, read: Callable[..., object]
) -> None:
    torch.save({"layer.weight": torch.zeros(10**5)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as stored,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in stored.infolist():
            packed.writestr(entry.filename, stored.read(entry))
    assert (tmp_path / "b.pt").stat().st_size < 10**4
    with pytest.raises(WeightsError, match=r"cannot be read as weights|is no network of demucs .ValueError"):
        read(tmp_path / "b.pt")


@pytest.mark.parametrize("read", [read_tensors, demucs.load_network])
def test_many_tensors_of_the_same_elements_are_refused(tmp_path: Path, read: Callable[..., object]) -> None:
    state = dict.fromkeys(map(str, range(1000)), torch.zeros(10**5))
    package = {"klass": Demucs, "args": (), "kwargs": {"sources": demucs.SOURCES}, "state": state}
    torch.save(package if read is demucs.load_network else state, tmp_path / "a.th")
    with pytest.raises(WeightsError, match=r"no plain list of named tensors|is no network of"):
        read(tmp_path / "a.th")


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"optimizer": TENSORS, "epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="export the network's state dict alone"):
        read_tensors(tmp_path / "a.pt")


def test_what_only_a_person_can_fetch_is_said_to_be_so(caches: Path) -> None:
    published = Published("vocals", "https://nowhere.invalid/page", saved_as="net_vocals.ckpt", by_hand=True)
    with pytest.raises(WeightsError, match=r"only a person can fetch .* by https://nowhere.invalid/page"):
        find(published, allow_download=True)
    write(own_cache() / "net_vocals.ckpt")
    assert find(published) == caches / "cadenza_remix/net_vocals.ckpt"
