"""The scores of one run as a person reads them (Markdown) and as a spreadsheet does (CSV)."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator
from typing import Any

from har.evaluation.arms import KINDS, PERSONAL, RUNNING, arm, is_transductive, kind_of
from har.evaluation.event_tables import events_summary
from har.evaluation.measures import SUBJECT_POLICIES
from har.evaluation.numbers import Column, Table, as_words, number

_TOTALS = {  # scores of a confusion that need no policy, by their names in files
    "weighted_f1": "weighted F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "Cohen's kappa",
    "mcc": "MCC",
    "windows": "windows",
}
_WIDTH = 100  # columns of a terminal


def scorecard(scores: dict[str, Any], missing: dict[str, list[str]] | None = None) -> str:
    """Return the scores of one run as Markdown: a table of activities, then what sums them up.

    Args:
        scores: The content of `scores.json`.
        missing: Part of the run's data (validation, test) to the activities that have no window in it, as `run.json`
            has them; None for predictions that stand alone.
    """
    policy, subjects = scores["policy"], len(scores["subjects"])
    over = "all subjects' windows together" if policy == "pooled" else f"mean over {subjects} subject(s)"
    others = [f"{name} {_or_dash(value)}" for name, value in scores["macro_f1_by_policy"].items() if name != policy]
    lines = [
        activities_table(scores["per_activity"]).markdown(),
        "",
        f"macro F1 ({policy})  {_or_dash(scores['macro_f1'])}  {over}; under other policies: {', '.join(others)}",
        f"weighted F1         {_or_dash(scores['weighted_f1'])}",
        f"accuracy            {_or_dash(scores['accuracy'])}  {scores['windows']} windows",
        f"balanced accuracy   {_or_dash(scores['balanced_accuracy'])}",
        f"Cohen's kappa       {_or_dash(scores['kappa'])}",
        f"MCC                 {_or_dash(scores['mcc'])}",
        f"calibration error   {_or_dash(scores['calibration']['ece'])}  {scores['calibration']['rule']}",
    ]
    if worst := scores["worst_activity"]:
        lines.append(f"worst activity      {_or_dash(worst['f1'])}  {worst['activity']}, F1")
    if worst := scores["worst_subject"]:
        lines.append(f"worst subject       {_or_dash(worst['macro_f1'])}  {worst['subject']}, macro F1")
    if scores["absent_from_truth"]:
        lines.append(f"not in the truth:   {', '.join(scores['absent_from_truth'])}")
    lines.extend(f"missing from {part}: {', '.join(names)}" for part, names in (missing or {}).items() if names)
    events = events_summary(scores["events"])
    if events.rows:
        lines += ["", f"{events.title}:", "", events.markdown(), "", events.note]
    lines += ["", *(f"note: {note}" for note in scores["notes"])]
    return "\n".join(_wrapped(line) for line in lines)


def _wrapped(line: str) -> str:
    """Return a line that fits a terminal; the lines of tables stay as they are."""
    if "\n" in line or len(line) <= _WIDTH:
        return line
    return "\n".join(textwrap.wrap(line, _WIDTH, subsequent_indent="  ", break_long_words=False))


def activities_table(rows: list[dict[str, Any]]) -> Table:
    """Return precision, recall and F1 of each activity, with the interval of F1 where some activity has one."""
    ends = any(row["f1_interval"] for row in rows)
    columns = [Column("activity"), *(Column(name, "score") for name in ("precision", "recall", "F1"))]
    columns += [Column("F1, 95 % from", "score"), Column("to", "score")] if ends else []
    cells = []
    for row in rows:
        interval = (row["f1_interval"] or (None, None)) if ends else ()
        cells.append([*(row[key] for key in ("activity", "precision", "recall", "f1")), *interval, row["support"]])
    columns.append(Column("support, windows", "count"))
    return Table("activities", "Precision, recall and F1 per activity", columns, cells)


def totals_table(scores: dict[str, Any]) -> Table:
    """Return the scores of a run that are of no single activity, one a line.

    Args:
        scores: The content of `scores.json`.
    """
    rows: list[list[Any]] = [[f"macro F1 ({name})", value] for name, value in scores["macro_f1_by_policy"].items()]
    rows += [[name, scores[key]] for key, name in _TOTALS.items() if key != "windows"]
    rows.append(["calibration error", scores["calibration"]["ece"]])
    note = f"Calibration error: {scores['calibration']['rule']}."
    return Table("totals", "Scores", [Column("score"), Column("value", "score")], rows, note)


def inferences_table(scores: dict[str, Any], others: dict[str, dict[str, Any]]) -> Table:
    """Return what a run scores under each of its inferences, those of each kind together, the inductive ones first.

    Args:
        scores: The content of `scores.json`: predictions with running statistics.
        others: Name of each other inference to its scores.
    """
    columns = [Column("inference"), Column("data of the test subject")]
    columns += [Column(name, "score") for name in (f"macro F1 ({scores['policy']})", "weighted F1", "accuracy")]
    columns.append(Column("macro F1 - running, points", "points"))
    rows: list[list[Any]] = []
    for name, found in sorted(
        {RUNNING: scores, **others}.items(), key=lambda item: KINDS.index(kind_of(arm("", item[0])))
    ):
        known = found["macro_f1"] is not None and scores["macro_f1"] is not None
        difference = found["macro_f1"] - scores["macro_f1"] if known and name != RUNNING else None
        uses = "unlabelled" if is_transductive(arm("", name)) else "none"
        uses = "labelled" if kind_of(arm("", name)) == PERSONAL else uses
        rows.append([name, uses, *(found[key] for key in ("macro_f1", "weighted_f1", "accuracy")), difference])
    note = (
        "The same weights, with other statistics in their batch norms (docs/norms.md), another device at use or a "
        "personal head (docs/other-people.md), or decisions smoothed over neighbouring windows (docs/smoothing.md)."
    )
    return Table("inferences", "Inferences", columns, rows, note)


def scores_csv(scores: dict[str, Any]) -> str:
    """Return every score of `scores.json` as CSV, one value a line, at full precision.

    Columns: subject (empty: all subjects together), score, policy, activity, predicted, value.

    Args:
        scores: The content of `scores.json`.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["subject", "score", "policy", "activity", "predicted", "value"])
    for row in _values(scores):
        writer.writerow([as_words(cell) if isinstance(cell, str) else cell for cell in row])
    return stream.getvalue()


