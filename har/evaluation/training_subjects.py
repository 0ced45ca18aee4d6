"""The learning curve over the number of training subjects: scores and paired differences at each number.

The sets of training subjects of a fold are nested, so a step along the curve adds subjects and takes none away. What is
stated at smaller numbers is description: verdicts are of the largest number alone, and so is the declared family.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from har.evaluation.contrast import estimate
from har.evaluation.gathering import Gathered
from har.evaluation.numbers import Column, Table
from har.evaluation.paired import pair_up, subject_scores


def training_curve(gathered: Gathered, policy: str, *, shared_repeats: bool) -> tuple[dict[str, Any], list[str]]:
    """Return scores and differences at each number of training subjects, and what they had to leave out.

    Args:
        gathered: A study with several numbers of training subjects.
        policy: The policy of absent activities.
        shared_repeats: Whether a repeat has one seed for all folds.

    Returns:
        The `training_subjects` entry of `contrasts.json`, and sentences about the smaller numbers.
    """
    largest = max(gathered.study["protocol"]["train_subjects"])
    steps = [*gathered.fewer, (largest, gathered)]
    variants = {
        name: [{"train_subjects": number, **_scores(part, name, policy)} for number, part in steps]
        for name in gathered.arms
    }
    contrasts, problems = [], []
    for declared in gathered.study["contrasts"]:
        a, b = declared["a"], declared["b"]
        points = []
        for number, part in steps:
            pairs = pair_up(part, a, b, policy)
            if number != largest:
                problems += [f"With {number} training subjects: {problem}" for problem in pairs.problems]
            point: dict[str, Any] = {"train_subjects": number, "mean": None, "interval": None, "subjects": 0}
            if pairs.subjects:
                result = estimate(pairs.difference_SR, shared_repeats=shared_repeats)
                interval = None if result.interval is None else list(result.interval)
                point |= {"mean": result.mean, "interval": interval, "subjects": result.subjects}
            points.append(point)
        contrasts.append({"a": a, "b": b, "points": points})
    return {"numbers": [number for number, _ in steps], "variants": variants, "contrasts": contrasts}, problems


def training_tables(found: dict[str, Any], policy: str) -> list[Table]:
    """Return the learning curve as tables: scores of the variants, differences of the contrasts.

    Args:
        found: As `training_curve` returns it.
        policy: The policy of absent activities, named in the titles.
    """
    columns = [Column("variant"), Column("training subjects", "count")]
    columns += [Column(f"macro F1 ({policy}), mean over subjects", "score"), Column("SD over subjects", "score")]
    columns += [Column("subjects", "count"), Column("runs", "count")]
    keys = ("train_subjects", "macro_f1", "macro_f1_sd", "subjects", "runs")
    rows = [[name, *(point[key] for key in keys)] for name, points in found["variants"].items() for point in points]
    scores = Table("training-subjects", f"Number of training subjects, macro F1 ({policy})", columns, rows)
    columns = [Column("a"), Column("b"), Column("training subjects", "count"), Column("a - b, F1 points", "points")]
    columns += [Column("95 % from", "points"), Column("to", "points"), Column("S", "count")]
    rows = []
    for contrast in found["contrasts"]:
        for point in contrast["points"]:
            ends = point["interval"] or (None, None)
            rows.append(
                [contrast["a"], contrast["b"], point["train_subjects"], point["mean"], *ends, point["subjects"]]
            )
    note = (
        "Nested training sets, the same for all variants. Intervals are not adjusted for being several; verdicts are of"
        " the largest number alone."
    )
    title = f"Contrasts by number of training subjects, macro F1 ({policy})"
    return [scores, Table("training-contrasts", title, columns, rows, note)]


def _scores(part: Gathered, name: str, policy: str) -> dict[str, Any]:
    """Return the macro F1 of one variant at one number of training subjects, over its subjects."""
    runs = part.of(name)
    values = list(subject_scores(runs, policy).values())
    return {
        "macro_f1": float(np.mean(values)) if values else None,
        "macro_f1_sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "subjects": len(values),
        "runs": len(runs),
    }
