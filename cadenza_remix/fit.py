"""Learn from true stems: the shares of separators in an ensemble, or a correction of separated stems."""

import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cadenza_remix.config import (
    CONF,
    Run,
    build,
    choice,
    choices,
    command,
    flatten,
    named,
    overrides,
    own_choices,
)
from cadenza_remix.enhance import identity, warn_of_terms
from cadenza_remix.errors import ConfigError, WeightsError
from cadenza_remix.parallel import import_early, run_all
from cadenza_remix.settings import Fitted, Settings

if TYPE_CHECKING:  # --help and --cfg answer at once
    from cadenza_remix.demix.base import Separator
    from cadenza_remix.demix.fitting import Fit, Gram
    from cadenza_remix.jobs.fitting import Fitting

MADE_HERE = "# Made by cadenza-remix fit"  # begins a file that may be replaced
NO_TEXT = ("true", "false", "yes", "no", "on", "off", "null", "nan", "inf")  # to YAML or on a command line


def fit(run: Run) -> bool:
    """Fit to the songs of the scene list, and write what was found as a choice; true if no song failed."""
    import_early("cadenza_remix.jobs.fitting", workers=run.settings.executor.workers)
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix import pipeline
    from cadenza_remix.datasets.challenge import read_music, read_pairs, stems_in
    from cadenza_remix.jobs.fitting import Fitting
    from cadenza_remix.jobs.run import filling, report_failures
    from cadenza_remix.jobs.stem_cache import StemCache
    from cadenza_remix.ledger import provenance

    settings, path = run.settings, run.settings.path
    if settings.shard.count > 1:
        raise ConfigError(
            f"shard.count={settings.shard.count}; fit learns from all songs together: leave out shard.index= "
            "and shard.count=; tasks of enhance may separate before, into the same stem_cache=DIR."
        )
    nodes = _separators(run)
    file = _choice_file(settings)
    separators = {name: _made(name, node, settings) for name, node in nodes.items()}
    corrections = tuple(build(node, f"correction.{name}") for name, node in settings.correction.items())
    if run.is_demo:
        from cadenza_remix import demo

        demo.write_music_at_microphones(settings)
    pairs = read_pairs(path, every_nth=settings.evaluate.every_nth)
    sources = tuple(pairs[0].scene.gains_db)
    pipeline.check_corrections(corrections, sources)
    music = read_music(path.given("music_file"), path.given("music_dir"), pairs, settings.sample_rate)
    given_stems = music if settings.stems.lower() == "true" else stems_in(Path(settings.stems), music)
    work = Fitting(
        run=path.exp_folder,
        music=music,
        sources=sources,
        given_stems=None if separators else given_stems,
        separators=tuple(separators.values()),
        corrections=corrections,
        fit=_fit(settings.fit.what, separators, sources),
        sample_rate=settings.sample_rate,
        stem_cache=StemCache(settings.stem_cache, settings.stem_cache_gb) if settings.stem_cache else None,
    )
    depends_on = {
        "path.root": settings.path.root,  # another one is other music under the same names
        "split": settings.split,
        "stems": settings.stems,
        "fit.what": settings.fit.what.name,
        "separators": {name: identity(nodes[name], each) for name, each in separators.items()},
        "correction": {"in order": list(settings.correction), **settings.correction},
        "sample_rate": settings.sample_rate,
    }
    with filling(
        path.exp_folder,
        "fit",
        pairs,
        named(run, depends_on),
        made_with=provenance(flatten(settings), path.inputs()),
        overwrite=settings.overwrite,
    ):
        for separator in separators.values():
            warn_of_terms(separator)
        grams, failures = _all_grams(work, list(dict.fromkeys(pair.scene.song for pair in pairs)), settings)
        succeeded = report_failures(path.exp_folder, "fit", failures)
        if grams:
            _write(file, work.fit, grams, settings)
        return succeeded


