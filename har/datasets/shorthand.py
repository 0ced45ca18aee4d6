"""What a card may say shorter, written out before its types are checked.

channels:    {name: acc, axes: [x, y, z], …}     three channels acc_x, acc_y, acc_z
activities:  {1: walking, 2: sitting}            codes and names
files:       path and columns of a single table stand directly in it; format, time and groups that stand there
             hold for every table that does not have its own
columns:     acc: 4-6 or acc: [ax, ay, az]       one column for each axis of the group acc
             acc: [gx + ux, gy + uy, gz + uz]    columns that are added up
"""

from __future__ import annotations

import re
from typing import Any

from har.errors import candidates

_GROUP_KEYS = ("name", "axes", "sensor", "site", "unit")
_SHARED = ("format", "time", "groups")  # keys of a table that may stand once for all tables
_SINGLE = ("path", "columns")  # keys of a table that stand in `files` where there is one table


def expand(value: Any, problems: list[str]) -> Any:
    """Return the content of a card with its shorthands written out.

    Args:
        value: What the file says. It is not changed; what is no mapping is returned as it is.
        problems: What is wrong with a shorthand is added here. Anything else that is wrong is left to the schema.
    """
    if not isinstance(value, dict):
        return value
    value = dict(value)
    axes: dict[str, list[str]] = {}
    if isinstance(value.get("channels"), list):
        value["channels"] = [
            channel for i, item in enumerate(value["channels"]) for channel in _channels(item, i, axes, problems)
        ]
    if isinstance(value.get("activities"), dict):
        value["activities"] = [{"code": code, "name": name} for code, name in value["activities"].items()]
    if isinstance(value.get("files"), dict):
        value["files"] = _files(value["files"], axes, problems)
    return value


def _channels(item: Any, index: int, axes: dict[str, list[str]], problems: list[str]) -> list[Any]:
    """Return the channels of one entry; note in `axes` which channels a group has."""
    if not isinstance(item, dict) or "axes" not in item:
        return [item]
    where = f"channels[{index}]"
    before = len(problems)
    problems += [
        f"{where}: key {key!r} is not known. {candidates(key, _GROUP_KEYS)}" for key in item if key not in _GROUP_KEYS
    ]
    problems += [f"{where}: key {key!r} is missing" for key in _GROUP_KEYS if key not in item]
    problems += [
        f"{where}.{key}: text (in quotes where it looks like a number) is expected, not {item[key]!r}"
        for key in ("name", "sensor", "site", "unit")
        if key in item and not (isinstance(item[key], str) and item[key])
    ]
    names = item["axes"]
    if not (isinstance(names, list) and names and all(isinstance(axis, str) and axis for axis in names)):
        problems.append(f"{where}.axes: a list of names such as [x, y, z] is expected, not {names!r}")
    if len(problems) > before:
        return []
    axes[item["name"]] = [f"{item['name']}_{axis}" for axis in names]
    return [
        {**{key: item[key] for key in ("sensor", "site", "unit")}, "name": f"{item['name']}_{axis}", "axis": axis}
        for axis in names
    ]


def _files(value: dict[Any, Any], axes: dict[str, list[str]], problems: list[str]) -> dict[Any, Any]:
    """Return the section `files` with complete tables."""
    value = dict(value)
    if any(key in value for key in _SINGLE):
        if "tables" in value:
            problems.append("files: give either 'tables', or 'path' and 'columns' of a single table")
        value["tables"] = [{key: value.pop(key) for key in _SINGLE if key in value}]
    shared = {key: value.pop(key) for key in _SHARED if key in value}
    if not isinstance(value.get("tables"), list):
        return value
    tables = []
    for i, given in enumerate(value["tables"]):
        table = {**shared, **given} if isinstance(given, dict) else given
        if isinstance(table, dict) and isinstance(table.get("columns"), dict):
            table["columns"] = _columns(table["columns"], axes, f"files.tables[{i}].columns", problems)
        tables.append(table)
    return {**value, "tables": tables}


def _columns(value: dict[Any, Any], axes: dict[str, list[str]], where: str, problems: list[str]) -> dict[str, Any]:
    """Return channel → columns to be added up."""
    columns: dict[str, Any] = {}
    for name, item in value.items():
        channels = axes.get(str(name), [str(name)])
        given = [column for part in (item if isinstance(item, list) else [item]) for column in _range(part)]
        if len(given) != len(channels):
            problems.append(
                f"{where}.{name}: {len(given)} columns for the {len(channels)} channels {', '.join(channels)}"
            )
        problems += [
            f"{where}.{name}: the channel {channel} has its columns already"
            for channel in channels
            if channel in columns
        ]
        columns.update(zip(channels, map(_terms, given), strict=False))
    return columns


def _range(item: Any) -> list[Any]:
    """Return the numbers of a text such as ``4-6``; anything else as it is."""
    if isinstance(item, str) and (ends := re.fullmatch(r"([0-9]+)\s*-\s*([0-9]+)", item)):
        return list(range(int(ends[1]), int(ends[2]) + 1))
    return [item]


def _terms(item: Any) -> list[Any]:
    """Return the columns of a sum such as ``gravity.x + userAcceleration.x``; digits are a column's number."""
    if not isinstance(item, str):
        return [item]
    return [int(term) if re.fullmatch(r"[0-9]+", term) else term for term in re.split(r"\s+\+\s+", item)]
