"""Run the demo on a real Slurm of one node, and compare the result with a serial run, byte for byte.

    python scripts/slurm_demo.py [FOLDER]

Needs root, and Debian's packages slurm-wlm and munge. The daemons live in the folder alone, on free ports,
touch no configuration of the machine's, and are stopped at the end. In turn:

1. one task does everything;
2. an array of four tasks does it (`sbatch --array=0-3`); the first is killed half-way through its song, merge
   tells what is missing, the task is requeued, and merge puts the four together;
3. Hydra's submitit launcher does it (`-m hydra/launcher=submitit_slurm`), if the extra `slurm` is there.

Exits with 2 where Slurm is installed but cannot run even a job that does nothing, or leaves jobs lying.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from cadenza_remix.datasets.challenge import read_pairs
from cadenza_remix.output import enhanced_path
from cadenza_remix.shards import take_songs

TASKS = 4
DAEMONS = ("munged", "slurmctld", "slurmd")
PATIENCE_S = 240
UNABLE = 2  # exit code of a machine whose Slurm runs nothing at all
LIMITER = "limiter=hard_clip"  # the quickest: another stage would show nothing more
LINES = 40  # of each log, when something went wrong
JOB = f"""#!/bin/bash
#SBATCH --array=0-{TASKS - 1} --cpus-per-task=1
export PYTHONFAULTHANDLER=1
for command in enhance evaluate; do
    {sys.executable} -m cadenza_remix $command name=array {LIMITER} \\
        'shard.index=${{oc.env:SLURM_ARRAY_TASK_ID}}' shard.count={TASKS}
done
"""
CONFIGURATION = """
ClusterName=demo
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
KillWait=1
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=debug Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


class SlurmError(Exception):
    """Slurm does not do what it is asked."""


def main() -> None:
    """Run everything; leaves with a message if anything differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="where to work; default: a temporary folder")
    given = parser.parse_args().folder
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the daemons are stopped all the same
    lacking = why_not()
    if lacking:
        sys.exit(f"error: {lacking}")
    if given:
        given.mkdir(parents=True, exist_ok=True)
        compare_all(given.resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare_all(Path(folder))


def why_not() -> str | None:
    """What this machine lacks."""
    absent = [name for name in (*DAEMONS, "sbatch") if not shutil.which(name)]
    if absent:
        return f"{', '.join(absent)} not found; apt-get install slurm-wlm munge."
    return None if os.geteuid() == 0 else "Slurm's daemons are started as root; run this as root."


def compare_all(folder: Path) -> None:
    """Do the three runs and compare them."""
    os.chdir(folder)
    begin_s = time.monotonic()
    for command in ("prepare", "enhance", "evaluate"):
        run(command, "name=serial", LIMITER, "executor=serial")
    print(f"serial: {time.monotonic() - begin_s:.0f} s", flush=True)
    with slurm(folder / "slurm"):
        begin_s = time.monotonic()
        run_array()
        compare("array", time.monotonic() - begin_s)
        if find_spec("submitit"):
            begin_s = time.monotonic()
            for command in ("enhance", "evaluate"):
                shards = (f"shard.index=range(0,{TASKS})", f"shard.count={TASKS}")
                run(command, "-m", *shards, "name=sweep", LIMITER, "hydra/launcher=submitit_slurm")
            run("merge", "name=sweep")
            compare("sweep", time.monotonic() - begin_s)
        else:
            print("sweep: left out, as the extra slurm is not installed")


def run(*arguments: str, expect: int = 0) -> str:
    """Run a command of the project and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "cadenza_remix", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != expect:
        sys.exit(f"{' '.join(arguments)} exits with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """A Slurm of one node, for as long as needed."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    configuration = folder / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    configuration.write_text(
        CONFIGURATION.format(host=host, folder=folder, ports=free_ports(2), cpus=os.cpu_count())
    )
    os.environ["SLURM_CONF"] = str(configuration)
    try:
        start(folder)
        yield
    except SlurmError as error:
        waiting, running = (ask("squeue", "-h", "-t", state, "-o", "%i") for state in ("pending", "running"))
        print(f"{error}\n{account(folder)}", file=sys.stderr)
        sys.exit(UNABLE if waiting and not running else 1)  # our tasks' fault only if they were begun
    finally:
        ask("scancel", "--user=root")  # jobs outlive the daemons
        with suppress(SlurmError):
            wait_until(lambda: not ask("squeue", "-h"), "no job is left")
        for daemon in reversed(DAEMONS):
            stop(folder / f"{daemon}.pid")


def start(folder: Path) -> None:
    """Start the daemons and have them run a job that does nothing."""
    munge = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "seed-file": "munge.seed",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
    }
    options = [f"--{option}={folder / name}" for option, name in munge.items()]
    try:
        order("munged", "--force", *options)  # a temporary folder is closed to others, which it minds
        order("slurmctld", "-f", os.environ["SLURM_CONF"])
        order("slurmd", "-N", "localhost", "-f", os.environ["SLURM_CONF"])
        wait_until(lambda: ask("sinfo", "-h", "-o", "%T") == "idle", "the node is idle")
        nothing = order("sbatch", "--parsable", "--output=nothing.out", "--wrap", "echo done")
        wait_until(lambda: not is_queued(nothing) and Path("nothing.out").is_file(), "a job has done nothing")
    except SlurmError as error:
        print(f"Slurm runs nothing on this machine: {error}\n{account(folder)}", file=sys.stderr)
        sys.exit(UNABLE)


