"""The real commands, on a tiny challenge folder and on the demo."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr

from cadenza_remix.jobs import separation
from tests.conftest import SAMPLE_RATE, SOURCES, Commands, edit_metadata, music, watched, write_wav
from tests.test_config import one_sentence, run

SCORE_COLUMNS = ["scene", "song", "listener", "left_score", "right_score", "score"]


def song_folder(challenge: Path, start: str) -> Path:
    return next((challenge / "audio/at_mic_music/train").glob(f"{start}*"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, run once as the README says."""
    folder = tmp_path_factory.mktemp("somewhere")
    result = run(cwd=folder, env=watched(folder))
    assert result.returncode == 0, result.stdout + result.stderr
    assert str(Path("exp/demo")) in result.stdout.splitlines()[-1]
    return folder / "exp/demo"


def test_the_demo_leaves_everything_it_promises(finished: Path) -> None:
    scores = pd.read_csv(finished / "scores.csv")
    assert list(scores.columns) == SCORE_COLUMNS
    listed = json.loads((finished / "metadata/scene_listeners.train.json").read_text())
    wanted = [(scene, listener) for scene, people in listed.items() for listener in people]
    assert list(zip(scores["scene"], scores["listener"], strict=True)) == wanted
    assert scores["score"].between(0.05, 1).all()
    np.testing.assert_allclose(scores["score"], (scores["left_score"] + scores["right_score"]) / 2)
    details = pd.read_csv(finished / "details.csv")
    assert {"status", "clipped_percent", "seconds"} <= set(details.columns)
    assert (details["status"] == "ok").all()
    summary = pd.read_csv(finished / "summary.csv")
    assert summary.loc[0, "score"] == pytest.approx(scores["score"].mean())
    assert not (finished / "failures.csv").exists()
    assert {"prepare", "enhance", "evaluate"} - set(json.loads((finished / "manifest.json").read_text())) == {
        "prepare"
    }
    for scene, listener in wanted:
        info = soundfile.info(finished / "enhanced_signals" / f"{scene}_{listener}_remix.flac")
        assert (info.samplerate, info.channels, info.subtype) == (32000, 2, "PCM_16")


def test_the_demo_uses_no_network_and_leaves_no_temporary_file(finished: Path) -> None:
    folder = finished.parent.parent
    assert not (folder / "network").exists(), (folder / "network").read_text()
    assert list((folder / "temporary").iterdir()) == []
    assert {path.name for path in folder.iterdir()} == {"exp", "site", "temporary"}
    assert not [path for path in folder.rglob("*") if path.suffix in (".part", ".tmp")]


def test_a_second_run_does_nothing_and_changes_nothing(finished: Path) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        files = [p for p in finished.rglob("*") if p.suffix in (".flac", ".wav")] + [finished / "scores.csv"]
        return {str(p): (p.stat().st_mtime_ns if p.suffix != ".csv" else 0, p.read_bytes()) for p in files}

    before = state()
    result = run(cwd=finished.parent.parent)
    assert result.returncode == 0
    assert "0 songs made" in result.stdout
    assert state() == before


def test_the_true_stems_are_the_ceiling(finished: Path) -> None:
    demo = pd.read_csv(finished / "scores.csv").iloc[0]
    scores = {"demo": demo["score"]}
    for name in ("oracle", "do_nothing"):
        for command in ("enhance", "evaluate"):
            result = run(
                command, f"experiment={name}", "evaluate.small_test=true", cwd=finished.parent.parent
            )
            assert result.returncode == 0, result.stderr
        (row,) = pd.read_csv(finished.parent / name / "scores.csv").itertuples()
        assert (row.scene, row.listener) == (demo["scene"], demo["listener"])
        scores[name] = row.score
    assert max(scores["do_nothing"], scores["demo"]) < scores["oracle"]


def test_true_stems_score_as_stems_from_a_folder(challenge: Path, commands: Commands) -> None:
    commands("enhance", more=("stems=true", "name=oracle"))
    stems = challenge / "audio/at_mic_music/train"
    commands("enhance", more=(f"stems={stems}", "name=folder"))
    signals = sorted((challenge.parent / "exp/oracle/enhanced_signals").iterdir())
    assert len(signals) == 6
    for signal in signals:
        assert (
            signal.read_bytes()
            == (challenge.parent / "exp/folder/enhanced_signals" / signal.name).read_bytes()
        )


