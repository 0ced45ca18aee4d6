"""Of what kind the values of study.json and run.json are, which people and accidents change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Kind = type | tuple[type, ...]

_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    (int, float): "a number",
    list: "a list",
    dict: "a mapping",
}
STUDY: dict[str, Kind] = {
    **dict.fromkeys(("name", "question", "data_set"), str),
    **dict.fromkeys(("repeats", "seed"), int),
    **dict.fromkeys(("variants", "protocol", "target", "tuning", "overrides"), dict),
    **dict.fromkeys(("contrasts", "folds", "runs", "notes", "inferences"), list),
}
TUNED: dict[str, Kind] = {"own": dict}  # what is said of tuning in study.json
TARGET: dict[str, Kind] = {"reference": str, "share": (int, float)}
LISTED: dict[str, dict[str, Kind]] = {  # what each entry of a list in study.json must have
    "runs": {"variant": str, "fold": str, "repeat": int, "folder": str},
    "folds": {"name": str, "train": list, "test": list},
    "contrasts": {"a": str, "b": str},
}
NAMES: dict[str, tuple[str, ...]] = {"folds": ("train", "validation", "test")}  # lists of names in these entries
RECORD: dict[str, Kind] = {
    **dict.fromkeys(("seconds", "parameters", "best_step", "peak_memory_mib", "batch_size"), (int, float)),
    **dict.fromkeys(("seed", "threads", "test_windows"), int),
    **dict.fromkeys(("hashes", "versions", "classes_missing", "fold"), dict),
    **dict.fromkeys(("started", "finished", "commit", "machine"), str),
}


def misfit(value: Mapping[str, Any], kinds: Mapping[str, Kind]) -> str | None:
    """Return which entry is of another kind than it must be, such as "seconds is 'x', not a number"; None if none is.

    Args:
        value: What a file holds; an entry that is missing or None is another matter.
        kinds: Entry → the kind of its value.
    """
    for key, kind in kinds.items():
        found = value.get(key)
        if found is not None and (not isinstance(found, kind) or isinstance(found, bool)):
            return f"{key} is {str(found)[:60]!r}, not {_WORDS[kind]}"
    return None


def misnamed(entry: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    """Return which list of names holds something that is no text, None where none does."""
    for key in keys:
        names = entry.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return f"{key} is {str(names)[:60]!r}, not a list of names"
    return None
