import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cadenza_remix.errors import AudioError, ConfigError, NothingWritableError
from cadenza_remix.lock import locked
from cadenza_remix.output import write_text
from cadenza_remix.parallel import run_all
from tests.test_lock import wait_until


def work(job: int) -> int:
    if job == 2:
        raise AudioError("The file is 48000 Hz; expected 44100.")
    if job == 3:
        raise ZeroDivisionError("one / zero")
    if job == 4:
        raise PermissionError(13, "Permission denied", "song.wav")
    return job * job


def die(job: tuple[Path, int, str]) -> int:
    """Leave a mark of every attempt, then end as the job says."""
    folder, number, how = job
    (folder / f"{number} {time.monotonic_ns()}").touch()
    first = len(list(folder.glob(f"{number} *"))) == 1
    if how == "killed" or (how == "killed once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "left":
        os._exit(3)
    if how == "hangs":
        time.sleep(60)
    if how == "raises once" and first:
        raise RuntimeError("CUDA out of memory")
    return number


def fill_the_disk(job: int) -> int:
    if job == 1:
        raise NothingWritableError("The disk is full.")
    return job


def lose_the_lock(folder: Path) -> None:
    next(folder.glob(".enhance.lock/*")).unlink()
    write_text(folder / "late", "")


def rank(_job: int) -> str:
    time.sleep(0.2)
    return os.environ["LOCAL_RANK"]


@pytest.mark.parametrize("workers", [0, 1, 2, None])
def test_a_failing_job_costs_only_itself(workers: int | None) -> None:
    results = dict(run_all(work, range(6), workers=workers))
    assert {job: result for job, result in results.items() if job not in (2, 3, 4)} == {0: 0, 1: 1, 5: 25}
    assert results[2] == "The file is 48000 Hz; expected 44100."
    assert results[3] == "ZeroDivisionError: one / zero"
    assert results[4] == "PermissionError: [Errno 13] Permission denied: 'song.wav'"


def test_a_system_may_not_signal_a_group_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS tells of a group in which only ended processes are left, which nobody has asked for yet."""

    def refuse(_group: int, _signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "killpg", refuse)
    assert dict(run_all(work, [5], workers=1)) == {5: 25}


def test_only_what_nobody_expected_is_told_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    list(run_all(work, range(6), workers=0))
    assert ["one / zero" in str(record.exc_info) for record in caplog.records] == [True]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_or_hangs_costs_its_job_only_and_that_is_tried_twice(
    tmp_path: Path, workers: int
) -> None:
    how = ["fine", "killed", "left", "hangs", "killed once", "raises once", "fine", "fine"]
    jobs = [(tmp_path, number, each) for number, each in enumerate(how)]
    results = {job[1]: result for job, result in run_all(die, jobs, workers=workers, timeout_s=1)}
    told = {1: "was killed (out of memory?)", 2: "ended with exit code 3", 3: "timeout_s=1; allow it more"}
    for number, each in told.items():
        assert each in str(results.pop(number))
        assert len(list(tmp_path.glob(f"{number} *"))) == 2
    assert results == {number: number for number in (0, 4, 5, 6, 7)}


def test_what_cannot_travel_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"cannot be sent to a process .*; say executor=serial"):
        list(run_all(lambda job: job, [1], workers=1))


def test_no_jobs_are_done_at_once() -> None:
    assert list(run_all(work, [], workers=None)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_ends_the_run(workers: int) -> None:
    with pytest.raises(NothingWritableError, match="full"):
        list(run_all(fill_the_disk, range(100), workers=workers))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_lost_lock_ends_the_run(tmp_path: Path, workers: int) -> None:
    with locked(tmp_path, "enhance"), pytest.raises(NothingWritableError, match="no longer held"):
        list(run_all(lose_the_lock, [tmp_path] * 100, workers=workers))
    assert not (tmp_path / "late").exists()


def test_results_are_not_hoarded() -> None:
    """Whatever the number of jobs, no more are handed out than there are workers."""

    class Jobs(list[int]):
        handed_out = 0

        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            self.handed_out += 1
            return super().__getitem__(index)

    jobs = Jobs(range(2, 1000))
    done = run_all(abs, jobs, workers=2)
    next(done)
    handed_out = jobs.handed_out
    done.close()  # type: ignore[attr-defined]
    assert handed_out <= 4  # two at work, and as many looked up to be yielded


def test_workers_share_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not at the top, where every worker would import it.
    import torch

    from cadenza_remix.demix.network import choose_device

    ranks = set(dict(run_all(rank, range(6), workers=3)).values())
    assert ranks == {"0", "1", "2"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    devices = []
    for number in sorted(ranks):
        monkeypatch.setenv("LOCAL_RANK", number)
        devices.append([str(choose_device(device)) for device in ("auto", "cuda", "cuda:1", "cpu")])
    assert devices == [[f"cuda:{i}", f"cuda:{i}", "cuda:1", "cpu"] for i in (0, 1, 0)]


PROGRAM = """
import os, sys, time
from cadenza_remix.parallel import run_all

def work(job):
    print("worker", os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    list(run_all(work, range(2), workers=2))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_workers_whose_parent_is_gone(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    program = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    workers = [int(program.stdout.readline().split()[1]) for _ in range(2)]
    program.send_signal(how)
    program.wait(10)
    program.stdout.read()  # ends when nobody holds it any more
    program.stdout.close()
    for worker in workers:
        assert not is_running(worker)


HELPED = """
import multiprocessing, os, subprocess, sys, time
from cadenza_remix.parallel import run_all

PROGRAM = "import os, time; os.write(1, b'%d ' % os.getpid()); time.sleep(600)"

def help():
    exec(PROGRAM)

def work(job):
    helper = multiprocessing.get_context(job).Process(target=help)
    helper.start()
    subprocess.Popen([sys.executable, "-c", PROGRAM])
    time.sleep(600)

if __name__ == "__main__":
    done = run_all(work, ["fork", "spawn"], workers=2, timeout_s=float(sys.argv[1]))
    print(*(result for _, result in done))
"""


@pytest.mark.parametrize("how", ["its parent is killed", "it takes too long", "it is killed"])
def test_a_worker_may_start_processes_and_they_end_with_it(tmp_path: Path, how: str) -> None:
    (tmp_path / "program.py").write_text(HELPED)
    timeout_s = 2 if how == "it takes too long" else 600
    program = subprocess.Popen(
        [sys.executable, "program.py", str(timeout_s)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    started: list[int] = []
    for _ in range(1 + (how == "it is killed")):  # which is tried again
        helpers: list[int] = []
        while len(helpers) < 4:
            written = os.read(program.stdout.fileno(), 1000)
            assert written
            helpers += map(int, written.split())
        started += helpers
        if how == "it is killed":
            for worker in {parent_of(pid) for pid in helpers}:
                os.kill(worker, signal.SIGKILL)
    if how == "its parent is killed":
        program.kill()
    told = program.communicate(timeout=60)[0]  # all of it: nobody holds the pipe any more
    if how != "its parent is killed":
        assert told.count("Tried twice") == 2
    wait_until(lambda: not any(is_running(pid) for pid in started))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"
