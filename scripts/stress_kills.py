"""Kill commands at random moments, repeat each until it is done, and compare with a quiet run.

    python scripts/stress_kills.py exp/stress --kills 200

The commands are prepare, enhance and evaluate. A kill is SIGINT, SIGTERM or SIGKILL to the command, SIGINT to
all of its processes (Ctrl-C on a terminal), or SIGTERM or SIGKILL to one of the others: a worker, or the one
that they are forked from. The moment is drawn over the whole command, its start included. Then nothing of the
command may run on, and the same command must go on to the same files, without leftovers. The quiet run is
`executor=serial`. The separator works in a process of its own, which has to end, too. Needs Linux (`/proc`).
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd
import soundfile

from cadenza_remix.datasets.demo import write_demo

COMMANDS = ("prepare", "enhance", "evaluate")
TO_PARENT = {"SIGINT", "SIGTERM", "SIGKILL", "Ctrl-C"}
KILLS = (*sorted(TO_PARENT), "worker SIGTERM", "worker SIGKILL")
MARK = "CADENZA_REMIX_STRESS"
PATIENCE_S = 60.0
PYTHON_STARTS_S = 0.1  # until our first line can say what an interruption does
HELPED = """
import multiprocessing
from cadenza_remix.demix.spectral import Spectral

class Helped(Spectral):
    def __call__(self, mixture):
        with multiprocessing.get_context("fork").Pool(1) as pool:
            return pool.apply(Spectral.__call__, (self, mixture))
"""
HELPED_YAML = "defaults: [spectral, _self_]\n_target_: helped.Helped\n"


def main() -> None:
    """Read the arguments, kill, and tell what was found; exit code 1 if anything was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="to work in")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each song")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # A shell in the background has SIGINT ignored, and the commands would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stress = Stress(options.folder.resolve(), random.Random(options.seed))
    stress.make_music(options.seconds)
    stress.run_quietly()
    with suppress(KeyboardInterrupt):  # tell what was done so far
        while sum(stress.kills.values()) < options.kills and "hung" not in stress.defects:
            stress.trial(options.kills)
    kills = ", ".join(f"{count} {how}" for how, count in sorted(stress.kills.items()))
    print(f"{sum(stress.kills.values())} kills ({kills}) in {stress.trials} runs of {', '.join(COMMANDS)}")
    print(f"defects: {dict(stress.defects) or 'none'}")
    sys.exit(bool(stress.defects))


