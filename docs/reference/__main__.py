"""Writes the reference from the code: python -m docs.reference. A test says when that is due."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.reference import cards, commands, configuration
from har.files import write_text

FOLDER = Path(__file__).parent
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "configuration.md": configuration.page,
    "cards.md": cards.page,
}


def main() -> None:
    """Write every page anew."""
    for name, page in PAGES.items():
        write_text(FOLDER / name, page())


if __name__ == "__main__":
    main()
