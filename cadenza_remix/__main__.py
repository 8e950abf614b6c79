"""The `cadenza-remix` program: one command, or the whole demo."""

import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from cadenza_remix import __version__
from cadenza_remix.interruption import interruptible

STAGES = ("prepare", "enhance", "evaluate", "report")
COMMANDS = {
    "prepare": "bring dry music to the hearing-aid microphones",
    "enhance": "separate, remix, amplify and limit it for every scene and listener",
    "evaluate": "score the enhanced signals with HAAQI",
    "merge": "put the tables of a run in shards together",
    "report": "show how runs did: a page, tables, and what to listen to",
    "fit": "learn an ensemble's shares or a correction from the true stems",
    "doctor": "say what is missing on this machine, and what to do about it",
    "check": "check the enhanced signals before they are handed in",
    "pack": "check them and pack them into one archive",
    "haaqi": "score one pair of audio files",
}


@interruptible()
def main() -> None:
    """Run `cadenza-remix [command] key=value …`; without a command, all stages in order."""
    sys.path.insert(0, str(Path.cwd()))  # an entrant's own separator is found where the entrant stands
    arguments = sys.argv[1:]
    if arguments[:1] in (["--help"], ["-h"]):
        print(usage())
    elif arguments[:1] == ["--version"]:
        print(f"cadenza-remix {__version__}")
    elif arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        name = arguments[0]
        if name not in COMMANDS:
            similar = get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {similar[0]}?" if similar else f"choose one of {', '.join(COMMANDS)}."
            sys.exit(f"error: there is no command {name!r}; {hint}")
        run(name, arguments[1:])
    else:
        for stage in STAGES:
            run(stage, arguments)


def run(command: str, arguments: list[str]) -> None:
    """Run one command as `python -m cadenza_remix.<command>` would; leaves by SystemExit if it fails."""
    sys.argv = [f"cadenza-remix {command}", *arguments]
    import_module(f"cadenza_remix.{command}").main()


def usage() -> str:
    """What `cadenza-remix --help` prints."""
    lines = "\n".join(f"  {name:9} {summary}" for name, summary in COMMANDS.items())
    return (
        "cadenza-remix COMMAND key=value …   one command; cadenza-remix COMMAND --help lists its keys\n"
        "cadenza-remix key=value …           prepare, enhance, evaluate and report in turn; without\n"
        f"                                    any key: on the embedded demo, into exp/demo\n\n{lines}"
    )


if __name__ == "__main__":
    main()