def _all_grams(
    work: "Fitting", songs: Sequence[str], settings: Settings
) -> tuple[list[dict[str, "Gram"]], list[dict[str, str]]]:
    """The Gram matrices of the songs that could be done, and why the other ones could not."""
    from tqdm import tqdm

    executor = settings.executor
    done = run_all(work, songs, workers=executor.workers, timeout_s=executor.timeout_s)
    results = dict(tqdm(done, desc="fit", total=len(songs), unit="song", disable=None))
    in_order = [(song, results[song]) for song in songs]
    grams = [result for _, result in in_order if not isinstance(result, str)]
    return grams, [{"song": song, "cause": cause} for song, cause in in_order if isinstance(cause, str)]


def _write(file: Path, fit: "Fit", grams: Sequence[Mapping[str, "Gram"]], settings: Settings) -> None:
    """Fit, write the choice, and tell what it does and how it is used."""
    import pandas as pd

    from cadenza_remix.jobs.fitting import found, scores
    from cadenza_remix.output import write_text

    weights = found(fit, list(grams[0]), grams)
    usdr = pd.DataFrame(scores(fit, weights, grams)).T
    usdr.loc["mean"] = usdr.mean()
    numbers = pd.DataFrame({source: fit.numbers(source, each) for source, each in weights.items()}).T
    decibels = usdr.dropna(axis="columns", how="all").map("{:.2f}".format, na_action="ignore")
    mean, known = decibels.loc["mean"], "left out" in decibels
    before = "the best member for each stem" if settings.fit.what is Fitted.shares else "the stems before"
    told = f"{len(grams)} song{'s' if len(grams) > 1 else ''} of {settings.split}, "
    told += f"uSDR {mean['fitted']} dB against {mean['before']} dB of {before}"
    told += (
        f" ({mean['left out']} dB against {mean['left out, before']} dB on songs left out)" if known else ""
    )
    text = _yaml(fit.choice(weights))
    if file.parent.name == "correction":  # of which there may be several, by name
        text = f"{file.stem}:\n{textwrap.indent(text, '  ')}"
    write_text(file, f"{MADE_HERE} from {told}.\n{text}")
    table = numbers.join(decibels.add_prefix("uSDR "), how="right")
    print(table.to_string(float_format="{:.3f}".format, na_rep=""))
    print(f"fit: {told}; {file}")
    if not known:
        print("What it does on other songs takes two at least to tell, as each is left out once.")
    elif usdr["left out"]["mean"] <= usdr["left out, before"]["mean"]:
        print(f"On songs left out it is no better than {before}, as far as these can tell.")
    print("Decibels are not HAAQI: evaluate with and without it before you keep it.")
    print(f"Next: {_next_command(settings, file)}")


def _separators(run: Run) -> dict[str, Any]:
    """The nodes of what is to separate, by name; none where stems are given.

    Raises:
        ConfigError: if there is no such choice, or too few, or shares are to be fitted to what comes later.
    """
    settings = run.settings
    if settings.fit.what is not Fitted.shares:
        if settings.fit.members:
            raise ConfigError("fit.members is for fit.what=shares; add that, or leave it out.")
        chosen = str(run.choices["separator"])
        return {chosen: settings.separator} if settings.stems == "separate" else {}
    members, known = settings.fit.members or [], choices("separator")[0]
    unknown = [name for name in members if name not in known]
    if unknown:
        raise ConfigError(f"fit.members names {', '.join(unknown)}; choose among {', '.join(known)}.")
    if len(members) < 2 or len(set(members)) < len(members):
        raise ConfigError(
            f"fit.members=[{','.join(members)}]; expected two or more different separators, "
            "such as fit.members=[hdemucs,mdxnet,dttnet]."
        )
    later = [] if settings.stems == "separate" else ["stems"]
    later += ["correction"] if settings.correction else []
    if later:
        raise ConfigError(
            f"fit.what=shares is about what fit.members separate, before anything else; leave out "
            f"{' and '.join(f'{key}=' for key in later)}."
        )
    others = (
        f"device={settings.device}",
        f"executor.threads={settings.executor.threads}",
        f"sample_rate={settings.sample_rate}",
    )
    return {name: choice("separator", name, *others) for name in members}