def test_kept_stems_give_the_same_signals(challenge: Path, commands: Commands) -> None:
    commands("enhance", more=("separator=spectral", "keep_stems=true", "name=first"))
    stems = challenge.parent / "exp/first/stems"
    commands("enhance", more=(f"stems={stems}", "name=again"))
    for signal in (challenge.parent / "exp/first/enhanced_signals").iterdir():
        assert (
            signal.read_bytes()
            == (challenge.parent / "exp/again/enhanced_signals" / signal.name).read_bytes()
        )


def test_workers_and_threads_change_no_byte(challenge: Path, commands: Commands) -> None:
    for name, executor in {"one": (), "two": ("executor.workers=2", "executor.threads=2")}.items():
        commands("enhance", "evaluate", more=("separator=spectral", f"name={name}", *executor))
    one, two = challenge.parent / "exp/one", challenge.parent / "exp/two"
    assert (one / "scores.csv").read_bytes() == (two / "scores.csv").read_bytes()
    for signal in (one / "enhanced_signals").iterdir():
        assert signal.read_bytes() == (two / "enhanced_signals" / signal.name).read_bytes()


def test_a_network_gives_the_same_in_every_process_and_its_weights_are_recorded(
    challenge: Path, commands: Commands, openunmix_weights: Path
) -> None:
    network = ("separator=openunmix", f"separator.weights={openunmix_weights}")
    for name, executor in {"one": (), "two": ("executor.workers=2",)}.items():
        commands("enhance", more=(*network, f"name={name}", *executor))
    one, two = challenge.parent / "exp/one", challenge.parent / "exp/two"
    for signal in (one / "enhanced_signals").iterdir():
        assert signal.read_bytes() == (two / "enhanced_signals" / signal.name).read_bytes()
    written = json.loads((one / "manifest.json").read_text())
    manifest, config = written["enhance"], written["provenance"]["enhance"]["config"]
    contents = [(openunmix_weights / f"{source}.pth").read_bytes() for source in SOURCES]
    assert manifest["separator.weights"] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert manifest["separator.training_data"] == "MUSDB18-HQ train"
    assert config["separator.licence"].startswith("MIT; ")
    assert config["separator.source_url"] == "https://zenodo.org/records/3370489"
    # Neither the device nor the threads make other results; other weights do.
    elsewhere = ("device=cpu", "executor.threads=2", "separator.batch_size=2")
    commands("enhance", more=(*network, "name=one", *elsewhere))
    other = challenge.parent / "other"
    shutil.copytree(openunmix_weights, other, ignore=lambda *_: ["hdemucs.pt"])
    shutil.copy(other / "bass.pth", other / "drums.pth")
    result = run(
        "enhance",
        f"path.root={challenge}",
        network[0],
        f"separator.weights={other}",
        "name=one",
        cwd=one.parent.parent,
    )
    assert "separator.weights was" in one_sentence(result)


def test_the_baseline_fades_out_a_short_track(
    challenge: Path, commands: Commands, hdemucs_weights: Path
) -> None:
    weights = f"separator.weights={hdemucs_weights}"
    for name in ("icassp2024", "icassp2024_baseline"):
        commands("enhance", more=(f"experiment={name}", weights, "evaluate.small_test=true"))
    folder = challenge.parent / "exp"
    (signal,) = (folder / "icassp2024/enhanced_signals").iterdir()
    clean, baseline = (
        soundfile.read(folder / name / "enhanced_signals" / signal.name)[0]
        for name in ("icassp2024", "icassp2024_baseline")
    )
    # The last 10 ms hold what the filter delays by 2.5 ms: the last eighth of a fade of 100 ms.
    last = slice(3 * 32000 - 320, 3 * 32000)
    assert np.abs(baseline[last]).max() < np.abs(clean[last]).max() / 8
    manifests = (
        json.loads((folder / name / "manifest.json").read_text())
        for name in ("icassp2024", "icassp2024_baseline")
    )
    assert [manifest["enhance"]["truncate"] for manifest in manifests] == [False, True]


