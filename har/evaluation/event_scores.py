"""What is counted of events, as scores: rates of frames, categories of events, segmental F1, boundary errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from har.evaluation.events import FRAMES, IOU, RETURNED_EVENTS, TRUE_EVENTS, Events

RULE = (
    "each instant has the decision of the window covering it whose centre is nearest; instants without a window count"
    " as predicted null, instants whose truth is no activity of the model as truly null; recordings are judged apart"
)
_MISSED, _ADDED = FRAMES[1:5], FRAMES[5:]


def event_scores(events: Events, activities: list[str]) -> dict[str, Any]:
    """Return the event scores of a run, or of several together, as a JSON value.

    Args:
        events: What was counted.
        activities: K names, in the order of its classes.

    Returns:
        The `events` entry of `scores.json`; undefined values are None. Segmental macro F1 is the mean over the
        activities that have a true event.
    """
    rows = [_class_scores(events, number) for number in range(len(activities) + 1)]
    present = [row["segmental_f1"] for row, counts in zip(rows[:-1], events.true_XC, strict=False) if counts.any()]
    macro = {_name(iou): float(np.mean([f1[_name(iou)] for f1 in present])) if present else None for iou in IOU}
    return {
        "rule": RULE,
        "recordings": events.recordings,
        "recordings_with_changes": events.changing,
        "seconds": _seconds(events.seconds),
        "unpredicted_s": _seconds(events.unpredicted_s),
        "unpredicted_null_s": _seconds(events.unpredicted_null_s),
        "segmental_f1": macro,
        "per_activity": [{"activity": name, **row} for name, row in zip(activities, rows[:-1], strict=True)],
        "null": rows[-1],
    }


def event_notes(events: Events) -> list[str]:
    """Return what a reader of event scores must know about the recordings that they rest on."""
    notes = []
    if not events.changing:
        notes.append(
            "No recording has a change of activity, so event scores tell how steady the decisions are, and nothing of"
            " how transitions are found."
        )
    null_s = float(events.frame_s_XC[-1, :5].sum())
    if events.unpredicted_null_s > 0.5 * null_s > 0:
        notes.append(
            f"{100 * events.unpredicted_null_s / null_s:.0f} % of the null time has no window, so insertions there"
            " cannot show."
        )
    return notes


def _class_scores(events: Events, number: int) -> dict[str, Any]:
    """Return the event scores of one class."""
    frame_s = dict(zip(FRAMES, events.frame_s_XC[number].tolist(), strict=True))
    true = dict(zip(TRUE_EVENTS, events.true_XC[number].tolist(), strict=True))
    returned = dict(zip(RETURNED_EVENTS, events.returned_XC[number].tolist(), strict=True))
    true_s = sum(frame_s[name] for name in ("TP", *_MISSED))
    other_s = events.seconds - true_s
    rates = {"tpr": _ratio(frame_s["TP"], true_s)} | {name: _ratio(frame_s[name], true_s) for name in _MISSED}
    rates |= {"fpr": _ratio(sum(frame_s[name] for name in _ADDED), other_s)}
    rates |= {name: _ratio(frame_s[name], other_s) for name in _ADDED}
    all_events = sum(true.values()) + sum(returned.values())
    begin, begin_off, end, end_off = (_ratio(total, true["C"]) for total in events.boundary_s_XE[number].tolist())
    return {
        "true_s": _seconds(true_s),
        "other_s": _seconds(other_s),
        "frames_s": {name: _seconds(value) for name, value in frame_s.items()},
        "rates": rates,
        "true_events": true,
        "returned_events": returned,
        "segmental_f1": {
            _name(iou): _ratio(2 * int(hits), all_events) for iou, hits in zip(IOU, events.hit_XU[number], strict=True)
        },
        "boundary_s": {"begin": begin, "begin_off": begin_off, "end": end, "end_off": end_off},
    }


def _name(iou: float) -> str:
    """Return a threshold as the key of a JSON object."""
    return f"{iou:g}"


def _seconds(value: float) -> float:
    """Return seconds to the microsecond: what lies below is rounding."""
    return round(value, 6)


def _ratio(above: float, below: float) -> float | None:
    """Return a ratio; None without a denominator (of seconds: below a microsecond)."""
    return float(above / below) if below > 1e-6 else None
