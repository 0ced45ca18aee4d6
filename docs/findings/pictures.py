"""The figures of the findings, drawn by the code of the reports from the numbers of docs/results."""

from __future__ import annotations

import re
from collections.abc import Callable

from docs.findings import tables
from docs.findings.found import Found, Results
from har.evaluation.contrast import ROPE
from har.evaluation.figures import looks_of, standalone
from har.evaluation.figures_scores import differences_figure, subjects_figure
from har.evaluation.figures_training import reached_figure
from har.evaluation.figures_why import activities_figure
from har.evaluation.forest_page import forest_figure
from har.evaluation.measures import DEFAULT_POLICY


def picture(results: Results, name: str) -> str:
    """Draw one figure: SVG for a file of its own, on a white ground; empty where the results have nothing of the kind.

    Args:
        results: All studies.
        name: Study, data set and kind, such as ``bn-placement-spar-differences``, or study and ``forest`` for all its
            data sets.
    """
    for one in results.studies:
        stem = f"{one.name}-{one.info['data_set']}-"
        if name.startswith(stem) and name.removeprefix(stem) in _KINDS:
            return _on_white(_KINDS[name.removeprefix(stem)](one))
    study, _, kind = name.rpartition("-")
    across = results.across(study) if kind == "forest" else []
    return _on_white(forest_figure("forest", across[0], DEFAULT_POLICY)) if across else ""


def _activities(found: Found) -> str:
    """Draw the primary contrast by activity."""
    first = next(row for row in found.contrasts if row["primary"])
    return activities_figure("activity-differences", found.activities(first["a"], first["b"]), ROPE)


def _reached(found: Found) -> str:
    """Draw the share of runs that have reached the target."""
    return reached_figure("reached", found.target, looks_of(found.variants)) if found.rows[tables.TARGETS] else ""


_KINDS: dict[str, Callable[[Found], str]] = {
    "differences": lambda found: differences_figure(found.result),
    "subjects": lambda found: subjects_figure(found.result, looks_of(found.variants)),
    "activities": _activities,
    "reached": _reached,
}


def _on_white(svg: str) -> str:
    """Return a figure with a white ground, since the page around it may be dark."""
    return (
        re.sub(r"(<svg [^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', standalone(svg), count=1)
        if svg
        else ""
    )