def test_a_run_without_network_and_closed_loop_does_not_wait_for_pytorch(
    challenge: Path, tmp_path: Path
) -> None:
    arguments = [
        "x",
        "enhance",
        f"path.root={challenge}",
        "experiment=demo",
        "executor=serial",
        "limiter=scale",
    ]
    program = f"import sys; sys.argv = {arguments!r}; from cadenza_remix.__main__ import main; main()\n"
    program += "assert 'numpy' in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)


def test_a_network_without_weights_is_one_sentence(challenge: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TORCH_HOME": str(tmp_path / "torch"),
    }
    told = one_sentence(
        run("enhance", f"path.root={challenge}", "experiment=icassp2024", cwd=tmp_path, env=environment)
    )
    assert "fetch https://download.pytorch.org/torchaudio/models/hdemucs_high_musdbhq_only.pt" in told
    assert f"into {tmp_path / 'cache/cadenza_remix'}" in told


def test_one_bad_song_is_listed_and_the_rest_is_done(challenge: Path, commands: Commands) -> None:
    (song_folder(challenge, "Plain") / "mixture.wav").unlink()
    told = commands("enhance", "evaluate", expect=1)
    assert "mixture.wav is missing" in told
    assert "2 failed" in told
    folder = challenge.parent / "exp/none"
    failures = pd.read_csv(folder / "failures.csv")
    assert list(failures.columns) == ["command", "scene", "song", "listener", "cause"]
    assert list(failures["scene"]) == ["scene_10002"] * 4
    scores = pd.read_csv(folder / "scores.csv")
    assert list(scores["scene"]) == ["scene_10001"] * 2 + ["scene_10003"] * 2
    assert "missing: scene_10002 for L0001" in commands("report", expect=1)

    stems = music(1)
    write_wav(song_folder(challenge, "Plain") / "mixture.wav", np.sum(list(stems.values()), axis=0))
    commands("enhance", "evaluate", "report")
    assert len(pd.read_csv(folder / "scores.csv")) == 6
    assert not (folder / "failures.csv").exists()


@pytest.mark.parametrize(
    ("signal", "sample_rate", "told"),
    [
        (music(1)["vocals"][:1], SAMPLE_RATE, "has 1 channel(s); expected 2"),
        (music(1)["vocals"], 48000, "is 48000 Hz; expected 44100 Hz"),
        (music(1)["vocals"][:, :0], SAMPLE_RATE, "holds no samples"),
        (music(1)["vocals"][:, :-1], SAMPLE_RATE, "equally long"),
        (np.full((2, 3 * SAMPLE_RATE), np.nan, dtype=np.float32), SAMPLE_RATE, "NaN or infinity"),
    ],
)
def test_a_bad_stem_is_named(
    challenge: Path, signal: np.ndarray, sample_rate: int, told: str, commands: Commands
) -> None:
    write_wav(song_folder(challenge, "Plain") / "vocals.wav", signal, sample_rate, subtype="FLOAT")
    assert told in commands("enhance", expect=1, more=("stems=true",))


def test_a_silent_song_does_not_become_nan(challenge: Path, commands: Commands) -> None:
    for file in song_folder(challenge, "Plain").iterdir():
        write_wav(file, np.zeros((2, 3 * SAMPLE_RATE), dtype=np.float32))
    commands("enhance")
    told = commands("evaluate", expect=1)
    assert "silent in one ear, so no quality is defined" in told
    assert len(pd.read_csv(challenge.parent / "exp/none/scores.csv")) == 4


