"""The command line as it is typed: what is refused before Hydra reads it, and in which order it does."""

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString

from cadenza_remix.errors import ConfigError
from cadenza_remix.settings import GROUPS, renamed

DEMO_EXPERIMENT = "experiment=demo"
# What is to be had without a choice, as Hydra understands it.
NOTHING = {f"{group}=null": f"~{group}" for group in GROUPS} | {"correction=null": "correction=[]"}

# Hydra's options, but for the one that unpickles a file, for which it would also take --experiment.
FLAGS = ["--help", "-h", "--version", "--resolve", "--run", "-r", "--multirun", "-m"]
FLAGS += ["--hydra-help", "--shell-completion", "-sc"]
WITH_VALUE = ["--cfg", "-c", "--package", "-p", "--config-dir", "-cd", "--config-name", "-cn"]
WITH_VALUE += ["--config-path", "-cp", "--info", "-i"]


def refuse_what_is_no_setting(arguments: Sequence[str]) -> None:
    """Stop at an option that does not exist, a word without a value, and a key of the reference recipe.

    Raises:
        ConfigError: saying what to type instead.
    """
    options, settings = _parted(arguments)
    for argument in options:
        option = argument.split("=")[0]
        if option.startswith("-") and option not in FLAGS + WITH_VALUE:
            raise ConfigError(
                f"There is no option {option}; keys are written without dashes, such as path.root=DIR."
            )
    for typed in settings:
        told = renamed(typed.lstrip("+~").split("=")[0])
        if told:
            raise ConfigError(told)
        if not re.match(r"~|[^=]+=", typed):
            raise ConfigError(
                f"{typed!r} is no setting; one is written key=value without spaces, such as path.root=DIR."
            )


def refuse_what_is_no_choice(arguments: Sequence[str]) -> None:
    """Stop at a group whose value is not the name of a choice; of corrections, a list of names.

    Raises:
        ConfigError: saying what to type instead.
        HydraException: if an argument cannot be read.
    """
    for override in OverridesParser.create().parse_overrides(_parted(arguments)[1]):
        group, value = override.key_or_group, override.value()
        if group not in GROUPS or override.is_delete():
            continue
        for one in value.list if isinstance(value, ChoiceSweep) else [value]:
            names = one if group == "correction" and isinstance(one, list) else [one]
            if not all(isinstance(name, str | QuotedString) for name in names):
                expected = "names, as [NAME,…]" if group == "correction" else "one name, without brackets"
                raise ConfigError(f"{override.input_line} names no choice; {group}= takes {expected}.")


def arranged(arguments: Sequence[str]) -> list[str]:
    """Options before settings, as Python's parser wants them, and what a choice brings along.

    The demo, where nothing else is named; no closed loop, where a limiter alone is, to be heard as it is.
    """
    options, settings = _parted(arguments)
    chosen = ("path.root=", "experiment=", "separator=", "stems=", "runs=")
    if not any(setting.startswith(chosen) for setting in settings):
        settings = [DEMO_EXPERIMENT, *settings]
    names_limiter = any(setting.startswith("limiter=") for setting in settings)
    if names_limiter and not any(re.match(r"[+~]*closed_loop\b", setting) for setting in settings):
        settings = [*settings, "~closed_loop"]
    return options + settings


def _parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options with their values, and settings."""
    options: list[str] = []
    settings: list[str] = []
    before = ""
    for argument in arguments:
        is_option = argument.startswith("-") or before in WITH_VALUE
        (options if is_option else settings).append(NOTHING.get(argument, argument))
        before = argument
    return options, settings
