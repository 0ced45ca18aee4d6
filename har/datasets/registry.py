"""Cards by name and by file: every file in `cards/` is a data set that comes with the project."""

from __future__ import annotations

import typing
from pathlib import Path

from har.datasets.card import Card
from har.datasets.consistency import contradictions
from har.datasets.places import as_written, in_their_lines
from har.datasets.recording import natural_order
from har.datasets.schema import read_mapping
from har.datasets.shorthand import expand
from har.errors import UsageError, unknown
from har.strict_yaml import key_lines, read_yaml

_CARDS = Path(__file__).parent / "cards"


def card_names() -> list[str]:
    """Return the names of all built-in cards."""
    return natural_order(path.stem for path in _CARDS.glob("*.yaml"))


def get_card(name: str) -> Card:
    """Return a built-in card.

    Raises:
        UsageError: There is none of this name; the nearest ones are named.
    """
    if name not in card_names():
        raise unknown("data set", name, card_names())
    return load_card(_CARDS / f"{name}.yaml")


def find_card(name_or_path: str) -> Card:
    """Return the built-in card of this name, or the card in the file given (``.yaml`` or ``.yml``).

    Raises:
        UsageError: No such card or file, or the file is not a valid card.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return load_card(Path(name_or_path))
    return get_card(name_or_path)


def load_card(path: Path) -> Card:
    """Read and validate a card.

    Args:
        path: A YAML file.

    Raises:
        UsageError: The file is missing, is not YAML, or is not a valid card; every error is named.
    """
    shortened: list[str] = []
    problems: list[str] = []
    value, written = expand(read_yaml(path), shortened)
    card = read_mapping(Card, value, "", problems)
    if not shortened + problems:
        problems = contradictions(card)
    if shortened + problems:
        said = in_their_lines([*shortened, *as_written(problems, written)], key_lines(path))
        raise UsageError(
            "\n  - ".join([f"card {path} has {len(said)} error{'s' * (len(said) > 1)}:", *said]),
            "Correct them in the card.",
        )
    return typing.cast("Card", card)
