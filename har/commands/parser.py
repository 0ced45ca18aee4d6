"""The argument parser shared by the commands that are not LightningCLI's."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from har.errors import UsageError, candidates


class CommandParser(argparse.ArgumentParser):
    """An `argparse` parser whose errors are `UsageError` with the nearest option, and whose help is made of examples.

    Args:
        name: The command, as typed after `har`.
        about: One sentence of what it does.
        examples: Command lines that run as they stand, shown below the options.
    """

    def __init__(self, name: str, about: str, examples: str) -> None:
        super().__init__(
            prog=f"har {name}",
            description=about,
            epilog="examples:\n" + "\n".join(f"  {line}" for line in examples.strip().splitlines()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def add_root(self) -> None:
        """Add the option of every command that reads data; `har.commands.settings.split` makes a setting of it."""
        self.add_argument("--root", metavar="FOLDER", help="the data root (default: $HAR_DATA, else ./data)")

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError`, with the nearest options where an option is not known."""
        options = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        wrong = re.search(r"unrecognized arguments: (--[\w-]+)", message)
        hint = candidates(wrong.group(1), options) if wrong else f"See: {self.prog} --help"
        raise UsageError(f"{self.prog}: {message}.", hint)
