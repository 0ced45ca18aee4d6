"""Surveys: what kinds of files a folder holds, how their names are made, and which of them belong together."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from har.datasets.patterns import find
from har.datasets.recording import natural_order
from har.datasets.sniff import shape_of
from har.errors import DataError

SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".log")
SUBJECT = re.compile(r"subj|user|person|particip|patient|^sub$|^p$|^s$|^id$|^u$", re.IGNORECASE)
_ACTIVITY = re.compile(r"activ|label|class|action|task|exercise|gesture|^a$|^act$", re.IGNORECASE)
_SENSOR = re.compile(  # the whole of a piece, for Magda and Protocol are none
    r"(acc(el)?|accelerometer|acceleration|gyro?|gyroscope|rot(ation)?|magn?|magnet(ometer)?)[0-9]*", re.IGNORECASE
)
_DIVIDERS = r"([/_\-. ]+)"
_MOST_ACTIVITIES = 40


@dataclasses.dataclass(frozen=True)
class Kind:
    """Files that are written alike and whose names are made alike.

    Attributes:
        names: Relative to the folder, in natural order.
        pattern: Of the names.
        groups: Its groups, in their order.
        sensor: The part of the names that speaks of a sensor, such as ``gyro``; empty where none does.
    """

    names: list[str]
    pattern: str
    groups: list[str]
    sensor: str

    def values(self, folder: Path) -> list[list[tuple[str, str]]]:
        """Return the groups of each file that the pattern finds, with their values, in an order of their own."""
        return sorted(sorted(values.items()) for _, values in find(folder, self.pattern))


def survey(folder: Path) -> tuple[list[list[str]], dict[str, str]]:
    """Look at every file below a folder.

    Args:
        folder: Whose hidden files and folders are passed over.

    Returns:
        The names of each kind of table, those of the most files first; and why each other file is no table.

    Raises:
        DataError: There is no table; where something was wrong with a file, that is said.
    """
    if folder.is_file():
        raise DataError(
            f"{folder} is a file, not a folder.", "Name the folder that holds your tables; unpack an archive."
        )
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}.", "Name the folder that holds your tables.")
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    names = natural_order(name for name in names if not any(part.startswith(".") for part in name.split("/")))
    passed = {name: f"does not end as a table ({', '.join(SUFFIXES)})" for name in names if not _is_like(name)}
    kinds: dict[tuple[object, ...], list[str]] = defaultdict(list)
    problem: DataError | None = None
    for name in (name for name in names if name not in passed):
        try:
            shape = shape_of(folder / name)
        except DataError as error:
            passed[name] = error.what.removeprefix(f"{folder / name}").lstrip(",: ").rstrip(".")
            problem = problem or error
        else:
            sensors = tuple(piece for piece in re.split(_DIVIDERS, name) if _SENSOR.fullmatch(piece))
            kinds[Path(name).suffix, name.count("/"), shape, sensors].append(name)
    if not kinds:
        raise problem or DataError(
            f"{folder} holds no table ({', '.join(SUFFIXES)}).", "Name the folder that holds your tables."
        )

    def size(own: list[str]) -> tuple[int, int]:
        return len(own), sum((folder / name).stat().st_size for name in own)

    return sorted(kinds.values(), key=size, reverse=True), passed


def _is_like(name: str) -> bool:
    """Return whether a file ends as tables do."""
    return Path(name).suffix.lower() in SUFFIXES


def kind_of(names: list[str], *, may_name_activity: bool, may_guess_subject: bool = True) -> Kind:
    """Return the kind of files whose names are given.

    Args:
        names: Of files that are written alike, in natural order.
        may_name_activity: Whether a part of them may be the activity, because nothing else says it.
        may_guess_subject: Whether a part of them that nothing calls a subject may be one, for the same reason.
    """
    pattern, groups = _pattern(names, may_name_activity, may_guess_subject)
    literal = re.sub(r"\{[^}]*\}", "/", pattern)
    sensor = next((piece for piece in re.split(_DIVIDERS, literal) if _SENSOR.fullmatch(piece)), "")
    return Kind(names, pattern, groups, sensor.lower())


def _pattern(names: Sequence[str], may_name_activity: bool, may_guess_subject: bool) -> tuple[str, list[str]]:
    """Return a pattern of paths and its groups: pieces that differ from file to file."""
    for divider in (_DIVIDERS, r"([/.]+)"):
        pieces = [re.split(divider, name) for name in names]
        same = {(len(piece), *piece[1::2]) for piece in pieces}
        if len(same) == 1:
            places = [[piece[i] for piece in pieces] for i in range(len(pieces[0]))]
            return _named_pattern(places, may_name_activity, may_guess_subject)
    return "{subject}" + "/*" * names[0].count("/") + Path(names[0]).suffix, ["subject"]


def _named_pattern(places: list[list[str]], may_name_activity: bool, may_guess_subject: bool) -> tuple[str, list[str]]:
    """Return a pattern from the values that stand at each place of all paths; every second place divides two."""
    varying = [i for i in range(0, len(places), 2) if len(set(places[i])) > 1]
    prefixes = {i: _prefix(places[i]) for i in varying}
    before = {i: prefixes[i] or (places[i - 2][0] if i >= 2 and len(set(places[i - 2])) == 1 else "") for i in varying}
    guess = varying[0] if varying and may_guess_subject else None
    subject = next((i for i in varying if SUBJECT.search(before[i])), guess)
    subject = next((i for i in varying if subject is not None and places[i] == places[subject]), None)
    free = iter(["trial", "part", "piece", "number"])
    groups: list[str] = []
    spelt: dict[tuple[str, ...], str] = {}  # a piece that says the same as one before is the same group
    text = ""
    for i, values in enumerate(places):
        if i not in varying:
            text += values[0]
            continue
        if tuple(values) in spelt:
            text += spelt[tuple(values)]
            continue
        rest = [value[len(prefixes[i]) :] for value in values]
        digits = all(value.isdecimal() for value in rest)
        is_activity = "activity" not in groups and may_name_activity and _may_be_activity(rest, before[i])
        name = (
            "subject" if i == subject else "activity" if is_activity else next(free, f"group_{chr(97 + len(groups))}")
        )
        groups.append(name)
        spelt[tuple(values)] = f"{prefixes[i]}{{{name}{':d' if digits else ''}}}"
        text += spelt[tuple(values)]
    return text, groups


def _may_be_activity(values: list[str], before: str) -> bool:
    """Return whether the values of a piece may be activities: some words that come again, or numbers that say so."""
    few = len(set(values)) < len(values) and len(set(values)) <= _MOST_ACTIVITIES
    return few and (bool(_ACTIVITY.search(before)) or not all(value.isdecimal() for value in values))


def _prefix(values: list[str]) -> str:
    """Return the letters that all values begin with, where only digits follow."""
    found = [re.fullmatch(r"([A-Za-z]*)([0-9]+)", value) for value in values]
    letters = {match[1] for match in found if match}
    return letters.pop() if all(found) and len(letters) == 1 else ""
