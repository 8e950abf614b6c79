"""What is promised about long runs: stopping, two at once, a small disk, the stem cache."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from cadenza_remix import output
from cadenza_remix.demix.trivial import EqualSplit
from cadenza_remix.errors import DiskError, OutputError
from cadenza_remix.jobs.stem_cache import StemCache
from cadenza_remix.output import check_space, write_pcm16
from tests.conftest import REPOSITORY, Commands, music
from tests.test_config import one_sentence, run
from tests.test_lock import wait_until

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
    arguments = ["enhance", f"path.root={challenge}", "separator=none", "closed_loop=haaqi"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cadenza_remix", *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    if moment == "work":
        wait_until(lambda: (tmp_path / "exp/none/.enhance.lock/holder.json").exists())
    else:
        maps = Path(f"/proc/{process.pid}/maps")
        wait_until(lambda: "_yaml" in maps.read_text())  # which Hydra loads
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
    shutil.rmtree(lock.parent)
    commands("enhance")


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
        except DiskError as error:
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
