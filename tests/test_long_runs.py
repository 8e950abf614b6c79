"""What is promised about long runs: stopping, two at once, a small disk, the stem cache."""

import dataclasses
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from cadenza_remix import output, pipeline
from cadenza_remix.demix.base import Separator
from cadenza_remix.demix.ensemble import Ensemble
from cadenza_remix.demix.network import NetworkSeparator, _loaded
from cadenza_remix.demix.own import own
from cadenza_remix.demix.segments import OverlapAdd
from cadenza_remix.demix.trivial import EqualSplit
from cadenza_remix.demix.weights import WeightsFile
from cadenza_remix.errors import NothingWritableError, OutputError
from cadenza_remix.jobs.stem_cache import StemCache
from cadenza_remix.ledger import Ledger, fingerprint
from cadenza_remix.output import check_space, write_pcm16
from cadenza_remix.processes import machine
from tests.conftest import REPOSITORY, Commands, edit_metadata, music, write_metadata
from tests.test_config import one_sentence, run
from tests.test_lock import wait_until
from tests.test_own_network import BLOCKS

HOW = {"shifts": 0, "seed": 0, "swap_channels": False, "flip_polarity": False, "batch_size": None}
HOW |= {"device": "cpu", "threads": 1, "licence": "none", "source_url": "none"}
HOW |= {"training_data": "none", "allowed_by_rules": True}
STRESS = REPOSITORY / "scripts" / "stress_kills.py"


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_at_random_moments_the_same_command_ends_with_the_same_files(tmp_path: Path) -> None:
    command = [sys.executable, str(STRESS), str(tmp_path), "--kills", "3", "--seconds", "0.6", "--seed", "3"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "defects: none" in result.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the process in /proc")
@pytest.mark.parametrize("moment", ["settings", "work"])
def test_an_interruption_is_one_sentence(challenge: Path, tmp_path: Path, moment: str) -> None:
    arguments = ["enhance", f"path.root={challenge}", "separator=none", "closed_loop=ascent"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cadenza_remix", *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    if moment == "work":
        wait_until((tmp_path / "exp/none/.enhance.lock").exists)
    else:
        maps = Path(f"/proc/{process.pid}/maps")
        wait_until(lambda: "_yaml" in maps.read_text())  # which Hydra loads
    process.send_signal(signal.SIGINT)
    told = process.communicate()[1]
    assert process.returncode == 130
    assert told == "Interrupted; the same command continues where this one stopped.\n"


def test_an_interruption_is_one_sentence_where_an_import_swallows_it(challenge: Path, tmp_path: Path) -> None:
    # As PyTorch does; Hydra then says that there is no such class.
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\npathlib.Path('begun').touch()\n"
        "try:\n    time.sleep(60)\nexcept BaseException:\n    raise ImportError('swallowed') from None\n"
    )
    (tmp_path / "limiter").mkdir()
    (tmp_path / "limiter/mine.yaml").write_text("_target_: slow.Mine\n")
    arguments = ["--config-dir", str(tmp_path), f"path.root={challenge}", "separator=none", "limiter=mine"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cadenza_remix", "enhance", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until((tmp_path / "begun").exists)
    process.send_signal(signal.SIGINT)
    told = process.communicate()[1]
    assert process.returncode == 130
    assert told == "Interrupted; the same command continues where this one stopped.\n"


def test_a_second_run_into_the_same_folder_is_refused_by_name(
    challenge: Path,
    commands: Commands,
) -> None:
    commands("enhance")
    holder = {
        "host": "node7",
        "machine": "node7-1",
        "pid": 4711,
        "birth": "1",
        "since": "2026-01-01 12:00:00",
    }
    lock = challenge.parent / "exp/none/.enhance.lock/holder.json"
    lock.parent.mkdir()
    lock.write_text(json.dumps(holder))
    told = one_sentence(run("enhance", f"path.root={challenge}", "separator=none", cwd=challenge.parent))
    assert "exp/none is being filled by process 4711 on node7 since 2026-01-01 12:00:00; wait" in told
    commands("evaluate")
    task = lock.parent.rename(lock.parent.with_name(".evaluate_2-4.lock"))
    assert f"or delete exp/none/{task.name} if" in commands("evaluate", expect=1)
    assert (task.parent / "scores.csv").exists()
    shutil.rmtree(task)
    commands("enhance")


def test_who_stood_still_until_another_took_over_ends_in_one_sentence(
    challenge: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = challenge.parent / "exp/none"
    enhance_scene = pipeline.enhance_scene

    def stand_still(*arguments: Any, **how: Any) -> Any:
        next(folder.glob(".enhance.lock/*")).unlink()
        monkeypatch.setattr(pipeline, "enhance_scene", enhance_scene)
        return enhance_scene(*arguments, **how)

    monkeypatch.setattr(pipeline, "enhance_scene", stand_still)
    told = commands("enhance", expect=1, more=("separator=none", "limiter=hard_clip")).splitlines()
    assert [line for line in told if "no longer held" in line] == told[-1:]
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["manifest.json"]
    assert not list(folder.glob("*/*"))


def test_a_hanging_song_is_replaced_and_listed(challenge: Path, tmp_path: Path) -> None:
    (tmp_path / "my_system.py").write_text(
        "import dataclasses, time\n"
        "from cadenza_remix.demix.trivial import EqualSplit\n"
        "class Sleepy(EqualSplit):\n"
        "    def __call__(self, mixture):\n"
        "        time.sleep(60 * (abs(mixture).max() > 0.99))\n"
        "        return super().__call__(mixture)\n"
    )
    (tmp_path / "my_conf/separator").mkdir(parents=True)
    (tmp_path / "my_conf/separator/mine.yaml").write_text(
        "_target_: my_system.Sleepy\nsample_rate: ${sample_rate}\n"
    )
    song = next((challenge / "audio/at_mic_music/train").glob("Plain*"))
    loud = music(1)["vocals"]
    write_pcm16(song / "mixture.wav", loud / abs(loud).max(), sample_rate=44100, file_format="WAV")
    mine = ("--config-dir", "my_conf", "separator=mine", "limiter=hard_clip", f"path.root={challenge}")
    result = run("enhance", *mine, "executor.timeout_s=3", cwd=tmp_path)
    assert result.returncode == 1
    failures = pd.read_csv(tmp_path / "exp/mine/failures.csv")
    assert list(failures["scene"]) == ["scene_10002"] * 2
    assert failures["cause"].str.contains("took longer than executor.timeout_s=3").all()
    assert len(list((tmp_path / "exp/mine/enhanced_signals").iterdir())) == 4


def test_what_a_folder_was_made_with_is_written_down(challenge: Path, commands: Commands) -> None:
    commands("enhance")
    made_with = json.loads((challenge.parent / "exp/none/manifest.json").read_text())["provenance"]["enhance"]
    assert made_with["config"]["limiter._target_"] == "cadenza_remix.limit.Multiband"
    assert made_with["config"]["path.root"] == str(challenge)
    assert made_with["versions"]["numpy"] == np.__version__
    assert {Path(name).name for name in made_with["inputs"]} == {
        *("scenes.train.json", "scene_listeners.train.json", "gains.json", "listeners.train.json"),
        "at_mic_music.train.json",
    }
    assert all(len(sha256) == 64 for sha256 in made_with["inputs"].values())


def test_an_interrupted_overwriting_goes_on_without_old_results(
    challenge: Path,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands("enhance")
    signals = challenge.parent / "exp/none/enhanced_signals"
    before = {path.name: path.stat().st_mtime_ns for path in signals.iterdir()}
    write, written = output.write_pcm16, []

    def write_two(*arguments, **how) -> None:  # type: ignore[no-untyped-def]
        if len(written) == 2:
            raise KeyboardInterrupt
        write(*arguments, **how)
        written.append(1)

    monkeypatch.setattr(output, "write_pcm16", write_two)
    commands("enhance", expect=130, more=("separator=none", "overwrite=true"))
    monkeypatch.setattr(output, "write_pcm16", write)
    commands("enhance")
    assert all(path.stat().st_mtime_ns != before[path.name] for path in signals.iterdir())


def test_what_an_unfinished_overwriting_left_is_not_scored(
    challenge: Path,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands("enhance", "evaluate")

    def write_none(*_arguments: object, **_how: object) -> None:
        raise KeyboardInterrupt

    other = ("separator=none", "limiter=hard_clip")
    with monkeypatch.context() as patch:
        patch.setattr(output, "write_pcm16", write_none)
        commands("enhance", expect=130, more=(*other, "overwrite=true"))
    assert "to be made again, which enhance has not done so far" in commands("evaluate", expect=1, more=other)
    assert len(pd.read_csv(challenge.parent / "exp/none/scores.csv")) == 0
    commands("enhance", "evaluate", more=other)
    assert len(pd.read_csv(challenge.parent / "exp/none/scores.csv")) == 6
    mixture = next((challenge / "audio/at_mic_music/train").glob("Plain*/mixture.wav"))
    sound = mixture.read_bytes()
    mixture.write_bytes(b"no music")  # so that this song is not even begun
    commands("enhance", expect=1, more=("separator=none", "limiter=tanh", "overwrite=true"))
    mixture.write_bytes(sound)
    commands("evaluate", expect=1)
    assert len(pd.read_csv(challenge.parent / "exp/none/scores.csv")) == 4


def test_stems_that_an_unfinished_overwriting_left_are_not_scored(
    challenge: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ("stems=true", "keep_stems=true", "limiter=hard_clip", "name=kept", "evaluate.small_test=true")
    commands("enhance", "evaluate", more=kept)
    table = challenge.parent / "exp/kept/separation.csv"
    assert len(pd.read_csv(table)) == 4

    def write_none(*_arguments: object, **_how: object) -> None:
        raise KeyboardInterrupt

    other = ("separator=none", *kept[1:])
    with monkeypatch.context() as patch:
        patch.setattr(output, "write_float", write_none)
        commands("enhance", expect=130, more=(*other, "overwrite=true"))
    told = commands("evaluate", expect=1, more=other)
    assert "holds stems of another separation or mixture than there is now; run enhance again" in told
    assert len(pd.read_csv(table)) == 0
    commands("enhance", "evaluate", more=other)
    assert len(pd.read_csv(table)) == 4


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_an_interrupted_preparation_leaves_no_song_of_old_and_new_signals(
    challenge: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    at_mic, dry = challenge / "audio/at_mic_music/train", challenge / "audio/music/train"
    for song in at_mic.iterdir():
        shutil.copytree(song, dry / song.name.removesuffix("-hlp_0001"))
    for path in list(at_mic.rglob("*.wav")):  # as others made it
        signal, sample_rate = soundfile.read(path)
        path.unlink()
        soundfile.write(path.with_suffix(suffix), signal, sample_rate)
    tracks = [{"Track Name": folder.name, "Split": "train"} for folder in dry.iterdir()]
    head = {"subject": "S", "mic": "M", "left_angle": -30, "right_angle": 30}
    lists = {"musdb18.train": tracks, "head_loudspeaker_positions": {"hlp_0001": head}}
    write_metadata(challenge, lists)
    assert "2 there already" in commands("prepare", more=())
    write, written = output.write_pcm16, []

    def write_three(*arguments, **how) -> None:  # type: ignore[no-untyped-def]
        if len(written) == 3:
            raise KeyboardInterrupt
        write(*arguments, **how)
        written.append(arguments[0].parent)

    with monkeypatch.context() as patch:
        patch.setattr(output, "write_pcm16", write_three)
        commands("prepare", expect=130, more=("head=sphere", "overwrite=true"))
    assert "is missing; it should be an audio file" in commands("enhance", expect=1, more=("stems=true",))
    assert sorted(path.name for path in written[0].iterdir()) == ["drums.wav", "mixture.wav", "vocals.wav"]
    assert "2 songs made" in commands("prepare", more=("head=sphere",))
    assert {path.suffix for path in at_mic.rglob("*.*") if path.is_file()} == {".wav"}
    commands("enhance", more=("stems=true",))


def test_a_record_that_does_not_say_what_a_signal_was_made_of_counts_for_nothing(
    challenge: Path, commands: Commands
) -> None:
    """As those of earlier versions."""
    few = ("separator=none", "limiter=hard_clip", "evaluate.small_test=true")
    commands("enhance", more=few)
    records = Ledger(challenge.parent / "exp/none/parts/enhance")
    (song,) = (json.loads(path.read_text())["job"] for path in records.folder.iterdir())
    records.write(
        song,
        {
            name: dataclasses.replace(each, values={"seconds": 1.0})
            for name, each in records.read(song).items()
        },
    )
    assert "is to be made again, which enhance has not done so far" in commands(
        "evaluate", expect=1, more=few
    )


def test_what_was_made_of_other_stems_gains_or_audiograms_is_not_scored(
    challenge: Path, commands: Commands
) -> None:
    stems = challenge.parent / "stems"
    shutil.copytree(challenge / "audio/at_mic_music/train", stems)
    given = (f"stems={stems}", "limiter=hard_clip", "name=given")
    commands("enhance", "evaluate", more=given)
    (bass,) = stems.glob("Plain*/bass.wav")
    as_it_was = bass.read_bytes()
    soundfile.write(bass, np.zeros((100, 2)), 44100)  # so that its song is refused, and its signals stay
    commands("enhance", expect=1, more=given)
    told = commands("evaluate", expect=1, more=given)
    assert "4 of 6 scores" in told
    assert f"was made from another {bass} than there is now; run enhance again." in told
    bass.write_bytes(as_it_was)
    commands("evaluate", more=given)
    shutil.rmtree(stems)  # where it is evaluated, they may not be
    commands("evaluate", more=given)
    edit_metadata(challenge, "scenes.train", lambda scenes: scenes["scene_10002"].update(gain="gain_0001"))
    edit_metadata(
        challenge, "listeners.train", lambda people: people["L0001"].update(audiogram_levels_l=[30] * 8)
    )
    told = commands("evaluate", expect=1, more=given)
    assert "2 of 6 scores" in told
    assert "was made for other gains or another audiogram than there are now; run enhance again." in told


def test_an_interrupted_evaluation_leaves_no_old_table(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands("enhance", "evaluate")

    def interrupt(*_arguments: object, **_how: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "evaluate_scene", interrupt)
        commands("evaluate", expect=130, more=("separator=none", "overwrite=true"))
    assert "scores.csv is missing; run evaluate first" in commands("report", expect=1)


def test_signals_that_were_made_again_have_no_old_scores(commands: Commands) -> None:
    few = ("separator=none", "limiter=hard_clip", "evaluate.small_test=true")
    commands("enhance", "evaluate", "enhance", "report", more=few)  # nothing was made again
    commands("enhance", more=(*few, "overwrite=true"))
    assert "scores.csv is missing; run evaluate first" in commands("report", expect=1, more=few)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("file_format", ["FLAC", "WAV"])
def test_on_a_full_disk_a_file_is_whole_or_not_there(small_disk: Path, file_format: str) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 270000))
    path, outcomes = small_disk / "a", set()
    for samples in (200000, 261000, 262000, 262100, 262144, 262200, 263000, 270000):
        try:
            write_pcm16(path, noise[:, :samples], sample_rate=32000, file_format=file_format)
            header = output.read_header(path)
            assert header.samples == samples
            outcomes.add("whole")
        except NothingWritableError as error:
            assert "No space left on device" in str(error)
            outcomes.add("full")
            assert not any(small_disk.iterdir())
        path.unlink(missing_ok=True)
    assert outcomes == {"whole", "full"}


def test_on_a_full_disk_the_run_stops_and_goes_on_when_there_is_room(
    commands: Commands, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - 40960))
    one_pair = ("separator=none", f"path.exp_folder={small_disk}/run", "evaluate.small_test=true")
    told = commands("enhance", expect=1, more=one_pair)
    assert "needs about 0.000 GB more, and its disk has 0.000 GB left; free the disk" in told
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: Disk(free=10**12))  # it fills up while we work
        told = commands("enhance", expect=1, more=one_pair)
    assert "L0001_remix.flac cannot be written ([Errno 28] No space left on device); free the disk" in told
    assert not list((small_disk / "run").rglob("*.flac"))
    filler.unlink()
    commands("enhance", more=one_pair)
    assert not list((small_disk / "run").rglob("*.part"))


def test_a_read_only_disk_is_one_sentence(challenge: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    arguments = (f"path.root={challenge}", "separator=none", f"path.exp_folder={small_disk}/run")
    assert "Read-only file system" in one_sentence(run("enhance", *arguments, cwd=challenge.parent))


class Disk(NamedTuple):
    free: int


def test_what_will_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=1_250_000_000))
    check_space(tmp_path, 1.2e9)
    with pytest.raises(
        OutputError, match=r"there needs about 2\.500 GB more, and its disk has 1\.250 GB left"
    ):
        check_space(tmp_path / "not" / "there", 2.5e9)


class Counting(EqualSplit):
    """Separates as its base, and counts."""

    calls = 0

    def __call__(self, mixture):  # type: ignore[no-untyped-def]
        Counting.calls += 1
        return super().__call__(mixture)


def test_stems_are_kept_by_content_and_settings_and_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "calls", 0)
    cache = StemCache(tmp_path / "cache", max_gb=1)
    mixtures = [music(seed, seconds=1)["drums"] for seed in range(3)]

    def separations(number: int, separator: EqualSplit, cache: StemCache = cache) -> int:
        before = Counting.calls
        stems = cache.separate(separator, mixtures[number], sample_rate=44100)
        assert list(stems) == list(separator.sources)
        for stem in stems.values():
            np.testing.assert_array_equal(stem, mixtures[number] / len(stems))
        return Counting.calls - before

    four, two = Counting(), Counting(sources=("speech", "music"))
    assert [separations(0, each) for each in (four, four, two, two, Counting())] == [1, 0, 1, 0, 0]
    kept = list(cache.folder.iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:1000])
    kept[1].unlink()
    assert [separations(0, each) for each in (four, two, four, two)] == [1, 1, 0, 0]
    shutil.rmtree(cache.folder)
    three_gb = 3.1 * four(mixtures[0])["vocals"].nbytes * 4 / 1e9
    small = StemCache(cache.folder, max_gb=three_gb * 2 / 3)
    assert [separations(number, four, small) for number in (0, 1, 0, 2, 0, 2, 1)] == [1, 1, 0, 1, 0, 0, 1]
    assert len(list(cache.folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["one bit", "cut off", "longer", "another file"])
def test_damaged_stems_are_made_again(damage: str, tmp_path: Path) -> None:
    cache, mixture = StemCache(tmp_path, max_gb=1), music(0, seconds=1)["drums"]
    expected = cache.separate(EqualSplit(), mixture, sample_rate=44100)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(
        {
            "one bit": whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :],
            "cut off": whole[:-1],
            "longer": whole + b"x",
            "another file": b"no stems",
        }[damage]
    )
    for source, stem in cache.separate(EqualSplit(), mixture, sample_rate=44100).items():
        np.testing.assert_array_equal(stem, expected[source])
    assert path.read_bytes() == whole


def test_stems_of_changed_code_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    torch.save({"shares": torch.tensor([0.4, 0.3, 0.2, 0.1])}, tmp_path / "my_weights.pth")
    cache, mixture = StemCache(tmp_path / "cache", max_gb=1), music(0, seconds=1)["drums"]

    def vocals(code: str, *, in_ensemble: bool) -> float:
        (tmp_path / "my_network.py").write_text(code)
        sys.modules.pop("my_network", None)
        importlib.invalidate_caches()
        network: Separator = own(
            str(tmp_path / "my_weights.pth"),
            network="my_network.MyNetwork",
            sources=("vocals", "drums", "bass", "other"),
            allow_download=False,
            standardised=False,
            segments=OverlapAdd(segment_s=1, overlap=0.25),
            **HOW,
        )
        separator = Ensemble({"mine": network}, {"vocals": {"mine": 1.0}}) if in_ensemble else network
        stems = cache.separate(separator, mixture, sample_rate=44100)
        _loaded.cache_clear()
        return float(abs(stems["vocals"]).max() / abs(mixture).max())

    code = BLOCKS["my_network.py"]
    half = code.replace("mixture[:, None] *", "0.5 * mixture[:, None] *")
    for in_ensemble in (False, True):
        for each, share in ((code, 0.4), (half, 0.2), (code, 0.4)):
            assert vocals(each, in_ensemble=in_ensemble) == pytest.approx(share, rel=1e-5)
    assert len(list(cache.folder.iterdir())) == 4


@dataclasses.dataclass(frozen=True)
class LoadScaled:
    """As the published networks are made: with settings that the weights do not tell."""

    by: float

    def __call__(self, _: tuple[Path, ...]) -> torch.nn.Module:
        return Scaled(self.by)


class Scaled(torch.nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = torch.nn.Parameter(torch.tensor([by]))

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return mixture[:, None] * self.by


def test_stems_of_a_network_with_other_settings_are_made_again(tmp_path: Path) -> None:
    cache, mixture = StemCache(tmp_path, max_gb=1), music(0, seconds=1)["drums"]
    for by in (0.5, 0.25, 0.5):
        network = NetworkSeparator(
            LoadScaled(by),
            (WeightsFile(tmp_path / "a", "0" * 64),),
            ("vocals",),
            standardised=False,
            segments=OverlapAdd(segment_s=1, overlap=0.25),
            **HOW,
        )
        stems = cache.separate(network, mixture, sample_rate=44100)
        np.testing.assert_allclose(stems["vocals"], by * mixture, atol=1e-6)
    assert len(list(tmp_path.glob("*.npy"))) == 2


class Plain:
    """A separator that somebody writes who does not know dataclasses."""

    sources, sample_rate, channels, causal = ("vocals",), 44100, 2, False

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, mixture: np.ndarray) -> dict[str, np.ndarray]:
        return {"vocals": np.float32(self.by) * mixture}


def test_a_separator_that_tells_nothing_of_itself_is_known_again(tmp_path: Path) -> None:
    half, again, quarter = Plain(0.5), Plain(0.5), Plain(0.25)
    assert fingerprint((half, "input")) == fingerprint((again, "input"))  # so that a run goes on
    cache, mixture = StemCache(tmp_path, max_gb=1), music(0, seconds=1)["drums"]
    for plain in (half, again, quarter):
        stems = cache.separate(plain, mixture, sample_rate=44100)
        np.testing.assert_array_equal(stems["vocals"], np.float32(plain.by) * mixture)
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_what_killed_processes_left_in_a_cache_goes(tmp_path: Path) -> None:
    left = tmp_path / f".stems.npy.{machine()}.{2**22 + 1}.part"  # no process has so high a number
    left.write_bytes(b"half")
    StemCache(tmp_path, max_gb=1).separate(EqualSplit(), music(0, seconds=1)["drums"], sample_rate=44100)
    assert not left.exists()


def test_a_cache_of_stems_changes_no_byte(challenge: Path, commands: Commands) -> None:
    kept = ("separator=spectral", "stem_cache=exp/kept")
    for name, more in {"plain": kept[:1], "first": kept, "second": kept}.items():
        commands("enhance", more=(*more, f"name={name}"))
    assert len(list((challenge.parent / "exp/kept").iterdir())) == 2
    signals = [
        {
            path.name: path.read_bytes()
            for path in (challenge.parent / f"exp/{name}/enhanced_signals").iterdir()
        }
        for name in ("plain", "first", "second")
    ]
    assert signals[0] == signals[1] == signals[2]
