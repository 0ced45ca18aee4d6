"""The sections of a study's report on when and why variants differ: by activity, and along with what the probes saw."""

from __future__ import annotations

from typing import Any

from har.evaluation import figures_why, why_tables
from har.evaluation.material import Material
from har.evaluation.page import Figure, Fold, Section
from har.evaluation.why import activity_sentences, sentences


def activity_differences(material: Material) -> Section | None:
    """Return for which activities the variants of each contrast differ."""
    why = material.result["why"]
    table, first = why_tables.activities_table(why), _primary(why)
    if not table.rows or first is None:
        return None
    per_subject = why_tables.activity_subjects_table(why)
    svg = figures_why.activities_figure("activity-differences", first["activities"], material.result["rope"])
    caption = f"{first['a']} − {first['b']}: each dot is one subject, the diamond the mean with its 95 % interval."
    return Section(
        "activity-differences",
        table.title,
        figures=[Figure("activity-differences", svg, caption, per_subject)] if svg else [],
        sentences=activity_sentences(why),
        folds=[Fold("Of every contrast", [table])],
        files=[per_subject],
    )


def probes(material: Material) -> Section:
    """Return what the differences go along with, or how to come by the probes that would tell."""
    why = material.result["why"]
    title = "When and why"
    if not why["probed"]:
        return Section("why", title, sentences=sentences(why))
    differences = {(found["a"], found["b"]): found["differences"] for found in material.result["contrasts"]}
    values = why_tables.values_table(why, differences)
    drawn = [
        Figure(f"why-{place}", svg, f"{row['probe'][0].upper()}{row['probe'][1:]}: {row['finding']}.", values)
        for place, (found, row) in enumerate(_drawn(why))
        if (svg := _figure(f"why-{place}", found, row, differences))
    ]
    return Section(
        "why",
        title,
        lead="What the differences of subjects go along with, of what was measured while the runs trained"
        " (docs/probes.md), in brackets of which variant, or of which two the difference. Each dot is one subject.",
        figures=drawn,
        sentences=[*why["problems"], *sentences(why)],
        folds=[
            Fold("Of every contrast and probe", [why_tables.probes_table(why)]),
            Fold("Over variants", [why_tables.variants_table(why)]),
        ],
        files=[values, why_tables.activity_probes_table(why)],
    )


def _primary(why: dict[str, Any]) -> dict[str, Any] | None:
    """Return the primary contrast, the first one where none is; None without contrasts."""
    contrasts: list[dict[str, Any]] = why["contrasts"]
    return next((found for found in contrasts if found["primary"]), contrasts[0] if contrasts else None)


def _drawn(why: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return what is drawn: everything of the primary contrast that varies, and what is shown in the others."""
    first = _primary(why)
    return [
        (found, row)
        for found in why["contrasts"]
        for row in found["probes"]
        if row["rho"] is not None and (found is first or row["finding"] in ("rises", "falls"))
    ]


def _figure(name: str, found: dict[str, Any], row: dict[str, Any], differences: dict[Any, dict[str, float]]) -> str:
    """Return one dot figure."""
    return figures_why.probe_figure(name, f"{found['a']} − {found['b']}", row, differences[found["a"], found["b"]])
