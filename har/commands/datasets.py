"""`har datasets`: what there is, what is on this machine, what a card says."""

from __future__ import annotations

import argparse
from pathlib import Path

from har.commands.parser import CommandParser
from har.datasets.card import Card, Split
from har.datasets.draft import draft
from har.datasets.fetch import raw_folder, rung
from har.datasets.registry import card_names, find_card, get_card
from har.errors import UsageError
from har.windows.picture import draw_recording
from har.windows.prepare import is_prepared, store_folder
from har.windows.segment import WindowSpec, window_counts, window_index
from har.windows.store import Store

_EXAMPLES = """\
har datasets
har datasets spar
har datasets spar --windows 4 --step 1
har datasets spar --picture recording.svg --recording 3 --windows 4 --step 1
har datasets --new ~/recordings > my-card.yaml"""


def main(args: list[str]) -> int:
    """Print the table of data sets, one card, or the draft of a card.

    Args:
        args: The command line after the command's name.

    Returns:
        0. Errors are raised, see `har.errors`.
    """
    options = _parse(args)
    if options.new is not None:
        print(draft(Path(options.new)), end="")
        return 0
    if options.data_set is None:
        print(_table(options.root))
        return 0
    card = find_card(options.data_set)
    said = [_facts(card, options.root)]  # printed when all of it is there: an error stands alone
    if options.window_s is not None:
        said.append(_windows(card, options))
    if options.picture is not None:
        said.append(_draw(card, options))
    print("\n".join(said))
    return 0


def _parse(args: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        "datasets", "What data sets there are, which are on this machine, what a card says.", _EXAMPLES
    )
    parser.add_argument("data_set", metavar="NAME|CARD.yaml", nargs="?", help="one data set; all when left out")
    length, step = "count windows of this length, in seconds", "step from window to window (default: their length)"
    parser.add_argument("--windows", "--window-s", dest="window_s", type=float, metavar="S", help=length)
    parser.add_argument("--step", "--step-s", dest="step_s", type=float, metavar="S", help=step)
    parser.add_root()
    parser.add_argument("--picture", metavar="FILE.svg", help="draw a recording with its labels and windows")
    parser.add_argument("--recording", type=int, default=0, metavar="N", help="the recording to draw (default: 0)")
    parser.add_argument(
        "--new", metavar="FOLDER", help="draft a card for a folder of tables; what it guessed is marked"
    )
    options = parser.parse_args(args)
    if options.new is not None and options.data_set is not None:
        raise UsageError(
            "--new drafts a card, and there is one already.", "Give the folder alone: har datasets --new FOLDER"
        )
    if options.step_s is not None and options.window_s is None:
        raise UsageError("--step needs --windows.", "Give both: --windows 4 --step 1")
    if options.picture is not None and options.data_set is None:
        raise UsageError(
            "--picture draws a recording of one data set.", "Name it: har datasets spar --picture FILE.svg"
        )
    if options.window_s is not None and options.data_set is None:
        raise UsageError("--windows counts the windows of one data set.", "Name it: har datasets spar --windows 4")
    return options


# rung of the ladder in `har.datasets.fetch` -> what a person has to do about it
_STATES = {
    "installed": "can be prepared",
    "unpacked": "can be prepared, is unpacked",
    "archive": "can be prepared, archive is here",
    "download": "not here, --download",
    "source": "not here, --source",
    "install": "not here, pip install",
}
_UNVERIFIED = "not verified: from documents, nobody has counted it in the files"


def _state(card: Card, root: str | None) -> str:
    """Return whether the data set is prepared, can be, or what to do first."""
    return "prepared" if is_prepared(card, root) else _STATES[rung(card, root)]


def _hours(card: Card) -> str:
    """Return the hours of signal that the card states, with a mark where nobody has counted them."""
    if card.facts is None or card.facts.rows is None:
        return "?"
    return f"{card.facts.rows / card.rate_hz / 3600:.2f}{'' if card.facts.verified else '~'}"


