"""The page of a study on several data sets: `forest.html`, a forest plot of each contrast and what it rests on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from har.evaluation.across import forest_table
from har.evaluation.contrast import ROPE
from har.evaluation.figures import BAND, INK, MUTED, OKABE_ITO, WIDTH_IN, draw_svg, short
from har.evaluation.measures import DEFAULT_POLICY
from har.evaluation.numbers import number, with_minus
from har.evaluation.page import Figure, Page, Section
from har.files import write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

PAGE = Path("forest.html")
_SMALLEST, _LARGEST = 4.0, 11.0  # side of a data set's square, points: its area is its weight


def write_forest_page(out: Path, result: Mapping[str, Any]) -> Path:
    """Write `forest.html` into a folder and return its path.

    Args:
        out: The folder.
        result: What `har.evaluation.across.evaluate_across` returns.
    """
    write_text(out / PAGE, forest_page(result, out).html())
    return out / PAGE


def forest_page(result: Mapping[str, Any], out: Path) -> Page:
    """Return the page.

    Args:
        result: What `har.evaluation.across.evaluate_across` returns.
        out: Where its files go.
    """
    folders = [shlex.quote(Path(found["folder"]).as_posix()) for found in result["data_sets"].values()]
    policy = "" if result["policy"] == DEFAULT_POLICY else f" --policy {result['policy']}"
    command = f"har evaluate {' '.join(folders)}{policy} --out {shlex.quote(out.as_posix())}"
    contrasts = result["contrasts"]
    table = forest_table(dict(result))
    drawn = [
        Figure(f"forest-{place}", svg, f"{found['a']} − {found['b']}: {found['verdict']}.", table)
        for place, found in enumerate(contrasts)
        if (svg := forest_figure(f"forest-{place}", found, result["policy"]))
    ]
    section = Section(
        "forest",
        "Contrasts over data sets",
        lead="Each square is one data set with its 95 % interval, the larger the more it weighs; the diamond is the"
        " mean over all by the mixed model. Right of zero, the first variant is better. The grey band, ±"
        f"{number(ROPE, 'size')} points, is the region of practical equivalence.",
        figures=drawn,
        sentences=[found["sentence"] for found in contrasts],
        tables=[table],
    )
    sets = list(result["data_sets"])
    return Page(
        title=f"{result['study']} on {len(sets)} data sets",
        kicker=f"Study {result['study']} on {', '.join(sets)}.",
        heading=f"{result['study']} over {len(sets)} data sets",
        answer=[contrasts[0]["sentence"]] if contrasts else ["The studies declare no contrast."],
        problems=result["problems"],
        sections=[section],
        boxes={},
        commands=[("this page, across.json and tables/forest.csv", command)],
        again=command,
        footer="The rule of the verdicts stands in docs/statistics.md; every number of this page stands in"
        " across.json and tables/forest.csv.",
    )


def forest_figure(name: str, found: Mapping[str, Any], policy: str) -> str:
    """Return the forest plot of one contrast: a row per data set, and one for all of them.

    Args:
        name: Unique name of the figure within the page.
        found: An entry of ``contrasts`` of `har.evaluation.across.evaluate_across`.
        policy: The policy of macro F1.

    Returns:
        An ``<svg>`` element; empty where no data set has the contrast.
    """
    rows = found["data_sets"]
    if not rows:
        return ""

    def draw(figure: Drawing) -> None:
        axes = figure.subplots()
        axes.axvspan(-100 * ROPE, 100 * ROPE, color=BAND, lw=0, zorder=0)
        axes.axvline(0, color=MUTED, lw=0.8, zorder=1)
        heaviest = max((row["weight"] or 0.0 for row in rows), default=0.0)
        for place, row in enumerate(rows):
            share = (row["weight"] / heaviest) ** 0.5 if heaviest and row["weight"] else 0.5
            _interval(axes, place, row, OKABE_ITO[0], "s", _SMALLEST + (_LARGEST - _SMALLEST) * share)
        labels = [_label(row["data_set"], row) for row in rows]
        if found["mean"] is not None:
            _interval(axes, len(rows), found, INK, "D", 7.0)
            labels.append(_label("all", found))
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(axis="y", length=0, pad=8)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"difference of macro F1 ({policy}), points", loc="right")
        axes.margins(x=0.06)

    return draw_svg(name, (WIDTH_IN, 0.7 + 0.5 * (len(rows) + 1)), draw)


def _interval(axes: Axes, place: int, row: Mapping[str, Any], colour: str, marker: str, size: float) -> None:
    """Draw a mean with its interval."""
    if row["interval"] is not None:
        ends = [100 * end for end in row["interval"]]
        axes.plot(ends, [place, place], color=colour, lw=1.6, solid_capstyle="butt")
    axes.plot([100 * row["mean"]], [place], ls="", marker=marker, ms=size, color=colour, mew=0)


def _label(name: str, row: Mapping[str, Any]) -> str:
    """Return the words beside a row: its name, mean and interval in points, subjects."""
    mean, *ends = (with_minus(number(value, "points")) for value in (row["mean"], *(row["interval"] or ())))
    interval = f" [{', '.join(ends)}]" if ends else ""
    return f"{short(name, 20)}, S = {row['subjects']}\n{mean}{interval}"
