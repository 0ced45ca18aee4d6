"""The page of one run, or of predictions that stand alone: `scores.html`, made of sections as a study's report is.

A section is a function of the `RunMaterial` and stands in `SECTIONS`; see `har.evaluation.report`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from har.evaluation.event_tables import event_tables
from har.evaluation.figures import looks_of
from har.evaluation.figures_confusion import confusion_figure
from har.evaluation.figures_scores import activities_figure, reliability_figure, subjects_figure
from har.evaluation.figures_training import RUN_CURVES, run_curve_figure
from har.evaluation.heads_table import setting
from har.evaluation.measures import SUBJECT_POLICIES
from har.evaluation.numbers import Column, Table, number
from har.evaluation.origin import named, provenance
from har.evaluation.page import Figure, Fold, Page, Section
from har.evaluation.score_tables import calibration_table, confusion_shares_table, confusion_table
from har.evaluation.scorecard import activities_table, inferences_table, totals_table
from har.files import write_text

PAGE = "scores.html"
_PROTOCOL = ("data_set", "window_s", "step_s", "label_rule", "min_purity", "null", "rate_hz", "seed", "repeat")
_SIZES = ("train_windows", "validation_windows", "test_windows", "parameters", "best_step")


@dataclass(frozen=True)
class RunMaterial:
    """What the page of a run is made of.

    Attributes:
        name: What the run is called on its page.
        scores: The content of `scores.json`.
        command: The command that makes the page again.
        others: Name of each other inference to its scores.
        record: The content of `run.json`; empty for predictions that stand alone.
        curve: The content of `metrics.jsonl`.
    """

    name: str
    scores: dict[str, Any]
    command: str
    others: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    curve: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def result(self) -> dict[str, Any]:
        """The scores as those of a study with one variant, which is what figures and tables take."""
        policy = self.scores["policy"] if self.scores["policy"] in SUBJECT_POLICIES else SUBJECT_POLICIES[0]
        known = {name: found["macro_f1"][policy] for name, found in self.scores["subjects"].items()}
        per_subject = {name: value for name, value in known.items() if value is not None}
        return {"policy": policy, "variants": {self.name: {**self.scores, "per_subject": per_subject}}}

    @property
    def looks(self) -> dict[str, dict[str, Any]]:
        """Colour and marker of the one thing that is drawn."""
        return looks_of([self.name])


def write_run_page(folder: Path, material: RunMaterial) -> Path:
    """Write `scores.html` into a folder and return its path."""
    write_text(folder / PAGE, run_page(material).html())
    return folder / PAGE


def run_page(material: RunMaterial) -> Page:
    """Return the page of a run."""
    record, scores = material.record, material.scores
    subjects = list(scores["subjects"])
    of = f"subject{'s' * (len(subjects) > 1)} {', '.join(subjects[:8])}{' …' * (len(subjects) > 8)}"
    commands = [("these scores and this page", material.command)]
    if record.get("command"):
        commands.insert(0, ("the run", str(record["command"])))
    return Page(
        title=material.name,
        kicker=_kicker(record),
        heading=f"{material.name}: {of}",
        answer=_answer(scores),
        problems=[str(warning) for warning in record.get("warnings") or []],
        notes=scores["notes"],
        sections=[found for make in SECTIONS if (found := make(material)) is not None],
        boxes={"Protocol": _protocol(record), "Provenance": provenance([dict(record)])} if record else {},
        commands=commands,
        again=material.command,
        footer="Every number of this page derives from the predictions and the truth file; all of them at full"
        " precision stand in scores.json and scores.csv.",
    )


def _kicker(record: Mapping[str, Any]) -> str:
    """Return what the page is about: a run of which study, on which data."""
    if not record:
        return "Predictions that stand alone."
    of = f" of {record['study']}" if record.get("study") else ""
    return f"One run{of} on {record.get('data_set')}."


def _answer(scores: dict[str, Any]) -> list[str]:
    """Return what the run scores, in two sentences."""
    macro, accuracy = (number(scores[key], "score") or "n/a" for key in ("macro_f1", "accuracy"))
    found = [f"Macro F1 ({scores['policy']}) is {macro}, accuracy {accuracy}, on {scores['windows']} windows."]
    if worst := scores["worst_activity"]:
        found.append(f"The activity recognised worst is {worst['activity']}, with an F1 of {worst['f1']:.3f}.")
    return found


def _protocol(record: Mapping[str, Any]) -> dict[str, str]:
    """Return how a run was made, as names and texts."""
    fold = record.get("fold") or {}
    box = {f"{part} subjects": ", ".join(fold[part]) for part in ("train", "validation", "test") if fold.get(part)}
    stepless = ("best_step",) if record.get("at_once") else ()
    box |= named({key: record[key] for key in (*_PROTOCOL, *_SIZES) if key in record and key not in stepless})
    if (best := record.get("best_validation_macro_f1")) is not None:
        box["best validation macro F1"] = number(best, "score")
    for part, names in (record.get("classes_missing") or {}).items():
        box[f"activities missing from {part}"] = ", ".join(names) or "none"
    return box


def _scores(material: RunMaterial) -> Section:
    """Return what sums the run up, and its other inferences."""
    tables = [totals_table(material.scores)]
    if material.others:
        tables.append(inferences_table(material.scores, dict(material.others)))
    return Section("scores", "Scores", tables=tables)


def _activities(material: RunMaterial) -> Section | None:
    """Return F1, precision and recall of every activity."""
    table = activities_table(material.scores["per_activity"])
    svg = activities_figure(material.result, material.looks)
    caption = "F1 of each activity, with its 95 % interval where there are several subjects."
    drawn = [Figure("activities", svg, caption + " The axis does not begin at zero.", table)] if svg else []
    return Section("activities", table.title, figures=drawn, tables=[table])


def _subjects(material: RunMaterial) -> Section | None:
    """Return the score of every subject where there are several."""
    found = material.result["variants"][material.name]["per_subject"]
    if len(found) < 2:
        return None
    policy = material.result["policy"]
    columns = [Column("subject"), Column(f"macro F1 ({policy})", "score")]
    table = Table("subjects", f"Subjects, macro F1 ({policy})", columns, [[*item] for item in found.items()])
    caption = "Each dot is one subject, the bar the mean; the lowest subject is named."
    drawn = [Figure("subjects", subjects_figure(material.result, material.looks), caption, table)]
    return Section("subjects", table.title, figures=drawn, folds=[Fold("Scores per subject", [table])])


def _confusion(material: RunMaterial) -> Section | None:
    """Return what is taken for what."""
    counts, shares = confusion_table(material.result), confusion_shares_table(material.result)
    svg = confusion_figure("confusion", "", material.scores)
    if not svg:
        return None
    caption = "Rows: true activity; each cell is the share of its windows, in per cent."
    drawn = [Figure("confusion", svg, caption, shares)]
    return Section(
        "confusions", "What is taken for what", figures=drawn, folds=[Fold("Counts, shares", [counts, shares])]
    )


def _calibration(material: RunMaterial) -> Section | None:
    """Return the reliability curve."""
    table = calibration_table(material.result)
    svg = reliability_figure("calibration", "", material.scores["calibration"], material.looks[material.name])
    if not svg:
        return None
    caption = (
        "The share of windows that are right against the probability stated for them; the larger a dot, the more"
        " windows it stands for."
    )
    drawn = [Figure("calibration", svg, caption, table)]
    return Section("calibration", "Calibration", figures=drawn, folds=[Fold(table.title, [table])])


def _events(material: RunMaterial) -> Section | None:
    """Return event scores of continuous recordings."""
    frames, counted, segments = event_tables({"": material.scores["events"]})
    if not frames.rows:
        return None
    folds = [Fold(table.title, [table]) for table in (counted, frames)]
    return Section("events", "Events of continuous recordings", tables=[segments], folds=folds)


def _curve(material: RunMaterial) -> Section | None:
    """Return the learning curve."""
    if not material.curve:
        return None
    if material.record.get("at_once"):
        return _tried(material)
    keys = {"train_loss": "training loss", "validation_loss": "validation loss"}
    keys |= {"validation_macro_f1": "validation macro F1"}
    columns = [Column("step", "count"), *(Column(name, "score") for name in keys.values())]
    columns += [Column("learning rate", "value"), Column("seconds", "seconds")]
    every = ("step", *keys, "learning_rate", "seconds")
    table = Table("curve", "Learning curve", columns, [[point.get(key) for key in every] for point in material.curve])
    best = material.record.get("best_step")
    drawn = [
        Figure(f"curve-{name}", svg, caption, table)
        for name, (label, shown, caption) in RUN_CURVES.items()
        if (svg := run_curve_figure(f"curve-{name}", material.curve, label, {key: keys[key] for key in shown}, best))
    ]
    lead = (
        "" if best is None else f"The weights of step {best}, at the dashed line, were chosen by validation macro F1."
    )
    return Section("curve", "Learning curve", lead=lead, figures=drawn, folds=[Fold("As a table", [table])])


def _tried(material: RunMaterial) -> Section:
    """Return what the head of a learner that is fitted at once tried; there are no steps to draw a curve over."""
    head = material.record["head"]
    columns = [Column("setting"), Column("validation loss", "score"), Column("validation macro F1", "score")]
    rows = [[setting(each), each.get("validation_loss"), each.get("validation_macro_f1")] for each in head["tried"]]
    lead = f"Chosen by macro F1 of the validation subjects, the first of equally good ones: {setting(head['chosen'])}."
    title = f"What the head tried ({head['kind']})"
    return Section("tried", title, lead=lead, tables=[Table("tried", title, columns, rows)])


SECTIONS: tuple[Callable[[RunMaterial], Section | None], ...] = (
    _scores,
    _activities,
    _subjects,
    _confusion,
    _calibration,
    _events,
    _curve,
)
