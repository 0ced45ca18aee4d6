"""Figures of confusions: what is taken for what, and which of it changes from one arm to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from har.evaluation.figures import CELL, INK, LINE, MUTED, OKABE_ITO, WIDTH_IN, draw_svg, legend, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DIGITS = 12  # with more activities, the digits of a cell would overlap


def confusion_figure(name: str, title: str, found: dict[str, Any]) -> str:
    """Return the confusion of one arm as shares of each true activity.

    Args:
        name: Unique name of the figure within the page.
        title: Name of the arm.
        found: Its scores: ``windows``, ``activities`` and ``confusion``.

    Returns:
        An ``<svg>`` element; empty without windows.
    """
    if not found["windows"]:
        return ""
    counts_KK = np.array(found["confusion"], dtype=float)
    rows_K1 = counts_KK.sum(axis=1, keepdims=True)
    share_KK = np.divide(counts_KK, rows_K1, out=np.zeros_like(counts_KK), where=rows_K1 > 0)
    K = len(share_KK)
    labels = [short(activity, 20) for activity in found["activities"]]

    def draw(figure: Figure) -> None:
        from matplotlib.patches import Rectangle

        axes = figure.subplots()
        for row, column in np.argwhere(share_KK >= 0.005):
            share = float(share_KK[row, column])
            axes.add_patch(Rectangle((column, row), 1, 1, fc=CELL, ec="none", alpha=round(share, 2), clip_on=False))
            if K <= _DIGITS:
                place = (column + 0.5, row + 0.5)
                axes.text(*place, f"{100 * share:.0f}", ha="center", va="center", color=INK, fontsize=8)
        axes.set_xticks(np.arange(K) + 0.5, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8.5)
        axes.set_yticks(np.arange(K) + 0.5, labels, fontsize=8.5)
        axes.set(xlim=(0, K), ylim=(K, 0), aspect="equal", xlabel="predicted", ylabel="true")
        axes.tick_params(length=0, labelcolor=INK)
        axes.spines[["top", "right"]].set_visible(True)
        figure.suptitle(short(title), x=0.01, ha="left", fontsize=9, fontweight="bold", color=INK)

    side = 1.5 + 0.27 * max(K, 6)
    return draw_svg(name, (side + 0.2, side), draw)


def changes_figure(rows: Sequence[dict[str, Any]]) -> str:
    """Return the pairs of activities whose confusion changes most between two arms: a line from b to a each.

    Args:
        rows: As `har.evaluation.confusion_changes.changes` returns them, of one contrast.

    Returns:
        An ``<svg>`` element; empty without rows.
    """
    if not rows:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            fewer = row["share_a"] < row["share_b"]
            colour = OKABE_ITO[0] if fewer else OKABE_ITO[4]
            a, b = 100 * row["share_a"], 100 * row["share_b"]
            axes.plot([b, a], [place, place], color=colour, lw=2.2, solid_capstyle="butt", zorder=2, clip_on=False)
            first = place == 0
            look: dict[str, Any] = {"ls": "", "marker": "|", "ms": 10, "mew": 2, "color": MUTED, "clip_on": False}
            axes.plot([b], [place], label=short(row["b"]) * first, **look)
            axes.plot([a], [place], ls="", marker="o", ms=6, mew=0, color=colour, zorder=3, clip_on=False)
        axes.plot([], [], ls="", marker="o", ms=6, mew=0, color=OKABE_ITO[0], label=f"{short(rows[0]['a'])}, fewer")
        axes.plot([], [], ls="", marker="o", ms=6, mew=0, color=OKABE_ITO[4], label=f"{short(rows[0]['a'])}, more")
        axes.set_yticks(
            range(len(rows)), [f"{short(row['true'], 22)}\n→ {short(row['predicted'], 20)}" for row in rows]
        )
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=LINE)
        axes.set_axisbelow(True)
        axes.set_xlim(left=0)
        axes.set_xlabel("share of the true activity's windows, %", loc="right")
        legend(figure, axes)

    return draw_svg("confusion-changes", (WIDTH_IN, 1.0 + 0.4 * len(rows)), draw)
