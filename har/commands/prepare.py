"""`har prepare`: raw files to a prepared store."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from har.commands.interrupt import termination_as_interrupt
from har.commands.parser import CommandParser
from har.datasets.card import Card
from har.datasets.recipe import Gravity, Recipe
from har.datasets.registry import find_card
from har.errors import DataError, UsageError, disk_failure
from har.files import data_root
from har.windows.account import COUNTED
from har.windows.joined import is_joining, join, read_joining
from har.windows.prepare import is_prepared, prepare, recover, store_folder
from har.windows.store import cautions_of, read_manifest

_EXAMPLES = """\
har prepare spar
har prepare spar --rate-hz 25 --sensors accelerometer --gravity causal --as spar-live
har prepare spar --source ~/Downloads/watch_dataset.npy
har prepare configs/joined/hapt-and-usc-had.yaml
har prepare my-card.yaml --source ~/recordings --root /data/har"""
_GRAVITY = ("zero-phase", "causal", "none")
_NAMED = 5  # files that were not read
_SHOWN = 10  # recordings that were left out; the manifest has them all


def main(args: list[str]) -> int:
    """Prepare one data set, or say that it is prepared.

    Args:
        args: The command line after the command's name.

    Returns:
        0. Errors are raised, see `har.errors`.
    """
    options = _parse(args)
    try:
        return _run(options)
    except OSError as error:
        reason = disk_failure(error)
        if reason is None:
            raise
        raise DataError(
            f"{options.data_set} could not be prepared in {data_root(options.root)}: {reason}.",
            "Make room, or choose another folder (--root, HAR_DATA); stores are as they were.",
        ) from error


def _run(options: argparse.Namespace) -> int:
    """Prepare a data set, or say that it is prepared."""
    if is_joining(Path(options.data_set)):
        return _join(Path(options.data_set), options)
    card = find_card(options.data_set)
    recipe = _recipe(card.preparation, options)
    name = options.name or card.name
    recover(store_folder(name, options.root))
    if is_prepared(card, options.root, recipe=recipe, name=name, source=options.source, thorough=True):
        print(f"{name} is already prepared: every file has the hash that its manifest states.")
    else:
        with termination_as_interrupt():  # so that no half-written store stays
            prepare(
                card,
                source=options.source,
                root=options.root,
                recipe=recipe,
                name=name,
                thorough=True,
                allow_download=options.download,
                jobs=options.jobs,
            )
        print(f"{name}: {_said(card, read_manifest(store_folder(name, options.root))[0])}")
    print(f"Store: {store_folder(name, options.root)}")
    _warn(read_manifest(store_folder(name, options.root))[0])
    _warn_of_unread(store_folder(name, options.root), options.source)
    return 0


def _join(path: Path, options: argparse.Namespace) -> int:
    """Put prepared data sets together."""
    given = [key for key, value in vars(options).items() if value and key not in {"data_set", "root", "jobs"}]
    if given:
        option = "as" if given[0] == "name" else given[0].replace("_", "-")
        raise UsageError(
            f"--{option} has no meaning for {path}, which joins stores that are prepared.",
            "Prepare these with it, under names of their own, and name them in the file.",
        )
    with termination_as_interrupt():
        store = join(read_joining(path), options.root)
    manifest, _ = read_manifest(store)
    counts, rate_hz = manifest["counts"], manifest["preparation"]["rate_hz"]
    print(
        f"{manifest['name']}: {' and '.join(one['store'] for one in manifest['joined'])}, {counts['recordings']} "
        f"recordings of {len(manifest['subjects'])} subjects, {counts['rows'] / rate_hz / 3600:.2f} h at {rate_hz:g} "
        f"Hz, {counts['unlabelled_rows'] / counts['rows']:.0%} of it without a shared activity."
    )
    print(f"Folds: {', '.join(manifest['splits'])} (data.folds).\nStore: {store}")
    _warn(manifest)
    return 0


def _warn(manifest: dict[str, Any]) -> None:
    """Say what every run on the store will say."""
    for caution in cautions_of(manifest):
        print(f"Warning: {caution}", file=sys.stderr)


def _warn_of_unread(store: Path, source: str | None) -> None:
    """Say which files of a person's own folder were not read: a name written otherwise loses a recording."""
    names = read_manifest(store)[0]["done"].get("unread_files")
    if names and source is not None:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        print(
            f"Warning: files in {source} that no path of the card matches, and that were not read ({len(names)}): "
            f"{', '.join(names[:_NAMED])}{more}.",
            file=sys.stderr,
        )


