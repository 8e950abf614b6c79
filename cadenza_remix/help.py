"""What `--help` prints: every choice, and everything that can be set."""

import argparse
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cadenza_remix.config import CONF, flatten

SET_ELSEWHERE = re.compile(r"\$\{[^}]*\}")  # by another key alone


def help_text(name: str, summary: str, arguments: list[str]) -> str:
    """What `--help` prints: the groups with their choices and what can be set of each, then all other keys.

    Args:
        name: of the command.
        summary: of it.
        arguments: of the command line, for `--config-dir`.
    """
    folders = [CONF, *_config_dirs(arguments)]
    groups = ""
    for group in sorted({path.parent.name for folder in folders for path in folder.glob("*/*.yaml")}):
        groups += f"  {group}=\n"
        for path in sorted(path for folder in folders for path in folder.glob(f"{group}/*.yaml")):
            groups += f"    {path.stem:12} {_purpose(path)}\n{_settable(path, folders)}"
    keys = (CONF / "config.yaml").read_text(encoding="utf-8").split("\n\n", 1)[1].split("\nhydra:")[0]
    return (
        f"cadenza-remix {name} key=value …: {summary}\n\n"
        f"Choices, of which one a group, of correction any, as [NAME,…]; below each its keys:\n{groups}\n"
        f"Keys and their defaults (a nested key is written path.root=…):\n{keys}\n"
        "More: --cfg job shows the settings without running, --config-dir DIR adds choices of your own.\n"
    )


def _config_dirs(arguments: list[str]) -> list[Path]:
    """The folder of `--config-dir DIR`, if there is one."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd", type=Path, action="append", default=[])
    folders: list[Path] = parser.parse_known_args(arguments)[0].config_dir
    return folders


def _settable(path: Path, folders: list[Path]) -> str:
    """A choice's own keys with their defaults, in lines as wide as a terminal; none of an experiment."""
    if path.parent.name == "experiment":
        return ""
    values = flatten(OmegaConf.to_container(_inherited(path, folders)))
    keys = [
        _with_default(f"{path.parent.name}.{key}", value)
        for key, value in values.items()
        if not key.rpartition(".")[2].startswith("_")
    ]
    indent = " " * 17
    lines = textwrap.wrap("  ".join(filter(None, keys)), 110, initial_indent=indent, subsequent_indent=indent)
    return "".join(f"{line}\n" for line in lines)


def _inherited(path: Path, folders: list[Path]) -> DictConfig:
    """A choice's values over those of the choices that its defaults list names."""
    content = OmegaConf.load(path)
    assert isinstance(content, DictConfig)
    merged = OmegaConf.create()
    for entry in content.pop("defaults", []):
        name, _, package = str(entry).partition("@")
        bases = [folder / path.parent.name / f"{name}.yaml" for folder in folders]
        for base in filter(Path.is_file, bases):
            values = _inherited(base, folders)
            merged.merge_with({package: values} if package not in ("", "_here_") else values)
    merged.merge_with(content)
    return merged


def _with_default(key: str, value: Any) -> str:
    """A key as one would write it; without a default that is long, and nothing for one set elsewhere."""
    text = json.dumps(value, ensure_ascii=False).strip('"').replace("Infinity", ".inf")
    if SET_ELSEWHERE.fullmatch(text):
        return ""
    return f"{key}={text}" if len(text) <= 24 and " " not in text else key


def _purpose(path: Path) -> str:
    """The comment that opens a choice's file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = (line for line in lines if line.startswith("# ") and "@package" not in line)
    return next(comments, "").removeprefix("# ")
