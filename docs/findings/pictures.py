"""The figures of the findings, drawn by the code of the reports from the numbers of docs/results."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docs.findings import tables
from docs.findings.found import Found, Results
from har.evaluation.contrast import ROPE
from har.evaluation.figures import looks_of, standalone
from har.evaluation.figures_scores import differences_figure, subjects_figure
from har.evaluation.figures_training import reached_figure
from har.evaluation.figures_why import activities_figure
from har.evaluation.forest_page import forest_figure
from har.evaluation.measures import DEFAULT_POLICY


def pictures(results: Results) -> dict[str, str]:
    """Return every figure by its name: SVG for a file of its own, on a white ground."""
    drawn = {name: svg for one in results.studies for name, svg in _of_study(one) if svg}
    for number, found in enumerate(results.across("bn-placement")):
        name = f"forest-{number}"
        if svg := forest_figure(name, found, DEFAULT_POLICY):
            drawn[f"bn-placement-{name}"] = svg
    return {name: _on_white(standalone(svg)) for name, svg in drawn.items()}


def _of_study(found: Found) -> Iterator[tuple[str, str]]:
    """Yield name and drawing of each figure of one study."""
    stem = f"{found.name}-{found.info['data_set']}"
    looks = looks_of(found.variants)
    yield f"{stem}-differences", differences_figure(found.result)
    yield f"{stem}-subjects", subjects_figure(found.result, looks)
    first = next((row for row in found.contrasts if row["primary"]), None)
    if first is not None:
        rows = found.activities(first["a"], first["b"])
        yield f"{stem}-activities", activities_figure("activity-differences", rows, ROPE)
    if found.rows[tables.TARGETS]:
        yield f"{stem}-reached", reached_figure("reached", found.target, looks)


def _on_white(svg: str) -> str:
    """Return a figure with a white ground, since the page around it may be dark."""
    return re.sub(r"(<svg [^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', svg, count=1)