def _table(root: str | None) -> str:
    """Return one line for each built-in data set."""
    rows = [("name", "subjects", "activities", "Hz", "hours", "state", "title")]
    for name in card_names():
        card = get_card(name)
        counts = (str(len(card.subjects)), str(len(card.activities)), f"{card.rate_hz:g}", _hours(card))
        rows.append((name, *counts, _state(card, root), card.title))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, f"~ {_UNVERIFIED}"])


def _facts(card: Card, root: str | None) -> str:
    """Return what the card says, and where the store is."""
    sensors = dict.fromkeys(f"{channel.sensor} at the {channel.site} ({channel.unit})" for channel in card.channels)
    lines = {
        "title": card.title,
        "caution": card.caution,
        "homepage": card.homepage,
        "licence": card.licence,
        "citation": card.citation,
        "source": _several(_source(card, root)),
        "signal": f"{card.rate_hz:g} Hz, {len(card.channels)} channels: {', '.join(c.name for c in card.channels)}",
        "sensors": ", ".join(sensors),
        "facts": _counts(card),
        "subjects": ", ".join(card.subjects),
        "activities": _several(_activities(card)),
        "null": card.null_activity or "no null activity",
        "splits": _several([_split(name, split) for name, split in card.splits.items()]),
        "state": _state(card, root),
        "store": str(store_folder(card.name, root)),
    }
    return "\n".join([card.name, *(f"{key:10}  {value}" for key, value in lines.items() if value)])


def _several(values: list[str]) -> str:
    """Return values under one key, a line each."""
    return "\n            ".join(values)


def _source(card: Card, root: str | None) -> list[str]:
    """Return where the raw data come from, and what is known of their hashes."""
    source = card.source
    if source.kind == "distribution":
        return [f"{source.file} in {source.distribution}=={source.version}, SHA-256 {source.sha256}"]
    lines = [
        f"{archive.name} from {archive.url or card.homepage or 'its homepage'}, "
        f"SHA-256 {archive.sha256 or 'not stated by anybody'}"
        for archive in source.archives
    ]
    if source.tree is not None:
        lines.append(f"its files {source.tree.files}: tree SHA-256 {source.tree.sha256}")
    return [*lines, f"looked for in {raw_folder(card, root)}"] if lines else ["a folder, named by --source"]


def _counts(card: Card) -> str:
    """Return the facts in words."""
    if card.facts is None:
        return "no counts"
    kinds = ("files", "recordings", "rows", "labelled_rows")
    known = [f"{count} {kind.replace('_', ' ')}" for kind in kinds if (count := getattr(card.facts, kind)) is not None]
    hours = [f"{_hours(card).rstrip('~')} h"] if card.facts.rows is not None else []
    return ", ".join([*known, *hours]) + ("" if card.facts.verified else f" ({_UNVERIFIED})")


def _activities(card: Card) -> list[str]:
    """Return code, name, title and rows of each activity."""
    rows = card.facts.rows_per_activity if card.facts else {}
    return [
        f"{a.code}: {a.name}{f' ({a.title})' if a.title else ''}{f', {rows[a.name]} rows' if a.name in rows else ''}"
        for a in card.activities
    ]


def _split(name: str, split: Split) -> str:
    """Return a split in words."""
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    return f"{name}: " + "; ".join(f"{part} {', '.join(entries)}" for part, entries in parts.items() if entries)


def _draw(card: Card, options: argparse.Namespace) -> str:
    """Draw one recording of a prepared data set, with windows where their length was given; return where it is."""
    store = Store.open(store_folder(card.name, options.root))
    index = None
    if options.window_s is not None:
        index = window_index(store, WindowSpec(options.window_s, options.step_s or options.window_s))
    path = Path(options.picture)
    draw_recording(path, store, options.recording, index)
    return f"\nPicture: {path}"


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
