"""From the command line to settings and components.

This is the only module that knows Hydra. It imports nothing heavy, so that `--help` answers at once.
"""

import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
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

from cadenza_remix import __version__
from cadenza_remix.annotations import wrong_values
from cadenza_remix.device import check_device_name
from cadenza_remix.errors import CadenzaError, ConfigError
from cadenza_remix.interruption import interruptible, leave_unheard, work_begins
from cadenza_remix.settings import ExecutorSettings, Fitted, Settings

HERE = Path(__file__).resolve().parent
# conf/ lies beside the package in a checkout and inside it when installed.
CONF = next(folder for folder in (HERE / "conf", HERE.parent / "conf") if folder.is_dir())
DEMO_ROOT = "exp/demo"
DEMO_EXPERIMENT = "experiment=demo"
INDECISIVE = ("device", "threads", "batch_size", "allow_download", "licence", "source_url")
EXIT_FAILED = 1
EXIT_USAGE = 2  # of Python's own parser

RENAMED_KEYS = {
    "separator.model": "separator=NAME, such as separator=hdemucs or separator=openunmix",
    "separator.device": "device=NAME, such as device=cpu or device=cuda:0",
    "apply_compressor": "amplifier=nalr_compressor",
    "compressor": "amplifier=nalr_compressor: its threshold, attenuation, attack_ms, release_ms, "
    "rms_window_s",
    "soft_clip": "limiter=tanh for true, limiter=hard_clip for false",
    "nalr.sample_rate": "sample_rate",
    "evaluate.batch": "shard.index, and merge at the end",
    "evaluate.batch_size": "shard.count, and merge at the end",
    "path.scene_file": "path.scenes_file",
    "path.head_positions_file": "path.head_loudspeaker_positions_file",
    "path.tracklist_file": "nothing, as the tracks are those of the scene list",
    "scene.number_scenes_per_song": "prepare.scenes_per_song",
    "scene_listener.number_listeners_per_scene": "prepare.listeners_per_scene",
}

# Of Hydra's options, all but the one that unpickles a file, for which it would also take --experiment.
OPTIONS = (
    *(
        "--help",
        "-h",
        "--version",
        "--cfg",
        "-c",
        "--resolve",
        "--package",
        "-p",
        "--run",
        "-r",
        "--multirun",
    ),
    *("-m", "--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--info", "-i"),
    *("--hydra-help", "--shell-completion", "-sc"),
)

RATES_HZ = (8000, 384000)  # as in `audio`, which is too heavy to be imported here
RANGES = {
    "sample_rate": RATES_HZ,
    "remix_sample_rate": RATES_HZ,
    "HAAQI_sample_rate": (8000, 192000),  # as in `metrics.rates`
    "nalr.nfir": (2, 1000),  # the filters are designed on a grid of 1024
    "executor.workers": (0, 1000),
    "executor.threads": (1, 1000),
}


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
        began.append(name)  # whatever is raised before is about the arguments
        work_begins()
        try:
            run = complete(config, name, HydraConfig.get().runtime.choices)
            # Read by linear algebra when it is imported, here and in the workers: cores are shared by jobs.
            os.environ["OMP_NUM_THREADS"] = str(run.settings.executor.threads)
            if run.is_demo and run.choices["experiment"] != "demo":
                print("path.root is not given, so this is about the embedded demo.")
            succeeded = work(run)
        except CadenzaError as error:
            _fail(str(error))
        except OmegaConfBaseException as error:
            _fail(_explain(error))
        except RecursionError:
            _fail("Settings are nested too deeply; make their file simpler.")
        except BrokenPipeError:
            leave_unheard()
        except OSError as error:  # a folder that may not be entered, a path longer than any can be
            _fail(f"{' '.join(str(error).split())}; correct the path, or who may use it.")
        if not succeeded:
            _fail()

    @interruptible()
    def main() -> None:
        if "--version" in sys.argv:
            print(f"cadenza-remix {__version__}")
            return
        if {"--help", "-h"} & set(sys.argv):
            from cadenza_remix.help import help_text  # asked for seldom

            print(help_text(name, summary, sys.argv[1:]))
            return
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
        refuse_unknown_options(sys.argv[1:])
        refuse_renamed_keys(sys.argv[1:])
        sys.argv[1:] = with_demo_by_default(sys.argv[1:])
        ConfigStore.instance().store(name="schema", node=Settings)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us, to be told in one sentence
        try:
            hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
        except HydraException as error:
            sys.exit(f"error: {_explain(error)} cadenza-remix {name} --help lists what there is.")
        except SweepError as error:
            sys.exit(f"error: {error}")
        except SystemExit as stop:  # Hydra's parser of options has said what it did not understand
            sys.exit(EXIT_FAILED if stop.code == EXIT_USAGE else stop.code)
        except Exception as error:
            if type(error).__module__.startswith("submitit"):
                told = " ".join(str(error).splitlines()[:2])  # more is its log
                sys.exit(f"error: {told}; the same command continues.")
            if began:
                raise
            # Of any kind, at separator=1 or separator=[[]], or where a file of the user's is no YAML.
            told = f"Settings are not understood ({error}); say the name of a choice for a group, or mend it."
            sys.exit(f"error: {ConfigError(told)} cadenza-remix {name} --help lists what there is.")

    return main


