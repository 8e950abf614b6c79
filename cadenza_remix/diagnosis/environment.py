"""Python, packages, PyTorch, compiled code, room on the disk."""

import platform
import warnings
from importlib import import_module, metadata
from pathlib import Path

from packaging.requirements import Requirement

from cadenza_remix import compiled
from cadenza_remix.diagnosis.finding import Finding, Level
from cadenza_remix.errors import ConfigError
from cadenza_remix.output import free_bytes
from cadenza_remix.parallel import available_cores


def environment(device: str) -> list[Finding]:
    """What the program runs on.

    Args:
        device: where networks are to run.
    """
    machine = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    python = Finding("Python", f"{machine}, {available_cores()} cores")
    return [python, *packages("cadenza-remix"), *pytorch(device), compiled_code()]


def packages(distribution: str) -> list[Finding]:
    """Whether what an installed distribution requires is there, each at a version that it takes."""
    try:
        requirements = [Requirement(line) for line in metadata.requires(distribution) or []]
    except metadata.PackageNotFoundError:
        told = f"{distribution} runs from a folder without being installed, so they were not compared"
        return [Finding("packages", told, Level.note, "pip install -e . in that folder")]
    needed = [one for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    findings = []
    for requirement in needed:
        told = f"expected {requirement.name}{requirement.specifier}"
        remedy = f'pip install "{requirement.name}{requirement.specifier}"'
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            findings.append(
                Finding("packages", f"{requirement.name} is not installed; {told}", Level.problem, remedy)
            )
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            told = f"{requirement.name} {version} is installed; {told}"
            findings.append(Finding("packages", told, Level.problem, remedy))
    return findings or [Finding("packages", f"all {len(needed)} as required")]


def pytorch(device: str) -> list[Finding]:
    """PyTorch, its GPUs, and whether an installed torchaudio can work with it."""
    failure = _import_failure("torch")
    if failure:
        remedy = 'pip install "torch>=2.11,<2.15"'
        return [Finding("PyTorch", f"cannot be imported ({failure})", Level.problem, remedy)]
    import torch

    from cadenza_remix.demix.network import choose_device

    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    findings = [Finding("PyTorch", f"{torch.__version__}, {built}, {', '.join(gpus) or 'no GPU'}")]
    try:
        findings.append(Finding("device", f"{device}: networks run on {choose_device(device)}"))
    except ConfigError as error:
        findings.append(Finding("device", str(error), Level.problem))
    return findings + torchaudio_beside(torch.__version__)


def torchaudio_beside(torch_version: str) -> list[Finding]:
    """An installed torchaudio; none is needed here, but one that does not fit breaks other programs."""
    try:
        version = metadata.version("torchaudio")
    except metadata.PackageNotFoundError:
        return []
    failure = _import_failure("torchaudio")
    if not failure:
        return [Finding("torchaudio", f"{version} works with this PyTorch; nothing here needs it")]
    told = f"{version} and PyTorch {torch_version} cannot work together ({failure}); nothing here needs it"
    remedy = "pip uninstall torchaudio, or, for other programs, install both from the same index at once"
    return [Finding("torchaudio", told, Level.note, remedy)]


def _import_failure(module: str) -> str:
    """Why a module cannot be imported, in a line; empty if it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of others
            import_module(module)
    except Exception as error:  # a package may break in any way
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    return ""


def compiled_code() -> Finding:
    """Whether compiled code is kept for the next start."""
    folder = compiled.cache_folder()
    if folder:
        return Finding("compiled code", f"kept in {folder}")
    told = "cannot be kept, so every start compiles for about half a minute"
    return Finding(
        "compiled code", told, Level.problem, "set NUMBA_CACHE_DIR to a folder that can be written"
    )


def disk(subject: str, folder: Path, needed_bytes: float) -> Finding:
    """Whether there is room for what will be written into a folder that may not exist yet."""
    free = free_bytes(folder)
    told = f"{folder} has {_gigabytes(free)} free" + f", {_gigabytes(needed_bytes)} needed at most" * bool(
        needed_bytes
    )
    if free >= needed_bytes:
        return Finding(subject, told)
    return Finding(subject, told, Level.problem, "free the disk, or choose another path.exp_folder")


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:.3g} GB"
