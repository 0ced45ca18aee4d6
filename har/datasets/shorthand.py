"""What a card may say shorter, written out before its types are checked.

channels:    {name: acc, axes: [x, y, z], …}     three channels acc_x, acc_y, acc_z
             {sites: {left: left-ankle, …}, sensors: [{name: acc, axes: …}, …]}
                                                 every sensor at every site: left_acc_x, …
activities:  {1: walking, 2: sitting}            codes and names
subjects:    1-30                                all numbers from the first to the last; also for a part of a split
files:       path and columns of a single table stand directly in it; format, time and groups that stand there
             hold for every table that does not have its own
columns:     acc: 4-6 or acc: [ax, ay, az]       one column for each axis of the group acc, or channel of the site left
             acc: [gx + ux, gy + uy, gz + uz]    columns that are added up
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from har.datasets.schema import shown
from har.errors import candidates

_GROUP_KEYS = ("name", "axes", "sensor", "site", "unit")
_SITES_KEYS = ("sites", "sensors")
_SHARED = ("format", "time", "groups")  # keys of a table that may stand once for all tables
_SINGLE = ("path", "columns")  # keys of a table that stand in `files` where there is one table
_PARTS = ("train", "validation", "test")
_RANGE = re.compile(r"([0-9]{1,5})\s*-\s*([0-9]{1,5})")  # of columns, subjects: nobody has a million


def expand(value: Any, problems: list[str]) -> tuple[Any, dict[str, str]]:
    """Return the content of a card with its shorthands written out, and where each of them was written.

    Args:
        value: What the file says. It is not changed; what is no mapping is returned as it is.
        problems: What is wrong with a shorthand is added here. Anything else that is wrong is left to the schema.

    Returns:
        The content; and a key of it → the key that the person wrote, such as ``channels[4]`` → ``channels[1]``.
    """
    expansion = _Expansion(problems)
    return (expansion.card(value) if isinstance(value, dict) else value), expansion.written


class _Expansion:
    """Writes out the shorthands of one card.

    Args:
        problems: What is wrong is added here.

    Attributes:
        written: Key of the expanded card → key as it was written.
    """

    def __init__(self, problems: list[str]) -> None:
        self.written: dict[str, str] = {}
        self._problems = problems
        self._names: list[str] = []  # of channels, groups of axes and sites, as they were written
        self._channels_of: dict[str, list[str]] = {}  # by these names, and each channel by its own
        self._knows_channels = True  # what uses their names says nothing useful where they are wrong themselves

    def card(self, given: dict[Any, Any]) -> dict[Any, Any]:
        """Return all of a card."""
        value = dict(given)
        self._knows_channels = isinstance(value.get("channels"), list)
        if self._knows_channels:
            value["channels"] = self._channels(value["channels"])
        if isinstance(value.get("activities"), dict):
            codes = list(value["activities"])
            value["activities"] = [{"code": code, "name": name} for code, name in value["activities"].items()]
            for i, code in enumerate(codes):
                self.written.update({f"activities[{i}].{key}": f"activities.{code}" for key in ("code", "name")})
        if "subjects" in value:
            value["subjects"] = _numbers(value["subjects"])
        if isinstance(value.get("splits"), dict):
            value["splits"] = {name: _split(split) for name, split in value["splits"].items()}
        if isinstance(value.get("files"), dict):
            value["files"] = self._files(value["files"])
        return value

    def _channels(self, items: list[Any]) -> list[Any]:
        """Return the channels, and remember by which names columns may be given for them."""
        before = len(self._problems)
        channels: list[Any] = []
        for i, item in enumerate(items):
            for entry, where, site_where in self._at_sites(item, f"channels[{i}]"):
                for channel in self._axes(entry, where):
                    key = f"channels[{len(channels)}]"
                    self.written.update({key: where, f"{key}.site": site_where})
                    channels.append(channel)
        self._knows_channels = len(self._problems) == before and all(map(_has_name, channels))
        return channels

    def _at_sites(self, item: Any, where: str) -> Iterator[tuple[Any, str, str]]:
        """Yield each sensor at each site of an entry, and where it and its site were written; others as they are."""
        if not isinstance(item, dict) or "sites" not in item:
            yield item, where, f"{where}.site"
            return
        self._refuse_others(item, _SITES_KEYS, where)
        sites, sensors = item["sites"], item.get("sensors")
        if not (isinstance(sites, dict) and sites):
            what = "names with sites such as {left: left-ankle} are expected"
            self._problems.append(f"{where}.sites: {what}, not {shown(sites)}")
            return
        if not (isinstance(sensors, list) and all(isinstance(sensor, dict) for sensor in sensors)):
            self._problems.append(
                f"{where}.sensors: a list such as [{{name: acc, …}}] is expected, not {shown(sensors)}"
            )
            return
        self._problems += [
            f"{where}.sensors[{i}]: key 'site' is not known: the sites stand beside the sensors"
            for i, sensor in enumerate(sensors)
            if "site" in sensor
        ]
        for prefix, site in sites.items():
            names = [f"{prefix}_{sensor.get('name')}" for sensor in sensors]
            for i, (name, sensor) in enumerate(zip(names, sensors, strict=True)):
                named = {"name": name} if _has_name(sensor) else {}
                yield {**sensor, **named, "site": site}, f"{where}.sensors[{i}]", f"{where}.sites.{prefix}"
            channels = [channel for name in names for channel in self._channels_of.get(name, [])]
            self._named(str(prefix), channels)  # the caller has taken the sensors above

    def _named(self, name: str, channels: list[str]) -> None:
        """Remember a name that stands for channels."""
        self._names.append(name)
        self._channels_of.update({**{channel: [channel] for channel in channels}, name: channels})

    def _axes(self, entry: Any, where: str) -> list[Any]:
        """Return the channels of a group of axes; another entry as it is."""
        if not isinstance(entry, dict):
            return [entry]
        name = entry["name"] if _has_name(entry) else ""
        if "axes" not in entry:
            if name:
                self._named(name, [name])
            return [entry]
        self._refuse_others(entry, _GROUP_KEYS, where)
        axes = entry["axes"]
        if not (isinstance(axes, list) and axes and all(isinstance(axis, str) and axis for axis in axes)):
            self._problems.append(f"{where}.axes: a list of names such as [x, y, z] is expected, not {shown(axes)}")
            return []
        rest = {key: entry[key] for key in _GROUP_KEYS if key in entry and key != "axes"}
        if not name:
            return [{**rest, "axis": axis} for axis in axes]
        self._named(name, [f"{name}_{axis}" for axis in axes])
        return [{**rest, "name": f"{name}_{axis}", "axis": axis} for axis in axes]

    def _refuse_others(self, entry: dict[Any, Any], known: tuple[str, ...], where: str) -> None:
        """Note keys that an entry cannot have; one that it lacks is noted by the schema."""
        self._problems += [
            f"{where}: key {key!r} is not known. {candidates(key, known)}" for key in entry if key not in known
        ]

    def _files(self, given: dict[Any, Any]) -> dict[Any, Any]:
        """Return the section `files` with complete tables."""
        value = dict(given)
        if any(key in value for key in _SINGLE):
            if "tables" in value:
                self._problems.append("files: give either 'tables', or 'path' and 'columns' of a single table")
            value["tables"] = [{key: value.pop(key) for key in _SINGLE if key in value}]
            self.written["files.tables[0]"] = "files"
        shared = {key: value.pop(key) for key in _SHARED if key in value}
        if not isinstance(value.get("tables"), list):
            return value
        return {**value, "tables": [self._table(own, shared, i) for i, own in enumerate(value["tables"])]}

    def _table(self, own: Any, shared: dict[str, Any], index: int) -> Any:
        """Return one table, with what is shared by all."""
        if not isinstance(own, dict):
            return own
        key = f"files.tables[{index}]"
        self.written.update({f"{key}.{name}": f"files.{name}" for name in shared if name not in own})
        table = {**shared, **own}
        if isinstance(table.get("columns"), dict):
            table["columns"] = self._columns(table["columns"], f"{key}.columns", self.written.get(key, key))
        return table

    def _columns(self, value: dict[Any, Any], key: str, table: str) -> dict[str, Any]:
        """Return channel → columns to be added up; `key` names them, `table` is what the person wrote."""
        columns: dict[str, Any] = {}
        for name, item in value.items():
            given = [column for part in (item if isinstance(item, list) else [item]) for column in _range(part)]
            channels = self._channels_of.get(str(name), [])
            where = f"{table}.columns.{name}"
            if self._knows_channels and not channels:
                self._problems.append(f"{where}: {name!r} is not a channel. {candidates(name, self._names)}")
            elif self._knows_channels and len(given) != len(channels):
                what = f"{len(given)} columns for the {len(channels)} channels {', '.join(channels)}"
                self._problems.append(f"{where}: {what}")
            self._problems += [
                f"{where}: the channel {channel} has its columns already" for channel in channels if channel in columns
            ]
            for channel, column in zip(channels, given, strict=False):
                columns[channel] = _terms(column)
                self.written.update({f"{key}.{channel}[{i}]": where for i in range(len(columns[channel]))})
        return columns


def _has_name(entry: Any) -> bool:
    """Return whether an entry has a name that others can be made of."""
    return isinstance(entry, dict) and isinstance(entry.get("name"), str) and bool(entry["name"])


def _numbers(item: Any) -> Any:
    """Return the numbers of a text such as ``1-30`` as names; anything else as it is."""
    numbers = _range(item)
    return item if numbers == [item] else [str(number) for number in numbers]


def _split(value: Any) -> Any:
    """Return a split whose parts may be ranges."""
    if not isinstance(value, dict):
        return value
    return {part: _numbers(entries) if part in _PARTS else entries for part, entries in value.items()}


def _range(item: Any) -> list[Any]:
    """Return the numbers of a text such as ``4-6``; anything else as it is."""
    if isinstance(item, str) and (ends := _RANGE.fullmatch(item)):
        return list(range(int(ends[1]), int(ends[2]) + 1))
    return [item]


def _terms(item: Any) -> list[Any]:
    """Return the columns of a sum such as ``gravity.x + userAcceleration.x``; digits are a column's number."""
    if not isinstance(item, str):
        return [item]
    return [int(term) if re.fullmatch(r"[0-9]+", term) else term for term in re.split(r"\s+\+\s+", item)]