class SweepError(Exception):
    """A job of a sweep failed; Hydra says which one."""


def _fail(told: str | None = None) -> NoReturn:
    """Say why and leave; a job of a sweep leaves the others alone."""
    if HydraConfig.get().mode is not RunMode.MULTIRUN:
        sys.exit(f"error: {told}" if told else EXIT_FAILED)
    if told:
        print(f"error: {told}", file=sys.stderr)
    raise SweepError(told or "Some of that job's work failed; its table of failures says why.")


def _explain(error: Exception) -> str:
    """What Hydra or OmegaConf objects to, in one sentence, with the key that was probably meant."""
    unknown = re.match(r"Could not override '([^']+)'", str(error))
    if unknown:
        group, _, key = unknown[1].partition(".")
        if group == "separator" and key:
            return (
                f"The separator has no key {unknown[1]}; of an ensemble's members, say "
                f"separator.members.NAME.{key}."
            )
        similar = difflib.get_close_matches(unknown[1], _keys(Settings), n=1, cutoff=0.5)
        return f"There is no key {unknown[1]}" + (f"; did you mean {similar[0]}?" if similar else ".")
    no_choice = re.search(r"Could not (?:find|load) '(\w+)/([^']+)'", str(error))
    if no_choice:
        group, name = no_choice.groups()
        listed = re.search(r"Available options in '\w+':\n((?:\t.*\n?)+)", str(error))
        there = listed[1].split() if listed else sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        similar = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
        hint = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(there)}."
        return f"There is no {group}={name}; {hint}"
    block = re.search(r"full_key: (\S+)", str(error))
    old = [key for key in RENAMED_KEYS if block and f"{key}.".startswith(f"{block[1]}.")]
    if old:  # in a file of the user's
        return " ".join(str(renamed(key)) for key in old)
    told = re.split(r"Config search path|\n *(?:full_key|reference_type|object_type)", str(error))[0]
    reason = f" ({str(error.__cause__).splitlines()[0]})" if error.__cause__ else ""
    return " ".join(told.split()) + reason + "."


def _keys(schema: type, prefix: str = "") -> list[str]:
    """The dotted names of all settings."""
    keys = []
    for each in fields(schema):
        name = f"{prefix}{each.name}"
        nested = isinstance(each.type, type) and is_dataclass(each.type)
        keys += _keys(each.type, f"{name}.") if nested else [name]  # type: ignore[arg-type]
    return keys


def refuse_renamed_keys(arguments: list[str]) -> None:
    """Stop at a key of the reference recipe that has another name here, and say the new one."""
    for argument in arguments:
        told = renamed(argument.lstrip("+~").split("=")[0])
        if told:
            sys.exit(f"error: {told}")


def refuse_unknown_options(arguments: list[str]) -> None:
    """Stop at an option that does not exist, such as a key written with dashes."""
    for argument in arguments:
        option = argument.split("=")[0]
        if option.startswith("-") and option not in OPTIONS:
            told = f"There is no option {option}; keys are written without dashes, such as path.root=DIR."
            sys.exit(f"error: {ConfigError(told)}")


def renamed(key: str) -> str | None:
    """What to say instead of a key of the reference recipe; None if it is not one that changed."""
    for old, new in RENAMED_KEYS.items():
        if key == old or key.startswith(f"{old}."):
            return f"{key} is a key of the reference recipe; say instead: {new}."
    return None


