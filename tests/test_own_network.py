"""A network of one's own is added as the README tells it: one class, one YAML, nothing edited."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cadenza_remix.demix.own import own
from cadenza_remix.errors import ConfigError
from tests.test_names import README

BLOCKS = dict(re.findall(r"```\w+\n# (my_\S+)\n(.*?)```", README, re.S))


def test_the_readmes_network_runs(challenge: Path, tmp_path: Path) -> None:
    for name in ("my_network.py", "my_conf/separator/my_network.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(BLOCKS[name], encoding="utf-8")
    torch.save({"shares": torch.tensor([0.4, 0.3, 0.2, 0.1])}, tmp_path / "my_weights.pth")
    command = ["enhance", "--config-dir", "my_conf", f"path.root={challenge}", "separator=my_network"]
    more = ["keep_stems=true", "evaluate.small_test=true", "executor.workers=1"]
    done = subprocess.run(
        [sys.executable, "-m", "cadenza_remix", *command, *more],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (stems,) = (tmp_path / "exp/my_network/stems").iterdir()
    mixture, drums = (
        soundfile.read(path)[0]
        for path in (challenge / "audio/at_mic_music/train" / stems.name / "mixture.wav", stems / "drums.wav")
    )
    np.testing.assert_allclose(drums, 0.3 * mixture, atol=1e-6)


@pytest.mark.parametrize("name", ["nowhere.Network", "math.Network", "Network", ""])
def test_a_class_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"separator.network={name} cannot be imported"):
        own("a.pth", network=name, sources=("vocals",), allow_download=False)
