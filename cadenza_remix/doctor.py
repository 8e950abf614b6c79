"""Say what is missing on this machine, and what to do about it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cadenza_remix.config import Run, build, choice, choices, command
from cadenza_remix.errors import CadenzaError, ConfigError

if TYPE_CHECKING:  # --help and --cfg answer at once
    from cadenza_remix.diagnosis.finding import Finding


def doctor(run: Run) -> bool:
    """Look at all that a run needs and tell it, problems first; true if nothing asked for will fail."""
    # Deferred, so that --help and --cfg answer at once.
    from cadenza_remix.diagnosis.environment import environment
    from cadenza_remix.diagnosis.finding import Level

    parts = {
        "Environment": environment(run.settings.device),
        "Data": list(data(run)),
        "Separators": list(separators(run)),
    }
    problems = [one for findings in parts.values() for one in findings if one.level is Level.problem]
    if problems:
        print(f"doctor: {len(problems)} problem{'s' * (len(problems) > 1)}, here first, and what to do")
    else:
        print("doctor: all is well; nothing that was asked for will fail")
    tell("To mend", problems)
    for title, findings in parts.items():
        tell(title, [one for one in findings if one.level is not Level.problem])
    return not problems


def tell(title: str, findings: "Iterable[Finding]") -> None:
    """Print findings below their title, if there are any."""
    told = [line for finding in findings for line in lines(finding)]
    if told:
        print("", title, *told, sep="\n")


def separators(run: Run) -> "Iterator[Finding]":
    """The separator that is chosen, and every one that could be; of those, only which cannot be used."""
    from cadenza_remix.demix.base import Separator
    from cadenza_remix.diagnosis.separators import not_usable, separator

    def made(node: Any) -> Separator | CadenzaError:
        try:
            component: Separator = build(without_download(node), "separator", Separator)
        except CadenzaError as error:
            return error
        return component

    unusable = []
    names, chosen = choices("separator")
    for name in sorted(names, key=lambda name: name != chosen):
        is_chosen = name == chosen and run.settings.stems == "separate"
        try:
            node = run.settings.separator if is_chosen else choice("separator", name)
        except ConfigError:
            unusable.append(name)
            continue
        component = made(node)
        if is_chosen or not isinstance(component, CadenzaError):
            yield separator(name, node, component, chosen=is_chosen)
        else:
            unusable.append(name)
    if unusable:
        yield not_usable(unusable)


def without_download(node: Any) -> Any:
    """A component's settings, by which nothing is fetched: looking should cost nothing."""
    if isinstance(node, Mapping):
        kept = {key: without_download(node[key]) for key in node}
        return kept | ({"allow_download": False} if "allow_download" in kept else {})
    return node


def data(run: Run) -> "Iterator[Finding]":
    """The challenge's folder, or the demo's, and the disk."""
    from cadenza_remix.diagnosis import music
    from cadenza_remix.diagnosis.environment import disk
    from cadenza_remix.diagnosis.finding import Finding, Level
    from cadenza_remix.diagnosis.lists import cross_references, read_lists

    settings, path = run.settings, run.settings.path
    if run.is_demo and not path.given("music_file").is_file():
        yield Finding("demo", "made when it is first used; path.root=DIR takes a folder of the challenge's")
        yield disk("disk", path.exp_folder, 0)
        return
    lists, findings = read_lists(path)
    yield from findings
    yield from cross_references(lists, path)
    try:
        heads = build(settings.head, "head")
    except CadenzaError as error:
        yield Finding("heads", str(error), Level.problem)
        return
    inventory = music.take_inventory(lists, path, heads, sample_rate=settings.sample_rate)
    yield from music.music_findings(inventory, path)
    rates = {"sample_rate": settings.sample_rate, "output_sample_rate": settings.remix_sample_rate}
    yield disk("disk, music", path.output_music_dir, music.bytes_of_prepared(inventory, lists))
    yield disk("disk, run", path.exp_folder, music.bytes_of_enhanced(inventory, lists, **rates))


def lines(finding: "Finding") -> "Iterator[str]":
    """A finding as it is printed."""
    yield f"  {finding.level.value:8} {finding.subject:24} {finding.told}"
    below: Iterable[str] = (*finding.details, *([f"→ {finding.remedy}"] if finding.remedy else []))
    yield from (f"{'':35} {line}" for line in below)


main = command("doctor", "Say what is missing on this machine, and what to do about it.", doctor)

if __name__ == "__main__":
    main()