def test_odd_submissions_are_flagged_or_refused(challenge: Path, commands: Commands) -> None:
    commands("enhance", "evaluate")
    folder = challenge.parent / "exp/none"
    before = pd.read_csv(folder / "scores.csv").set_index(["scene", "listener"])["score"]
    signal = folder / "enhanced_signals"
    read = {p.name[:-11]: soundfile.read(p)[0] for p in signal.iterdir()}
    soundfile.write(signal / "scene_10001_L0001_remix.flac", read["scene_10001_L0001"], 32000, format="FLAC")
    soundfile.write(
        signal / "scene_10001_L0002_remix.flac", soxr.resample(read["scene_10001_L0002"], 32000, 44100), 44100
    )
    soundfile.write(signal / "scene_10002_L0001_remix.flac", 0 * read["scene_10002_L0001"], 32000)
    soundfile.write(signal / "scene_10002_L0002_remix.flac", read["scene_10002_L0002"][:40000], 32000)
    soundfile.write(signal / "scene_10003_L0001_remix.flac", read["scene_10003_L0001"][:, 0], 32000)
    damaged = signal / "scene_10003_L0002_remix.flac"
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    told = commands("evaluate", expect=1)

    after = pd.read_csv(folder / "scores.csv").set_index(["scene", "listener"])["score"]
    status = pd.read_csv(folder / "details.csv").set_index(["scene", "listener"])["status"]
    assert after["scene_10001", "L0001"] == before["scene_10001", "L0001"]
    assert after["scene_10001", "L0002"] == pytest.approx(before["scene_10001", "L0002"], abs=0.02)
    assert status["scene_10001", "L0002"] == "44100 Hz instead of 32000 Hz"
    assert status["scene_10002", "L0001"] == "silent ear"
    assert list(after.index) == [("scene_10001", "L0001"), ("scene_10001", "L0002"), ("scene_10002", "L0001")]
    causes = pd.read_csv(folder / "failures.csv")["cause"]
    assert "lasts 1.250 s; expected 3.000 s" in causes[0]
    assert "has 1 channel(s)" in causes[1]
    assert "cut off" in causes[2] or "cannot be decoded" in causes[2]
    assert "3 failed" in told


def test_another_configuration_is_not_mixed_into_a_folder(challenge: Path, commands: Commands) -> None:
    commands("enhance", more=("separator=none", "limiter=scale"))
    result = run("enhance", f"path.root={challenge}", "separator=none", "limiter=tanh", cwd=challenge.parent)
    assert "(limiter was scale, now tanh); choose another name=" in one_sentence(result)
    signal = challenge.parent / "exp/none/enhanced_signals/scene_10001_L0002_remix.flac"
    before = signal.read_bytes()
    commands("enhance", more=("separator=none", "limiter=tanh", "overwrite=true"))
    assert signal.read_bytes() != before
    few = ("separator=none", "evaluate.small_test=true")
    assert " was made with " not in commands("evaluate", more=few)
    told = commands("evaluate", more=(*few, "limiter=hard_clip", "amplifier=nalr", "correction=[residual]"))
    assert "exp/none was made with limiter=tanh; limiter=hard_clip is for enhance" in told
    assert "exp/none was made with correction=null; correction=[residual] is for enhance" in told
    assert "amplifier" not in told


def test_variants_in_a_sweep_are_told_to_have_names_and_how(challenge: Path, commands: Commands) -> None:
    few = ("separator=none", "evaluate.small_test=true")
    commands("enhance", more=(*few, "closed_loop.steps=1"))
    sweep = (*few, "limiter=tanh,hard_clip", "-m")
    told = commands("enhance", expect=1, more=sweep)
    (name,) = set(re.findall("Of a sweep, each variant wants its own, such as '(name=.*)'", told))
    commands("enhance", more=(*sweep, name))
    for limiter in ("tanh", "hard_clip"):
        assert (challenge.parent / f"exp/none_{limiter}/enhanced_signals").is_dir()
    told = commands("enhance", expect=1, more=(*few, "limiter=tanh", "nalr.nfir=200,220", "-m", "name=mine"))
    assert "such as 'name=mine_${amplifier.nfir}'" in told


def test_a_correction_may_have_any_name_and_the_order_counts(challenge: Path, commands: Commands) -> None:
    (challenge.parent / "my_conf/correction").mkdir(parents=True)
    (challenge.parent / "my_conf/correction/in_order.yaml").write_text(
        "in_order: {_target_: cadenza_remix.demix.correction.Residual, into: other, ratio: 0.5}"
    )
    mine = ("separator=none", "limiter=hard_clip", "--config-dir", "my_conf")
    commands("enhance", more=(*mine, "correction=[in_order,consistency]"))
    told = commands("enhance", expect=1, more=(*mine, "correction=[consistency,in_order]"))
    assert "correction was [in_order,consistency], now [consistency,in_order]" in told