def _parse(args: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser("prepare", "Verify a data set's source, convert it to SI units, write its store.", _EXAMPLES)
    what = "a built-in data set, the file of a card, or one that joins stores"
    parser.add_argument("data_set", metavar="NAME|CARD.yaml", help=what)
    parser.add_argument("--source", metavar="PATH", help="the raw data: a folder, or the official archive")
    parser.add_argument("--download", action="store_true", help="download the raw data where they are not here")
    parser.add_root()
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=_jobs,
        default=1,
        help="recordings prepared at once (default: 1); more of them take more memory and make the same bytes",
    )
    recipe = parser.add_argument_group("another recipe than the card's", "Its store needs a name of its own: --as.")
    recipe.add_argument("--as", dest="name", metavar="NAME", help="the name of the store")
    recipe.add_argument("--rate-hz", type=float, metavar="HZ", help="the exact rate of the store")
    recipe.add_argument("--sensors", type=_names, metavar="A,B", help="channels of these sensors only")
    recipe.add_argument("--sites", type=_names, metavar="A,B", help="channels at these body sites only")
    recipe.add_argument("--channels", type=_names, metavar="A,B", help="channels of these names only")
    recipe.add_argument(
        "--gravity",
        choices=_GRAVITY,
        help="add gravity and body acceleration: by a filter that needs the whole recording, or one for live streams",
    )
    recipe.add_argument("--magnitude", type=_names, metavar="A,B", help="add the magnitude of these sensors' vectors")
    recipe.add_argument("--max-gap-s", type=float, metavar="S", help="longer gaps end a recording")
    recipe.add_argument(
        "--leave-out-empty", action="store_true", help="leave out recordings of which no sample can be used"
    )
    return parser.parse_args(args)


def _names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list such as A,B")
    return names


def _jobs(text: str) -> int:
    """Return a number of jobs."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of jobs: give 1 or more")
    return int(text)


def _recipe(default: Recipe, options: argparse.Namespace) -> Recipe:
    """Return the card's recipe with what the command line changes."""
    keys = ("rate_hz", "sensors", "sites", "channels", "magnitude", "max_gap_s")
    changes: dict[str, Any] = {key: getattr(options, key) for key in keys if getattr(options, key) is not None}
    if options.gravity == "none":
        changes["gravity"] = None
    elif options.gravity is not None:
        changes["gravity"] = dataclasses.replace(default.gravity or Gravity(), causal=options.gravity == "causal")
    if options.leave_out_empty:
        changes["empty"] = "leave-out"
    return dataclasses.replace(default, **changes)


def _said(card: Card, manifest: dict[str, Any]) -> str:
    """Return what was verified, and what was done."""
    return "\n".join([_verified(card, manifest), *_done(manifest["done"], manifest["preparation"])])


def _verified(card: Card, manifest: dict[str, Any]) -> str:
    """Return the sentences that say what was counted, and whether the card states it."""
    counts, rate_hz = manifest["counts"], manifest["preparation"]["rate_hz"]
    found = (
        f"{counts['recordings']} recordings of {len(manifest['subjects'])} subjects, {counts['rows']} rows "
        f"({counts['rows'] / rate_hz / 3600:.2f} h at {rate_hz:g} Hz), {counts['unlabelled_rows']} of them unlabelled"
    )
    source = card.source
    has_hash = source.sha256 or source.tree or any(archive.sha256 for archive in source.archives)
    hashed = "The hash of the source is the card's" if has_hash else "The card states no hash of the source"
    differ = manifest["facts_that_differ"]
    if card.facts is None:
        return f"{found}. {hashed}. The card states no counts to hold them against."
    if differ:
        return (
            f"{found}. {hashed}. Counts that differ from the card's, which come from documents and which nobody has "
            f"proved: {', '.join(differ)}."
        )
    unproved = "" if card.facts.verified else ", which came from documents until now"
    return f"{found}. {hashed}, and so are the counts{unproved}."


def _done(done: dict[str, Any], preparation: dict[str, Any]) -> list[str]:
    """Return a line for everything that was done to the signals."""
    lines, rate_hz = [], preparation["rate_hz"]
    if rates := done["measured_hz"]:
        lines.append(
            f"  The clocks show {rates['median']:.6g} Hz (from {rates['lowest']:.6g} to {rates['highest']:.6g}); "
            f"the card says {done['nominal_hz']:g} Hz, the store has {rate_hz:g} Hz."
        )
    if not done["rows_resampled"]:
        made = sum("made_of" in channel for channel in preparation["channels"])
        computed = f", with {made} channels computed from it" if made else ""
        lines.append(f"  Nothing was resampled: every row of the store is a row of the source{computed}.")
    lines += [f"  {done[key]:>9} {meaning}" for key, meaning in COUNTED.items() if done[key]]
    left_out = done["left_out"]
    lines += [
        f"  left out: subject {entry['subject']}, trial {entry['trial']}: {entry['reason']}"
        for entry in left_out[:_SHOWN]
    ]
    if len(left_out) > _SHOWN:
        lines.append(f"  and {len(left_out) - _SHOWN} more, which the manifest lists")
    return lines
