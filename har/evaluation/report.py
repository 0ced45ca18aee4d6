"""A study's pages: `report.html` (one file, no network, no script), `report.md` and `tables/*.csv`.

All three are written from the same tables, cell by cell, so that they carry equal numbers. Every name comes from data
and is escaped. The same files give the same bytes.
"""

from __future__ import annotations

import shlex
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from har.evaluation.arms import inferences_of
from har.evaluation.comparison import check_policy, evaluate_study, judge
from har.evaluation.gathering import Gathered, gather
from har.evaluation.measures import DEFAULT_POLICY
from har.evaluation.numbers import Table, escape_markdown, number, with_minus
from har.evaluation.tables import study_tables
from har.files import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["evaluate_study", "write_report"]

_TEMPLATES = Path(__file__).parent / "templates"
_PROTOCOL_WORDS = {"window_s": "window, s", "step_s": "step, s", "min_purity": "minimum purity"}


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
    gathered = gather(folder, check_policy(policy))
    result = judge(folder, gathered, policy)
    tables = study_tables(result, gathered)
    content = {
        "result": result,
        "notes": [*gathered.study["notes"], *result["notes"]],
        "tables": tables,
        "protocol": _protocol(result, gathered),
        "provenance": _provenance(gathered),
        "commands": _commands(folder, gathered, policy),
    }
    environment = _environment()
    for table in tables.values():
        write_text(folder / "tables" / f"{table.name}.csv", table.csv())
    write_text(folder / "report.md", environment.get_template("report.md").render(content))
    page = environment.get_template("report.html").render(content, figures=_figures(result, gathered, tables))
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _figures(result: dict[str, Any], gathered: Gathered, tables: dict[str, Table]) -> dict[str, Any]:
    """Return every figure of the page as SVG that may stand in HTML as it is."""
    from markupsafe import Markup

    from har.evaluation import figures

    drawn = _drawn(result)
    confusions = [
        figures.confusion_figure(f"confusion-{position}", name, found)
        for position, (name, found) in enumerate(drawn.items())
    ]
    reached = [
        figures.reached_figure(f"reached-{position}", result["target"], variants)
        for position, variants in enumerate(_panels(gathered.study) if "target" in result else [])
    ]
    curves = [figures.curves_figure(gathered, tables["curves"], key) for key in figures.CURVES]
    # The figures' texts are escaped where matplotlib writes them, so the page must not escape the tags around them.
    return {
        "differences": Markup(figures.differences_figure(result)),  # noqa: S704
        "activities": Markup(figures.activities_figure(result | {"variants": drawn})),  # noqa: S704
        "curves": [Markup(svg) for svg in curves if svg],  # noqa: S704
        "confusions": [Markup(svg) for svg in confusions if svg],  # noqa: S704
        "reached": [Markup(svg) for svg in reached if svg],  # noqa: S704
    }


def _panels(study: dict[str, Any]) -> list[list[str]]:
    """Return the variants of each figure of steps to the target: those at matched settings, those at their own."""
    own = list(study.get("tuning", {"own": {}})["own"].values())
    return [names for names in ([name for name in study["variants"] if name not in own], own) if names]


def _drawn(result: dict[str, Any]) -> dict[str, Any]:
    """Return the arms that figures show: every variant, and other inferences where a contrast names them."""
    named = {found[side] for found in result["contrasts"] for side in ("a", "b")}
    return {name: found for name, found in result["variants"].items() if "@" not in name or name in named}


