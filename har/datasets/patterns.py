"""Patterns of paths with named groups: `RawData/acc_exp{trial:d}_user{subject:d}.txt`.

`{name}` takes any characters but '/', as few as possible; `{name:d}` takes digits, whose leading zeros do not count;
`*` is anything but "/". A group that stands twice must have the same value twice. Names that begin with a dot are no
data: editors, archives and operating systems leave them behind.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path

from har.errors import DataError


def groups_of(pattern: str) -> list[str]:
    """Return the groups of a pattern, in order, each once."""
    return list(dict.fromkeys(name for _, name, _, _ in string.Formatter().parse(pattern) if name))


def digit_groups(pattern: str) -> set[str]:
    """Return the groups whose values are numbers without leading zeros."""
    return {name for _, name, spec, _ in string.Formatter().parse(pattern) if name and spec == "d"}


def problems_of(pattern: str) -> list[str]:
    """Return what is wrong with a pattern, a sentence each."""
    try:
        parts = [(name, spec) for _, name, spec, _ in string.Formatter().parse(pattern) if name is not None]
    except ValueError as error:
        return [f"{pattern!r} is no pattern ({error})"]
    problems = [
        f"{{{name}{f':{spec}' if spec else ''}}} is no group: {{name}} or {{name:d}} is expected"
        for name, spec in parts
        if not re.fullmatch(r"[a-z][a-z_]*", name) or spec not in ("", "d")
    ]
    if pattern.startswith("/") or ".." in pattern.split("/") or "\\" in pattern:
        problems.append(f"{pattern!r} must lie below the source, with '/' between folders")
    return problems


def find(folder: Path, pattern: str) -> list[tuple[str, dict[str, str]]]:
    """Return the files below a folder that match a pattern.

    Args:
        folder: Where to look; only folders that can match are listed.
        pattern: Without problems.

    Returns:
        Path relative to the folder, with '/', and the value of each group; in the order of the paths' characters.

    Raises:
        DataError: A name is not UTF-8, as in archives of old: it could be written into no table and no manifest.
    """
    found = sorted(_below(folder, "", pattern.split("/"), {}), key=lambda found: found[0])
    for name, _ in found:
        if shown(name) != name:
            raise DataError(f"{folder / shown(name)}: the file's name is not UTF-8.", "Rename the file.")
    return found


def shown(name: str) -> str:
    r"""Return a file's name as text: bytes that are not UTF-8 as ``\udcff``."""
    return name.encode(errors="backslashreplace").decode()


def _below(folder: Path, prefix: str, parts: list[str], known: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the matches of the last `parts` of a pattern in a folder."""
    expression, names = _expression(parts[0])
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = None if entry.name.startswith(".") else expression.fullmatch(entry.name)
        groups = _merged(known, names, match.groups()) if match else None
        if groups is None:
            continue
        if len(parts) > 1:
            yield from _below(entry, f"{prefix}{entry.name}/", parts[1:], groups)
        elif entry.is_file():
            yield prefix + entry.name, groups


def _expression(part: str) -> tuple[re.Pattern[str], list[tuple[str, bool]]]:
    """Return the regular expression of one part of a path, and (name, is a number) of its groups."""
    text, names = "", []
    for literal, name, spec, _ in string.Formatter().parse(part):
        text += "[^/]*".join(re.escape(piece) for piece in literal.split("*"))
        if name is not None:
            text += "([0-9]+)" if spec == "d" else "([^/]+?)"
            names.append((name, spec == "d"))
    return re.compile(text), names


def _merged(known: dict[str, str], names: list[tuple[str, bool]], values: tuple[str, ...]) -> dict[str, str] | None:
    """Return the groups known with those of a match, or None where a group would have two values."""
    groups = dict(known)
    for (name, is_number), value in zip(names, values, strict=True):
        plain = str(int(value)) if is_number else value
        if groups.setdefault(name, plain) != plain:
            return None
    return groups
