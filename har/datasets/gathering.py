"""Gathering: which files of a folder belong together, so that they are read as one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from har.datasets.card import Card, Files
from har.datasets.fetch import tree_sha256
from har.datasets.patterns import find, groups_of, shown
from har.datasets.recording import natural_key, natural_order
from har.errors import DataError


@dataclasses.dataclass(frozen=True)
class Unit:
    """Files that are read together.

    Attributes:
        groups: Of their paths, without the chained one.
        files: For each table its pieces in order, relative to the source.
        lacks: Patterns of the tables of which there is no file, where the card leaves such units out.
    """

    groups: dict[str, str]
    files: tuple[tuple[str, ...], ...]
    lacks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All files."""
        return tuple(name for names in self.files for name in names)


def units_of(files: Files, source: Path) -> list[Unit]:
    """Return what a source holds, by subject and the other groups, in natural order.

    Args:
        files: What the card says.
        source: The folder.

    Raises:
        DataError: No file matches, two files are the same piece of a recording, or one has no counterpart.
    """
    names = [name for name in groups_of(files.tables[0].path) if name != files.chain]
    names.sort(key=lambda name: name != "subject")  # by subject first; sorting keeps the order of the others
    found = [_pieces(files, source, table.path, names) for table in files.tables]
    keys = sorted({key for pieces in found for key in pieces}, key=lambda key: [natural_key(value) for value in key])
    return [
        _unit(files, source, dict(zip(names, key, strict=True)), [pieces.get(key, {}) for pieces in found])
        for key in keys
    ]


def source_sha256(card: Card, source: Path) -> str | None:
    """Return one hash of all files that a card reads from a folder, to notice when they were changed.

    Args:
        card: Any card.
        source: The folder, or the file of a distribution.

    Returns:
        As `har.datasets.fetch.tree_sha256`; over all files where the card does not say which are read. None where the
        card states such a hash, or that of the file.
    """
    if card.source.sha256 or card.source.tree:
        return None
    if card.files is not None:
        return tree_sha256(source, [source / name for name in _read_names(card.files, source)])
    return tree_sha256(source, [path for path in source.rglob("*") if path.is_file() and path.name[0] != "."])


def unmatched(card: Card, source: Path) -> list[str] | None:
    """Return files of a person's own folder that look like data and that no pattern of the card matches.

    Args:
        card: Any card.
        source: The folder.

    Returns:
        Names relative to the source, in natural order, that end as a table's path does (`.csv`, also `.CSV`). None for
        an official source, which has other files beside its data.
    """
    if card.files is None or card.source.kind != "folder":
        return None
    endings = {Path(table.path).suffix.lower() for table in card.files.tables}
    like = [path for path in source.rglob("*") if path.suffix.lower() in endings and path.is_file()]
    there = [path.relative_to(source) for path in like]
    names = {path.as_posix() for path in there if not any(part.startswith(".") for part in path.parts)}
    return natural_order(shown(name) for name in names - _read_names(card.files, source))


def _read_names(files: Files, source: Path) -> set[str]:
    """Return the files that the patterns of a card match."""
    patterns = [table.path for table in files.tables]
    if files.label is not None and files.label.intervals is not None:
        patterns.append(files.label.intervals.path)
    return {name for pattern in patterns for name, _ in find(source, pattern)}


def _pieces(files: Files, source: Path, pattern: str, names: list[str]) -> dict[tuple[str, ...], dict[str, str]]:
    """Return values of the groups → value of the chained group (empty without one) → file, for one table."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for name, groups in find(source, pattern):
        number = groups.pop(files.chain, "") if files.chain else ""
        pieces = found.setdefault(tuple(groups[key] for key in names), {})
        if number in pieces:
            what = f"{source / pieces[number]} and {source / name} are two files for one recording ({_named(groups)})."
            raise DataError(what, f"Remove one of them, or tell them apart by another group in {pattern}.")
        pieces[number] = name
    if not found:
        there = natural_order(path.name for path in source.iterdir())[:6] if source.is_dir() else []
        what = f"no file in {source} matches {pattern}."
        raise DataError(what, f"There are: {', '.join(there) or 'none'}. Correct --source, or `path` in the card.")
    return found


def _unit(files: Files, source: Path, groups: dict[str, str], pieces: list[dict[str, str]]) -> Unit:
    """Return one unit, after its tables were found to have the same pieces without a hole."""
    lacks = tuple(table.path for table, own in zip(files.tables, pieces, strict=True) if not own)
    ordered = [natural_order(own) for own in pieces]
    there = [own[number] for own, numbers in zip(pieces, ordered, strict=True) for number in numbers]
    if lacks and files.incomplete == "refuse":
        what = f"{source / there[0]} has no counterpart {lacks[0]} ({_named(groups)})."
        raise DataError(what, "Get the missing file; or set files.incomplete: leave-out in the card.")
    complete = next(numbers for numbers in ordered if numbers)
    for numbers in ordered:
        if numbers and numbers != complete:
            different = natural_order(set(numbers) ^ set(complete))[0]
            what = (
                f"{source / there[0]} and its counterparts: piece {different} of {_named(groups)} is in one table only."
            )
            raise DataError(what, "Get the missing file.")
    holes = [n for n in _holes(complete) if files.chain]
    if holes:
        what = f"{source / there[0]} … {there[-1]}: piece {holes[0]} of {_named(groups)} is missing."
        raise DataError(what, "Pieces that are chained have no gaps between them: get the missing file.")
    files_of = tuple(tuple(own[number] for number in numbers) for own, numbers in zip(pieces, ordered, strict=True))
    return Unit(groups, files_of, lacks)


def _holes(numbers: list[str]) -> list[int]:
    """Return the whole numbers that are missing between the first and the last; none for text."""
    if not all(number.isdecimal() for number in numbers):
        return []
    found = {int(number) for number in numbers}
    return [n for n in range(min(found), max(found)) if n not in found]


def _named(groups: dict[str, str]) -> str:
    """Return groups for a message."""
    return ", ".join(f"{name} {value}" for name, value in groups.items()) or "the only one"
