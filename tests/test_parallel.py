import os

import pytest

from cadenza_remix.errors import AudioError
from cadenza_remix.parallel import run_all


def work(job: int) -> int:
    if job == 2:
        raise AudioError("The file is 48000 Hz; expected 44100.")
    if job == 3:
        raise ZeroDivisionError("one / zero")
    return job * job


def die(job: int) -> int:
    if job == 0:
        os._exit(9)
    return job


@pytest.mark.parametrize("workers", [1, 2, None])
def test_a_failing_job_costs_only_itself(workers: int | None) -> None:
    results = dict(run_all(work, range(6), workers=workers))
    assert {job: result for job, result in results.items() if job not in (2, 3)} == {0: 0, 1: 1, 4: 16, 5: 25}
    assert results[2] == "The file is 48000 Hz; expected 44100."
    assert results[3] == "ZeroDivisionError: one / zero"


def test_a_killed_worker_is_told_and_does_not_hang() -> None:
    results = dict(run_all(die, range(4), workers=2))
    assert set(results) == {0, 1, 2, 3}
    assert "killed" in str(results[0])


def test_no_jobs_are_done_at_once() -> None:
    assert list(run_all(work, [], workers=None)) == []
