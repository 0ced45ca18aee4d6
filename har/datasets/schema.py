"""Mappings that people write, read into dataclasses: the fields are the keys, and every error is collected.

A field without a default is a key that must be there; an unknown key is an error with the nearest candidates.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from har.errors import candidates

_SHOWN = 60  # signs of a value
_NAMES = {
    str: "text (in quotes where it looks like a number)",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def read_mapping(kind: type, value: Any, where: str, problems: list[str]) -> Any:
    """Read a mapping into the dataclass `kind`.

    Args:
        kind: A dataclass whose fields are text, numbers, booleans, `Any`, dataclasses, or tuples, lists and dicts of
            these.
        value: What a file says: as `har.strict_yaml.read_yaml` returns it.
        where: The key that the mapping stands under, for messages; empty for a whole file.
        problems: What is wrong is added here.

    Returns:
        An instance of `kind`, or None when something was wrong.
    """
    prefix = f"{where}: " if where else ""
    if not isinstance(value, dict):
        problems.append(f"{prefix}keys with values are expected, not {shown(value)}")
        return None
    fields = {field.name: field for field in dataclasses.fields(kind)}
    problems += [f"{prefix}key {key!r} is not known. {candidates(key, fields)}" for key in value if key not in fields]
    missing = [name for name, field in fields.items() if name not in value and _is_required(field)]
    problems += [f"{prefix}key {name!r} is missing" for name in missing]
    hints = typing.get_type_hints(kind)
    before = len(problems)
    arguments = {
        key: _value(hints[key], item, f"{where}.{key}" if where else key, problems)
        for key, item in value.items()
        if key in fields
    }
    return kind(**arguments) if len(problems) == before and not missing else None


def shown(value: Any) -> str:
    """Return a value as it stands in a message: the begin of what is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    """Return whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, where: str, problems: list[str]) -> Any:
    """Read one value of the type `hint`; add what is wrong to `problems`."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return read_mapping(typing.cast("type", hint), value, where, problems)
    if origin in (tuple, list):
        if not isinstance(value, list):
            problems.append(f"{where}: a list is expected, not {shown(value)}")
            return origin()
        return origin(_value(inner[0], item, f"{where}[{i}]", problems) for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            problems.append(f"{where}: keys with values are expected, not {shown(value)}")
            return {}
        return {str(key): _value(inner[1], item, f"{where}.{key}", problems) for key, item in value.items()}
    if origin is types.UnionType:
        members = [member for member in inner if member is not type(None)]
        if value is None and len(members) < len(inner):
            return None
        if len(members) == 1:
            return _value(members[0], value, where, problems)
        return _scalar(tuple(members), value, where, problems)
    return _scalar((hint,), value, where, problems)


def _scalar(kinds: tuple[type, ...], value: Any, where: str, problems: list[str]) -> Any:
    """Read text, a number or a truth value; add what is wrong to `problems`."""
    if float in kinds and type(value) is int:
        return float(value)
    if type(value) not in kinds or value == "":  # type(), since True is an int for isinstance
        problems.append(f"{where}: {' or '.join(_NAMES[kind] for kind in kinds)} is expected, not {shown(value)}")
    return value