def test_changed_input_is_done_again(challenge: Path, commands: Commands) -> None:
    commands("enhance")
    folder = challenge.parent / "exp/none/enhanced_signals"
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    edit_metadata(challenge, "listeners.train", lambda c: c["L0002"].update(audiogram_levels_l=[60] * 8))
    commands("enhance")
    after = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {
        f"scene_1000{n}_L0002_remix.flac" for n in (1, 2, 3)
    }


def test_a_folder_that_cannot_be_written_is_one_sentence(challenge: Path) -> None:
    (challenge.parent / "exp").write_text("a file, not a folder")
    result = run("enhance", f"path.root={challenge}", "separator=none", cwd=challenge.parent)
    assert "cannot be written" in one_sentence(result)


def test_evaluating_before_enhancing_names_what_is_missing(commands: Commands) -> None:
    told = commands("evaluate", expect=1)
    assert "failed: scene_10001 L0001 and 5 more: The folder exp/none/enhanced_signals is missing" in told
    assert "6 failed" in told


def test_data_made_elsewhere_is_kept(challenge: Path, commands: Commands) -> None:
    # The at-microphone music is there, as for somebody who downloaded it; dry music and heads are added.
    dry = challenge / "audio/music/train"
    for song in (challenge / "audio/at_mic_music/train").iterdir():
        shutil.copytree(song, dry / song.name.removesuffix("-hlp_0001"))
    tracks = [{"Track Name": folder.name, "Split": "train"} for folder in dry.iterdir()]
    (challenge / "metadata/musdb18.train.json").write_text(json.dumps(tracks))
    head = {"subject": "S", "mic": "M", "left_angle": -30, "right_angle": 30}
    (challenge / "metadata/head_loudspeaker_positions.json").write_text(json.dumps({"hlp_0001": head}))
    told = commands("prepare", more=())
    assert "0 songs made, 2 there already" in told
    for key in ("head=sphere", "prepare.loudness=shared"):  # which that music may not be
        told = commands("prepare", expect=1, more=(key,))
        assert "2 failed" in told
        assert "was made elsewhere; expected music made with the head Sphere" in told or "shared: say" in told

    for side in "np":
        write_wav(challenge / f"audio/hrtf/M-S-{side}30.0.wav", np.eye(2, 235, dtype=np.float32))
    shutil.rmtree(song_folder(challenge, "Plain"))
    told = commands("prepare", more=())
    assert "1 songs made, 1 there already" in told
    assert len(list(song_folder(challenge, "Plain").iterdir())) == 5


