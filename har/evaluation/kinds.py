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
_PARTS = ("train", "validation", "test")  # of the data, each with a list of names
NAMES: dict[str, tuple[str, ...]] = {"folds": _PARTS}  # lists of names in these entries
_MEASURED = ("seconds", "parameters", "multiply_adds", "best_step", "best_validation_macro_f1", "peak_memory_mib")
_RECORD: dict[str, Kind] = {
    **dict.fromkeys((*_MEASURED, "batch_size"), (int, float)),
    **dict.fromkeys(("seed", "threads", "train_windows", "validation_windows", "test_windows"), int),
    **dict.fromkeys(("hashes", "versions", "classes_missing", "fold", "head"), dict),
    **dict.fromkeys(("started", "finished", "commit", "machine"), str),
}
_STATUSES = ("running", "done", "failed")  # of a run
_HEAD: dict[str, Kind] = {"kind": str, "chosen": dict, "tried": list}


def damage_of(record: Any) -> str | None:
    """Return what is wrong with the content of a run.json, None where nothing is."""
    if not isinstance(record, dict):
        return "it holds no object"
    if record.get("status") not in _STATUSES:
        return f"its status is {str(record.get('status'))[:60]!r}"
    if (wrong := misfit(record, _RECORD)) is not None:
        return wrong
    missing = record.get("classes_missing") or {}
    return (
        misnamed(record, ("activities", "inferences", "warnings"))
        or misnamed(record.get("fold") or {}, _PARTS)
        or misnamed(missing, tuple(missing))
        or _damage_of_head(record.get("head"))
    )


def _damage_of_head(head: Mapping[str, Any] | None) -> str | None:
    """Return what is wrong with what a run says of its head that is fitted at once, if it has one."""
    if not head:
        return None
    if (wrong := wrong_entry(head, _HEAD, ())) is not None:
        return f"head {wrong}"
    for tried in (head["chosen"], *head["tried"]):
        if not isinstance(tried, dict) or misfit(tried, dict.fromkeys(tried, (int, float))) is not None:
            return f"head tried {str(tried)[:60]!r}, not settings with a number each"
    return None


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


def wrong_entry(entry: Any, kinds: Mapping[str, Kind], lists: tuple[str, ...]) -> str | None:
    """Return what is wrong with a mapping in which every one of `kinds` must be, None where nothing is.

    Args:
        entry: The mapping, as a file has it.
        kinds: Entry → the kind of its value.
        lists: Entries that are lists of names, where they are there.
    """
    for key in kinds:
        if not isinstance(entry, dict) or entry.get(key) is None:
            return f"lacks {key!r}"
    wrong = misfit(entry, kinds) or misnamed(entry, lists)
    return wrong and f"is damaged: {wrong}"
