"""A few hundred of the hostile files of `scripts/fuzz.py`, and every JSON that hypothesis can think of."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cadenza_remix import ledger
from cadenza_remix.datasets import metadata
from cadenza_remix.datasets.challenge import read_pairs
from cadenza_remix.errors import CadenzaError
from cadenza_remix.haaqi import read_audiogram
from tests.conftest import REPOSITORY

SCRIPT = REPOSITORY / "scripts/fuzz.py"


def test_hostile_files_are_read_rightly_or_refused_in_one_sentence() -> None:
    command = [sys.executable, str(SCRIPT), "--cases", "420", "--seed", "2024"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    name, cases, read, refused, bad = result.stdout.splitlines()[-1].split()
    assert (name, cases, bad) == ("all", "420", "0")
    assert int(read) > 40
    assert int(refused) > 200


def test_the_script_knows_a_bad_case(tmp_path: Path) -> None:
    """It would find a traceback, a hang, a death, nonsense, and a file that was left."""
    program = (
        "import os, sys, time; sys.path.insert(0, sys.argv[1]); import fuzz\n"
        "acts = [lambda r: 1 / 0, lambda r: time.sleep(60), lambda r: os.kill(os.getpid(), 9),\n"
        "        lambda r: fuzz.expect(False, 'nonsense'), lambda r: (r.parent / 'x').write_text('x'),\n"
        "        lambda r: bytearray(1 << 33)]\n"
        "fuzz.TIME_LIMIT_S = 4.0\n"
        "calls = []\n"
        "def read(root, file):\n"
        "    if file.read_bytes() != valid[0]: acts[int(os.environ['ACT'])](root)\n"
        "valid = []\n"
        "fuzz.READERS = {'it': fuzz.Reader('audiogram', read)}\n"
        "valid.append(b'250:20,500:25,1000:35,4000:60')\n"
        "for act in range(len(acts)):\n"
        "    os.environ['ACT'] = str(act)\n"
        "    print([told for told in fuzz.outcomes('it', 1, 1)])\n"
    )
    command = [sys.executable, "-c", program, str(SCRIPT.parent)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    told = result.stdout.splitlines()
    expected = (
        "ZeroDivisionError",
        "hang",
        "killed by SIGKILL",
        "wrong: nonsense",
        "file left",
        "MemoryError",
    )
    assert len(told) == len(expected), result.stderr
    assert all(word in line for word, line in zip(expected, told, strict=True)), told


numbers = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**400))
anything = st.recursive(
    numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(
    (
        *(
            "music",
            "gain",
            "head_loudspeaker_positions",
            "name",
            "subject",
            "mic",
            "left_angle",
            "right_angle",
        ),
        *(
            "audiogram_cfs",
            "audiogram_levels_l",
            "audiogram_levels_r",
            "Track Name",
            "Path",
            "Split",
            "vocals",
        ),
    )
)
entries = st.dictionaries(keys | st.text(), anything, max_size=8)
files = st.dictionaries(keys | st.text(), entries, max_size=4) | st.lists(entries, max_size=3) | anything
readers = (
    metadata.read_gains,
    metadata.read_listeners,
    metadata.read_head_positions,
    metadata.read_scenes,
    metadata.read_scene_listeners,
    metadata.read_tracks,
    metadata.read_at_mic_music,
)
quick = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@quick
@given(content=files)
def test_any_json_is_read_or_refused(tmp_path_factory: Any, content: Any) -> None:
    folder = tmp_path_factory.mktemp("json")
    path = folder / "any.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    for reader in readers:
        try:
            reader(path)
        except CadenzaError as error:
            assert str(error).isprintable()
            assert str(path) in str(error)
    files = SimpleNamespace(scenes_file=path, scene_listeners_file=path, gains_file=path, listeners_file=path)
    with suppress(CadenzaError):
        read_pairs(files)
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    assert isinstance(ledger.claimed(folder, "enhance"), dict)


@quick
@given(text=st.text(alphabet="0123456789,:.-einfa ", max_size=40) | st.text(max_size=20))
def test_any_audiogram_is_read_or_refused(text: str) -> None:
    try:
        audiogram = read_audiogram(text)
    except CadenzaError as error:
        assert str(error).isprintable()
    else:
        assert np.isfinite(audiogram.at((250, 1000, 8000))).all()
