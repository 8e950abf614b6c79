"""From the command line to settings and components.

Hydra composes them, from what `arguments` lets pass; `explanation` tells what it objects to. Nothing heavy is
imported, so that `--help` answers at once.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from cadenza_remix import __version__
from cadenza_remix.annotations import TARGET, wrong_values
from cadenza_remix.arguments import (
    arranged,
    refuse_what_is_no_choice,
    refuse_what_is_no_setting,
)
from cadenza_remix.device import check_device_name
from cadenza_remix.errors import DISK_ERRORS, CadenzaError, ConfigError, OtherSettingsError
from cadenza_remix.interruption import (
    interruptible,
    leave_full,
    leave_unheard,
    nothing_begun,
    work_begins,
)
from cadenza_remix.naming import default_name
from cadenza_remix.settings import COMPONENTS, GROUPS, Settings, all_keys, renamed

HERE = Path(__file__).resolve().parent
# conf/ lies beside the package in a checkout and inside it when installed.
CONF = next(folder for folder in (HERE / "conf", HERE.parent / "conf") if folder.is_dir())
DEMO_ROOT = "exp/demo"
INDECISIVE = ("device", "threads", "batch_size", "allow_download", "licence", "source_url")
EXIT_FAILED = 1
EXIT_USAGE = 2  # of Python's own parser
# ValueError: at a defaults list that is none, or bytes that are no text.
UNREADABLE = (HydraException, OmegaConfBaseException, YAMLError, RecursionError, ValueError)


@dataclass(frozen=True)
class Run:
    """A command's settings, complete and checked.

    Attributes:
        settings: every value; all paths set.
        is_demo: whether the data are the embedded demo's.
        choices: the name chosen in each configuration group.
    """

    settings: Settings
    is_demo: bool
    choices: Mapping[str, str | None] = field(default_factory=dict)


def command(name: str, summary: str, work: Callable[[Run], bool]) -> Callable[[], None]:
    """Make a command-line entry of `work`, which tells whether everything succeeded.

    The entry reads `sys.argv`, and exits with 0 if all went well, 1 if anything failed (the message or
    the list of failures says what), 130 if interrupted. Of a sweep (`-m`), one job that fails does not keep
    the others from being done.
    """
    began = []

    def task(config: Any) -> None:
        began.append(name)  # whatever is raised before is about the settings
        work_begins()
        try:
            run = complete(config, name, HydraConfig.get().runtime.choices)
            # Read by linear algebra when it is imported, here and in the workers: cores are shared by jobs.
            os.environ["OMP_NUM_THREADS"] = str(run.settings.executor.threads)
            if run.is_demo and run.choices["experiment"] != "demo":
                print("path.root is not given, so this is about the embedded demo.")
            succeeded = work(run)
        except OtherSettingsError as error:
            _fail(f"{error}{_name_for_each(run, error.keys)}")
        except CadenzaError as error:
            _fail(str(error))
        except BrokenPipeError:
            leave_unheard()
        except OSError as error:  # a folder that may not be entered, a path longer than any can be
            if error.errno in DISK_ERRORS:
                leave_full(error)
            _fail(f"{' '.join(str(error).split())}; correct the path, or who may use it.")
        if not succeeded:
            _fail()

    @interruptible()
    def main() -> None:
        arguments = sys.argv[1:]
        if "--version" in arguments:
            print(f"cadenza-remix {__version__}")
            return
        if {"--help", "-h"} & set(arguments):
            from cadenza_remix.help import help_text  # asked for seldom

            print(help_text(name, summary, arguments))
            return
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
        ConfigStore.instance().store(name="schema", node=Settings)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us, to be told in one sentence
        try:
            refuse_what_is_no_setting(arguments)
            refuse_what_is_no_choice(arguments)
            sys.argv[1:] = arranged(arguments)
            hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
        except (ConfigError, SweepError) as error:
            sys.exit(f"error: {error}")
        except SystemExit as stop:  # Hydra's parser of options has said what it did not understand
            sys.exit(EXIT_FAILED if stop.code == EXIT_USAGE else stop.code)
        except Exception as error:
            if type(error).__module__.startswith("submitit"):
                told = " ".join(str(error).splitlines()[:2])  # more is its log
                sys.exit(f"error: {told}; the same command continues.")
            if not (isinstance(error, HydraException) or (not began and _is_of_settings(error))):
                raise
            sys.exit(f"error: {_explained(error)} cadenza-remix {name} --help lists what there is.")

    return main


def _is_of_settings(error: Exception) -> bool:
    """Whether it is what Hydra raises at settings or files of them that it cannot read."""
    return error.filename is not None if isinstance(error, OSError) else isinstance(error, UNREADABLE)


def _explained(error: Exception) -> ConfigError:
    from cadenza_remix.explanation import explain  # needed seldom

    return ConfigError(explain(error))


class SweepError(Exception):
    """A job of a sweep failed; Hydra says which one."""


def _fail(told: str | None = None) -> NoReturn:
    """Say why and leave; a job of a sweep leaves the others alone."""
    if HydraConfig.get().mode is not RunMode.MULTIRUN:
        sys.exit(f"error: {told}" if told else EXIT_FAILED)
    if told:
        print(f"error: {told}", file=sys.stderr)
    raise SweepError(told or "Some of that job's work failed; its table of failures says why.")


def _name_for_each(run: Run, changed: Sequence[str]) -> str:
    """What to say to variants of one run in a sweep, which all go into its folder."""
    if HydraConfig.get().mode is not RunMode.MULTIRUN:
        return ""
    typed = {override.partition("=")[0] for override in overrides()}
    key = next((key for key in changed if key in typed), changed[0])
    value = f"hydra:runtime.choices.{key}" if key in GROUPS else key
    return f" Of a sweep, each variant wants its own, such as 'name={run.settings.name}_${{{value}}}'."


def complete(config: Any, command_name: str, choices: Any) -> Run:
    """Fill in what depends on other settings, and give every value its type.

    Raises:
        ConfigError: if there is a key that nothing reads, a value of a wrong type, a number that cannot be, a
            misspelt device, the run has no name, or nobody can do the jobs so.
    """
    try:
        return _complete(config, command_name, choices)
    except (OmegaConfBaseException, RecursionError) as error:
        raise _explained(error) from error


def _complete(config: Any, command_name: str, runtime_choices: Any) -> Run:
    _refuse_merged_choices(config, runtime_choices)
    choices = dict.fromkeys(GROUPS) | dict(runtime_choices)  # None where ~GROUP took one away
    _refuse_unread_keys(config)
    check_device_name(config.device)
    is_demo = config.path.root is None
    if is_demo:
        config.path.root = DEMO_ROOT
    config.name = config.name or default_name(config, command_name, choices)
    path = config.path
    if command_name in ("prepare", "doctor"):  # both look at the dry music
        path.music_dir = path.music_dir or f"{path.root}/audio/music"
        path.music_file = path.music_file or f"{path.metadata_dir}/musdb18.{config.split}.json"
    else:
        path.music_dir = path.music_dir or path.output_music_dir
        path.music_file = path.music_file or path.output_music_file
    settings = OmegaConf.to_object(config)
    assert isinstance(settings, Settings)
    settings.check()
    in_order = f"[{','.join(settings.correction)}]" if settings.correction else None
    return Run(settings, is_demo, choices | {"correction": in_order})


def _refuse_merged_choices(config: Any, choices: Any) -> None:
    """Hydra merges a list of choices, and choices that have one name, without a word."""
    for group in COMPONENTS:
        if group not in choices and not OmegaConf.is_missing(config, group) and config[group] is not None:
            raise ConfigError(f"{group} is a list of choices; expected one, as in override /{group}: NAME.")
    if config.correction:
        loader = GlobalHydra.instance().config_loader()
        listed = loader.compute_defaults_list("config", overrides(), RunMode.RUN).defaults
        paths = [str(each.config_path).split("/") for each in listed if each.parent == "config"]
        names = [name for group, *names in paths for name in names if group == "correction"]
        if len(names) > len(config.correction):
            raise ConfigError(
                f"correction=[{','.join(names)}] repeats one; leave it out, or copy its YAML and give it "
                "another name there, to do it twice."
            )


def _refuse_unread_keys(config: Any) -> None:
    """`+key=value` adds a key to Hydra's configuration even where the schema has none."""
    known = all_keys()
    nodes = {group: config[group] for group in COMPONENTS}
    nodes |= {
        f"correction.{name}": node
        for name, node in config.correction.items()
        if re.fullmatch(r"[\w-]+", str(name))  # as it is typed, and as it stands in a manifest
    }
    chosen = tuple(f"{name}." for name, node in nodes.items() if isinstance(node, Mapping) and TARGET in node)
    for key in flatten(OmegaConf.to_container(config, throw_on_missing=False)):
        if key.startswith(chosen):
            continue  # checked by its constructor
        told = renamed(key)
        if told:
            raise ConfigError(told)
        if key.startswith("correction."):
            raise ConfigError(
                f"{key} is no correction; in its YAML, put everything under the correction's own name, a "
                "word, _target_ too, as conf/correction/residual.yaml does."
            )
        if key not in known:
            raise ConfigError(f"There is no key {key}; remove it.")