def account(folder: Path) -> str:
    """What Slurm and its jobs say, and where the jobs that still run are."""
    questions = (("sinfo", "-R", "-l"), ("squeue", "-l"), ("scontrol", "show", "job"))
    parts = {" ".join(question): ask(*question) for question in questions}
    for job in set(ask("squeue", "-h", "-t", "running", "-o", "%i").split()):
        ask("scancel", "--signal=ABRT", "--full", job)  # Python tells where each thread is
    time.sleep(2)
    for log in (*sorted(folder.glob("*.log")), *sorted(folder.parent.glob("slurm-*.out"))):
        parts[log.name] = "\n".join(log.read_text(errors="replace").splitlines()[-LINES:])
    return "\n".join(f"--- {title}\n{text}" for title, text in parts.items())


def free_ports(number: int) -> list[int]:
    """Ports that nobody uses."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def stop(pid_file: Path) -> None:
    """End a daemon and wait until it is gone."""
    if pid_file.is_file():
        process = int(pid_file.read_text())
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{process}").exists(), f"{pid_file.stem} has ended")


def run_array() -> None:
    """Run the array, kill its first task half-way, merge what there is, requeue, merge."""
    Path("job.sh").write_text(JOB)
    array = order("sbatch", "--parsable", "job.sh")
    pairs = own_pairs(0)
    signals = [enhanced_path(Path("exp/array"), pair) for pair in pairs]

    def made() -> int:
        return sum(path.is_file() for path in signals)

    wait_until(lambda: made() or not is_queued(array), "the first task has made a signal")
    if not made():
        raise SlurmError("The array has ended without a signal of its first task.")
    order("scancel", "--signal=KILL", "--full", f"{array}_0")
    wait_until(lambda: not is_queued(array), "the array has ended")
    print(f"array: task 0 was killed with {made()} of its {len(signals)} signals made")
    told = run("merge", "name=array", expect=1)
    if f"{len(pairs)} failed" not in told or pairs[0].scene.name not in told:
        sys.exit(f"merge does not name what is missing:\n{told}")
    before = times_of_change(Path("exp/array/enhanced_signals"))
    order("scontrol", "requeue", f"{array}_0")
    order("scontrol", "update", f"JobId={array}_0", "StartTime=now")  # not two minutes later
    wait_until(lambda: Path(f"exp/array/scores_1-{TASKS}.csv").is_file(), "the task has been done again")
    wait_until(lambda: not is_queued(array), "the array has ended")
    run("merge", "name=array")
    after = times_of_change(Path("exp/array/enhanced_signals"))
    touched = {name for name, seen in before.items() if after[name] != seen}
    print(f"array: after it was requeued, {len(after) - len(before)} signals were made, {len(touched)} again")
    if touched - {path.name for path in signals}:
        sys.exit(f"The requeued task made signals of others again: {sorted(touched)}")


def own_pairs(task: int) -> list:
    """The pairs of one task."""
    metadata = Path("exp/demo/metadata")
    files = argparse.Namespace(
        scenes_file=metadata / "scenes.train.json",
        scene_listeners_file=metadata / "scene_listeners.train.json",
        gains_file=metadata / "gains.json",
        listeners_file=metadata / "listeners.train.json",
    )
    return take_songs(read_pairs(files), index=task, count=TASKS)


def compare(name: str, seconds: float) -> None:
    """Leave with a message unless a run's files are those of the serial run."""
    serial, other = Path("exp/serial"), Path("exp") / name
    signals = [path.relative_to(serial) for path in sorted(serial.glob("enhanced_signals/*"))]
    for path in [Path("scores.csv"), *signals]:
        if (serial / path).read_bytes() != (other / path).read_bytes():
            sys.exit(f"{other / path} differs from {serial / path}")
    details = [pd.read_csv(run / "details.csv", dtype=str).drop(columns="seconds") for run in (serial, other)]
    if not details[0].equals(details[1]) or (other / "failures.csv").exists():
        sys.exit(f"The details or failures of {other} differ from those of {serial}")
    print(f"{name}: {seconds:.0f} s; scores.csv, details.csv and {len(signals)} signals as in the serial run")


def times_of_change(folder: Path) -> dict[str, int]:
    """When each file was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.flac")}


def ask(*command: str) -> str:
    """What a command of Slurm's says; nothing if it fails, as while the daemons start."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def order(*command: str) -> str:
    """The same of one that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SlurmError(f"{' '.join(command)} exits with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def is_queued(job: str) -> bool:
    """Whether a job or some of its tasks wait or run."""
    return bool(ask("squeue", "-h", "-j", job, "-o", "%i"))


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Look every now and then; a SlurmError if it takes too long."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline_s:
            raise SlurmError(f"Waited {PATIENCE_S} s in vain until {what}.")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
