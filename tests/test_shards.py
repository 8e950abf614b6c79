"""A run in shards ends as an undivided one, whatever its tasks do to each other."""

import importlib.util
import json
import multiprocessing
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadenza_remix import ledger, results
from cadenza_remix.errors import MetadataError
from cadenza_remix.jobs import run as jobs_run
from cadenza_remix.results import SCORE_COLUMNS, SEPARATION_COLUMNS
from cadenza_remix.scenes import Pair, Scene
from cadenza_remix.shards import merge_tables, take_share, take_songs
from tests.conftest import Commands
from tests.test_config import one_sentence, run

SLURM_DEMO = Path(__file__).resolve().parent.parent / "scripts/slurm_demo.py"


@given(sizes=st.lists(st.integers(1, 40), max_size=30), count=st.integers(1, 9))
def test_shards_cover_everything_once_and_are_balanced(sizes: list[int], count: int) -> None:
    items = list(range(len(sizes)))
    shares = [take_share(items, sizes, index=index, count=count) for index in range(count)]
    assert sorted(item for share in shares for item in share) == items
    assert all(share == sorted(share) for share in shares)
    loads = [sum(sizes[item] for item in share) for share in shares]
    assert max(loads) - min(loads) <= max(sizes, default=0)


@pytest.fixture
def pairs(listener: object) -> list[Pair]:
    """Three scenes of two songs, for one listener."""
    songs = {"scene_1": "A", "scene_2": "B", "scene_3": "A"}
    return [Pair(Scene(name, song, {"bass": 0.0}), listener) for name, song in songs.items()]  # type: ignore[arg-type]


def test_a_song_is_not_divided(pairs: list[Pair]) -> None:
    shares = [take_songs(pairs, index=index, count=3) for index in range(3)]
    assert [[pair.scene.name for pair in share] for share in shares] == [
        ["scene_1", "scene_3"],
        ["scene_2"],
        [],
    ]


def files_of(exp: Path) -> dict[str, bytes]:
    """What a run leaves, its seconds and what belongs to single shards left out."""
    tables = [exp / f"{table}.csv" for table in ("scores", "separation", "failures")]
    found = {path.name: path.read_bytes() for path in tables if path.exists()}
    found |= {path.name: path.read_bytes() for path in exp.glob("enhanced_signals/*")}
    details = pd.read_csv(exp / "details.csv", dtype=str).drop(columns="seconds")
    return found | {"details": details.to_csv(index=False).encode()}


def test_a_sweep_over_shards_ends_as_an_undivided_run_failures_included(challenge: Path) -> None:
    here = challenge.parent
    next(challenge.glob("audio/at_mic_music/train/Plain*/bass.wav")).write_bytes(b"no music")
    system = (f"path.root={challenge}", "separator=spectral", "keep_stems=true", "limiter=hard_clip")
    ways = {
        "undivided": ("executor=serial",),
        "shards": ("-m", "shard.index=range(0,3)", "shard.count=3"),  # the third has nothing to do
    }
    for name, way in ways.items():
        for command, code in {"enhance": 0, "evaluate": 1}.items():
            done = run(command, *way, *system, f"name={name}", cwd=here)
            assert done.returncode == code, done.stderr
            assert "Traceback" not in done.stderr
    assert not (here / "exp/shards/scores.csv").exists()
    done = run("merge", f"path.root={challenge}", "name=shards", cwd=here)
    assert done.returncode == 1, done.stderr
    assert "merge: 4 of 6 scores in exp/shards/scores.csv" in done.stdout
    undivided = files_of(here / "exp/undivided")
    assert {"scores.csv", "failures.csv", "separation.csv"} < undivided.keys()
    assert len(undivided) == 6 + 3 + 1
    assert files_of(here / "exp/shards") == undivided


def test_a_failing_shard_makes_the_sweep_fail_and_leaves_the_others_alone(challenge: Path) -> None:
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    here = challenge.parent
    shutil.rmtree(next(challenge.glob("audio/at_mic_music/train/Anna*")))
    arguments = (
        f"path.root={challenge}",
        "separator=none",
        "limiter=hard_clip",
        "hydra/launcher=submitit_local",
    )
    done = run("enhance", "-m", *arguments, "shard.index=range(0,2)", "shard.count=2", cwd=here)
    assert done.returncode == 1
    assert "'shard.index=0', 'shard.count=2'" in done.stderr  # Hydra names the job
    assert done.stderr.splitlines()[-1].startswith("error: Some of that job's work failed;")
    assert "Traceback" not in done.stderr
    assert len(list((here / "exp/none/enhanced_signals").iterdir())) == 2
    assert len(pd.read_csv(here / "exp/none/failures_1-2.csv")) == 4
    assert not (here / "exp/none/failures_2-2.csv").exists()


