"""Imports point one way, so that a stage can be understood and tested on its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "cadenza_remix"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = ("hrtf", "demix", "remix", "amplify", "limit", "output", "metrics")
BASE = (
    "device",
    "cochlea",
    "errors",
    "audio",
    "loudness",
    "listener",
    "compiled",
    "elementary",
    "lanes",
    "ear",
    "noise",
    "sphere",
    "scenes",
    "processes",
    "held",
)
DRIVERS = (
    "__main__",
    "prepare",
    "enhance",
    "evaluate",
    "merge",
    "report",
    "fit",
    "doctor",
    "check",
    "pack",
    "haaqi",
    "demo",
    "config",
    "arguments",
    "explanation",
    "naming",
    "help",
)


def imports(module: Path) -> set[str]:
    """Dotted names of everything that a module imports, at any level."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(dotted: str) -> str:
    """`demix` of `cadenza_remix.demix.spectral`."""
    return dotted.split(".")[1] if dotted.count(".") else ""


def own_part(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def project_parts(module: Path) -> set[str]:
    return {part(name) for name in imports(module) if name.startswith("cadenza_remix.")} - {""}


@pytest.mark.parametrize("module", [m for m in MODULES if own_part(m) in STAGES], ids=str)
def test_a_stage_imports_no_other_stage_and_no_framework(module: Path) -> None:
    allowed = {own_part(module), *BASE}
    assert project_parts(module) <= allowed | {"__version__"}
    outside = {name.split(".")[0] for name in imports(module)}
    assert not outside & {"hydra", "omegaconf", "pandas", "tqdm"}
    if own_part(module) != "output":
        assert "soundfile" not in outside


@pytest.mark.parametrize("module", [m for m in MODULES if own_part(m) in BASE], ids=str)
def test_the_base_imports_only_the_base(module: Path) -> None:
    assert project_parts(module) <= {*BASE, "__version__"}


def test_the_pipeline_knows_stages_and_base_only() -> None:
    assert project_parts(PACKAGE / "pipeline.py") <= {*STAGES, *BASE, "closed_loop"}
    for module in (PACKAGE / "closed_loop").glob("*.py"):
        assert project_parts(module) <= {"closed_loop", "limit", "metrics", *BASE}


@pytest.mark.parametrize("module", [m for m in MODULES if own_part(m) not in DRIVERS], ids=str)
def test_only_drivers_know_drivers_and_hydra(module: Path) -> None:
    # `cadenza_remix.metrics.haaqi` is the metric, `cadenza_remix.haaqi` the command.
    assert not project_parts(module) & set(DRIVERS)
    assert not {name.split(".")[0] for name in imports(module)} & {"hydra", "omegaconf"}
