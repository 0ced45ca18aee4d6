"""The cards that come with the project: every file in `cards/` is a data set."""

from __future__ import annotations

from pathlib import Path

from har.datasets.card import Card, load_card
from har.datasets.recording import natural_order
from har.errors import unknown

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
