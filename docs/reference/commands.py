"""The page of the commands: their options and examples, from their own parsers."""

from __future__ import annotations

import argparse
import contextlib
import importlib
from unittest import mock

from docs.reference.markdown import MADE, code, plain, table
from har.__main__ import GROUPS
from har.commands.parser import CommandParser

_INTRODUCTION = """\
Every command is `har NAME …`; `har --help` lists them, `har NAME --help` prints what stands here. `fit`, `validate`,
`test` and `predict` also take every setting of [configuration.md](configuration.md) as `--KEY VALUE`.

Exit codes: 0 all is done; 1 a run failed, or runs of a study do not count; 2 the command line or a configuration is
wrong; 3 data are missing or damaged; 130 interrupted, by Ctrl-C or SIGTERM. Results go to the standard output, progress
and errors to the standard error.

| variable | what it moves |
| --- | --- |
| `HAR_DATA` | the data root, `./data` where it is not set |
| `HAR_RUNS` | the root of run folders, `./runs` where it is not set |
"""


def page() -> str:
    """Return the page."""
    parts = ["# Commands\n", MADE, _INTRODUCTION]
    for group, commands in GROUPS.items():
        parts.append(f"## To {group}\n" if group in {"train", "judge", "ship"} else f"## {group.capitalize()}\n")
        parts += [_command(name) for name in commands]
    return "\n".join(parts)


def parser_of(name: str) -> CommandParser:
    """Return the parser of a command: the one that answers when it is asked for help."""
    answered: list[CommandParser] = []
    module = importlib.import_module(f"har.commands.{name}")
    with (
        mock.patch.object(CommandParser, "print_help", lambda parser, file=None: answered.append(parser)),
        contextlib.suppress(SystemExit),
    ):
        module.main(["--help"])
    return answered[0]


def _command(name: str) -> str:
    """Return the section of one command."""
    parser = parser_of(name)
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    rows = [(_written(action), plain(action.help or ""), _default(action)) for action in actions]
    parts = [f"### har {name}\n", f"{parser.description}\n", table(("option", "meaning", "default"), rows)]
    examples, notes = _examples(parser)
    parts.append(f"```sh\n{examples}\n```\n")
    parts += [f"```text\n{notes}\n```\n"] if notes else []
    return "\n".join(parts)


def _written(action: argparse.Action) -> str:
    """Return an argument as it is typed."""
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices:
        metavar = "|".join(map(str, action.choices))
    if not action.option_strings:
        optional = action.nargs in ("?", "*")
        return code(f"[{metavar}]" if optional else metavar) + (" (several)" if action.nargs in ("*", "+") else "")
    names = ", ".join(action.option_strings)
    several = " (repeatable)" if isinstance(action, argparse._AppendAction) else ""
    return code(names if action.nargs == 0 else f"{names} {metavar}") + several


def _default(action: argparse.Action) -> str:
    """Return what holds where an argument is not given; empty where that is nothing."""
    if action.required:
        return "needed"
    return "" if action.default in (None, False, [], argparse.SUPPRESS) else code(action.default)


def _examples(parser: CommandParser) -> tuple[str, str]:
    """Return the examples of a command's help, and the lines behind them unless they are of settings."""
    examples, _, notes = str(parser.epilog).removeprefix("examples:\n").partition("\n  \n")
    shown = [_commented(line.removeprefix("  ")) for line in examples.splitlines()]
    lines = [line.removeprefix("  ").rstrip() for line in notes.splitlines()]
    said = "" if notes.lstrip().startswith("settings") else "\n".join(lines).strip()
    return "\n".join(shown), said


def _commented(line: str) -> str:
    """Return an example with what is said beside it as a comment of the shell."""
    command, gap, said = line.partition("   ")
    return f"{command}  # {said.strip()}" if gap else command
