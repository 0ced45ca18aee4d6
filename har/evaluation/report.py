"""A study's pages: `report.html` (one file, no network), `report.md` and `tables/*.csv`.

All three are written from the same sections, table by table and cell by cell, so that they carry equal numbers.

A section is made by one function: it takes the `Material` of the study and returns a `har.evaluation.page.Section`,
or None where the study has nothing of the kind. Its title, lead, figures (each with the table of its data), sentences
and tables then stand on the page, in the Markdown and in `tables/*.csv`; the templates know no section. To add one,
write the function in a module of its own idea and put it into `SECTIONS`, where it shall stand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from har.errors import unknown
from har.evaluation import sections_scores, sections_timeline, sections_training, sections_verdicts, sections_why
from har.evaluation.comparison import check_policy, judge
from har.evaluation.figures import standalone
from har.evaluation.gathering import gather
from har.evaluation.material import Material
from har.evaluation.measures import DEFAULT_POLICY
from har.evaluation.numbers import number
from har.evaluation.origin import protocol, provenance, study_commands
from har.evaluation.page import Page, Section
from har.files import write_text

SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    sections_verdicts.variants,
    sections_verdicts.differences,
    sections_verdicts.subjects,
    sections_scores.activities,
    sections_scores.confusion_changes,
    sections_scores.confusions,
    sections_scores.agreement,
    sections_scores.calibration,
    sections_scores.events,
    sections_timeline.recording,
    sections_training.curves,
    sections_training.training_subjects,
    sections_training.steps_to_target,
    sections_training.tuned,
    sections_training.heads,
    sections_why.activity_differences,
    sections_why.probes,
    sections_training.cost,
    sections_training.use,
)


def write_report(folder: Path, policy: str = DEFAULT_POLICY) -> Path:
    """Evaluate a study and write `report.html`, `report.md` and `tables/*.csv` into its folder.

    Args:
        folder: The study's folder.
        policy: The policy of absent activities for scores per subject.

    Returns:
        The path of `report.html`.

    Raises:
        DataError: When the folder is no study.
        UsageError: When the policy is not known or is not one per subject.
    """
    return write_pages(judged(folder, policy))


def write_pages(material: Material) -> Path:
    """Write the pages of a study that is judged already; see `write_report`."""
    page, folder = page_of(material), material.folder
    page.write_tables(folder / "tables")
    write_text(folder / "report.md", page.markdown())
    write_text(folder / "report.html", page.html())
    return folder / "report.html"


def write_figure(folder: Path, name: str, policy: str = DEFAULT_POLICY) -> Path:
    """Draw one figure of a study's report again and write it as `figures/NAME.svg` into its folder.

    Args:
        folder: The study's folder.
        name: Name of the figure, as the page gives it.
        policy: The policy of absent activities for scores per subject.

    Returns:
        The path of the file.

    Raises:
        DataError: When the folder is no study.
        UsageError: When the policy is not one per subject, or the report has no such figure.
    """
    figures = study_page(folder, policy).figures
    if name not in figures:
        raise unknown("figure of this report", name, list(figures))
    path = folder / "figures" / f"{name}.svg"
    write_text(path, standalone(figures[name].svg))
    return path


def study_page(folder: Path, policy: str = DEFAULT_POLICY) -> Page:
    """Evaluate a study, write its `contrasts.json`, and return its page; see `write_report`."""
    return page_of(judged(folder, policy))


def judged(folder: Path, policy: str = DEFAULT_POLICY) -> Material:
    """Evaluate a study and write its `contrasts.json`; see `write_report`."""
    gathered = gather(folder, check_policy(policy))
    return Material(folder, gathered, judge(folder, gathered, policy))


def page_of(material: Material) -> Page:
    """Return the page of a study that is judged already."""
    gathered, result = material.gathered, material.result
    study, runs = gathered.study, result["runs"]
    box = protocol(result, gathered)
    commands = study_commands(material.folder, study, result["policy"])
    return Page(
        title=f"{study['name']} on {study['data_set']}",
        kicker=f"Study {study['name']} on {study['data_set']}: {box['subjects']} subjects,"
        f" {runs['counted']} of {runs['declared']} runs.",
        heading=str(result["question"]),
        answer=result["answer"],
        problems=result["problems"],
        notes=[*study["notes"], *result["notes"]],
        sections=[found for make in SECTIONS if (found := make(material)) is not None],
        boxes={"Protocol": box, "Provenance": provenance([run.record for run in gathered.runs])},
        commands=commands,
        again=commands[-1][1],
        draws=True,
        footer=f"The verdicts follow one written rule: Holm-adjusted p below {result['alpha']}, then a region of"
        f" practical equivalence of ±{number(result['rope'], 'size')} F1 points. The numbers of this page stand in"
        " report.md and tables/*.csv.",
    )
