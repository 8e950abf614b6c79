"""What a user types: it is understood, or refused in one sentence before any work starts."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from cadenza_remix import __version__, audio, settings
from cadenza_remix.amplify.nalr import Nalr
from cadenza_remix.config import Run, command
from cadenza_remix.listener import Listener
from cadenza_remix.metrics import rates
from cadenza_remix.settings import RENAMED_KEYS, all_keys, renamed

HEAVY = ("numpy", "scipy", "torch", "pandas", "numba", "soundfile")


def run(
    *arguments: str, cwd: Path, module: str = "cadenza_remix", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, env=env)


def one_sentence(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result.stderr
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["enhance", "path.rot=x"], "There is no key path.rot; did you mean path.root?"),
        (["enhance", "nalr.nfri=3"], "did you mean nalr.nfir?"),
        (["enhance", "nalr.nfir=abc"], "nalr.nfir is 'abc'; give a whole number."),
        (["enhance", "sample_rate=44.1"], "sample_rate is 44.1; give a whole number."),
        (["enhance", "keep_stems=maybe"], "keep_stems is 'maybe'; give true or false."),
        (["enhance", "path=3"], "it holds several keys, so set one, such as path.root="),
        (
            ["fit", "fit.what=share"],
            "is 'share'; give scales, mixer or shares; did you mean shares?",
        ),
        (["fit", "fit.members=spectral"], "or null, such as fit.members=[spectral]."),
        (["enhance", "+colour=red"], "There is no key colour"),
        (["enhance", "shard.index=4", "shard.count=4"], "shard.index=4 of shard.count=4; expected 0 to 3"),
        (["enhance", "shard.index=-1"], "shard.index=-1 of shard.count=1; expected 0 to 0"),
        (["prepare", "shard.count=0"], "shard.count=0; expected 1 or more"),
        (["evaluate", "shard.index=second"], "shard.index is 'second'; give a whole number."),
        (
            ["enhance", "shard.index=${oc.env:NOT_SET_TASK_ID}"],
            "'NOT_SET_TASK_ID' not found",
        ),
        (["enhance", "+path.colour=red"], "There is no key path.colour"),
        (["enhance", "separator=unheard_of"], "There is no separator=unheard_of; there are bs_roformer, "),
        (["enhance", "limiter=multibnd"], "There is no limiter=multibnd; did you mean multiband?"),
        (["enhance", "correction=[residul]"], "There is no correction=residul; did you mean residual?"),
        (
            ["enhance", "separator=mdxnet_demucs", "separator.allow_download=true"],
            "give it to its members, such as separator.members.mdxnet.allow_download=",
        ),
        (["enhance", "separator.misspelt=1"], "There is no key separator.misspelt; there are bass_below_hz,"),
        (["enhance", "separator=none", "separator.allow_download=true"], "; there is sample_rate."),
        (
            ["enhance", "separator=hdemucs", "separator.overlap=0.5"],
            "There is no key separator.overlap; did you mean separator.segments.overlap?",
        ),
        (["enhance", "limiter.drive=3"], "There is no key limiter.drive; did you mean limiter.drive_db?"),
        (
            ["enhance", "correction.residual.ratio=0.5"],
            "choose that correction first, correction=[res",
        ),
        (
            ["enhance", "correction=[residual]", "correction.residual.rato=0.5"],
            "did you mean correction.residual.ratio?",
        ),
        (["enhance", "mixture_blend.mixture=0.2"], "as no mixture_blend is chosen; add mixture_blend=NAME."),
        (["enhance", "separator=none", "mixture_blend=added", "mixture_blend.mixture=-3"], "not below 0"),
        (["fit", "separator=none", "fit.members=[none,spectral]"], "fit.members is for fit.what=shares"),
        (["enhance", "+separator.depth=3", "separator=none"], "unexpected keyword argument 'depth'"),
        (["enhance", "path.root=x"], "path.root is set, but not what to run on it"),
        (["enhance", "path.root=???", "separator=none"], "path.root"),
        (["enhance", "path.root=nowhere", "separator=none"], "nowhere/metadata/scenes.train.json is missing"),
        (["evaluate", "path.root=nowhere", "name=x"], "nowhere/metadata/scenes.train.json is missing"),
        (["prepare", "path.root=nowhere"], "nowhere/metadata/gains.json is missing"),
        (["prepare", "path.root=nowhere", "split=valid"], "There is no dry music for split=valid"),
        (["prepare", "path.root=nowhere", "split=test"], "so leave prepare out"),
        (["prepare", "path.root=nowhere", "prepare.loudness=none"], "prepare.loudness"),
        (["prepare", "path.root=nowhere", "prepare.scenes_per_song=4"], "musdb18.train.json is missing"),
        (["enhance", "separator=hdemucs", "separator.weights=x"], "error: The weights x cannot be read"),
        (
            ["enhance", "device=gpu0", "separator=hdemucs", f"separator.weights={__file__}"],
            "device=gpu0 is not known",
        ),
        (["enhance", "limiter.drive_db=abc"], "limiter.drive_db is 'abc'; give a number."),
        (["enhance", "limiter.final.steps=2.5"], "limiter.final.steps is 2.5; give a whole number."),
        (["enhance", "limiter.final=3"], "limiter.final is 3; give a component"),
        (
            ["enhance", "amplifier=nalr_compressor", "amplifier.only_if_clipping=1"],
            "is 1; give true or false.",
        ),
        (["enhance", "separator=none", "separator.sample_rate=true"], "is True; give a whole number."),
        (["enhance", "+separator.sources=vocals", "separator=none"], "give a list, each a text."),
        (
            ["enhance", "separator=hdemucs", "separator.allow_download=perhaps"],
            "separator.allow_download is 'perhaps'; give true or false.",
        ),
        (
            ["enhance", "separator=hdemucs", "separator.segments.overlap=some"],
            "separator.segments.overlap is 'some'; give a number.",
        ),
        (
            ["enhance", "separator=hdemucs", "separator.allowed_by_rules=perhaps"],
            "separator.allowed_by_rules is 'perhaps'; give true or false.",
        ),
        (["enhance", "separator=hdemucs", "separator.weights=3"], "weights is 3; give a text or null."),
        (["enhance", "device=gpu"], "device=gpu is not known; say auto, cpu, cuda"),
        (
            ["enhance", "--experiment=demo"],
            "There is no option --experiment; keys are written without dashes",
        ),
        (["enhance", "--path.root", "x"], "There is no option --path.root"),
        (["enhance", "limiter=0"], "limiter=0 names no choice; limiter= takes one name, without brackets."),
        (["enhance", "limiter=[[]]"], "limiter=[[]] names no choice"),
        (["enhance", "limiter=[hard_clip]"], "limiter=[hard_clip] names no choice; limiter= takes one name"),
        (["enhance", "executor=[serial]"], "executor=[serial] names no choice"),
        (["enhance", "experiment=[demo]"], "experiment=[demo] names no choice"),
        (["enhance", "-m", "limiter=[tanh],[scale]"], "limiter=[tanh],[scale] names no choice"),
        (["enhance", "limiter=null"], "limiter has no value; give it one, as limiter="),
        (["enhance", "-m", "mixture_blend=null,added"], "mixture_blend=null,added names no choice"),
        (["enhance", "limiter="], "There is no limiter=; there are hard_clip, "),
        (["enhance", "limiter=tanh,scale"], "or do each in turn by -m"),
        (
            ["enhance", "correction=[1]"],
            "correction=[1] names no choice; correction= takes names, as [",
        ),
        (
            ["enhance", "correction=[residual,residual]"],
            "correction=[residual,residual] repeats one; leave it out",
        ),
        (["enhance", "name=a=b"], "name=a=b is not understood; quote a value"),
        (["enhance", "path.root", "=", "x"], "'path.root' is no setting; one is written key=value without"),
        (["enhance", "separator=none", "+correction.x=3"], "correction.x is no correction; in its YAML"),
        (["enhance", "path.root=/" + "x" * 300, "separator=none"], "File name too long"),
        (["report", "path.exp_folder=/" + "x" * 300], "is missing; run evaluate first"),
        (["enhance", "remix_sample_rate=7", "separator=none"], "remix_sample_rate is 7; give a whole number"),
        (
            ["evaluate", "HAAQI_sample_rate=0", "name=x"],
            "HAAQI_sample_rate is 0; give a whole number from 8000",
        ),
        (["enhance", "nalr.nfir=-220", "separator=none"], "nalr.nfir is -220; give a whole number from 2 to"),
        (["enhance", "executor.workers=-3", "separator=none"], "executor.workers is -3; give a whole number"),
        (
            ["enhance", "executor=serial", "executor.timeout_s=60"],
            "executor.timeout_s=60 must be more than 0",
        ),
        (["report"], "exp/demo/scores.csv is missing; run evaluate first"),
        (["enhence"], "there is no command 'enhence'; did you mean enhance?"),
        (["help"], "there is no command 'help'; choose one of prepare, enhance, "),
    ],
)
def test_wrong_input_is_one_sentence(tmp_path: Path, arguments: list[str], told: str) -> None:
    assert told in one_sentence(run(*arguments, cwd=tmp_path))
    assert not any(tmp_path.iterdir())


def test_the_ranges_are_those_of_the_stages(listener: Listener) -> None:
    assert settings.RATES_HZ == audio.RATES_HZ
    assert settings.RANGES["HAAQI_sample_rate"] == rates.RATES_HZ
    for nfir in settings.RANGES["nalr.nfir"]:
        amplified = Nalr(nfir)(np.ones((2, 2000)), listener, sample_rate=44100)
        assert np.isfinite(amplified).all()


@pytest.mark.parametrize("key", RENAMED_KEYS)
def test_keys_of_the_reference_recipe_are_refused_with_the_new_ones(tmp_path: Path, key: str) -> None:
    told = one_sentence(run("enhance", f"{key}=1", cwd=tmp_path))
    assert key in told
    assert RENAMED_KEYS[key] in told


# Every key of pyclarity 0.9.0's two files of settings, of the baseline and of the data.
RECIPE_KEYS = """
path.root path.metadata_dir path.music_dir path.gains_file path.head_positions_file path.listeners_file
path.music_file path.scenes_file path.scene_listeners_file path.exp_folder sample_rate remix_sample_rate
HAAQI_sample_rate nalr.nfir nalr.sample_rate apply_compressor compressor.threshold compressor.attenuation
compressor.attack compressor.release compressor.rms_buffer_size soft_clip separator.model separator.device
evaluate.set_random_seed evaluate.small_test evaluate.batch_size evaluate.batch
path.hrtf_dir path.scene_file path.head_loudspeaker_positions_file path.tracklist_file path.output_music_dir
path.output_music_file scene.number_scenes_per_song scene_listener.number_listeners_per_scene
"""


def test_every_key_of_the_reference_recipe_means_the_same_or_is_refused() -> None:
    assert [key for key in RECIPE_KEYS.split() if (key in all_keys()) == bool(renamed(key))] == []


RECIPE = """# @package _global_
path: {root: x, music_dir: "${path.root}/audio/at_mic_music", exp_folder: ./exp}
sample_rate: 44100
nalr: {nfir: 220}
evaluate: {set_random_seed: true, small_test: false}
"""
OLD = {
    "compressor: {threshold: 0.35, attack: 50}": "say instead: amplifier=nalr_compressor: its",
    "separator: {model: demucs}": "separator.model is a key of the reference recipe",
    "soft_clip: false": "say instead: limiter=tanh for true",
}


@pytest.mark.parametrize("line", OLD)
def test_an_old_key_in_a_file_of_settings_is_refused_like_a_typed_one(tmp_path: Path, line: str) -> None:
    (tmp_path / "my_conf/experiment").mkdir(parents=True)
    (tmp_path / "my_conf/experiment/mine.yaml").write_text(RECIPE + line)
    told = one_sentence(run("enhance", "--config-dir", "my_conf", "experiment=mine", cwd=tmp_path))
    assert OLD[line] in told


def test_a_file_of_the_reference_recipe_is_turned_into_ours(tmp_path: Path) -> None:
    (tmp_path / "my_conf/experiment").mkdir(parents=True)
    (tmp_path / "my_conf/experiment/mine.yaml").write_text(
        RECIPE + "amplifier: {threshold: 0.3, attack_ms: 40}\n"
        "defaults: [override /amplifier: nalr_compressor,"
        " override /separator: none, override /limiter: tanh]\n"
    )
    result = run("enhance", "--config-dir", "my_conf", "experiment=mine", "--cfg", "job", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for line in ("Compressed", "threshold: 0.3", "attack_ms: 40", "release_ms: 1000", "Tanh", "EqualSplit"):
        assert line in result.stdout
    told = one_sentence(run("enhance", "--config-dir", "my_conf", "experiment=mine", cwd=tmp_path))
    assert "x/metadata/scenes.train.json is missing" in told


IN_A_FILE = {
    "nalr: {nfir: many}": "In experiment/mine.yaml: nalr.nfir is 'many'; give a whole number.",
    "nalr: {nfri: 3}": "In experiment/mine.yaml: There is no key nalr.nfri; did you mean nalr.nfir?",
    "limiter: 3": "limiter is 3; expected _target_ and its arguments",
    "defaults: [override /limitr: tanh]": "There is no key limitr; did you mean limiter?",
    "defaults: [override /limiter: [tanh]]": "limiter is a list of choices; expected one",
    "defaults: [{limiter: tanh}]": "the choice of another group is written override /limiter: tanh.",
    "defaults: [override /correction: [residual, residual]]": "correction=[residual,residual] repeats one",
    "'correction': {'my own': {'_target_': x}}": "under the correction's own name, a word",
}


@pytest.mark.parametrize("line", IN_A_FILE)
def test_a_wrong_line_in_a_file_of_settings_is_told_as_a_typed_one(line: str, tmp_path: Path) -> None:
    (tmp_path / "my_conf/experiment").mkdir(parents=True)
    (tmp_path / "my_conf/experiment/mine.yaml").write_text(f"# @package _global_\n{line}\n")
    arguments = ("separator=none", "--config-dir", "my_conf", "experiment=mine", "name=mine")
    assert IN_A_FILE[line] in run("enhance", *arguments, cwd=tmp_path).stderr
    assert not (tmp_path / "exp/mine").exists()


@pytest.mark.parametrize("nothing", ["~mixture_blend", "mixture_blend=null"])
def test_an_experiments_choice_is_undone_and_options_stand_anywhere(nothing: str, tmp_path: Path) -> None:
    result = run("enhance", "experiment=ustc2024", "--cfg", "job", nothing, cwd=tmp_path)
    assert "mixture_blend: null" in result.stdout, result.stderr


@pytest.mark.parametrize("fault", [TypeError, ValueError, RecursionError, KeyError])
def test_a_fault_of_the_programs_own_is_no_fault_of_the_settings(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(_run: Run) -> bool:
        raise fault("ours")

    monkeypatch.setattr(sys, "argv", ["enhance", "separator=none"])
    with pytest.raises(fault, match="ours"):
        command("enhance", "", work)()


def test_a_fault_of_hydras_own_is_no_fault_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def main(**_how: object) -> None:
        raise TypeError("theirs")

    monkeypatch.setattr(sys, "argv", ["enhance", "separator=none"])
    monkeypatch.setattr("hydra.main", main)
    with pytest.raises(TypeError, match="theirs"):
        command("enhance", "", lambda _: True)()


@pytest.mark.parametrize("arguments", ["--help", "enhance --help", "enhance --cfg job", "doctor"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_where_nothing_more_can_be_printed_that_is_said(
    arguments: str, unbuffered: str, tmp_path: Path
) -> None:
    full = ["sh", "-c", f"{sys.executable} -m cadenza_remix {arguments} > /dev/full"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    result = subprocess.run(
        full, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Nothing more can be written" in one_sentence(result)


@pytest.mark.parametrize("command", ["prepare", "enhance", "evaluate", "merge", "report"])
@pytest.mark.parametrize("question", [["--help"], ["--cfg", "job"], ["--version"]])
def test_questions_are_answered_without_heavy_imports(
    tmp_path: Path, command: str, question: list[str]
) -> None:
    program = (
        f"import runpy, sys; sys.argv = ['x', *{question!r}]\n"
        f"runpy.run_module('cadenza_remix.{command}', run_name='__main__')\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("heavy: []\n")
    assert len(result.stdout) > len("heavy: []\n")
    assert not any(tmp_path.iterdir())


def test_a_correction_that_fits_no_song_is_told_before_any(tmp_path: Path) -> None:
    arguments = ["separator=none", "correction=residual", "correction.residual.into=othr", "name=mine"]
    told = one_sentence(run("enhance", *arguments, cwd=tmp_path))
    assert "correction.residual.into=othr is none of the stems" in told
    assert not (tmp_path / "exp/mine").exists()


def test_help_names_every_choice_and_key(tmp_path: Path) -> None:
    told = run("enhance", "--help", cwd=tmp_path).stdout
    for word in ("spectral", "do_nothing", "hard_clip", "exp_folder", "small_test", "stems: separate"):
        assert word in told


def test_help_names_what_can_be_set_of_each_choice_of_ones_own_too(tmp_path: Path) -> None:
    (tmp_path / "my_conf/limiter").mkdir(parents=True)
    (tmp_path / "my_conf/limiter/mine.yaml").write_text(
        "# Mine, softer.\ndefaults: [multiband, _self_]\ndrive_db: -7\nfinal: {steps: 3}\n"
    )
    told = " ".join(run("enhance", "--config-dir", "my_conf", "--help", cwd=tmp_path).stdout.split())
    for words in (
        "separator.segments.segment_s=44 separator.segments.overlap=0.25",  # hdemucs
        "limiter.look_ahead_ms=5 limiter.release_ms=0",
        "limiter.final.steps=40 limiter.final.exponent=0.5",  # by the defaults list of multiband
        "limiter.most_db=.inf",
        "head.file head.most_off_degrees=5",  # too long for its default
        "mine Mine, softer. limiter.final.steps=3 limiter.final.exponent=0.5",
        "correction.residual.ratio=0.5",
        "drive_db=-7",
    ):
        assert words in told
    assert "device=" not in told  # a key of all networks
    assert "_target_" not in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: [", "Settings are not understood"),
        ("{[1]: 2}", "Settings are not understood"),
        ("[" * 5000, "Settings are nested too deeply"),
        ("_target_: [a]", "limiter: "),
    ],
)
def test_a_broken_choice_of_ones_own_is_one_sentence(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "limiter").mkdir()
    (tmp_path / "limiter/mine.yaml").write_text(content)
    arguments = ("enhance", "--config-dir", str(tmp_path), "separator=none", "limiter=mine")
    assert told in one_sentence(run(*arguments, cwd=tmp_path))


@pytest.mark.parametrize("arguments", [["--help"], ["enhance", "--help"], ["doctor"]])
def test_who_reads_no_further_is_told_nothing(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cadenza_remix", *arguments]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""


def test_version(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"cadenza-remix {__version__}\n"


def test_a_separator_of_ones_own_is_found_where_one_stands(tmp_path: Path, challenge: Path) -> None:
    (tmp_path / "my_system.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Bassless:\n"
        "    sources: tuple = ('vocals', 'drums', 'bass', 'other')\n"
        "    sample_rate: int = 44100\n"
        "    channels: int = 2\n"
        "    causal: bool = True\n"
        "    training_data: str = 'none'\n"
        "    allowed_by_rules: bool = True\n"
        "    def __call__(self, mixture):\n"
        "        return {s: mixture * (0 if s == 'bass' else 1) for s in self.sources}\n"
    )
    (tmp_path / "my_conf/separator").mkdir(parents=True)
    (tmp_path / "my_conf/separator/mine.yaml").write_text("# Mine.\n_target_: my_system.Bassless\n")
    result = run(
        "enhance", "--config-dir", "my_conf", "separator=mine", f"path.root={challenge}", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "exp/mine/enhanced_signals").glob("*.flac"))) == 6


def test_a_separator_that_lacks_an_attribute_is_told_which(tmp_path: Path, challenge: Path) -> None:
    (tmp_path / "my_system.py").write_text("class Bare:\n    sample_rate = 44100\n")
    (tmp_path / "my_conf/separator").mkdir(parents=True)
    (tmp_path / "my_conf/separator/mine.yaml").write_text("_target_: my_system.Bare\n")
    result = run(
        "enhance", "--config-dir", "my_conf", "separator=mine", f"path.root={challenge}", cwd=tmp_path
    )
    assert "my_system.Bare lacks sources, channels, causal" in one_sentence(result)


@pytest.mark.parametrize(
    ("arguments", "there_is_a_loop"),
    [
        (("separator=none",), True),
        (("separator=none", "limiter=hard_clip"), False),
        (("separator=none", "limiter.drive_db=3"), True),
        (("separator=none", "limiter=tanh", "closed_loop=ascent"), True),
        (("separator=none", "limiter=tanh", "closed_loop.steps=3"), True),
        (("experiment=winner2024",), False),
        (("experiment=winner2024", "limiter=multiband"), False),
    ],
)
def test_a_limiter_named_alone_is_heard_as_it_is(
    arguments: tuple[str, ...], there_is_a_loop: bool, tmp_path: Path
) -> None:
    shown = run("enhance", "--cfg", "job", *arguments, cwd=tmp_path).stdout
    assert ("closed_loop: null" not in shown) == there_is_a_loop
    assert ("Ascent" in shown) == there_is_a_loop