def _made(name: str, node: Any, settings: Settings) -> "Separator":
    """A separator; the members of an ensemble to come have no keys on the command line.

    Raises:
        CadenzaError: if it cannot be made.
    """
    from cadenza_remix.demix.base import Separator

    try:
        made: Separator = build(node, "separator", Separator)
    except WeightsError as error:
        if settings.fit.what is not Fitted.shares:
            raise
        told = str(error).split(", or say separator.")[0]
        raise WeightsError(
            f"{told}, or make a choice of your own for {name} with its keys, in the folder of --config-dir."
        ) from error
    return made


def _fit(what: Fitted, separators: Mapping[str, "Separator"], sources: Sequence[str]) -> "Fit":
    """What is to be fitted.

    Raises:
        CadenzaError: if the separators do not fit together, or one does not make every stem.
    """
    from cadenza_remix.demix.ensemble import Ensemble
    from cadenza_remix.demix.fitting import FitMixer, FitScales, FitShares
    from cadenza_remix.pipeline import check_sources

    if what is Fitted.shares:
        able = {
            source: [name for name, each in separators.items() if source in each.sources]
            for source in sources
        }
        Ensemble(separators, {source: dict.fromkeys(names, 1.0) for source, names in able.items()})
        return FitShares(able)
    for separator in separators.values():
        check_sources(separator.sources, dict.fromkeys(sources, 0.0))
    return FitMixer(sources) if what is Fitted.mixer else FitScales()


def _choice_file(settings: Settings) -> Path:
    """Where the choice goes: among the user's own ones, beside all runs, or into the folder that was named.

    Raises:
        ConfigError: if it would take the place of another choice.
    """
    group = "separator" if settings.fit.what is Fitted.shares else "correction"
    name, run = str(settings.name), settings.path.exp_folder
    among_runs = run == Path("exp", name)  # of a folder that the user names, nothing is known around it
    folder = own_choices() or (run.parent if among_runs else run) / "conf"
    if not re.fullmatch(r"[^\W\d][\w-]*", name) or name.lower() in NO_TEXT:
        raise ConfigError(
            f"name={name}; expected a word, as {group}={name} is to be typed: give another name=."
        )
    file = folder / group / f"{name}.yaml"
    taken = file.is_file() and not file.read_text(encoding="utf-8").startswith(MADE_HERE)
    if taken or (CONF / group / f"{name}.yaml").is_file():
        raise ConfigError(f"{group}={name} is there already and was not made by fit; choose another name=.")
    return file


def _yaml(node: Mapping[str, Any]) -> str:
    """A component's YAML, one line for each stem, channel or member."""
    text = ""
    for key, value in node.items():
        if isinstance(value, Mapping):
            text += f"{key}:\n" + "".join(f"  {name}: {_flow(each)}\n" for name, each in value.items())
        elif isinstance(value, list):
            text += f"{key}:\n" + "".join(f"  - {_flow(each)}\n" for each in value)
        else:
            text += f"{key}: {value}\n"
    return text


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_flow(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _next_command(settings: Settings, file: Path) -> str:
    """What to type to use a choice, with what was typed to fit it."""
    shares = settings.fit.what is Fitted.shares
    replaced = ["fit", "name", "overwrite", *(("separator", "experiment") if shares else ())]
    typed = [each for each in overrides() if re.split(r"[.=]", each.lstrip("+~"))[0] not in replaced]
    kept = [each for each in typed if not each.startswith("correction=")]
    if shares:
        kept.append(f"separator={file.stem}")
    else:
        kept += [f"correction=[{','.join([*settings.correction, file.stem])}]", f"name={file.stem}"]
    return shlex.join(["cadenza-remix", "enhance", "--config-dir", str(file.parent.parent), *kept])


main = command("fit", "Learn an ensemble's shares or a correction from the true stems.", fit)

if __name__ == "__main__":
    main()
