"""The tables of event scores, of one run or of every variant of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from har.evaluation.events import IOU, RETURNED_EVENTS, TRUE_EVENTS
from har.evaluation.numbers import Column, Table

_NULL = "(null)"
_SUMMED = 0.5  # intersection over union of the one segmental F1 that a summary has
_MACRO = "(macro over activities that are true)"
_MACRO_SHORT = "(macro)"
_MISSED = {"D": "deleted", "F": "fragmenting", "Ua": "underfill, start", "Uo": "underfill, end"}
_ADDED = {"I": "inserted", "M": "merging", "Oa": "overfill, start", "Oo": "overfill, end"}
_BOUNDARY = (("late", "offset"), ("off", "span"))  # what is said of each end, and how the number is written
_WORDS = {"C": "correct", "D": "deleted", "I": "inserted", "F": "fragmented", "M": "merged", "FM": "both"}
_RETURNED_WORDS = _WORDS | {"F": "fragmenting", "M": "merging"}


def event_tables(found: Mapping[str, dict[str, Any] | None]) -> list[Table]:
    """Return frames, events and segments as tables; without rows where nothing has event scores.

    Args:
        found: Variant to the `events` entry of its scores; one run alone has the name ``""``, and no column for it.
    """
    named = {name: events for name, events in found.items() if events is not None}
    return [_frames(named), _events(named), _segments(named)]


def events_summary(events: dict[str, Any] | None) -> Table:
    """Return the events of one run in one table that fits a terminal; without rows where it has no event scores.

    Args:
        events: The `events` entry of its scores.
    """
    columns = [Column("activity"), Column("found", "score"), Column("false", "score")]
    columns += [Column(head, "count") for head in ("true", "returned", "correct")]
    columns += [Column("F1", "score"), Column("begin, s", "span"), Column("end, s", "span")]
    found = [] if events is None else [*events["per_activity"], {"activity": _NULL, **events["null"]}]
    rows = []
    for row in found:
        rates, ends = row["rates"], row["boundary_s"]
        counts = [sum(row["true_events"].values()), sum(row["returned_events"].values()), row["true_events"]["C"]]
        hits = row["segmental_f1"][f"{_SUMMED:g}"]
        numbers = [rates["tpr"], rates["fpr"], *counts, hits, ends["begin_off"], ends["end_off"]]
        rows.append([row["activity"], *numbers])
    if events is not None:
        rows.append([_MACRO_SHORT, *[None] * 5, events["segmental_f1"][f"{_SUMMED:g}"], None, None])
    note = (
        "Found, false: shares of the time in which the activity is true, and is not. Events: correct is one that meets"
        f" one; segmental F1 at an intersection over union of {_SUMMED:g}; begin and end of correct ones, off by."
        " All categories stand in scores.json. " + _rules({} if events is None else {"": events})
    )
    return Table("events-summary", "Events on the time axis", columns, rows, note)


def _frames(named: Mapping[str, dict[str, Any]]) -> Table:
    """Return what became of the seconds of each activity (of all of them) and of those without it."""
    columns = [Column("true, s", "seconds"), Column("found", "score")]
    columns += [Column(word, "score") for word in _MISSED.values()]
    columns += [Column("other, s", "seconds"), Column("false", "score")]
    columns += [Column(word, "score") for word in _ADDED.values()]

    def cells(row: dict[str, Any]) -> list[Any]:
        rates = row["rates"]
        missed = [row["true_s"], rates["tpr"], *(rates[name] for name in _MISSED)]
        return [*missed, row["other_s"], rates["fpr"], *(rates[name] for name in _ADDED)]

    note = (
        "Shares of the seconds in which the activity is true (found to underfill, they sum to 1), and of all others"
        " (inserted to overfill sum to false); Ward et al., 2011. " + _rules(named)
    )
    return Table("frames", "Events on the time axis, seconds", _head(named, columns), _rows(named, cells), note)


def _events(named: Mapping[str, dict[str, Any]]) -> Table:
    """Return what became of each true and each returned event."""
    true = [name for name in TRUE_EVENTS if name != "C"]
    returned = [name for name in RETURNED_EVENTS if name != "C"]
    columns = [Column("true events", "count"), Column("correct", "count")]
    columns += [Column(_WORDS[name], "count") for name in true]
    columns += [Column("returned events", "count")] + [Column(_RETURNED_WORDS[name], "count") for name in returned]

    def cells(row: dict[str, Any]) -> list[Any]:
        own, back = row["true_events"], row["returned_events"]
        counts = [sum(own.values()), own["C"], *(own[name] for name in true)]
        return [*counts, sum(back.values()), *(back[name] for name in returned)]

    note = "Of the returned events, as many are correct as of the true ones. Counts are sums over runs."
    return Table("events", "Events, counted", _head(named, columns), _rows(named, cells), note)


def _segments(named: Mapping[str, dict[str, Any]]) -> Table:
    """Return segmental F1 and boundary errors."""
    columns = [Column(f"F1 at IoU {iou:g}", "score") for iou in IOU]
    columns += [Column("correct events", "count")]
    columns += [Column(f"{end}, {what} s", kind) for end in ("begin", "end") for what, kind in _BOUNDARY]

    def cells(row: dict[str, Any]) -> list[Any]:
        ends = row["boundary_s"]
        errors = [ends[key] for key in ("begin", "begin_off", "end", "end_off")]
        return [*row["segmental_f1"].values(), row["true_events"]["C"], *errors]

    rows = _rows(named, cells)
    for name, events in named.items():
        macro = [_MACRO, *events["segmental_f1"].values(), None, None, None, None, None]
        rows.append([name, *macro] if _has_names(named) else macro)
    note = (
        "A returned event is a hit where its intersection over union with the true event that it fits best reaches the"
        " threshold (Lea et al., 2017). Boundary errors are of correct events: late is positive, off is without sign."
    )
    return Table("segments", "Segmental F1 and boundary errors", _head(named, columns), rows, note)


def _has_names(named: Mapping[str, dict[str, Any]]) -> bool:
    """Tell whether the scores are of named variants, and not of one run alone."""
    return "" not in named


def _head(named: Mapping[str, dict[str, Any]], columns: list[Column]) -> list[Column]:
    """Return the columns of a table, with the names that its rows begin with."""
    return [*([Column("variant")] if _has_names(named) else []), Column("activity"), *columns]


def _rows(named: Mapping[str, dict[str, Any]], cells: Callable[[dict[str, Any]], list[Any]]) -> list[list[Any]]:
    """Return one row for each variant and activity, and one for null."""
    rows = []
    for name, events in named.items():
        for row in [*events["per_activity"], {"activity": _NULL, **events["null"]}]:
            first = [name] if _has_names(named) else []
            rows.append([*first, row["activity"], *cells(row)])
    return rows


def _rules(named: Mapping[str, dict[str, Any]]) -> str:
    """Return the rule of the time axis as a sentence, and how much time has no window."""
    rules = dict.fromkeys(events["rule"] for events in named.values())
    shares = [events["unpredicted_s"] / events["seconds"] for events in named.values() if events["seconds"]]
    if not shares:
        return ""
    text = "; ".join(rules)
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    return f"{text[0].upper()}{text[1:]}. Without a window: {low if low == high else f'{low} to {high}'} % of the time."