@nothing_begun()
def build(node: Any, group: str, contract: type | None = None) -> Any:
    """Make the component that a YAML node names.

    Args:
        node: `_target_` and its arguments.
        group: the configuration group, for messages.
        contract: a Protocol whose attributes the component must have.

    Raises:
        ConfigError: if nothing is chosen, the class cannot be imported, or an argument or attribute is wrong.
        CadenzaError: what the component itself objects to.
    """
    if not node:
        raise ConfigError(f"No {group} is chosen; add {group}=NAME (see --help) or an experiment=NAME.")
    if TARGET not in (node if isinstance(node, Mapping) else ()):
        raise ConfigError(f"{group} is {node!r}; expected {TARGET} and its arguments: correct its YAML.")
    for wrong in wrong_values(node, group):
        raise ConfigError(wrong)
    try:
        component = hydra.utils.instantiate(node, _convert_="all")  # plain lists and dictionaries
    except InstantiationException as error:
        if isinstance(error.__cause__, CadenzaError):  # said in the component's own words
            raise _where_it_stands(error.__cause__, group, error) from None
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ConfigError(
            f"{group}: {node.get('_target_')} cannot be made ({reason}); correct its YAML."
        ) from error
    missing = [name for name in _attributes(contract) if not hasattr(component, name)]
    if missing:
        raise ConfigError(f"{group}: {node.get('_target_')} lacks {', '.join(missing)}; add it to the class.")
    return component


