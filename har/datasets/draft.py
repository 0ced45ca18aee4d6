"""Drafts of cards: a look at a folder of tables, and a card with what was guessed and what a person must check."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from har.datasets.patterns import find
from har.datasets.recording import natural_order
from har.datasets.sniff import Sniffed, label_columns, sniff, time_column
from har.datasets.tables import Column, read_table
from har.datasets.units import SI
from har.errors import DataError

_SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".log")
_SCANNED = 200  # files whose activities are listed
_SUBJECT = re.compile(r"subj|user|person|particip|patient|^sub$|^p$|^s$|^id$|^u$", re.IGNORECASE)
_AXIS = re.compile(r"^(.*?)[ ._-]*([xyz])$", re.IGNORECASE)
_BROKEN_RATES_HZ = (12.5, 25.6, 31.25, 33.3, 51.2, 62.5, 102.4)  # of sensors, besides whole numbers
_RATE_TOLERANCE = 0.003
_BRACKETED = re.compile(r"^(.*?)\s*[\[(]([^\])]*)[\])]\s*$")  # acc_x [g]
_SUFFIXED = re.compile(r"^(.*[xyz])_(dps|g|mg|ms2|rads|ut)$", re.IGNORECASE)  # gyro_z_dps
_UNITS = {"dps": "°/s", "ms2": "m/s²", "m/s^2": "m/s²", "m/s**2": "m/s²", "rads": "rad/s", "ut": "µT", "μT": "µT"}
_SENSORS = {
    "accelerometer": re.compile(r"acc|^a$", re.IGNORECASE),
    "gyroscope": re.compile(r"gyr|rot|omega|angular|^w$|^g$", re.IGNORECASE),
    "magnetometer": re.compile(r"mag|^m$", re.IGNORECASE),
}


def draft(folder: Path) -> str:
    """Return a card for a folder of tables, in YAML, with a comment beside each guess.

    Args:
        folder: Holds text tables, one or more for each recording, at any depth.

    Raises:
        DataError: There are no such files, or the first of them cannot be read as a table.
    """
    names = _tables_of(folder)
    table = sniff(folder / names[0])
    pattern, groups = _pattern(names)
    found = time_column(table)
    taken: set[Column] = {found[0]} if found else set()
    subjects = [c for c in table.words if c not in taken and _SUBJECT.search(table.named(c))]
    in_column = {"subject": subjects[0]} if "subject" not in groups and subjects else {}
    taken.update(subjects)
    labels = label_columns(table, taken)
    taken.update(labels)
    channels, columns = _channels(table, taken)
    rate = f"{_plain_rate(found[2]):g}" if found else "50"
    lines = [
        f"# Drafted from {len(names)} files; the first is {names[0]}. Lines that end with CHECK are guesses.",
        f"name: {re.sub(r'[^a-z0-9]+', '-', folder.resolve().name.lower()).strip('-') or 'mine'}",
        "source: {kind: folder}",
        "reader: files",
        f"rate_hz: {rate}  # {_rate_remark(found, table)} CHECK",
        "channels:  # sensor, body site and unit are guesses from names and sizes. CHECK",
        *channels,
        *_activities(folder, names, table, labels, pattern, groups),
        "files:",
        f"  path: {json.dumps(pattern)}  # {_groups_remark(folder, pattern, groups)} CHECK",
        *_format(table),
        f"  columns: {{{', '.join(f'{name}: {_listed(given)}' for name, given in columns.items())}}}",
    ]
    if in_column:
        lines.append(f"  groups: {{subject: {json.dumps(in_column['subject'])}}}  # who wears the sensors. CHECK")
    if found:
        lines.append(f"  time: {{column: {json.dumps(found[0])}, unit: {found[1]}}}")
    lines += _label(table, labels, groups)
    left = [table.named(c) for c in [*table.numbers, *table.words] if c not in taken and c not in _used(columns)]
    if left:
        lines.append(f"# Columns that are left out: {', '.join(dict.fromkeys(left))}. CHECK")
    if "subject" not in groups and not in_column:
        lines.append(
            "# Nothing says who the subject is: put {subject} into the path, or give groups: {subject: COLUMN}."
        )
    return "\n".join(lines) + "\n"


def _tables_of(folder: Path) -> list[str]:
    """Return the files of the most frequent kind (suffix and depth), relative to the folder, in natural order."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}.", "Name the folder that holds your tables.")
    names = [
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in _SUFFIXES
    ]
    names = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    if not names:
        raise DataError(f"{folder} holds no table ({', '.join(_SUFFIXES)}).", "Name the folder that holds your tables.")
    kinds = Counter((Path(name).suffix, name.count("/")) for name in natural_order(names))
    suffix, depth = kinds.most_common(1)[0][0]
    return natural_order(name for name in names if Path(name).suffix == suffix and name.count("/") == depth)


