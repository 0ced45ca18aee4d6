"""The sections of a study's report on training: curves, numbers of subjects, steps to a target, tuning, cost."""

from __future__ import annotations

import shlex

from har.evaluation.figures import looks_of
from har.evaluation.figures_training import (
    CURVES,
    cost_figure,
    curves_figure,
    reached_figure,
    training_contrasts_figure,
    training_subjects_figure,
)
from har.evaluation.material import Material
from har.evaluation.page import Figure, Fold, Section
from har.evaluation.use_cost import without_int8


def curves(material: Material) -> Section | None:
    """Return the learning curves."""
    table = material.tables["curves"]
    drawn = [
        Figure(f"curve-{name}", svg, f"{column[0].upper()}{column[1:]} during training.", table)
        for column, name in CURVES.items()
        if (svg := curves_figure(table, column, material.trained))
    ]
    if not drawn:
        return None
    return Section(
        "curves",
        "Learning curves",
        lead="Mean over runs; of one or two variants, a band holds the middle 80 % of the runs. Validation subjects"
        " are never the test subjects." + material.left_out(),
        figures=drawn,
        folds=[Fold(table.title, [table])],
    )


def training_subjects(material: Material) -> Section | None:
    """Return scores and differences against the number of training subjects."""
    found, tables = material.result.get("training_subjects"), material.tables
    if found is None:
        return None
    scores, contrasts = tables["training-subjects"], tables["training-contrasts"]
    names = [f"{pair['a']} − {pair['b']}" for pair in found["contrasts"]]
    svg_scores = training_subjects_figure(found, material.result["policy"], material.shown)
    svg_contrasts = training_contrasts_figure(found["contrasts"], looks_of(names[: len(material.shown)]))
    drawn = [Figure("training-subjects", svg_scores, "Scores; means over subjects.", scores)] if svg_scores else []
    if svg_contrasts:
        caption = "Paired differences with their 95 % intervals; above zero, the first variant is better."
        drawn.append(Figure("training-contrasts", svg_contrasts, caption, contrasts))
    return Section("training-subjects", scores.title, figures=drawn, tables=[scores, contrasts])


def steps_to_target(material: Material) -> Section | None:
    """Return how long training takes until the target."""
    target, tables = material.result.get("target"), material.tables
    if target is None:
        return None
    shares = tables["steps-to-target-curves"]
    own = list(((material.gathered.study.get("tuning") or {}).get("own") or {}).values())
    panels = [[name for name in material.looks if (name in own) == is_own] for is_own in (False, True)]
    panels = [[name for name in panel if name in target["variants"]] for panel in panels]
    drawn = [
        Figure(f"reached-{place}", svg, caption, shares)
        for place, (panel, caption) in enumerate(
            zip(panels, ("Matched settings.", "Settings of their own."), strict=True)
        )
        if (svg := reached_figure(f"reached-{place}", target, {name: material.looks[name] for name in panel}))
    ]
    return Section(
        "steps-to-target",
        tables["steps-to-target"].title,
        lead="Share of the runs that have reached the target by then; a curve that stays below 1 is of a variant with"
        " runs that never do.",
        figures=drawn,
        sentences=[found["sentence"] for found in target["contrasts"]],
        tables=[tables["steps-to-target"], tables["steps-to-target-contrasts"]],
        folds=[Fold(shares.title, [shares])],
        files=[tables["steps-to-target-runs"]],
    )


def tuned(material: Material) -> Section | None:
    """Return what was tuned."""
    if "tuned" not in material.tables:
        return None
    table = material.tables["tuned"]
    return Section("tuned", table.title, tables=[table], files=[material.tables["tuning"]])


def cost(material: Material) -> Section | None:
    """Return what training costs, and use where runs were exported."""
    table = material.tables["cost"]
    if not material.gathered.runs:
        return None
    svg = cost_figure(table, material.trained)
    caption = "Upper left is better: a higher score in less time. The vertical axis does not begin at zero."
    drawn = [Figure("cost", svg, caption + material.left_out(), table)] if svg else []
    return Section("cost", "Cost", figures=drawn, sentences=_unmeasured(material), tables=[table])


def heads(material: Material) -> Section | None:
    """Return what heads that are fitted at once tried, and what was chosen."""
    table = material.tables.get("heads")
    return Section("heads", table.title, tables=[table]) if table else None


def use(material: Material) -> Section | None:
    """Return what each exported form costs in use."""
    table = material.tables.get("cost-of-use")
    return Section("use", table.title, sentences=without_int8(material.result), tables=[table]) if table else None


def _unmeasured(material: Material) -> list[str]:
    """Return how to come by the latency of variants where no run of any was exported."""
    if any(found["use"] for found in material.result["variants"].values()):
        return []
    run = shlex.quote((material.folder / material.gathered.runs[0].folder).as_posix())
    return [
        f"How long a decision takes is not known: no run was exported. One run of each variant tells: har export {run}"
    ]