def _where_it_stands(told: CadenzaError, group: str, error: InstantiationException) -> CadenzaError:
    """What a component objects to; a member of an ensemble does not know where its keys stand."""
    inner = re.search(r"full_key: (\S+)", str(error))
    if not inner:
        return told
    return type(told)(str(told).replace(f"{group}.", f"{group}.{inner[1]}."))


def _attributes(contract: type | None) -> list[str]:
    return [name for name, value in vars(contract).items() if isinstance(value, property)] if contract else []


def choices(group: str) -> tuple[list[str], str | None]:
    """What a group offers, `--config-dir` included, and what is chosen of it; only while a command runs."""
    names: list[str] = GlobalHydra.instance().config_loader().get_group_options(group)
    return names, HydraConfig.get().runtime.choices.get(group)


def choice(group: str, name: str, *others: str) -> Any:
    """The YAML node of one that is not chosen; only while a command runs.

    Args:
        group: the configuration group.
        name: of the choice.
        others: settings that it may depend on, such as `device=cpu`.

    Raises:
        ConfigError: if its file is broken.
    """
    try:
        node = hydra.compose("config", [f"{group}={name}", *others])[group]
        return OmegaConf.to_container(node, resolve=True)
    except UNREADABLE as error:
        raise _explained(error) from error


def own_choices() -> Path | None:
    """The folder that `--config-dir` names; only while a command runs."""
    sources = HydraConfig.get().runtime.config_sources
    return next((Path(each.path) for each in sources if each.provider == "command-line"), None)


def overrides() -> list[str]:
    """What the user has set on the command line, as typed; only while a command runs."""
    return list(HydraConfig.get().overrides.task)


def decisive(node: Any) -> dict[str, Any]:
    """A component's settings without those that its results do not depend on."""
    return {key: node[key] for key in node if key not in INDECISIVE}


def named(run: Run, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted key, with the name of what was chosen beside each component's own settings."""
    chosen = {group: run.choices.get(group) for group, node in settings.items() if isinstance(node, dict)}
    return flatten(dict(settings)) | chosen


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as `{"dotted.key": value}`, ready for JSON."""
    if is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, dict):
        return {k: v for key in value for k, v in flatten(value[key], f"{prefix}.{key}".lstrip(".")).items()}
    return {prefix: str(value) if isinstance(value, Path) else value}