def _pattern(names: list[str]) -> tuple[str, list[str]]:
    """Return a pattern of paths and its groups: pieces that differ from file to file."""
    for divider in (r"([/_\-. ]+)", r"([/.]+)"):
        pieces = [re.split(divider, name) for name in names]
        same = {(len(piece), *piece[1::2]) for piece in pieces}
        if len(same) == 1:
            return _named_pattern([[piece[i] for piece in pieces] for i in range(len(pieces[0]))])
    return "{subject}" + "/*" * names[0].count("/") + Path(names[0]).suffix, ["subject"]


def _named_pattern(places: list[list[str]]) -> tuple[str, list[str]]:
    """Return a pattern from the values that stand at each place of all paths; every second place divides two."""
    varying = [i for i in range(0, len(places), 2) if len(set(places[i])) > 1]
    prefixes = {i: _prefix(places[i]) for i in varying}
    before = {i: prefixes[i] or (places[i - 2][0] if i >= 2 and len(set(places[i - 2])) == 1 else "") for i in varying}
    subject = next((i for i in varying if _SUBJECT.search(before[i])), varying[0] if varying else None)
    free = iter(["trial", "part", "piece", "number"])
    groups: list[str] = []
    text = ""
    for i, values in enumerate(places):
        if i not in varying:
            text += values[0]
            continue
        rest = [value[len(prefixes[i]) :] for value in values]
        digits = all(value.isdecimal() for value in rest)
        words = not digits and len(set(rest)) < len(rest) and len(set(rest)) <= 40 and "activity" not in groups
        name = "subject" if i == subject else "activity" if words else next(free, f"group_{chr(97 + len(groups))}")
        groups.append(name)
        text += f"{prefixes[i]}{{{name}{':d' if digits else ''}}}"
    return text, groups


def _prefix(values: list[str]) -> str:
    """Return the letters that all values begin with, where only digits follow."""
    found = [re.fullmatch(r"([A-Za-z]*)([0-9]+)", value) for value in values]
    letters = {match[1] for match in found if match}
    return letters.pop() if all(found) and len(letters) == 1 else ""


def _channels(table: Sniffed, taken: set[Column]) -> tuple[list[str], dict[str, list[Column]]]:
    """Return the lines of the channels, and the columns of each group of axes."""
    columns: dict[str, list[Column]] = {}
    for column in table.numbers:
        axis = _AXIS.match(_bare(table.named(column))[0]) if isinstance(column, str) else None
        if column not in taken and axis:
            name = re.sub(r"[^a-z0-9]+", "_", axis[1].lower()).strip("_") or "signal"
            columns.setdefault(name, []).append(column)
    columns = {name: given for name, given in columns.items() if len(given) == 3}
    if not columns:
        columns = {"signal": [column for column in table.numbers if column not in taken]}
    lines = []
    for name, given in columns.items():
        axes = [_AXIS.match(_bare(table.named(c))[0]) for c in given]
        letters = [a[2].lower() if a else str(i + 1) for i, a in enumerate(axes)]
        norm = float(np.nanmedian(np.linalg.norm([table.numbers[c] for c in given], axis=0)))
        sensor = next((sensor for sensor, known in _SENSORS.items() if known.search(name)), "accelerometer")
        stated = {_bare(table.named(column))[1] for column in given}
        unit = next(iter(stated)) if len(stated) == 1 and stated <= SI.keys() else _unit(sensor, norm)
        strange = sorted(stated - {""} - SI.keys())
        odd = f"the header says {', '.join(strange)}; " if strange else ""
        quoted = ", ".join(letter if letter.isalpha() else json.dumps(letter) for letter in letters)
        values = f"name: {name}, axes: [{quoted}], sensor: {sensor}, site: wrist, unit: {unit}"
        lines.append(f"  - {{{values}}}  # {odd}median length {norm:.3g}. CHECK")
    return lines, columns


