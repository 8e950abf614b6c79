"""What `doctor` tells of a machine, of weights and of data; each thing once, with what to do about it."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from cadenza_remix import compiled
from cadenza_remix.demix.trivial import EqualSplit
from cadenza_remix.diagnosis.environment import compiled_code, disk, packages, pytorch, torchaudio_beside
from cadenza_remix.diagnosis.finding import Level, by_cause
from cadenza_remix.diagnosis.separators import separator
from cadenza_remix.errors import WeightsError
from tests.conftest import Commands, edit_metadata, write_metadata

GONE = WeightsError("The weights net.pt are not on this machine; fetch them.")


def installed(folder: Path, name: str, version: str, *requires: str, code: str = "") -> None:
    """A package as pip leaves it."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join(lines + [f"Requires-Dist: {each}" for each in requires]) + "\n")
    (folder / f"{name}.py").write_text(code)


def test_packages_of_other_versions_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    installed(
        tmp_path, "needy", "1", "numpy>=99", "not_there_at_all<3", "scipy", 'no_such_extra; extra == "x"'
    )
    old, missing = packages("needy")
    assert old.level is missing.level is Level.problem
    assert old.told.endswith("is installed; expected numpy>=99")
    assert old.remedy == 'pip install "numpy>=99"'
    assert missing.told == "not_there_at_all is not installed; expected not_there_at_all<3"
    installed(tmp_path, "content", "1", "numpy", "scipy")
    (fine,) = packages("content")
    assert (fine.level, fine.told) == (Level.ok, "all 2 as required")
    (folder,) = packages("never-installed")
    assert folder.level is Level.note


@pytest.mark.parametrize(
    ("code", "level", "told"),
    [
        ("", Level.ok, "2.11.0 works with this PyTorch"),
        (
            "raise OSError('libc10_cuda.so: cannot open\\nshared object')",
            Level.note,
            "2.11.0 and PyTorch 2.15.0 cannot work together (OSError: libc10_cuda.so: cannot open)",
        ),
    ],
)
def test_a_torchaudio_that_does_not_fit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, level: Level, told: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)
    installed(tmp_path, "torchaudio", "2.11.0", code=code)
    (finding,) = torchaudio_beside("2.15.0")
    assert finding.level is level
    assert finding.told.startswith(told)
    assert "nothing here needs it" in finding.told
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)


def test_a_device_that_is_not_there_is_a_problem() -> None:
    findings = {finding.subject: finding for finding in pytorch("cuda:99")}
    assert findings["PyTorch"].level is Level.ok
    assert findings["device"].level is Level.problem
    assert "say device=cpu" in findings["device"].told


def test_where_compiled_code_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = compiled.cache_folder()
    assert folder is not None
    assert str(folder) in compiled_code().told
    monkeypatch.setattr(compiled, "cache_folder", lambda: None)
    assert compiled_code().level is Level.problem
    assert "NUMBA_CACHE_DIR" in compiled_code().remedy


def test_a_disk_without_room_is_a_problem(tmp_path: Path) -> None:
    target = tmp_path / "not/there/yet"
    assert disk("disk", target, 1000).level is Level.ok
    full = disk("disk", target, 1e30)
    assert full.level is Level.problem
    assert "1e+21 GB needed at most" in full.told
    assert not target.exists()


def test_of_weights_that_are_missed_their_terms_are_told() -> None:
    settings = {
        "licence": "MIT",
        "source_url": "https://net",
        "training_data": "MUSDB18-HQ",
        "allowed_by_rules": True,
    }
    asked_for = separator("net", settings, GONE, chosen=True)
    assert asked_for.level is Level.problem
    assert asked_for.remedy == str(GONE)
    assert asked_for.details == ("licence: MIT", "source: https://net")
    assert "learnt from MUSDB18-HQ, allowed by the challenge's rules" in asked_for.told
    fetched = separator("net", settings | {"allow_download": True}, GONE, chosen=True)
    assert fetched.level is Level.note


def test_what_the_rules_forbid_is_told() -> None:
    assert separator("own", {}, EqualSplit(), chosen=True).level is Level.ok
    finding = separator("own", {}, EqualSplit(training_data="private", allowed_by_rules=False), chosen=True)
    assert finding.level is Level.note
    assert "learnt from private, against the challenge's rules" in finding.told


def test_a_cause_is_told_once() -> None:
    assert by_cause({"a": "gone", "b": "gone", "c": "torn"}) == ("2 × gone", "torn")
    assert by_cause({str(n): str(n) for n in range(9)}) == ("0", "1", "2", "and 6 more causes")


def test_a_folder_with_all_music_at_the_microphones_is_enough(commands: Commands) -> None:
    told = commands("doctor")
    for line in (
        "3 scenes, 6 pairs, 2 listeners",
        "2 of 2 mixtures, 2 of 2 sets of true stems",
        "all is well",
    ):
        assert line in told
    assert told.count("musdb18.train.json is missing") == 1  # for two tracks, and only noted
    assert "none (chosen)" in told


