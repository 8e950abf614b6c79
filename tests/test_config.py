"""What a user types: it is understood, or refused in one sentence before any work starts."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cadenza_remix import __version__
from cadenza_remix.config import RENAMED_KEYS

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
        (["enhance", "nalr.nfir=abc"], "could not be converted to Integer"),
        (["enhance", "+colour=red"], "There is no key colour"),
        (["enhance", "+path.colour=red"], "There is no key path.colour"),
        (["enhance", "separator=unheard_of"], "Could not find 'separator/unheard_of'"),
        (["enhance", "+separator.depth=3", "separator=none"], "unexpected keyword argument 'depth'"),
        (["enhance", "path.root=x"], "path.root is set, but not what to run on it"),
        (["enhance", "path.root=???", "separator=none"], "path.root"),
        (["enhance", "path.root=nowhere", "separator=none"], "nowhere/metadata/scenes.train.json is missing"),
        (["evaluate", "path.root=nowhere", "name=x"], "nowhere/metadata/scenes.train.json is missing"),
        (["prepare", "path.root=nowhere"], "nowhere/metadata/gains.json is missing"),
        (["prepare", "path.root=nowhere", "split=valid"], "nowhere/metadata/gains.json is missing"),
        (["enhance", "separator=hdemucs", "separator.weights=x"], "error: The weights x cannot be read"),
        (
            ["enhance", "device=gpu0", "separator=hdemucs", f"separator.weights={__file__}"],
            "device=gpu0 is not known",
        ),
        (["report"], "exp/demo/scores.csv is missing; run evaluate first"),
        (["enhence"], "there is no command 'enhence'"),
    ],
)
def test_wrong_input_is_one_sentence(tmp_path: Path, arguments: list[str], told: str) -> None:
    assert told in one_sentence(run(*arguments, cwd=tmp_path))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("key", RENAMED_KEYS)
def test_keys_of_the_reference_recipe_are_refused_with_the_new_ones(tmp_path: Path, key: str) -> None:
    told = one_sentence(run("enhance", f"{key}=1", cwd=tmp_path))
    assert key in told
    assert RENAMED_KEYS[key] in told


@pytest.mark.parametrize("command", ["prepare", "enhance", "evaluate", "report"])
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


def test_help_names_every_choice_and_key(tmp_path: Path) -> None:
    told = run("enhance", "--help", cwd=tmp_path).stdout
    for word in ("spectral", "do_nothing", "hard_clip", "exp_folder", "small_test", "stems: separate"):
        assert word in told


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