def with_demo_by_default(arguments: list[str]) -> list[str]:
    """The arguments, with the demo's experiment where neither data nor a system is named."""
    chosen = ("path.root=", "experiment=", "separator=", "stems=", "runs=")
    if any(argument.startswith(chosen) for argument in arguments):
        return arguments
    # Python's parser wants all keys in one place.
    keys = [number for number, argument in enumerate(arguments) if re.match(r"[^-].*=", argument)]
    place = keys[0] if keys else len(arguments)
    return [*arguments[:place], DEMO_EXPERIMENT, *arguments[place:]]


def complete(config: Any, command_name: str, choices: Any) -> Run:
    """Fill in what depends on other settings, and give every value its type.

    Raises:
        ConfigError: if there is a key that nothing reads, a number that cannot be, a misspelt device, the run
            has no name, or nobody can do the jobs so.
    """
    _refuse_unread_keys(config)
    check_device_name(config.device)
    is_demo = config.path.root is None
    if is_demo:
        config.path.root = DEMO_ROOT
    config.name = config.name or _default_name(config, command_name, choices)
    path = config.path
    if command_name in ("prepare", "doctor"):  # both look at the dry music
        path.music_dir = path.music_dir or f"{path.root}/audio/music"
        path.music_file = path.music_file or f"{path.metadata_dir}/musdb18.{config.split}.json"
    else:
        path.music_dir = path.music_dir or path.output_music_dir
        path.music_file = path.music_file or path.output_music_file
    settings = OmegaConf.to_object(config)
    assert isinstance(settings, Settings)
    _refuse_impossible_numbers(flatten(settings))
    _check_timeout(settings.executor)
    settings.shard.check()
    in_order = f"[{','.join(settings.correction)}]"  # Hydra tells no choices of a group with several
    return Run(settings, is_demo, dict(choices) | {"correction": in_order})


def _check_timeout(executor: ExecutorSettings) -> None:
    if executor.timeout_s is not None and (executor.workers == 0 or executor.timeout_s <= 0):
        raise ConfigError(
            f"executor.timeout_s={executor.timeout_s:g} must be more than 0, and needs a process that can be "
            "stopped: add executor=processes, or leave it out."
        )


def _refuse_unread_keys(config: Any) -> None:
    """`+key=value` adds a key to Hydra's configuration even where the schema has none."""
    known = _keys(Settings)
    groups = ("amplifier", "closed_loop", "head", "limiter", "metric", "mixture_blend", "separator")
    nodes = {group: config[group] for group in groups}
    nodes |= {f"correction.{name}": node for name, node in config.correction.items()}
    chosen = tuple(
        f"{name}." for name, node in nodes.items() if isinstance(node, Mapping) and "_target_" in node
    )
    for key in flatten(OmegaConf.to_container(config, throw_on_missing=False)):
        if key.startswith(chosen):
            continue  # checked by its constructor
        told = renamed(key)
        if told:
            raise ConfigError(told)
        if key.startswith("correction."):
            raise ConfigError(
                f"{key} is no correction; in its YAML, put everything under the correction's own name, "
                "_target_ too, as conf/correction/residual.yaml does."
            )
        if key not in known:
            raise ConfigError(f"There is no key {key}; remove it.")


def _refuse_impossible_numbers(values: dict[str, Any]) -> None:
    for key, (low, high) in RANGES.items():
        if values[key] is not None and not low <= values[key] <= high:
            raise ConfigError(f"{key} is {values[key]}; give a whole number from {low} to {high}.")


def _default_name(config: Any, command_name: str, choices: Any) -> str:
    if config.runs:
        return Path(config.runs[0]).name
    if command_name == "fit":
        return _name_of_fit(config, choices)
    if choices.experiment:
        return str(choices.experiment)
    if config.stems != "separate":
        return f"stems_{Path(config.stems).name.lower()}"
    if choices.separator:
        return str(choices.separator)
    if not OmegaConf.is_interpolation(config.path, "exp_folder"):
        return Path(config.path.exp_folder).name
    if command_name in ("prepare", "doctor"):
        return command_name
    raise ConfigError(
        "path.root is set, but not what to run on it; add experiment=NAME (do_nothing, icassp2024, …), "
        "separator=NAME, stems=true, stems=DIR, or name=NAME of an earlier run."
    )


def _name_of_fit(config: Any, choices: Any) -> str:
    """What is fitted, by what it is fitted to."""
    if config.fit.what is Fitted.shares:
        return "_".join(config.fit.members or ["shares"])
    stems = choices.separator if config.stems == "separate" else f"stems_{Path(config.stems).name.lower()}"
    return "_".join([str(stems), *config.correction, config.fit.what.name])


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
    return names, HydraConfig.get().runtime.choices[group]


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
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error)) from error


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
