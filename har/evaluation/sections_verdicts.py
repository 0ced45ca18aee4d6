"""The sections of a study's report that answer its question: variants, differences between them, subjects."""

from __future__ import annotations

from har.evaluation.arms import KINDS
from har.evaluation.figures_scores import differences_figure, subjects_figure
from har.evaluation.material import Material
from har.evaluation.numbers import number
from har.evaluation.page import Figure, Fold, Section


def variants(material: Material) -> Section:
    """Return the scores of every variant."""
    found = [material.tables[name] for name in ("variants", *KINDS) if name in material.tables]
    policies = material.tables["policies"]
    return Section("variants", found[0].title, tables=found, folds=[Fold(policies.title, [policies])])


def differences(material: Material) -> Section:
    """Return the declared contrasts: verdicts, and what stands beside them."""
    result, tables = material.result, material.tables
    drawn = []
    if svg := differences_figure(result):
        caption = (
            "Each dot is one subject, the diamond the mean with its 95 % interval, which is of that contrast by itself,"
            " while verdicts are adjusted for all; right of zero, the first variant is"
            f" better. The grey band, ±{number(result['rope'], 'size')} points, is the region of practical equivalence."
        )
        drawn.append(Figure("differences", svg, caption, tables["differences"]))
    return Section(
        "differences",
        "Differences between variants",
        figures=drawn,
        sentences=[found["sentence"] for found in result["contrasts"]],
        tables=[tables["contrasts"], tables["practical"]],
        folds=[Fold("Differences per subject", [tables["differences"]])],
    )


def subjects(material: Material) -> Section | None:
    """Return the score of every subject under every arm."""
    table = material.tables["subjects"]
    svg = subjects_figure(material.result, material.looks)
    if not svg:
        return None
    caption = "Each dot is one subject, the bar the mean; the lowest subject of each row is named."
    return Section(
        "subjects",
        "Subjects",
        lead="What is easy for one person can be hard for another.",
        figures=[Figure("subjects", svg, caption, table)],
        folds=[Fold("Scores per subject", [table])],
    )
