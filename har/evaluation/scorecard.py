"""The scores of one run as a person reads them (Markdown) and as a spreadsheet does (CSV)."""

from __future__ import annotations

import csv
import io
from typing import Any

from har.evaluation.arms import RUNNING, arm, is_transductive
from har.evaluation.measures import SUBJECT_POLICIES
from har.evaluation.numbers import Column, Table, number


def scorecard(scores: dict[str, Any], missing: dict[str, list[str]] | None = None) -> str:
    """Return the scores of one run as Markdown: a table of activities, then what sums them up.

    Args:
        scores: The content of `scores.json`.
        missing: Part of the run's data (validation, test) to the activities that have no window in it, as `run.json`
            has them; None for predictions that stand alone.
    """
    policy, subjects = scores["policy"], len(scores["subjects"])
    columns = [Column("activity"), *(Column(name, "score") for name in ("precision", "recall", "F1"))]
    table = Table(
        "scores",
        "",
        [*columns, Column("support, windows", "count")],
        [[row[key] for key in ("activity", "precision", "recall", "f1", "support")] for row in scores["per_activity"]],
    )
    over = "all subjects' windows together" if policy == "pooled" else f"mean over {subjects} subject(s)"
    others = [f"{name} {_or_dash(value)}" for name, value in scores["macro_f1_by_policy"].items() if name != policy]
    lines = [
        table.markdown(),
        "",
        f"macro F1 ({policy})  {_or_dash(scores['macro_f1'])}  {over}; under other policies: {', '.join(others)}",
        f"weighted F1         {_or_dash(scores['weighted_f1'])}",
        f"accuracy            {_or_dash(scores['accuracy'])}  {scores['windows']} windows",
    ]
    if scores["absent_from_truth"]:
        lines.append(f"not in the truth:   {', '.join(scores['absent_from_truth'])}")
    lines.extend(f"missing from {part}: {', '.join(names)}" for part, names in (missing or {}).items() if names)
    return "\n".join(lines)


def inferences_table(scores: dict[str, Any], others: dict[str, dict[str, Any]]) -> Table:
    """Return what a run scores under each of its inferences, those that use the test subject's data last.

    Args:
        scores: The content of `scores.json`: predictions with running statistics.
        others: Name of each other inference to its scores.
    """
    columns = [Column("inference"), Column("data of the test subject")]
    columns += [Column(name, "score") for name in (f"macro F1 ({scores['policy']})", "weighted F1", "accuracy")]
    columns.append(Column("macro F1 - running, points", "points"))
    rows: list[list[Any]] = []
    for name, found in sorted({RUNNING: scores, **others}.items(), key=lambda item: is_transductive(arm("", item[0]))):
        known = found["macro_f1"] is not None and scores["macro_f1"] is not None
        difference = found["macro_f1"] - scores["macro_f1"] if known and name != RUNNING else None
        uses = "unlabelled" if is_transductive(arm("", name)) else "none"
        rows.append([name, uses, *(found[key] for key in ("macro_f1", "weighted_f1", "accuracy")), difference])
    note = "The same weights, with other statistics in their batch norms (docs/norms.md)."
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
    for policy, value in scores["macro_f1_by_policy"].items():
        writer.writerow(["", "macro F1", policy, "", "", value])
    for row in scores["per_activity"]:
        for score in ("precision", "recall", "f1", "support"):
            writer.writerow(["", score, "", row["activity"], "", row[score]])
    for subject, found in [("", scores), *scores["subjects"].items()]:
        if subject:
            for policy in SUBJECT_POLICIES:
                writer.writerow([subject, "macro F1", policy, "", "", found["macro_f1"][policy]])
        for score in ("weighted_f1", "accuracy", "windows"):
            writer.writerow([subject, score.replace("_f1", " F1"), "", "", "", found[score]])
        for true, counts in zip(scores["activities"], found["confusion"], strict=True):
            for predicted, count in zip(scores["activities"], counts, strict=True):
                writer.writerow([subject, "confusion", "", true, predicted, count])
    return stream.getvalue()


def _or_dash(value: float | None) -> str:
    """Return a score, or n/a where it is undefined."""
    return number(value, "score") or "n/a"