class Stress:
    """What was done, and what was found."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        """Nothing yet."""
        self.folder, self.data, self.run, self.rng = folder, folder / "data", folder / "run", rng
        self.environment = os.environ | {MARK: f"{os.getpid()}"}
        self.seconds: dict[str, float] = {}
        self.expected: dict[str, str] = {}
        self.kills: Counter[str] = Counter()
        self.defects: Counter[str] = Counter()
        self.trials = 0

    def make_music(self, seconds: float) -> None:
        """The demo's dry songs, cut, and the separator."""
        (self.folder / "conf/separator").mkdir(parents=True, exist_ok=True)
        (self.folder / "conf/separator/helped.yaml").write_text(HELPED_YAML, encoding="utf-8")
        (self.folder / "helped.py").write_text(HELPED, encoding="utf-8")
        shutil.rmtree(self.data, ignore_errors=True)
        write_demo(self.data)
        for path in (self.data / "audio/music").rglob("*.wav"):
            frames, sample_rate = soundfile.read(path, dtype="int16")
            soundfile.write(path, frames[: round(seconds * sample_rate)], sample_rate)

    def run_quietly(self) -> None:
        """What must come out, and about how long each command takes."""
        shutil.rmtree(self.run, ignore_errors=True)
        for command in COMMANDS:
            begin_s = time.perf_counter()
            arguments = self.arguments(command, "serial")
            subprocess.run(arguments, cwd=self.folder, check=True, capture_output=True)
            self.seconds[command] = time.perf_counter() - begin_s
        self.expected = self.content()

    def arguments(self, command: str, executor: str = "processes") -> list[str]:
        """A command on the small folder; everything that it writes goes below `run`."""
        return [
            *(sys.executable, "-m", "cadenza_remix", command, "--config-dir", str(self.folder / "conf")),
            *("separator=helped", f"executor={executor}"),
            *(f"path.root={self.data}", f"path.exp_folder={self.run}"),
            *(f"path.output_music_dir={self.run}/music", f"path.output_music_file={self.run}/music.json"),
        ]

    def trial(self, kills: int) -> None:
        """All commands from nothing, killed as often as they do not outlast it."""
        self.trials += 1
        shutil.rmtree(self.run, ignore_errors=True)
        for command in COMMANDS:
            while not self.finishes(command, quietly=sum(self.kills.values()) >= kills):
                pass
        found = self.content()
        for path in sorted(found.keys() | self.expected.keys()):
            if found.get(path) != self.expected.get(path):
                self.note("files", f"{path} is {found.get(path)}, expected {self.expected.get(path)}")

    def finishes(self, command: str, *, quietly: bool) -> bool:
        """Run a command, kill it at some moment unless `quietly`; whether it came to its end."""
        how = "" if quietly else self.rng.choice(KILLS)
        moment_s = self.rng.uniform(PYTHON_STARTS_S, 1.1 * self.seconds[command])
        begin_s = time.perf_counter()
        process = subprocess.Popen(
            self.arguments(command),
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        told, code = self.wait(process, moment_s if how else PATIENCE_S)
        if code == 0:
            self.seconds[command] = time.perf_counter() - begin_s
        if code is None and how:
            self.kills[how] += 1
            self.kill(process, how)
            told, code = self.wait(process, PATIENCE_S)
        if code is None:
            self.note("hung", f"{command} after {how} at {moment_s:.2f} s")
            os.killpg(process.pid, signal.SIGKILL)
            told, code = self.wait(process, PATIENCE_S)
        self.look_for_orphans(f"{command} after {how} at {moment_s:.2f} s")
        stopped = how in TO_PARENT and code in (130, -2, -9, -15)
        if code and not stopped:
            self.note("failed", f"{command} after {how} at {moment_s:.2f} s: exit code {code}: {told}")
        elif (
            "Traceback" in told and how != "SIGKILL"
        ):  # after which a worker that was just being made complains
            self.note("traceback", f"{command} after {how} at {moment_s:.2f} s: {told}")
        return code == 0

    def wait(self, process: "subprocess.Popen[str]", seconds: float) -> tuple[str, int | None]:
        """What it said and its exit code; none while it runs."""
        try:
            return process.communicate(timeout=seconds)[1], process.returncode
        except subprocess.TimeoutExpired:
            return "", None

    def kill(self, process: "subprocess.Popen[str]", how: str) -> None:
        """Send the signal, to another process of the command if `how` says so and there is one."""
        others = [
            pid for pid in self.processes() if pid != process.pid and session(pid) in (pid, process.pid)
        ]
        if how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        elif how.startswith("worker"):
            if others:
                with_signal(self.rng.choice(others), how.split()[1])
        else:
            with_signal(process.pid, how)

    def processes(self) -> list[int]:
        """All processes of the command that runs."""
        mark = f"{MARK}={self.environment[MARK]}".encode()
        return [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if mark in read(folder / "environ").split(b"\0")
            and read(folder / "stat").rpartition(b") ")[2][:1] not in b"ZX"
        ]

    def look_for_orphans(self, where: str) -> None:
        """Everything must end soon after the command."""
        limit_s = time.monotonic() + 20
        while self.processes() and time.monotonic() < limit_s:
            time.sleep(0.05)
        for pid in self.processes():
            self.note("orphans", f"{where}: {read(Path(f'/proc/{pid}/cmdline'))!r}")
            with_signal(pid, "SIGKILL")

    def content(self) -> dict[str, str]:
        """What is in every file of the run, but for seconds, times and the records that hold those."""
        content = {}
        for path in self.run.rglob("*"):
            name = str(path.relative_to(self.run))
            if path.name == "details.csv":
                content[name] = pd.read_csv(path).drop(columns="seconds").to_csv()
            elif path.name == "manifest.json":
                lines = path.read_text(encoding="utf-8").splitlines()
                content[name] = "\n".join(line for line in lines if "executor.workers" not in line)
            elif path.is_file():
                records = {"parts", ".prepared"} & set(path.parts)
                content[name] = "" if records else hashlib.sha256(path.read_bytes()).hexdigest()
        return content

    def note(self, defect: str, told: str) -> None:
        """Count a defect and tell it."""
        self.defects[defect] += 1
        print(f"{defect}: {told}", flush=True)


def session(pid: int) -> int:
    """Whose session a process is in; what a separator started is in its worker's, and its to wait for."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def with_signal(pid: int, name: str) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.Signals[name])


def read(path: Path) -> bytes:
    """A file's content; nothing if its process is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main()
