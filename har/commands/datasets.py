"""`har datasets`: what there is, what is on this machine, what a card says."""

from __future__ import annotations

import argparse

from har.commands.parser import CommandParser
from har.datasets.card import Card
from har.datasets.fetch import locate
from har.datasets.registry import card_names, find_card, get_card
from har.errors import DataError, UsageError
from har.windows.prepare import is_prepared, store_folder
from har.windows.segment import WindowSpec, window_counts, window_index
from har.windows.store import Store

_EXAMPLES = """\
har datasets
har datasets spar
har datasets spar --window-s 4 --step-s 1"""


def main(args: list[str]) -> int:
    """Print the table of data sets, or one card.

    Args:
        args: The command line after the command's name.

    Returns:
        0. Errors are raised, see `har.errors`.
    """
    options = _parse(args)
    if options.data_set is None:
        print(_table(options.root))
        return 0
    card = find_card(options.data_set)
    print(_facts(card, options.root))
    if options.window_s is not None:
        print(_windows(card, options))
    return 0


def _parse(args: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        "datasets", "What data sets there are, which are on this machine, what a card says.", _EXAMPLES
    )
    parser.add_argument("data_set", metavar="NAME|CARD.yaml", nargs="?", help="one data set; all when left out")
    parser.add_argument("--window-s", type=float, metavar="S", help="count windows of this length, in seconds")
    parser.add_argument("--step-s", type=float, metavar="S", help="step from window to window (default: their length)")
    parser.add_argument("--root", metavar="FOLDER", help="the data root (default: $HAR_DATA, else ./data)")
    options = parser.parse_args(args)
    if options.step_s is not None and options.window_s is None:
        raise UsageError("--step-s needs --window-s.", "Give both: --window-s 4 --step-s 1")
    if options.window_s is not None and options.data_set is None:
        raise UsageError("--window-s counts the windows of one data set.", "Name it: har datasets spar --window-s 4")
    return options


def _state(card: Card, root: str | None) -> str:
    """Return whether the data set is prepared, can be, or has no source here."""
    if is_prepared(card, root):
        return "prepared"
    try:
        locate(card)
    except DataError:
        return "source missing"
    return "can be prepared"


def _hours(card: Card) -> str:
    """Return the hours of signal that the card states."""
    return f"{card.facts.rows / card.rate_hz / 3600:.2f}" if card.facts and card.facts.rows else "?"


def _table(root: str | None) -> str:
    """Return one line for each built-in data set."""
    rows = [("name", "subjects", "activities", "Hz", "hours", "state", "title")]
    for name in card_names():
        card = get_card(name)
        counts = (str(len(card.subjects)), str(len(card.activities)), f"{card.rate_hz:g}", _hours(card))
        rows.append((name, *counts, _state(card, root), card.title))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _facts(card: Card, root: str | None) -> str:
    """Return what the card says, and where the store is."""
    rows = card.facts.rows_per_activity if card.facts else {}
    codes = [
        f"{a.code}: {a.name} ({a.title}){f', {rows[a.name]} rows' if a.name in rows else ''}" for a in card.activities
    ]
    sensors = dict.fromkeys(f"{channel.sensor} at the {channel.site} ({channel.unit})" for channel in card.channels)
    counts = (
        f"{card.facts.recordings} recordings, {card.facts.rows} rows, {_hours(card)} h" if card.facts else "no counts"
    )
    source = card.source
    lines = {
        "title": card.title,
        "homepage": card.homepage,
        "licence": card.licence,
        "citation": card.citation,
        "source": f"{source.file} in {source.distribution}=={source.version}, SHA-256 {source.sha256}",
        "signal": f"{card.rate_hz:g} Hz, {len(card.channels)} channels: {', '.join(c.name for c in card.channels)}",
        "sensors": ", ".join(sensors),
        "facts": counts,
        "subjects": ", ".join(card.subjects),
        "activities": "\n            ".join(codes),
        "null": card.null_activity or "no null activity",
        "state": _state(card, root),
        "store": str(store_folder(card.name, root)),
    }
    return "\n".join([card.name, *(f"{key:10}  {value}" for key, value in lines.items() if value)])


def _windows(card: Card, options: argparse.Namespace) -> str:
    """Return windows per subject and activity of a prepared data set."""
    store = Store.open(store_folder(card.name, options.root))
    step_s = options.window_s if options.step_s is None else options.step_s
    index = window_index(store, WindowSpec(options.window_s, step_s))
    counts = window_counts(store, index)
    counts.loc["all"] = counts.sum()
    left_out = ", ".join(f"{count} {reason}" for reason, count in index.left_out.items() if count) or "nothing"
    head = f"\n{len(index)} windows of {options.window_s:g} s every {step_s:g} s (left out: {left_out})"
    return f"{head}\n{counts.to_string()}"
