"""The sections of a study's report on its scores: activities, confusions, agreement, calibration, events."""

from __future__ import annotations

from har.evaluation.confusion_changes import changes
from har.evaluation.figures_confusion import changes_figure, confusion_figure
from har.evaluation.figures_scores import activities_figure, reliability_figure
from har.evaluation.material import Material
from har.evaluation.page import Figure, Fold, Section
from har.evaluation.resampling import FEW

_LONG = 24  # rows of a table that a reader opens only when asked for


def activities(material: Material) -> Section | None:
    """Return F1, precision and recall of every activity."""
    tables = material.tables
    svg = activities_figure(material.result, material.shown)
    if not svg:
        return None
    subjects = min(found["subjects"] for found in material.result["variants"].values() if found["subjects"])
    caption = "F1 of each activity with its 95 % interval over subjects"
    caption += f", too short as there are but {subjects}." if subjects <= FEW else "."
    caption += " The axis does not begin at zero." + material.left_out()
    return Section(
        "activities",
        tables["activities"].title,
        figures=[Figure("activities", svg, caption, tables["precision-recall"])],
        tables=[tables["activities"]],
        folds=[Fold("Precision, recall and intervals", [tables["precision-recall"]])],
    )


def confusion_changes(material: Material) -> Section | None:
    """Return the confusions that differ most between the variants of each contrast."""
    table = material.tables["confusion-changes"]
    if not table.rows:
        return None
    contrasts = material.result["contrasts"]
    first = next((found for found in contrasts if found["primary"]), contrasts[0])
    svg = changes_figure(changes(material.gathered, first["a"], first["b"]))
    caption = (
        f"What is taken for what, of all windows of the true activity: bar for {first['b']}, dot for {first['a']}."
        " To the left is better."
    )
    drawn = [Figure("confusion-changes", svg, caption, table)] if svg else []
    return Section("confusion-changes", table.title, figures=drawn, folds=[Fold("Of every contrast", [table])])


def confusions(material: Material) -> Section | None:
    """Return what every variant takes for what."""
    tables, found = material.tables, material.result["variants"]
    drawn = [
        Figure(f"confusion-{place}", svg, f"Confusion of {name}.", tables["confusion-shares"])
        for place, name in enumerate(material.shown)
        if (svg := confusion_figure(f"confusion-{place}", name, found[name]))
    ]
    if not drawn:
        return None
    return Section(
        "confusions",
        "What is taken for what",
        lead="Rows: true activity; each cell is the share of its windows, in per cent." + material.left_out(),
        figures=drawn,
        folds=[Fold("Counts and shares", [tables["confusion"], tables["confusion-shares"]])],
        files=[tables["confusion-subjects"]],
    )


def agreement(material: Material) -> Section | None:
    """Return agreement, calibration error, and the worst subject and activity."""
    table = material.tables["measures"]
    if not material.tables["activities"].rows:
        return None
    return Section("agreement", table.title, tables=[table])


def calibration(material: Material) -> Section | None:
    """Return the reliability curve of every variant."""
    table, found = material.tables["calibration"], material.result["variants"]
    drawn = [
        Figure(f"calibration-{place}", svg, f"Reliability of {name}.", table)
        for place, (name, look) in enumerate(material.shown.items())
        if (svg := reliability_figure(f"calibration-{place}", name, found[name]["calibration"], look))
    ]
    if not drawn:
        return None
    return Section(
        "calibration",
        "Calibration",
        lead="The share of windows that are right against the probability stated for them; on the dashed line they are"
        " equal, below it the network is too sure. The larger a dot, the more windows it stands for; the error is their"
        " mean distance from the line." + material.left_out(),
        figures=drawn,
        folds=[Fold(table.title, [table])],
    )


def events(material: Material) -> Section | None:
    """Return event scores of continuous recordings."""
    segments, counted, frames = (material.tables[name] for name in ("segments", "events", "frames"))
    if not frames.rows:
        return None
    is_long = len(segments.rows) > _LONG
    folds = [Fold(table.title, [table]) for table in ([segments] * is_long + [counted, frames])]
    return Section("events", "Events of continuous recordings", tables=[] if is_long else [segments], folds=folds)