def _bare(name: str) -> tuple[str, str]:
    """Return the name of a column without the unit that it ends with, and the unit as cards write it; else ''."""
    found = _BRACKETED.match(name) or _SUFFIXED.match(name)
    if not found:
        return name, ""
    unit = found[2].strip()
    return found[1], _UNITS.get(unit, _UNITS.get(unit.lower(), unit))


def _unit(sensor: str, norm: float) -> str:
    """Return the unit that the typical length of a vector speaks for."""
    if sensor == "accelerometer":
        return "mg" if norm > 100 else "m/s²" if norm > 3 else "g"
    return "µT" if sensor == "magnetometer" else "°/s" if norm > 5 else "rad/s"


def _activities(
    folder: Path, names: list[str], table: Sniffed, labels: list[Column], pattern: str, groups: list[str]
) -> list[str]:
    """Return the lines of the activities, with the codes that were found."""
    codes: list[str] = []
    if labels:
        pieces = [read_table(folder / name, table.layout, [], labels[:1]).words[labels[0]] for name in names[:_SCANNED]]
        codes = natural_order(
            text for words in pieces for i, text in enumerate(words.texts) if (words.index_T == i).any()
        )
    elif "activity" in groups:
        codes = natural_order(found["activity"] for _, found in find(folder, pattern))
    if not codes:
        return ["activities: {code: name}  # no activity was found: write its code and name. CHECK"]
    entries = ", ".join(f"{_code(code)}: {json.dumps(_slug(code), ensure_ascii=False)}" for code in codes)
    return [f"activities: {{{entries}}}  # code: name. CHECK"]


def _code(code: str) -> str:
    """Return a code for YAML: whole numbers as they are, text in quotes."""
    return code if re.fullmatch(r"0|[1-9][0-9]*", code) else json.dumps(code, ensure_ascii=False)


def _slug(code: str) -> str:
    """Return a name for an activity."""
    plain = re.sub(r"[\s_]+", "-", code.strip().lower())
    return f"activity-{plain}" if plain.isdecimal() else plain


def _format(table: Sniffed) -> list[str]:
    """Return the line of the format, where it is not the usual one."""
    layout = table.layout
    found = {
        "delimiter": json.dumps(layout.delimiter) if layout.delimiter != "," else "",
        "header": "false" if not layout.header else "",
        "skip_rows": str(layout.skip_rows) if layout.skip_rows else "",
        "decimal": json.dumps(layout.decimal) if layout.decimal != "." else "",
    }
    given = ", ".join(f"{key}: {value}" for key, value in found.items() if value)
    return [f"  format: {{{given}}}"] if given else []


def _label(table: Sniffed, labels: list[Column], groups: list[str]) -> list[str]:
    """Return the lines that say where the activities stand."""
    if labels:
        others = ", ".join(table.named(column) for column in labels[1:])
        remark = f"  # or one of: {others}. CHECK" if others else "  # CHECK"
        return [f"  label: {{column: {json.dumps(labels[0])}}}{remark}"]
    if "activity" in groups:
        return []
    return [
        "  label: {column: COLUMN}  # no column looks like one; a name or a file of intervals? See docs/cards.md. CHECK"
    ]


def _used(columns: dict[str, list[Column]]) -> set[Column]:
    """Return the columns that channels are read from."""
    return {column for given in columns.values() for column in given}


def _listed(columns: list[Column]) -> str:
    """Return columns for YAML."""
    return f"[{', '.join(json.dumps(column, ensure_ascii=False) for column in columns)}]"


def _plain_rate(rate_hz: float) -> float:
    """Return the nominal rate that a measured one stands for: a usual or whole one within 0.3 %, else itself."""
    nearest = min([float(round(rate_hz)), *_BROKEN_RATES_HZ], key=lambda known: abs(known - rate_hz))
    return nearest if nearest and abs(rate_hz - nearest) <= _RATE_TOLERANCE * nearest else round(rate_hz, 3)


def _rate_remark(found: tuple[Column, str, float] | None, table: Sniffed) -> str:
    """Return how the rate was found."""
    if found is None:
        return "no timestamps were found, so nothing was measured: write what the device's manual says."
    return f"measured {found[2]:.2f} Hz from the column {table.named(found[0])} of the first file."


def _groups_remark(folder: Path, pattern: str, groups: list[str]) -> str:
    """Return what the pattern finds."""
    found = find(folder, pattern)
    counts = [f"{len({values[name] for _, values in found})} values of {name}" for name in groups]
    return f"{len(found)} files: {', '.join(counts) or 'no groups'}."
