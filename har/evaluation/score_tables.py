"""The tables of a study's scores: activities, agreement, confusions and calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from har.evaluation.calibration import RULE
from har.evaluation.counts import sum_counts
from har.evaluation.gathering import Gathered
from har.evaluation.measures import POLICIES, row_shares
from har.evaluation.numbers import Column, Table
from har.evaluation.resampling import DRAWS


def score_tables(result: dict[str, Any], gathered: Gathered) -> list[Table]:
    """Return the tables of scores per activity, of confusions and of calibration.

    Args:
        result: What `har.evaluation.comparison.evaluate_study` returns.
        gathered: The runs that it was made from.
    """
    return [
        policies_table(result),
        activities_table(result),
        measures_table(result),
        precision_recall_table(result),
        confusion_table(result),
        confusion_shares_table(result),
        subject_confusions_table(gathered),
        calibration_table(result),
    ]


def policies_table(result: dict[str, Any]) -> Table:
    """Return the macro F1 of each variant under every policy of absent activities."""
    columns = [Column("variant"), *(Column(f"macro F1 ({name})", "score") for name in POLICIES)]
    rows = [[name, *map(found["macro_f1_by_policy"].get, POLICIES)] for name, found in result["variants"].items()]
    note = (
        "Mean over subjects of the mean over the activities that a subject performs (present), that it performs or is"
        " said to perform (union), or over all, undefined ones as 0; pooled: of all windows together, over all"
        " activities. They differ where a subject does not perform every activity."
    )
    return Table("policies", "Macro F1 under every policy of absent activities", columns, rows, note)


def activities_table(result: dict[str, Any]) -> Table:
    """Return the F1 of each activity under each variant, with support."""
    variants = result["variants"]
    supports = {name: [row["support"] for row in found["per_activity"]] for name, found in variants.items()}
    same = len({tuple(support) for support in supports.values()}) <= 1
    columns, values = [Column("activity")], [[name] for name in _activities(result)]
    for position, (name, found) in enumerate(variants.items()):
        if position == 0 or not same:
            columns.append(Column("support, windows" if same else f"support, windows ({name})", "count"))
            for row, support in zip(values, supports[name], strict=True):
                row.append(support)
        columns.append(Column(name, "score"))
        for row, scores in zip(values, found["per_activity"], strict=True):
            row.append(scores["f1"])
    note = "On the windows of all subjects together; support counts a window once per run that predicts it."
    return Table("activities", "F1 per activity and variant (pooled)", columns, values, note)


def measures_table(result: dict[str, Any]) -> Table:
    """Return agreement, calibration error and the worst subject and activity of each variant."""
    columns = [Column("variant")]
    columns += [Column(name, "score") for name in ("balanced accuracy", "Cohen's kappa", "MCC", "calibration error")]
    columns += [Column("worst subject"), Column(f"its macro F1 ({result['policy']})", "score")]
    columns += [Column("worst activity"), Column("its F1 (pooled)", "score")]
    rows = []
    for name, found in result["variants"].items():
        agreement = [found[key] for key in ("balanced_accuracy", "kappa", "mcc")]
        subject, activity = found["worst_subject"] or {}, found["worst_activity"] or {}
        worst = [subject.get("subject", ""), subject.get("macro_f1"), activity.get("activity", ""), activity.get("f1")]
        rows.append([name, *agreement, found["calibration"]["ece"], *worst])
    note = (
        "Of all windows together; balanced accuracy is over activities that are performed. Calibration error: mean"
        " distance of the stated probability from the share that is right, in " + RULE + "."
    )
    return Table("measures", "Agreement, calibration, and the worst", columns, rows, note)


def precision_recall_table(result: dict[str, Any]) -> Table:
    """Return precision, recall and F1 of each activity under each variant with their intervals, and support."""
    columns = [Column("variant"), Column("activity")]
    for name in ("precision", "recall", "F1"):
        columns += [Column(name, "score"), Column(f"{name}, 95 % from", "score"), Column("to", "score")]
    columns.append(Column("support, windows", "count"))
    rows = []
    for name, found in result["variants"].items():
        for scores in found["per_activity"]:
            row = [name, scores["activity"]]
            for key in ("precision", "recall", "f1"):
                row += [scores[key], *(scores[f"{key}_interval"] or (None, None))]
            rows.append([*row, scores["support"]])
    note = (
        f"Of the windows of all runs together. Intervals: {DRAWS} resamples of the subjects, each with all its runs;"
        " with ten subjects and fewer they are too short. None where fewer than two subjects perform the activity."
    )
    title = "Precision and recall per activity and variant (pooled)"
    return Table("precision-recall", title, columns, rows, note)


def confusion_table(result: dict[str, Any]) -> Table:
    """Return the confusion of each variant: windows by true (rows) and predicted (columns) activity."""
    activities = _activities(result)
    columns = [Column("variant"), Column("true"), *(Column(name, "count") for name in activities)]
    rows = [
        [name, activity, *counts]
        for name, found in result["variants"].items()
        for activity, counts in zip(activities, found["confusion"], strict=True)
    ]
    return Table("confusion", "Confusion, windows by true (rows) and predicted (columns) activity", columns, rows)


def confusion_shares_table(result: dict[str, Any]) -> Table:
    """Return the same as shares of each true activity's windows."""
    activities = _activities(result)
    columns = [Column("variant"), Column("true"), *(Column(name, "score") for name in activities)]
    rows = []
    for name, found in result["variants"].items():
        shares_KK = row_shares(np.array(found["confusion"]).reshape(len(activities), len(activities)))
        for activity, share_K in zip(activities, shares_KK, strict=True):
            rows.append([name, activity, *(None if np.isnan(share) else float(share) for share in share_K)])
    return Table("confusion-shares", "Confusion, shares of each true activity's windows", columns, rows)


def subject_confusions_table(gathered: Gathered) -> Table:
    """Return the confusion of each subject under each variant, one cell a line, cells without windows left out."""
    columns = [Column("variant"), Column("subject"), Column("true"), Column("predicted")]
    columns += [Column("windows", "count"), Column("share of the true activity", "score")]
    rows: list[list[Any]] = []
    for name in gathered.arms:
        summed = sum_counts(gathered.activities, [run.counts for run in gathered.of(name)])
        for subject, counts_KK in summed.confusions.items():
            shares_KK = row_shares(counts_KK)
            for true, predicted in np.argwhere(counts_KK):
                cell = (int(counts_KK[true, predicted]), float(shares_KK[true, predicted]))
                rows.append([name, subject, gathered.activities[true], gathered.activities[predicted], *cell])
    title = "Confusion of each subject, windows of all its runs"
    return Table("confusion-subjects", title, columns, rows)


def calibration_table(result: dict[str, Any]) -> Table:
    """Return the reliability curve of each variant: the share that is right beside the probability stated."""
    columns = [Column("variant"), Column("probability from", "score"), Column("to", "score")]
    columns += [Column("windows", "count"), Column("mean probability", "score"), Column("share right", "score")]
    rows = [
        [name, *(row[key] for key in ("from", "to", "windows", "probability", "accuracy"))]
        for name, found in result["variants"].items()
        for row in found["calibration"]["bins"]
        if row["windows"]
    ]
    note = f"{RULE[0].upper()}{RULE[1:]}; bins without windows are left out."
    return Table("calibration", "Calibration, windows of all subjects together", columns, rows, note)


def _activities(result: dict[str, Any]) -> list[str]:
    """Return the activities, which all variants share."""
    first = next(iter(result["variants"].values()), None)
    return list(first["activities"]) if first else []
