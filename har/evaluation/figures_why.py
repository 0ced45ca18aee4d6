"""Figures of when and why: differences against probes, a dot per subject, and differences by activity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from har.evaluation.figures import BAND, INK, MUTED, OKABE_ITO, SMALL_IN, WIDTH_IN, draw_svg, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMED_UP_TO = 30  # subjects: more names would hide the dots


def probe_figure(name: str, pair: str, row: Mapping[str, Any], differences: Mapping[str, float]) -> str:
    """Return the differences of a contrast against one value of the probes: a dot per subject, with its name.

    Args:
        name: Unique name of the figure within the page.
        pair: The contrast, as the axis names it.
        row: The value: an entry of ``probes`` of `har.evaluation.why.explain`.
        differences: Subject to its difference.

    Returns:
        An ``<svg>`` element; empty where fewer than two subjects have the value.
    """
    subjects = list(row["values"])
    if len(subjects) < 2:
        return ""
    x_S, y_S = np.array(list(row["values"].values())), 100 * np.array([differences[subject] for subject in subjects])

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=MUTED, lw=0.8, zorder=1)
        axes.plot(x_S, y_S, ls="", marker="o", ms=5, color=OKABE_ITO[0], alpha=0.8, mew=0)
        if len(subjects) <= _NAMED_UP_TO:
            for subject, x, y in zip(subjects, x_S, y_S, strict=True):
                axes.annotate(
                    short(subject, 10), (x, y), xytext=(4, 3), textcoords="offset points", fontsize=8, color=MUTED
                )
        axes.margins(x=0.12, y=0.12)
        axes.grid(axis="y")
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.set(xlabel=short(f"{row['probe']} ({row['of']})", 44), ylabel=short(f"{pair}, F1 points", 36))

    return draw_svg(name, SMALL_IN, draw)


def activities_figure(name: str, rows: Sequence[Mapping[str, Any]], rope: float) -> str:
    """Return the difference of each activity in one contrast: a dot per subject, the mean with its interval.

    Args:
        name: Unique name of the figure within the page.
        rows: ``activities`` of a contrast of `har.evaluation.why.explain`.
        rope: Half the region of practical equivalence.
    """
    if not rows:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvspan(-100 * rope, 100 * rope, color=BAND, lw=0, zorder=0)
        axes.axvline(0, color=MUTED, lw=0.8, zorder=1)
        for place, row in enumerate(rows):
            points_S = 100 * np.array(list(row["differences"].values()))
            axes.plot(
                points_S,
                np.full(len(points_S), place - 0.12),
                ls="",
                marker="o",
                ms=4,
                color=OKABE_ITO[0],
                alpha=0.5,
                mew=0,
            )
            if row["interval"] is not None:
                ends = [100 * end for end in row["interval"]]
                axes.plot(ends, [place + 0.18] * 2, color=INK, lw=1.6, solid_capstyle="butt")
            axes.plot([100 * row["mean"]], [place + 0.18], marker="D", ms=5, color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(np.arange(len(rows)), [short(row["activity"], 22) for row in rows])
        axes.tick_params(axis="y", length=0, pad=8)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("difference of F1, points")

    return draw_svg(name, (WIDTH_IN, 0.7 + 0.36 * len(rows)), draw)