def test_the_wheel_brings_its_configuration_and_templates(tmp_path: Path) -> None:
    repository = Path(__file__).resolve().parent.parent
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    build = [sys.executable, "-m", "pip", "wheel", *offline, "-w", str(tmp_path), str(repository)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    site = tmp_path / "site"
    shutil.unpack_archive(next(tmp_path.glob("*.whl")), site, "zip")
    assert not (site / "conf").exists()
    assert (site / "cadenza_remix/reporting/templates/report.html").is_file()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    program = f"import sys; sys.path.insert(0, {str(site)!r}); sys.argv = ['x', 'enhance', '--help']\n"
    program += "import cadenza_remix.__main__ as m; m.main(); print(m.__file__)"
    result = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert "spectral" in result.stdout
    assert result.stdout.strip().endswith("site/cadenza_remix/__main__.py")


def test_several_runs_evaluated_together_score_as_each_alone(challenge: Path, commands: Commands) -> None:
    for name, limiter in {"a": "hard_clip", "b": "tanh"}.items():
        commands("enhance", "evaluate", more=("separator=none", f"limiter={limiter}", f"name={name}"))
    folders = [challenge.parent / "exp/a", challenge.parent / "exp/b"]
    alone = [(folder / "scores.csv").read_bytes() for folder in folders]
    assert alone[0] != alone[1]
    (folders[1] / "enhanced_signals/scene_10001_L0001_remix.flac").unlink()
    told = commands("evaluate", expect=1, more=("runs=[exp/a,exp/b]", "overwrite=true"))
    assert "6 of 6 scores in exp/a" in told
    assert "5 of 6 scores in exp/b" in told
    assert (folders[0] / "scores.csv").read_bytes() == alone[0]
    assert (folders[1] / "scores.csv").read_text().splitlines()[1:] == alone[1].decode().splitlines()[2:]
    assert "6 of 6 pairs scored" in commands("report", expect=1, more=("runs=[exp/a,exp/b]",))


def test_dry_music_of_another_split_is_not_enough(challenge: Path) -> None:
    (challenge / "audio/music/train/Song").mkdir(parents=True)
    tracks = [{"Track Name": "Song", "Split": "valid"}]
    (challenge / "metadata/musdb18.valid.json").write_text(json.dumps(tracks))
    told = one_sentence(run("prepare", f"path.root={challenge}", "split=valid", cwd=challenge.parent))
    assert "There is no dry music for split=valid" in told
    assert "audio/music/valid/Song missing" in told


def test_a_challenge_is_made_from_dry_music_and_listeners_alone(challenge: Path, commands: Commands) -> None:
    """Lists drawn, a head computed, and stems that sum to the mixture at the microphones."""
    dry = challenge / "audio/music/train"
    for song in (challenge / "audio/at_mic_music/train").iterdir():
        shutil.copytree(song, dry / song.name.removesuffix("-hlp_0001"))
    shutil.rmtree(challenge / "audio/at_mic_music")
    for file in (challenge / "metadata").iterdir():
        if not file.name.startswith("listeners"):
            file.unlink()
    tracks = [{"Track Name": folder.name, "Split": "train"} for folder in sorted(dry.iterdir())]
    (challenge / "metadata/musdb18.train.json").write_text(json.dumps(tracks))
    drawn = ("prepare.scenes_per_song=2", "prepare.listeners_per_scene=1")
    shared = ("head=sphere", "prepare.loudness=shared", *drawn)
    told = commands("prepare", more=shared)
    assert "4 songs made" in told
    songs = sorted((challenge / "audio/at_mic_music/train").iterdir())
    assert len(songs) == 4

    def error_of_sum(song: Path) -> int:
        steps = {path.stem: soundfile.read(path, dtype="int16")[0].astype(int) for path in song.iterdir()}
        mixture = steps.pop("mixture")
        return int(np.abs(sum(steps.values()) - mixture).max())

    assert max(error_of_sum(song) for song in songs) <= 8  # files are rounded, dry and here
    assert "0 songs made, 4 there already" in commands("prepare", more=shared)
    another = run("prepare", f"path.root={challenge}", "prepare.scenes_per_song=3", cwd=challenge.parent)
    assert "differs from the list of 6 scenes" in one_sentence(another)
    assert "4 songs made" in commands("prepare", more=("head=sphere",))
    assert min(error_of_sum(song) for song in songs) > 100
    assert "4 of 4 signals" in commands("enhance")


def test_kept_stems_are_scored(challenge: Path, commands: Commands) -> None:
    commands("enhance", more=("separator=none", "keep_stems=true"))
    assert "separation scores of 2 of 2 songs in exp/none/separation.csv" in commands("evaluate")
    folder = challenge.parent / "exp/none"
    table = pd.read_csv(folder / "separation.csv")
    assert list(table.columns) == ["song", "source", "sdr", "si_sdr", "csdr"]
    assert list(table["source"]) == ["vocals", "drums", "bass", "other"] * 2
    for row in table.itertuples():
        at_mic = challenge / "audio/at_mic_music/train" / str(row.song)
        true, mixture = (soundfile.read(at_mic / f"{name}.wav")[0] for name in (row.source, "mixture"))
        ratio = (np.sum(true**2) + 1e-7) / (np.sum((true - mixture / 4) ** 2) + 1e-7)
        assert row.sdr == pytest.approx(10 * np.log10(ratio), abs=1e-4)
    before = (folder / "separation.csv").read_bytes()
    told = commands("evaluate", "report")
    assert "vocals" in told
    assert f"{table.groupby('source')['sdr'].mean()['bass']:.2f} dB" in told
    assert (folder / "separation.csv").read_bytes() == before

    for path in (folder / "stems" / table["song"][0]).iterdir():
        write_wav(path, soundfile.read(path)[0].T[:, :-1])
    told = commands("evaluate", expect=1)
    assert "the stems have 132299 samples, the mixture 132300; make them from this mixture." in told

    shutil.rmtree(folder / "stems" / table["song"][0])
    told = commands("evaluate", expect=1)
    assert f"failed: {table['song'][0]}: " in told
    assert "The folder exp/none/stems" in told
    assert "1 failed" in told

    shutil.rmtree(folder / "stems")
    commands("evaluate")
    assert not (folder / "separation.csv").exists()


def test_separation_is_scored_again_where_a_score_is_missing(
    challenge: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = (f"stems={challenge / 'audio/at_mic_music/train'}", "name=given", "evaluate.small_test=true")
    with monkeypatch.context() as before_the_update:
        before_the_update.setattr(separation, "SCORES", ("sdr", "si_sdr"))
        before_the_update.setattr(separation, "_score", lambda *_: {"bass": {"sdr": 1.0, "si_sdr": 1.0}})
        commands("evaluate", expect=1, more=few)
    table = challenge.parent / "exp/given/separation.csv"
    assert pd.read_csv(table)["csdr"].isna().all()
    commands("evaluate", expect=1, more=few)
    assert len(pd.read_csv(table)) == 4
    assert pd.read_csv(table)["csdr"].notna().all()


def test_stems_made_elsewhere_are_scored_where_they_were_used(challenge: Path, commands: Commands) -> None:
    stems = challenge / "audio/at_mic_music/train"
    few = "evaluate.small_test=true"
    commands("enhance", "evaluate", more=(f"stems={stems}", "name=perfect", few))
    assert (pd.read_csv(challenge.parent / "exp/perfect/separation.csv")["si_sdr"] == np.inf).all()
    commands("enhance", "evaluate", more=("separator=none", "name=bare", few))
    perfect, bare = (challenge.parent / f"exp/{name}/separation.csv" for name in ("perfect", "bare"))
    assert not bare.exists()
    # What a run used is in its manifest, whatever is said when it is scored.
    before = perfect.read_bytes()
    perfect.unlink()
    commands("evaluate", more=("runs=[exp/perfect,exp/bare]", few))
    assert (perfect.read_bytes(), bare.exists()) == (before, False)
    commands("evaluate", more=("name=perfect", few))
    commands("evaluate", more=("name=bare", f"stems={stems}", few))
    assert (perfect.read_bytes(), bare.exists()) == (before, False)


def test_given_stems_are_scored_as_they_were_corrected(challenge: Path, commands: Commands) -> None:
    stems = f"stems={challenge / 'audio/at_mic_music/train'}"
    corrected = ("correction=residual", "keep_stems=true", "limiter=hard_clip", "evaluate.small_test=true")
    commands("enhance", "evaluate", more=(stems, "name=corrected", *corrected))
    scores = pd.read_csv(challenge.parent / "exp/corrected/separation.csv").set_index("source")
    # They were the true ones; the residual in "other" has the rounding of the files.
    assert np.isinf(scores["si_sdr"]).to_dict() == {name: name != "other" for name in scores.index}
    bare = ("name=bare", corrected[0], *corrected[2:])  # what was remixed lies nowhere
    commands("enhance", "evaluate", more=(stems, *bare))
    assert not (challenge.parent / "exp/bare/separation.csv").exists()


def test_any_number_of_sources_goes_through(challenge: Path, commands: Commands) -> None:
    """Two sources in one song and three in the other, as in the second challenge's training files."""
    for start, count in {"Anna": 2, "Plain": 3}.items():
        song = song_folder(challenge, start)
        for number, name in enumerate(("vocals", "drums", "bass")[:count], 1):
            (song / f"{name}.wav").rename(song / f"source_{number}.wav")
    gains = {
        "2": {"gain_0001": {"source_1": 3, "source_2": -6}},
        "3": {"gain_0007": {"source_1": 0, "source_2": 10, "source_3": -10}},
    }
    (challenge / "metadata/gains.json").write_text(json.dumps(gains))
    edit_metadata(challenge, "scenes.train", lambda c: c["scene_10001"].update(gain="gain_0001"))
    commands("enhance", "evaluate", more=("stems=true",))
    scores = pd.read_csv(challenge.parent / "exp/stems_true/scores.csv")
    assert (len(scores), scores["score"].notna().all()) == (6, True)
    told = commands("enhance", expect=1, more=("separator=none", "keep_stems=true"))
    assert "The scene has gains for ['source_1', 'source_2'], the stems are" in told
    assert not (challenge.parent / "exp/none/stems").exists()  # nothing was separated in vain
    two = "+separator.sources=[source_1,source_2]"  # then only the song of three cannot be done
    assert "2 failed" in commands("enhance", expect=1, more=("separator=none", two, "name=two"))


def test_a_signal_of_other_music_than_there_is_is_not_scored(challenge: Path, commands: Commands) -> None:
    commands("enhance", "evaluate")
    mixture = challenge / "audio/at_mic_music/train/Plain-hlp_0001/mixture.wav"
    as_it_was = mixture.read_bytes()
    mixture.write_bytes(as_it_was[:-1] + bytes([as_it_was[-1] ^ 1]))  # made anew, with another head
    told = commands("evaluate", expect=1)
    assert f"was made from another {mixture} than there is now; run enhance again." in told
    mixture.write_bytes(as_it_was)  # a copy, such as on another machine
    commands("evaluate")


@pytest.mark.parametrize("hour", [0, 4e9])  # 1970 and 2096
def test_a_clock_that_jumps_between_the_commands_changes_nothing(
    challenge: Path, commands: Commands, hour: float
) -> None:
    mixture = song_folder(challenge, "Anna") / "mixture.wav"
    os.utime(mixture, (hour, hour))
    commands("enhance", "evaluate", more=("separator=none", "evaluate.small_test=true"))
    folder = challenge.parent / "exp/none"
    (signal,) = (folder / "enhanced_signals").iterdir()
    before = signal.read_bytes(), (folder / "scores.csv").read_bytes()
    commands("enhance", "evaluate", more=("separator=none", "evaluate.small_test=true"))
    assert (signal.read_bytes(), (folder / "scores.csv").read_bytes()) == before


def test_signals_of_others_may_be_of_any_age(challenge: Path, commands: Commands) -> None:
    commands("enhance")
    for made in (challenge.parent / "exp/none/parts").rglob("*.json"):
        made.unlink()
    mixture = challenge / "audio/at_mic_music/train/Plain-hlp_0001/mixture.wav"
    as_it_was = mixture.read_bytes()
    mixture.write_bytes(as_it_was[:-1] + bytes([as_it_was[-1] ^ 1]))
    commands("evaluate")


def test_a_song_that_could_not_be_prepared_is_not_listed(challenge: Path, commands: Commands) -> None:
    dry = challenge / "audio/music/train"
    shutil.move(challenge / "audio/at_mic_music/train", dry)
    for song in dry.iterdir():
        song.rename(song.with_name(song.name.removesuffix("-hlp_0001")))
    (challenge / "metadata/at_mic_music.train.json").unlink()
    tracks = [{"Track Name": song.name, "Split": "train"} for song in dry.iterdir()]
    (challenge / "metadata/musdb18.train.json").write_text(json.dumps(tracks))
    head = {"subject": "S", "mic": "M", "left_angle": -30, "right_angle": 30}
    (challenge / "metadata/head_loudspeaker_positions.json").write_text(json.dumps({"hlp_0001": head}))
    drums = (dry / "Plain/drums.wav").rename(challenge / "drums.wav")
    commands("prepare", expect=1, more=("head=sphere",))
    listed = json.loads((challenge / "metadata/at_mic_music.train.json").read_text())
    assert list(listed) == ['Anna & Co - "Blue", too-hlp_0001']
    told = commands("enhance", "evaluate", expect=1, more=("separator=none", "evaluate.small_test=false"))
    assert "4 of 6 scores" in told
    assert "lacks the song 'Plain-hlp_0001'; run prepare" in told
    drums.rename(dry / "Plain/drums.wav")
    commands("prepare", more=("head=sphere",))
    assert "6 of 6 signals" in commands("enhance")