def _environment() -> Environment:
    """Return the template environment: HTML is escaped, an undefined name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"markdown": escape_markdown, "minus": with_minus, "number": number, "slug": _slug}
    return environment


def _protocol(result: dict[str, Any], gathered: Gathered) -> dict[str, str]:
    """Return how the study was made, as names and texts."""
    study = gathered.study
    subjects = {subject for fold in study["folds"] for subject in fold["test"]}
    box = {
        "data set": str(study["data_set"]),
        "subjects": str(len(subjects)),
        "folds": f"{len(study['folds'])} ({study['protocol'].get('folds', 'as listed in folds.json')})",
        "repeats": str(study["repeats"]),
        "runs": f"{result['runs']['counted']} of {result['runs']['declared']} count",
    }
    for name, value in study["protocol"].items():
        if name != "folds":
            box[_PROTOCOL_WORDS.get(name, name.replace("_", " "))] = _words(value)
    if study["protocol"].get("activities", 0) is None:
        box["activities"] = "all of the data set"
    if len(inferences_of(study)) > 1:
        box["statistics at inference"] = ", ".join(inferences_of(study))
    box["selection of weights"] = "best validation macro F1; the test subjects are scored once, with those weights"
    box["absent activities"] = f"policy {result['policy']} per subject, all activities where pooled"
    per = "repeat, the same in every fold" if result["shared_seeds"] else "fold and repeat"
    own = [name for name, settings in study["variants"].items() if "seed_offset" in settings]
    shared = f"all variants but {', '.join(own)} share them" if own else "all variants share them"
    box["seeds"] = f"from {study.get('seed')}, one per {per}; {shared}"
    for part in ("validation", "test"):
        box[f"activities missing from {part}"] = _missing(gathered, part)
    return box


def _missing(gathered: Gathered, part: str) -> str:
    """Return how many runs have no window of some activity in a part of their data, and of which activities."""
    records = {run.folder: run.record for run in gathered.runs}  # a run counts once, however many inferences it has
    stated = [found[part] for record in records.values() if part in (found := record.get("classes_missing") or {})]
    runs = sum(bool(names) for names in stated)
    if not runs:
        return "none" if stated else "not stated"
    counts = Counter(name for names in stated for name in names)
    return f"{runs} of {len(stated)} runs: " + ", ".join(f"{name} ({count})" for name, count in counts.most_common())


def _words(value: Any) -> str:
    """Return a value of the protocol as a reader would write it; an object as its class and its settings."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        settings = value.get("init_args", {name: entry for name, entry in value.items() if name != "class_path"})
        named = [f"{name.replace('_', ' ')} {_words(entry)}" for name, entry in (settings or {}).items()]
        return ", ".join([str(value["class_path"]).rpartition(".")[2]] * ("class_path" in value) + named)
    if isinstance(value, list):
        return " ".join(_words(entry) for entry in value)
    return str(value)


def _provenance(gathered: Gathered) -> dict[str, str]:
    """Return what the runs were made from and on, as names and texts; several values are all listed."""
    records = [run.record for run in gathered.runs]
    hashes = [record.get("hashes") or {} for record in records]
    versions = [record.get("versions") or {} for record in records]
    box = {
        "data (SHA-256)": _values(found.get("data") for found in hashes),
        "splits (SHA-256)": _values((found.get("split") for found in hashes), most=1),
        "commit": _values(record.get("commit") for record in records),
        "threads per run": _values(record.get("threads") for record in records),
        "machine": _values(record.get("machine") for record in records),
    }
    for name in sorted({name for found in versions for name in found}):
        box[name] = _values(found.get(name) for found in versions)
    times = [record[key] for record in records for key in ("started", "finished") if record.get(key)]
    if times:
        box["made"] = f"{min(times)} to {max(times)}"
    return box


def _values(found: Any, most: int = 3) -> str:
    """Return the distinct values as a text, the first few of them."""
    distinct = list(dict.fromkeys(str(value) for value in found if value is not None))
    more = f" and {len(distinct) - most} more" if len(distinct) > most else ""
    return (", ".join(distinct[:most]) + more) or "not stated"


def _commands(folder: Path, gathered: Gathered, policy: str) -> list[tuple[str, str]]:
    """Return the commands that make the study and its pages again, each with what it does."""
    command = str(gathered.study.get("command") or "har study FILE.yaml")
    place, where = _place(folder, gathered.study, command)
    option = "" if policy == DEFAULT_POLICY else f" --policy {policy}"
    return [
        ("all runs that are missing, then this report", command),
        (f"scores and contrasts, from the runs on disk{where}", f"har evaluate {place}{option}"),
        (f"this report, from the runs on disk{where}", f"har report {place}{option}"),
    ]


def _place(folder: Path, study: dict[str, Any], command: str) -> tuple[str, str]:
    """Return the study's folder as a command names it, and the words that say from where.

    The folder is named as the study's own command names it: below its --runs, or below ./runs. A study that lies
    elsewhere without that option (by $HAR_RUNS, or moved) is named from within.
    """
    own = Path(study["name"], study["data_set"])
    try:
        words = shlex.split(command)
    except ValueError:  # a quote without its other half, in a file changed by hand
        words = []
    root = next((value for name, value in pairwise(words) if name == "--runs"), None)
    if root is None and folder.resolve().parts[-3:] != ("runs", *own.parts):
        return ".", ", from within this folder"
    return shlex.quote((Path(root or "runs") / own).as_posix()), ""


def _slug(text: str) -> str:
    """Return a text as the name of a CSS class."""
    return text.replace(" ", "-")
