"""Who fills a folder; a lock outlives its holder only where nobody can know."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest

from cadenza_remix import lock
from cadenza_remix.errors import ConfigError, NothingWritableError
from cadenza_remix.lock import STALE_AFTER_S, Holder, locked
from cadenza_remix.output import partial_name, remove, remove_leftovers, write_text
from cadenza_remix.processes import birth, machine

HERE = Holder("here", machine(), os.getpid(), birth(os.getpid()), "2026-01-01 12:00:00")


def put(folder: Path, holder: Holder, *, there: bool = False) -> Path:
    path = folder / ".enhance.lock" / "holder.json"
    path.parent.mkdir(exist_ok=there)
    path.write_text(json.dumps(asdict(holder)))
    return path


def gone_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_second_is_refused_by_name_and_the_next_is_not(tmp_path: Path) -> None:
    with locked(tmp_path, "enhance"):
        with locked(tmp_path, "evaluate"), locked(tmp_path, "enhance-2-of-4"):
            pass
        told = rf"filled by process {os.getpid()} on .* since 20.*; wait"
        with pytest.raises(ConfigError, match=told), locked(tmp_path, "enhance"):
            raise AssertionError
    with locked(tmp_path, "enhance"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_tasks_of_a_division_go_side_by_side_and_another_division_is_refused_by_name(tmp_path: Path) -> None:
    with locked(tmp_path, "evaluate_1-4"), locked(tmp_path, "evaluate_2-4"):
        for other in ("evaluate", "evaluate_1-2", "evaluate_2-14"):
            told = rf"filled by process {os.getpid()} on .* or delete {tmp_path}/\.evaluate_[12]-4\.lock if"
            with pytest.raises(ConfigError, match=told), locked(tmp_path, other):
                raise AssertionError
        with locked(tmp_path, "enhance"), locked(tmp_path, "re-evaluate"):
            pass
    with locked(tmp_path, "evaluate"):
        with pytest.raises(ConfigError, match=r"evaluate\.lock if"), locked(tmp_path, "evaluate_1-4"):
            raise AssertionError
        with locked(tmp_path, "enhance_1-4"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_of_two_divisions_that_come_together_one_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds nobody, puts its own lock there, and only then looks again."""
    both_found_nobody, both_are_there = threading.Barrier(2), threading.Barrier(2)
    begun, running, taken = set[str](), list[str](), list[str]()
    rename = Path.rename

    def rename_together(mine: Path, target: Path) -> Path:
        first = target.name not in begun
        begun.add(target.name)
        if first:
            both_found_nobody.wait(30)
        renamed = rename(mine, target)
        if first:
            both_are_there.wait(30)
        return renamed

    def take(name: str) -> None:
        with locked(tmp_path, name, wait_s=60):
            running.append(name)
            time.sleep(0.1)
            taken.append(running.pop() if running == [name] else "together")

    monkeypatch.setattr(Path, "rename", rename_together)
    names = ["evaluate", "evaluate_1-4"]
    together = [threading.Thread(target=take, args=(name,)) for name in names]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert sorted(taken) == names
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["enhance_1-4", "enhance"])
def test_a_dead_task_of_another_division_keeps_nobody_out(tmp_path: Path, name: str) -> None:
    put(tmp_path, Holder("here", machine(), gone_process(), "1", "yesterday"))
    (tmp_path / ".enhance.lock").rename(tmp_path / ".enhance_2-2.lock")
    with locked(tmp_path, name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_who_has_lost_its_lock_writes_and_removes_nothing_more(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    with locked(tmp_path, "enhance"), locked(tmp_path, "evaluate"):
        write_text(table, "ours")
        next(tmp_path.glob(".enhance.lock/*")).unlink()  # as who takes it over does
        theirs = put(tmp_path, Holder("node7", "node7-1", 1, "1", "2026-01-01 12:00:00"), there=True)
        with pytest.raises(
            NothingWritableError, match=r"enhance\.lock is no longer held by this process.*again"
        ):
            write_text(table, "late")
        with pytest.raises(NothingWritableError):
            remove([table])
    assert sorted(tmp_path.iterdir()) == [theirs.parent, table]
    assert table.read_text() == "ours"
    assert theirs.exists()
    write_text(table, "not locked")


def test_who_has_time_waits_for_the_first_and_is_refused_after_that(tmp_path: Path) -> None:
    given_back_s: list[float] = []

    def hold() -> None:
        with locked(tmp_path, "enhance"):
            taken.set()
            time.sleep(0.4)
            given_back_s.append(time.monotonic())

    taken = threading.Event()
    first = threading.Thread(target=hold)
    first.start()
    taken.wait()
    with pytest.raises(ConfigError, match="is being filled by"), locked(tmp_path, "enhance", wait_s=0.1):
        raise AssertionError
    with locked(tmp_path, "enhance", wait_s=60):
        assert time.monotonic() >= given_back_s[0]
    first.join()


@pytest.mark.parametrize(
    "holder",
    [
        Holder("here", machine(), gone_process(), "1", "yesterday"),
        Holder("here", machine(), os.getpid(), "1", "before this process had that number"),
    ],
)
def test_a_lock_of_a_process_that_is_gone_is_taken_over(tmp_path: Path, holder: Holder) -> None:
    put(tmp_path, holder)
    with locked(tmp_path, "enhance"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_lock_is_taken_over(tmp_path: Path, content: str) -> None:
    put(tmp_path, HERE).write_text(content)
    with locked(tmp_path, "enhance"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_another_machine_is_stale_when_nobody_touches_it(tmp_path: Path) -> None:
    path = put(tmp_path, Holder("node7", "node7-1", 1, "1", "2026-01-01 12:00:00"))
    with pytest.raises(ConfigError, match="process 1 on node7"), locked(tmp_path, "enhance"):
        raise AssertionError
    before_s = path.stat().st_mtime - STALE_AFTER_S - 1
    os.utime(path, (before_s, before_s))
    with locked(tmp_path, "enhance"):
        pass


def test_a_holder_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "TOUCHED_EVERY_S", 0.01)
    with locked(tmp_path, "enhance"):
        (path,) = (tmp_path / ".enhance.lock").iterdir()
        os.utime(path, (0, 0))
        wait_until(lambda: path.stat().st_mtime > 0)


def test_of_many_at_once_one_takes_a_stale_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    put(tmp_path, Holder("here", machine(), gone_process(), "1", "yesterday"))
    start, stop, taken = context.Event(), context.Event(), context.Queue()
    crowd = [context.Process(target=hold, args=(tmp_path, start, stop, taken)) for _ in range(8)]
    for process in crowd:
        process.start()
    start.set()
    results = [taken.get(timeout=30) for _ in crowd]
    stop.set()
    for process in crowd:
        process.join()
    assert sorted(results) == [False] * 7 + [True]
    assert list(tmp_path.iterdir()) == []


def test_who_comes_late_to_a_stale_lock_takes_nothing_from_its_new_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new holder takes it while another still believes it stale; a third is always ready to take it."""
    put(tmp_path, Holder("here", machine(), gone_process(), "1", "yesterday"))
    is_stale, rename, held = lock._is_stale, Path.rename, ExitStack()

    def too_late(*_arguments: object) -> bool:
        monkeypatch.setattr(lock, "_is_stale", is_stale)
        held.enter_context(locked(tmp_path, "enhance"))
        monkeypatch.setattr(Path, "rename", rename_and_let_the_third_try)
        return True

    def rename_and_let_the_third_try(source: Path, target: Path) -> Path:
        renamed = rename(source, target)
        with monkeypatch.context() as patch, pytest.raises(ConfigError, match="is being filled"):
            patch.setattr(Path, "rename", rename)
            held.enter_context(locked(tmp_path, "enhance"))
        return renamed

    monkeypatch.setattr(lock, "_is_stale", too_late)
    with pytest.raises(ConfigError, match="is being filled"), locked(tmp_path, "enhance"):
        raise AssertionError
    monkeypatch.setattr(Path, "rename", rename)
    held.close()
    assert list(tmp_path.iterdir()) == []


def hold(folder: Path, start, stop, taken) -> None:  # type: ignore[no-untyped-def]
    start.wait()
    try:
        with locked(folder, "enhance"):
            taken.put(True)
            stop.wait(30)
    except ConfigError:
        taken.put(False)


def wait_until(condition: Callable[[], bool]) -> None:
    limit_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit_s
        time.sleep(0.01)


def test_leftovers_of_killed_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    ours = partial_name(tmp_path / "stems" / "a.wav")
    gone = ours.with_name(ours.name.replace(f".{os.getpid()}.", f".{gone_process()}."))
    elsewhere = ours.with_name(ours.name.replace(machine(), "node7-1"))
    old = elsewhere.with_name(elsewhere.name.replace(".a.wav.", ".b.wav."))
    others = tmp_path / "stems" / "download.part"
    (tmp_path / "stems").mkdir()
    for path in (ours, gone, elsewhere, old, others):
        path.touch()
    os.utime(old, (0, 0))
    remove_leftovers(tmp_path)
    assert {path for path in (tmp_path / "stems").iterdir()} == {ours, elsewhere, others}
