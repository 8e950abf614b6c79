"""The table of names, the README and the code say the same."""

import re
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf

from cadenza_remix import config, interruption, ledger, results
from cadenza_remix.__main__ import COMMANDS
from cadenza_remix.config import CONF
from cadenza_remix.demix.base import Separator
from cadenza_remix.metrics.base import Metric
from cadenza_remix.report import REPORT
from cadenza_remix.settings import RENAMED_KEYS, all_keys

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", (REPOSITORY / "NAMES.md").read_text(encoding="utf-8"), re.M)


def names(kind: str) -> list[str]:
    return [name for name, its_kind in ROWS if its_kind == kind]


def test_every_name_stands_once() -> None:
    assert len(ROWS) == len(set(ROWS))


def test_commands() -> None:
    assert names("command") == list(COMMANDS)


def test_keys() -> None:
    groups = {folder.name for folder in CONF.iterdir() if folder.is_dir()}
    assert set(names("config key")) == set(all_keys()) - groups
    assert set(names("config group")) == groups


def test_keys_that_all_networks_have() -> None:
    keys = OmegaConf.load(CONF / "separator/common/network.yaml")
    assert names("network key") == [f"separator.{key}" for key in keys]


def test_choices() -> None:
    assert set(names("choice")) == {f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml")}


def test_files_and_columns() -> None:
    tables = {results.SCORES, results.DETAILS, results.FAILURES, results.SUMMARY}
    tables |= {results.SEPARATION, results.DIFFERENCES}
    assert {*tables, ledger.MANIFEST, REPORT} <= set(names("file"))
    columns = {table: [n.split(":")[1] for n in names("column") if n.startswith(table)] for table in tables}
    assert columns[results.SCORES] == list(results.SCORE_COLUMNS)
    assert columns[results.FAILURES] == list(results.FAILURE_COLUMNS)
    assert columns[results.SEPARATION] == list(results.SEPARATION_COLUMNS)
    assert columns[results.SUMMARY] == list(results.SUMMARY_COLUMNS)
    assert columns[results.DIFFERENCES] == list(results.DIFFERENCE_COLUMNS)


def test_exit_codes() -> None:
    assert names("exit code") == ["0", str(config.EXIT_FAILED), str(interruption.EXIT_INTERRUPTED)]


def test_attributes_of_plug_ins() -> None:
    for contract in (Separator, Metric):
        attributes = [name for name, value in vars(contract).items() if isinstance(value, property)]
        kind = f"{contract.__name__} attribute"
        assert names(kind) == [f"{contract.__name__}.{name}" for name in attributes]


def test_the_readme_has_the_old_keys_and_the_new_ones() -> None:
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", README.split("| old key |")[1], re.M))
    assert rows == RENAMED_KEYS


def test_ci_runs_the_readmes_test_command() -> None:
    command = 'pip install -e ".[test]" && pytest'
    assert command in README.splitlines()
    assert command in (REPOSITORY / ".ci/run").read_text().splitlines()


def test_details_have_the_columns_promised(tmp_path: Path) -> None:
    promised = [n.split(":")[1] for n in names("column") if n.startswith(results.DETAILS)]
    assert promised[:3] == list(results.PAIR_COLUMNS)
    assert {"status", "clipped_percent", "seconds"} <= set(promised)
    results.write_scores(tmp_path, [])
    assert list(pd.read_csv(tmp_path / results.SCORES).columns) == list(results.SCORE_COLUMNS)


def test_the_readme_names_tests_that_are_there() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").glob("test_*.py"))
    promised = re.findall(r"`(test_\w+)`", README)
    assert promised
    assert [name for name in promised if f"def {name}(" not in tests] == []