def test_what_the_lists_contradict_each_other_in_is_told(challenge: Path, commands: Commands) -> None:
    edit_metadata(challenge, "scenes.train", lambda c: c["scene_10001"].update(gain="gain_0815"))
    edit_metadata(
        challenge, "scene_listeners.train", lambda c: c.update(scene_10009=["L0001"], scene_10002=["L9"])
    )
    told = commands("doctor", expect=1)
    for line in (
        "gains.json lacks gain_0815 (in scene_10001)",
        "scenes.train.json lacks scene_10009",
        "listeners.train.json lacks L9 (in scene_10002)",
        "3 problems",
    ):
        assert line in told


def test_a_missing_folder_is_told_once(challenge: Path, commands: Commands) -> None:
    shutil.rmtree(challenge / "audio")
    head = {"subject": "S", "mic": "M", "left_angle": -30, "right_angle": 30}
    write_metadata(
        challenge,
        {
            "head_loudspeaker_positions": {"hlp_0001": head},
            "musdb18.train": [
                {"Track Name": name, "Split": "train"} for name in ('Anna & Co - "Blue", too', "Plain")
            ],
        },
    )
    told = commands("doctor", expect=1)
    assert told.count(f"The folder {challenge / 'audio'} is missing") == 3  # heads, dry, at the microphones
    assert "2 × The folder" in told
    shutil.rmtree(challenge / "metadata")
    told = commands("doctor", expect=1)
    assert told.count("is missing") == 1
    assert f"the folder {challenge / 'metadata'} is missing" in told


def test_music_that_can_be_prepared_is_no_problem(challenge: Path, commands: Commands) -> None:
    shutil.move(challenge / "audio/at_mic_music", challenge / "audio/music")
    for song in (challenge / "audio/music/train").iterdir():
        song.rename(song.with_name(song.name.removesuffix("-hlp_0001")))
    tracks = [
        {"Track Name": song.name, "Split": "train"} for song in (challenge / "audio/music/train").iterdir()
    ]
    head = {"subject": "S", "mic": "M", "left_angle": -30, "right_angle": 30}
    write_metadata(challenge, {"musdb18.train": tracks, "head_loudspeaker_positions": {"hlp_0001": head}})
    told = commands("doctor", more=("head=sphere",))
    assert "2 of 2 songs complete" in told
    assert "run cadenza-remix prepare" in told
    (challenge / "audio/music/train/Plain/drums.wav").unlink()
    told = commands("doctor", expect=1, more=("head=sphere",))
    assert "1 of 2 songs complete" in told
    assert told.count("drums.wav is missing") == 1


def test_the_first_line_says_whether_all_is_well_and_the_next_what_is_to_be_done(commands: Commands) -> None:
    first, *rest = commands("doctor").splitlines()
    assert first == "doctor: all is well; nothing that was asked for will fail"
    assert not [line for line in rest if "problem" in line]
    assert len(rest) < 40  # a screen, whatever can be chosen
    more = ("head._target_=nowhere.Head", "device=cuda:99")
    first, _, title, *rest = commands("doctor", expect=1, more=more).splitlines()
    assert (first, title) == ("doctor: 2 problems, here first, and what to do", "To mend")
    assert re.match(r"  problem  device .*say device=cpu", rest[0])
    assert re.match(r"  problem  heads .*nowhere\.Head cannot be made .*correct its YAML", rest[1])
    assert not [line for line in rest[2:] if "problem" in line]
    assert "  ok       Python" in "\n".join(rest)


def test_another_split_is_offered(commands: Commands) -> None:
    told = commands("doctor", expect=1, more=("split=valid",))
    assert "or say split=train" in told


def test_weights_are_found_and_hashed_and_nothing_is_fetched(
    commands: Commands,
    openunmix_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    told = commands("doctor", more=("separator=openunmix", f"separator.weights={openunmix_weights}"))
    assert f"{openunmix_weights / 'bass.pth'}, SHA-256 " in told
    assert "licence: MIT" in told
    assert "not on this machine" not in told  # of those that were not asked for
    told = commands("doctor", expect=1, more=("separator=openunmix",))
    assert told.count("not on this machine") == 1
    told = commands("doctor", expect=1, more=("separator=hdemucs",))
    assert "hdemucs_high_musdbhq_only.pt are not on this machine" in told
    told = commands("doctor", more=("separator=openunmix", "separator.allow_download=true"))
    assert "to be downloaded" in told
    assert not (tmp_path / "cache/cadenza_remix").exists()


def test_a_separator_of_ones_own_is_among_them(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "my_conf/separator").mkdir(parents=True)
    (tmp_path / "my_conf/separator/mine.yaml").write_text("_target_: nowhere.Mine\n")
    (tmp_path / "my_conf/separator/torn.yaml").write_text("defaults: [nothing_there]\n")
    told = commands("doctor", more=("separator=none", "--config-dir", str(tmp_path / "my_conf")))
    unusable = told.split("not usable here:")[1].split("→")[0].replace(",", "").split()
    assert {"mine", "torn", "hdemucs"} <= set(unusable)
    assert "none" not in unusable
    assert "doctor separator=NAME says why" in told
    told = commands("doctor", expect=1, more=("separator=mine", "--config-dir", str(tmp_path / "my_conf")))
    assert "nowhere.Mine cannot be made" in told


def test_the_demo_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: Commands) -> None:
    monkeypatch.chdir(tmp_path)
    told = commands("doctor", more=("path.root=null", "experiment=demo"))
    assert "made when it is first used" in told
    assert not (tmp_path / "exp").exists()