def test_a_killed_task_of_a_sweep_is_told_in_one_sentence(challenge: Path) -> None:
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    here = challenge.parent
    (here / "my_system.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    (here / "my_conf/separator").mkdir(parents=True)
    (here / "my_conf/separator/mine.yaml").write_text("_target_: my_system.Mine\n")
    arguments = ("-m", "--config-dir", "my_conf", f"path.root={challenge}", "separator=mine")
    done = run("enhance", *arguments, "hydra/launcher=submitit_local", cwd=here)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    told = done.stderr.splitlines()[-1]
    assert "_0_result.pkl has not produced any output" in told
    assert told.endswith("; the same command continues.")


def test_shards_that_begin_together_make_the_demo_once_and_list_all_of_it(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "cadenza_remix", "prepare", "executor=serial", "shard.count=2"]
    begun = [
        subprocess.Popen([*program, f"shard.index={index}"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for index in range(2)
    ]
    told = [task.communicate(timeout=300)[0] for task in begun]
    assert [task.returncode for task in begun] == [0, 0]
    assert sorted("synthesising" in text for text in told) == [False, True]
    assert ["2 songs made" in told[0], "1 songs made" in told[1]] == [True, True]
    listed = json.loads((tmp_path / "exp/demo/metadata/at_mic_music.train.json").read_text())
    assert len(listed) == 3
    assert all(
        (tmp_path / "exp/demo/audio/at_mic_music" / song["Path"] / "mixture.wav").is_file()
        for song in listed.values()
    )


def claim(folder: Path, name: str) -> None:
    ledger.claim(folder, name, {"key": name}, overwrite=False)


def test_commands_that_claim_a_folder_together_are_all_written_down(tmp_path: Path) -> None:
    commands = [f"command_{number}" for number in range(16)]
    with ProcessPoolExecutor(8, multiprocessing.get_context("forkserver")) as pool:
        list(pool.map(claim, [tmp_path] * len(commands), commands))
    assert {name: ledger.claimed(tmp_path, name)["key"] for name in commands} == {c: c for c in commands}


def fail(folder: Path, name: str) -> None:
    results.write_failures(folder, name, [{"song": "A", "cause": name}])


def test_commands_that_fail_together_are_all_listed(tmp_path: Path) -> None:
    commands = [f"command_{number}" for number in range(16)]
    with ProcessPoolExecutor(8, multiprocessing.get_context("forkserver")) as pool:
        list(pool.map(fail, [tmp_path] * len(commands), commands))
    assert sorted(results.read_failures(tmp_path)["command"]) == sorted(commands)
    assert [path.name for path in tmp_path.iterdir()] == ["failures.csv"]


def test_an_undivided_run_takes_the_place_of_the_tasks(challenge: Path, commands: Commands) -> None:
    (bass,) = challenge.glob("audio/at_mic_music/train/Plain*/bass.wav")
    as_it_was = bass.read_bytes()
    bass.write_bytes(b"no music")
    for shard in (("shard.index=0", "shard.count=2"), ("shard.index=1", "shard.count=2")):
        fails = int(shard[0] == "shard.index=1")
        commands("enhance", expect=fails, more=("stems=true", "limiter=hard_clip", *shard))
        commands("evaluate", expect=fails, more=("stems=true", "keep_stems=true", *shard))
    folder = challenge.parent / "exp/stems_true"
    assert (folder / "failures_2-2.csv").exists()
    bass.write_bytes(as_it_was)
    commands("enhance", "evaluate", more=("stems=true", "limiter=hard_clip"))
    assert sorted(path.name for path in folder.glob("*.csv")) == ["details.csv", "scores.csv"]
    assert "holds no tables of shards" in commands("merge", expect=1, more=("stems=true",))


def test_what_other_tasks_made_with_other_settings_is_neither_scored_nor_merged(
    challenge: Path, commands: Commands
) -> None:
    first, second = (("name=run", f"shard.index={index}", "shard.count=2") for index in (0, 1))
    for shard in (first, second):
        commands("enhance", "evaluate", more=("stems=true", "limiter=hard_clip", *shard))
    other = ("separator=none", "limiter=hard_clip")
    commands("enhance", more=(*other, *first, "overwrite=true"))
    commands("evaluate", more=(*other, *first))
    told = commands("merge", expect=1, more=(*other, "name=run"))
    assert "scores_2-2.csv is missing; repeat that task" in told
    assert "to be made again, which enhance has not done" in commands(
        "evaluate", expect=1, more=(*other, *second)
    )
    commands("enhance", more=(*other, *second, "overwrite=true"))
    commands("evaluate", more=(*other, *second))
    commands("merge", more=(*other, "name=run"))  # the second task left alone what the first had done
    assert len(results.read_rows(challenge.parent / "exp/run/scores.csv", SCORE_COLUMNS)) == 6


def test_scores_of_another_metric_are_not_merged(challenge: Path, commands: Commands) -> None:
    task = ("separator=none", "shard.index=0", "shard.count=2")
    commands("evaluate", expect=1, more=task)  # nothing is enhanced
    theirs = challenge.parent / "exp/none/scores_2-2.csv"
    write_table(theirs)
    commands("evaluate", expect=1, more=(*task, "overwrite=true"))
    assert theirs.exists()
    commands("evaluate", expect=1, more=(*task, "HAAQI_sample_rate=32000"))
    assert theirs.exists()
    commands("evaluate", expect=1, more=(*task, "HAAQI_sample_rate=32000", "overwrite=true"))
    assert not theirs.exists()


def test_a_change_of_settings_by_another_task_just_now_is_seen(
    challenge: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ("separator=none", "limiter=hard_clip", "shard.index=0", "shard.count=2", "overwrite=true")
    commands("enhance", more=task)
    theirs = challenge.parent / "exp/none/scores_2-2.csv"
    write_table(theirs)

    def meanwhile(folder: Path) -> None:
        ledger.claim(folder, "enhance", {"limiter": "another"}, overwrite=True)

    monkeypatch.setattr(jobs_run, "remove_leftovers", meanwhile)
    commands("enhance", more=task)
    assert not theirs.exists()


def write_table(path: Path, *rows: str) -> None:
    path.write_text("\n".join([",".join(SCORE_COLUMNS), *rows, ""]))


def test_tables_of_the_reference_recipe_are_merged_in_the_order_of_the_list(
    tmp_path: Path, pairs: list[Pair]
) -> None:
    # Every second pair to each of two batches; no details.
    write_table(
        tmp_path / "scores_1-2.csv", "scene_1,A,L0001,0.1,0.30000000000000004,0.2", "scene_3,A,L0001,0,1,0.5"
    )
    write_table(tmp_path / "scores_2-2.csv", "scene_2,B,L0001,0.25,0.75,0.5")
    merged = merge_tables(tmp_path, pairs)
    assert (merged.scored, merged.repeated, merged.failures) == (3, [], [])
    assert (tmp_path / "scores.csv").read_text().splitlines() == [
        ",".join(SCORE_COLUMNS),
        "scene_1,A,L0001,0.1,0.30000000000000004,0.2",
        "scene_2,B,L0001,0.25,0.75,0.5",
        "scene_3,A,L0001,0,1,0.5",
    ]
    assert not (tmp_path / "failures.csv").exists()


def test_what_no_table_has_is_named_until_it_is_there(tmp_path: Path, pairs: list[Pair]) -> None:
    write_table(tmp_path / "scores_1-2.csv", "scene_1,A,L0001,0.1,0.3,0.2", "scene_3,A,L0001,0.1,0.")
    (tmp_path / "failures.csv").write_text("command,scene,song,listener,cause\nenhance,scene_2,B,L0001,why\n")
    merged = merge_tables(tmp_path, pairs)
    assert merged.scored == 1
    failures = pd.read_csv(tmp_path / "failures.csv")
    assert failures[["command", "scene"]].values.tolist() == [
        ["enhance", "scene_2"],
        ["merge", "scene_2"],
        ["merge", "scene_3"],
    ]
    assert failures["cause"].tolist()[1:] == [
        "scores_2-2.csv is missing; repeat that task (shard.index=1), then merge again.",
        "Its scores are 0.1, 0., nothing, not numbers.",
    ]
    write_table(tmp_path / "scores_1-2.csv", "scene_1,A,L0001,0.1,0.3,0.2", "scene_3,A,L0001,0.1,0.3,0.2")
    write_table(tmp_path / "scores_2-2.csv", "scene_2,B,L0001,0.1,0.3,0.2")
    assert merge_tables(tmp_path, pairs).failures == []
    assert not (tmp_path / "failures.csv").exists()


def test_a_pair_that_stands_twice_is_told_and_refused_if_the_scores_differ(
    tmp_path: Path, pairs: list[Pair]
) -> None:
    write_table(
        tmp_path / "scores_1-1.csv", *(f"{p.scene.name},{p.scene.song},L0001,0.1,0.3,0.2" for p in pairs)
    )
    write_table(tmp_path / "scores_1-2.csv", "scene_2,B,L0001,0.1,0.3,0.2")
    assert merge_tables(tmp_path, pairs).repeated == ["scene_2 for L0001"]
    write_table(tmp_path / "scores_1-2.csv", "scene_2,B,L0001,0.1,0.31,0.205")
    with pytest.raises(MetadataError, match=r"^scene_2 for L0001 has the scores .*scores_1-2.csv; remove"):
        merge_tables(tmp_path, pairs)
    write_table(tmp_path / "scores_1-2.csv")
    (tmp_path / "failures_1-2.csv").write_text(
        "command,scene,song,listener,cause\nevaluate,scene_2,B,L0001,why\n"
    )
    with pytest.raises(MetadataError, match=r"^scene_2 for L0001 failed according to .*failures_1-2.csv"):
        merge_tables(tmp_path, pairs)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is not a readable table"),
        ("scene,song,listener\n", "lacks the columns"),
        (f"{','.join(SCORE_COLUMNS)}\nscene_9,A,L0001,0,0,0", r"scene_9 for L0001 \(A\), which is not in"),
        (f"{','.join(SCORE_COLUMNS)}\nscene_1,B,L0001,0,0,0", r"scene_1 for L0001 \(B\), which is not in"),
    ],
)
def test_what_is_no_table_of_the_run_is_refused(
    tmp_path: Path, pairs: list[Pair], content: str, told: str
) -> None:
    (tmp_path / "scores_1-2.csv").write_text(content)
    with pytest.raises(MetadataError, match=told):
        merge_tables(tmp_path, pairs)
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize(
    ("table", "content", "told"),
    [
        ("failures", "command,scene,song,listener,cause\nmelt,scene_1,A,L0001,why\n", "a failure of 'melt'"),
        (
            "separation",
            f"{','.join(SEPARATION_COLUMNS)}\nZ,vocals,1,2,3\n",
            "has the song 'Z', which is not in",
        ),
    ],
)
def test_rows_of_another_run_are_refused(
    tmp_path: Path, pairs: list[Pair], table: str, content: str, told: str
) -> None:
    (tmp_path / "scores_1-2.csv").write_text(f"{','.join(SCORE_COLUMNS)}\nscene_1,A,L0001,0,0,0\n")
    (tmp_path / f"{table}_1-2.csv").write_text(content)
    with pytest.raises(MetadataError, match=told):
        merge_tables(tmp_path, pairs)


def test_without_tables_there_is_nothing_to_merge(challenge: Path) -> None:
    told = one_sentence(run("merge", f"path.root={challenge}", "name=x", cwd=challenge.parent))
    assert "exp/x holds no tables of shards, such as scores_1-4.csv; run evaluate with shard.index" in told


def test_the_demo_on_a_real_slurm(tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("slurm_demo", SLURM_DEMO)
    assert specification and specification.loader
    slurm_demo = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(slurm_demo)
    lacking = slurm_demo.why_not()
    if lacking:
        pytest.skip(f"no Slurm here: {lacking}")
    done = subprocess.run(
        [sys.executable, str(SLURM_DEMO), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    if done.returncode == slurm_demo.UNABLE:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "array: task 0 was killed" in done.stdout
    assert done.stdout.count("as in the serial run") == 1 + bool(importlib.util.find_spec("submitit"))
    left = [pid for pid in tmp_path.glob("slurm/*.pid") if Path(f"/proc/{pid.read_text().strip()}").exists()]
    assert left == []
