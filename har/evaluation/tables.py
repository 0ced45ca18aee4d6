"""The tables of a study's report, from the content of `contrasts.json` and the gathered runs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from har.evaluation.arms import CHANGED, INDUCTIVE, PERSONAL, TRANSDUCTIVE, kind_of
from har.evaluation.confusion_changes import changes, changes_table
from har.evaluation.contrast import limit, plural
from har.evaluation.cost import cost_table
from har.evaluation.counts import natural
from har.evaluation.event_tables import event_tables
from har.evaluation.gathering import Gathered
from har.evaluation.heads_table import heads_table
from har.evaluation.numbers import Column, Table
from har.evaluation.score_tables import score_tables
from har.evaluation.target_tables import target_tables
from har.evaluation.training_subjects import training_tables
from har.evaluation.tuning_tables import tuning_tables
from har.evaluation.use_cost import use_table

# Kind of arm, title and note of its table.
_APART = (
    (
        TRANSDUCTIVE,
        "Adapted to the test subject (transductive)",
        "The norms' statistics are those of the test subject's own windows, without their labels. Apart from the other"
        " table because these variants know more of whom they are tested on.",
    ),
    (
        PERSONAL,
        "Personalised with labels of the test subject",
        "The head is fitted to the first seconds of each activity of the test subject, with their labels. No variant is"
        " scored on those windows or on one that overlaps them. Apart from the other tables because these variants have"
        " been taught by whom they are tested on.",
    ),
    (
        CHANGED,
        "With another device at use",
        "The test windows are those of sensors that are turned or missing, which training never saw. Apart from the"
        " other table because the windows are not those that were recorded.",
    ),
)


def study_tables(result: dict[str, Any], gathered: Gathered) -> dict[str, Table]:
    """Return every table of the report by name; the names are those of the CSV files.

    Args:
        result: What `har.evaluation.comparison.evaluate_study` returns.
        gathered: The runs that it was made from.
    """
    tables = [
        variants_table(result),
        *apart_tables(result),
        contrasts_table(result),
        practical_table(result),
        subjects_table(result),
        differences_table(result),
        *score_tables(result, gathered),
        changes_table([row for found in result["contrasts"] for row in changes(gathered, found["a"], found["b"])]),
        *event_tables({name: found["events"] for name, found in result["variants"].items()}),
        curves_table(gathered),
        cost_table(result, gathered),
        *([heads] if (heads := heads_table(gathered)) else []),
        *([use] if (use := use_table(result)) else []),
        *(target_tables(result["target"]) if "target" in result else []),
        *(training_tables(result["training_subjects"], result["policy"]) if "training_subjects" in result else []),
        *(tuning_tables(gathered.tuning) if gathered.tuning else []),
    ]
    return {table.name: table for table in tables}


def variants_table(result: dict[str, Any]) -> Table:
    """Return the scores of each variant, and of each inference of it that is inductive."""
    policy = result["policy"]
    note = (
        f"Macro F1 ({policy}) is taken per subject and then averaged; pooled macro F1, accuracy and weighted F1 are of"
        " the windows of all subjects together. Repeats of a subject are averaged first."
    )
    return _scores_table("variants", f"Variants, macro F1 ({policy})", result, note, INDUCTIVE)


def apart_tables(result: dict[str, Any]) -> list[Table]:
    """Return the same of the inferences of every other kind (`har.evaluation.arms.kind_of`) that there is, one each."""
    policy = result["policy"]
    tables = [_scores_table(kind, f"{title}, macro F1 ({policy})", result, note, kind) for kind, title, note in _APART]
    return [table for table in tables if table.rows]


def _scores_table(name: str, title: str, result: dict[str, Any], note: str, kind: str) -> Table:
    """Return the scores of the arms of one kind."""
    policy = result["policy"]
    columns = [
        Column("variant"),
        Column(f"macro F1 ({policy}), mean over subjects", "score"),
        Column("SD over subjects", "score"),
        Column("macro F1 (pooled)", "score"),
        Column("accuracy", "score"),
        Column("weighted F1", "score"),
        Column("subjects", "count"),
        Column("runs", "count"),
    ]
    scores = ("macro_f1", "macro_f1_sd", "macro_f1_pooled", "accuracy", "weighted_f1")
    counts = ("subjects", "runs")
    rows = [
        [arm, *(found[key] for key in (*scores, *counts))]
        for arm, found in result["variants"].items()
        if kind_of(arm) == kind
    ]
    return Table(name, title, columns, rows, note)


def contrasts_table(result: dict[str, Any]) -> Table:
    """Return the declared contrasts with interval, p and verdict."""
    columns = [
        Column("a"),
        Column("b"),
        Column("a - b, F1 points", "points"),
        Column("95 % from", "points"),
        Column("to", "points"),
        Column("p", "p"),
        Column("Holm p", "p"),
        Column("detectable (Holm-adjusted), F1 points", "size"),
        Column("S", "count"),
        Column("K", "count"),
        Column("verdict"),
    ]
    rows = []
    for found in result["contrasts"]:
        low, high = found["interval"] or (None, None)
        ends = [found["mean"], low, high, found["p"], found["p_holm"], found["detectable"]]
        rows.append([found["a"], found["b"], *ends, found["subjects"], found["repeats"], found["verdict"]])
    methods = sorted({found["interval_method"] for found in result["contrasts"] if found["interval_method"]})
    note = (
        "Paired differences over S subjects, K repeats averaged first."
        + (f" Interval: {', '.join(methods)}." if methods else "")
        + " p: two-sided sign-flip test, Holm-adjusted over the declared contrasts; intervals are not adjusted. "
        + _detectable_note(result)
    )
    return Table("contrasts", f"Contrasts, macro F1 ({result['policy']})", columns, rows, note)


def practical_table(result: dict[str, Any]) -> Table:
    """Return what stands beside the verdicts: effect sizes, P(a > b) and the Bayesian test of equivalence."""
    columns = [Column("a"), Column("b"), Column("effect (mean / SD)", "score")]
    columns += [Column("P(a > b)", "score"), Column("95 % from", "score"), Column("to", "score")]
    columns += [Column(f"P({name})", "score") for name in ("worse", "equivalent", "better")]
    columns += [Column("at 0.95"), Column("corrected t, p", "p")]
    rows: list[list[Any]] = []
    for found in result["contrasts"]:
        beats, practical = found["superiority"] or {}, found["practical"] or {}
        shares = [beats.get("probability"), *(beats.get("interval") or (None, None))]
        probabilities = [practical.get(name) for name in ("worse", "equivalent", "better")]
        decided = practical.get("decision", "")
        rows.append([found["a"], found["b"], found["effect"], *shares, *probabilities, decided, found["p_corrected_t"]])
    note = (
        f"P(worse, equivalent, better): Bayesian signed-rank test with ±{100 * result['rope']:g} F1 point as"
        " equivalent. Interval of P(a > b): resamples of the subjects, too short with ten and fewer."
        " Corrected t: a sensitivity that takes the folds' shared training data for correlation (Nadeau and Bengio);"
        " far too strict for a test. None of these takes part in the verdict."
    )
    return Table("practical", f"Beside the verdicts, macro F1 ({result['policy']})", columns, rows, note)


def _detectable_note(result: dict[str, Any]) -> str:
    """Return what "detectable" means, and of designs that can detect nothing why that is so."""
    contrasts = len(result["contrasts"])
    text = (
        "Detectable: the true difference that this design finds in four of five studies if subjects differ as much as"
        " these (their SD is an estimate too), Holm-adjusted over"
        f" {contrasts} contrast{plural(contrasts)} (paired t test at {result['alpha']:g} / {contrasts})."
    )
    limits = {
        limit(found["subjects"], contrasts, found["p_holm_smallest"])
        for found in result["contrasts"]
        if found["mean"] is not None and found["detectable"] is None
    }
    return text + "".join(f" This design cannot show any difference: {reason}." for reason in sorted(limits))


def subjects_table(result: dict[str, Any]) -> Table:
    """Return the macro F1 of each subject under each variant."""
    variants = result["variants"]
    subjects = sorted({subject for found in variants.values() for subject in found["per_subject"]}, key=natural)
    rows = [[subject, *(found["per_subject"].get(subject) for found in variants.values())] for subject in subjects]
    columns = [Column("subject"), *(Column(name, "score") for name in variants)]
    return Table("subjects", f"Subjects, macro F1 ({result['policy']}), mean over repeats", columns, rows)


def differences_table(result: dict[str, Any]) -> Table:
    """Return the paired difference of each subject in each contrast."""
    contrasts = result["contrasts"]
    subjects = sorted({subject for found in contrasts for subject in found["differences"]}, key=natural)
    rows = [[subject, *(found["differences"].get(subject) for found in contrasts)] for subject in subjects]
    columns = [Column("subject"), *(Column(f"{found['a']} - {found['b']}", "points") for found in contrasts)]
    return Table("differences", f"Differences per subject, points of macro F1 ({result['policy']})", columns, rows)


def curves_table(gathered: Gathered) -> Table:
    """Return the learning curve of each variant: mean over its runs, and the ends of the middle 80 % of them.

    A learner that is fitted at once has none: what its head tries is no time (`har.evaluation.heads_table`).
    """
    columns = [Column("variant"), Column("step", "count"), Column("runs", "count")]
    for name in ("training loss", "validation macro F1"):
        columns += [Column(name, "score"), Column("10 % of runs below", "score"), Column("10 % above", "score")]
    rows = []
    for variant in gathered.study["variants"]:
        at_step: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for run in gathered.of(variant):
            for point in run.curve if not run.at_once else ():
                at_step[int(point["step"])].append(point)
        for step, points in sorted(at_step.items()):
            summed = [_spread(points, key) for key in ("train_loss", "validation_macro_f1")]
            rows.append([variant, step, len(points), *summed[0], *summed[1]])
    return Table("curves", "Learning curves, mean over runs", columns, rows)


def _spread(points: list[dict[str, Any]], key: str) -> tuple[float | None, float | None, float | None]:
    """Return mean, 10th and 90th percentile of one entry over the points that have it."""
    known = [point[key] for point in points if point.get(key) is not None]
    if not known:
        return None, None, None
    low, high = np.quantile(known, [0.1, 0.9])
    return float(np.mean(known)), float(low), float(high)