def _values(scores: dict[str, Any]) -> Iterator[list[Any]]:
    """Yield subject, score, policy, activity, predicted and value of every score."""
    for policy, value in scores["macro_f1_by_policy"].items():
        yield ["", "macro F1", policy, "", "", value]
    yield ["", "calibration error", "", "", "", scores["calibration"]["ece"]]
    for cells in _activity_values(scores["per_activity"]):
        yield ["", *cells]
    for cells in _confusion_values(scores, scores["activities"]):
        yield ["", *cells]
    for cells in _event_values(scores["events"]):
        yield ["", *cells]
    for subject, found in scores["subjects"].items():
        for policy in SUBJECT_POLICIES:
            yield [subject, "macro F1", policy, "", "", found["macro_f1"][policy]]
        for cells in _confusion_values(found, scores["activities"]):
            yield [subject, *cells]


def _activity_values(rows: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """Yield score, policy, activity, predicted and value of every score of an activity, and of its interval."""
    for row in rows:
        for score in ("precision", "recall", "f1"):
            low, high = row[f"{score}_interval"] or (None, None)
            for name, value in ((score, row[score]), (f"{score}, 95 % from", low), (f"{score}, 95 % to", high)):
                yield [name, "", row["activity"], "", value]
        yield ["support", "", row["activity"], "", row["support"]]


def _confusion_values(found: dict[str, Any], activities: list[str]) -> Iterator[list[Any]]:
    """Yield score, policy, activity, predicted and value of a confusion and of what needs no policy."""
    for score, name in _TOTALS.items():
        yield [name, "", "", "", found[score]]
    for key, name in (("confusion", "confusion"), ("confusion_shares", "confusion share")):
        for true, row in zip(activities, found[key], strict=True):
            for predicted, value in zip(activities, row or [None] * len(activities), strict=True):
                yield [name, "", true, predicted, value]


def _event_values(events: dict[str, Any] | None) -> Iterator[list[Any]]:
    """Yield score, policy, activity, predicted and value of every event score."""
    if events is None:
        return
    for iou, value in events["segmental_f1"].items():
        yield [f"segmental F1 at IoU {iou}", "present", "", "", value]
    for row in events["per_activity"]:
        named = {f"segmental F1 at IoU {iou}": value for iou, value in row["segmental_f1"].items()}
        named |= {f"frames, s: {name}": value for name, value in row["frames_s"].items()}
        named |= {f"true events: {name}": value for name, value in row["true_events"].items()}
        named |= {f"returned events: {name}": value for name, value in row["returned_events"].items()}
        named |= {f"boundary error, s: {name}": value for name, value in row["boundary_s"].items()}
        for name, value in named.items():
            yield [name, "", row["activity"], "", value]


def _or_dash(value: float | None) -> str:
    """Return a score, or n/a where it is undefined."""
    return number(value, "score") or "n/a"
