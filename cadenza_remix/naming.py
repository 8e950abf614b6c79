"""What a run is called where nobody says: the experiment, else the separator or where the stems come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cadenza_remix.errors import ConfigError
from cadenza_remix.settings import Fitted


def default_name(config: Any, command_name: str, choices: Mapping[str, str | None]) -> str:
    """A name from what is to be done.

    Args:
        config: the settings, as Hydra composes them.
        command_name: what does it.
        choices: the name chosen in each group.

    Raises:
        ConfigError: if nothing says what is to be done.
    """
    if config.runs:
        return Path(config.runs[0]).name
    if command_name == "fit":
        return _name_of_fit(config, choices)
    if choices["experiment"]:
        return str(choices["experiment"])
    if config.stems != "separate":
        return f"stems_{Path(config.stems).name.lower()}"
    if choices["separator"]:
        return str(choices["separator"])
    if not OmegaConf.is_interpolation(config.path, "exp_folder"):
        return Path(config.path.exp_folder).name
    if command_name in ("prepare", "doctor"):
        return command_name
    raise ConfigError(
        "path.root is set, but not what to run on it; add experiment=NAME (do_nothing, icassp2024, …), "
        "separator=NAME, stems=true, stems=DIR, or name=NAME of an earlier run."
    )


def _name_of_fit(config: Any, choices: Mapping[str, str | None]) -> str:
    """What is fitted, by what it is fitted to."""
    if config.fit.what is Fitted.shares:
        return "_".join(config.fit.members or ["shares"])
    stems = choices["separator"] if config.stems == "separate" else f"stems_{Path(config.stems).name.lower()}"
    return "_".join([str(stems), *config.correction, config.fit.what.name])
