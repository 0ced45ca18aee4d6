"""The tables of when and why: associations with probes, differences by activity, and the numbers of their figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from har.evaluation.association import rank_correlation
from har.evaluation.numbers import Column, Table

_PAIR = [Column("a"), Column("b")]
_INTERVAL = [Column("95 % from", "points"), Column("to", "points")]


def probes_table(why: Mapping[str, Any]) -> Table:
    """Return the rank correlation of each contrast's differences with each value of the probes.

    Args:
        why: The entry ``why`` of `contrasts.json`.
    """
    columns = [*_PAIR, Column("probe"), Column("of"), Column("S", "count"), Column("rank correlation", "correlation")]
    columns += [Column("95 % from", "correlation"), Column("to", "correlation")]
    columns += [Column("p", "p"), Column("Holm p", "p"), Column("a - b with more of it")]
    rows = []
    for found in why["contrasts"]:
        for row in found["probes"]:
            ends = row["interval"] or (None, None)
            numbers = [row["subjects"], row["rho"], *ends, row["p"], row["p_holm"]]
            rows.append([found["a"], found["b"], row["probe"], row["of"], *numbers, row["finding"]])
    note = (
        "Spearman's rank correlation over S subjects of the difference of macro F1 with the value of the runs that"
        " tested the subject. Interval: resamples of the subjects, too short with ten and fewer; p: permutation test,"
        " Holm-adjusted over the probes"
        " of one contrast. With several contrasts something is found by chance more often."
    )
    return Table("why", "Differences and probes, over subjects", columns, rows, note)


def values_table(why: Mapping[str, Any], contrasts: Mapping[tuple[str, str], Mapping[str, float]]) -> Table:
    """Return difference and value of every subject, for each contrast and probe: one dot of a figure a line.

    Args:
        why: The entry ``why`` of `contrasts.json`.
        contrasts: Pair of variants to the difference of each subject.
    """
    columns = [*_PAIR, Column("probe"), Column("of"), Column("subject"), Column("value", "probe")]
    columns.append(Column("a - b, F1 points", "points"))
    rows = [
        [found["a"], found["b"], row["probe"], row["of"], subject, value, contrasts[found["a"], found["b"]][subject]]
        for found in why["contrasts"]
        for row in found["probes"]
        for subject, value in row["values"].items()
    ]
    return Table("why-subjects", "Differences and probes of each subject", columns, rows)


def variants_table(why: Mapping[str, Any]) -> Table:
    """Return the mean of each probe for every variant beside the variant's macro F1.

    Args:
        why: The entry ``why`` of `contrasts.json`.
    """
    columns = [Column("probe"), Column("variant"), Column("mean over subjects", "probe"), Column("macro F1", "score")]
    columns += [Column("rank correlation over variants", "correlation")]
    columns += [Column("95 % from", "correlation"), Column("to", "correlation")]
    rows = []
    for found in why["variants"]:
        ends = found["interval"] or (None, None)
        for place, (name, mean) in enumerate(found["means"].items()):
            over = [found["rho"], *ends] if place == 0 else [None, None, None]
            rows.append([found["probe"], name, mean, found["scores"][name], *over])
    note = (
        "Description of these variants, which somebody chose: no test, and nothing about others. The interval resamples"
        " subjects and keeps the variants."
    )
    return Table("why-variants", "Probes and scores of variants", columns, rows, note)


def activities_table(why: Mapping[str, Any]) -> Table:
    """Return the paired difference of F1 in each activity of each contrast.

    Args:
        why: The entry ``why`` of `contrasts.json`.
    """
    columns = [*_PAIR, Column("activity"), Column("a - b, F1 points", "points"), *_INTERVAL]
    columns += [Column("p", "p"), Column("Holm p", "p"), Column("S", "count")]
    rows = []
    for found in why["contrasts"]:
        for row in found["activities"]:
            ends = row["interval"] or (None, None)
            numbers = [row["mean"], *ends, row["p"], row["p_holm"], row["subjects"]]
            rows.append([found["a"], found["b"], row["activity"], *numbers])
    note = (
        "Mean over the S subjects who perform the activity, repeats averaged first, of the difference of the activity's"
        " F1. p: sign-flip test, Holm-adjusted over the activities of one contrast."
    )
    return Table("activity-differences", "Differences by activity", columns, rows, note)


def activity_probes_table(why: Mapping[str, Any]) -> Table:
    """Return the rank correlation of each activity's differences with each value of the probes: description, no test.

    Args:
        why: The entry ``why`` of `contrasts.json`.
    """
    columns = [*_PAIR, Column("activity"), Column("probe"), Column("of"), Column("S", "count")]
    columns.append(Column("rank correlation", "correlation"))
    rows: list[list[Any]] = []
    for found in why["contrasts"]:
        for row in found["activities"]:
            for probe in found["probes"]:
                both = [subject for subject in row["differences"] if subject in probe["values"]]
                x_S = np.array([probe["values"][subject] for subject in both])
                y_S = np.array([row["differences"][subject] for subject in both])
                rho = rank_correlation(x_S, y_S)
                if rho is not None:
                    pair = [found["a"], found["b"], row["activity"], probe["probe"], probe["of"]]
                    rows.append([*pair, len(both), rho])
    return Table("why-activities", "Differences by activity and probes, over subjects", columns, rows)


def activity_subjects_table(why: Mapping[str, Any]) -> Table:
    """Return the same of every subject.

    Args:
        why: The entry ``why`` of `contrasts.json`.
    """
    columns = [*_PAIR, Column("activity"), Column("subject"), Column("a - b, F1 points", "points")]
    rows = [
        [found["a"], found["b"], row["activity"], subject, difference]
        for found in why["contrasts"]
        for row in found["activities"]
        for subject, difference in row["differences"].items()
    ]
    return Table("activity-differences-subjects", "Differences by activity and subject", columns, rows)
