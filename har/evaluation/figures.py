"""The figures of a study's report, as SVG that takes its colours from the page around it.

Every colour is drawn as a placeholder and then replaced by a CSS variable with a fallback, so that one figure serves
light and dark pages, and print. Variants have the colours of Okabe and Ito (2008), which colour-blind readers can tell
apart, and a marker each. Text stays text: sharp, searchable, escaped by matplotlib, drawn in the page's font.
The same data give the same bytes: no date, and identifiers from a fixed salt.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from har.evaluation.gathering import Gathered
from har.evaluation.numbers import Table, number, with_minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OKABE_ITO = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c7a00", "#666666")
_MARKERS = "osD^vP*X"
_INK, _MUTED, _LINE, _BAND = "#010101", "#020202", "#030303", "#040404"  # no figure draws these as colours
_VARIABLES = {_INK: "--ink, #1a1a1a", _MUTED: "--muted, #666666", _LINE: "--line, #cccccc", _BAND: "--band, #e8e8e8"}
_VARIABLES |= {colour: f"--c{number}, {colour}" for number, colour in enumerate(OKABE_ITO)}
_WIDTH_IN = 5.2
CURVES = {"validation_macro_f1": ("validation macro F1", 4), "train_loss": ("training loss", 3)}  # key: label, column
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same layout on every machine
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _MUTED,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _INK,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


def differences_figure(result: dict[str, Any]) -> str:
    """Return the paired differences: a row per contrast, a dot per subject, mean with interval, band of equivalence.

    Args:
        result: What `har.evaluation.comparison.evaluate_study` returns.

    Returns:
        An ``<svg>`` element; empty where no contrast has a difference.
    """
    contrasts = [found for found in result["contrasts"] if found["differences"]]
    if not contrasts:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rope = 100 * result["rope"]
        axes.axvspan(-rope, rope, color=_BAND, lw=0, zorder=0)
        axes.axvline(0, color=_MUTED, lw=0.8, zorder=1)
        for row, found in enumerate(contrasts):
            _difference_row(axes, row, found)
        axes.set_ylim(len(contrasts) - 0.5, -0.5)
        axes.set_yticks(np.arange(len(contrasts)), [_difference_label(found) for found in contrasts])
        axes.tick_params(axis="y", length=0, pad=10)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"difference of macro F1 ({result['policy']}), points")
        axes.margins(x=0.06)

    return _svg("differences", (_WIDTH_IN, 0.7 + 0.78 * len(contrasts)), draw)


def activities_figure(result: dict[str, Any]) -> str:
    """Return F1 per activity (rows) and variant (marks) as an ``<svg>`` element."""
    variants = result["variants"]
    activities: list[str] = next((found["activities"] for found in variants.values() if found["runs"]), [])
    if not activities:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        place_K = np.arange(len(activities))
        for position, (name, found) in enumerate(variants.items()):
            f1_K = [np.nan if row["f1"] is None else row["f1"] for row in found["per_activity"]]
            shift = (position - (len(variants) - 1) / 2) * min(0.16, 0.6 / len(variants))
            axes.plot(f1_K, place_K + shift, ls="", ms=6, label=_short(name), **_mark(position))
        for place in place_K[::2]:
            axes.axhspan(place - 0.5, place + 0.5, color=_BAND, alpha=0.5, lw=0, zorder=0)
        axes.set_yticks(place_K, [_short(name) for name in activities])
        axes.set_ylim(len(activities) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.set_xlabel("F1 (pooled over subjects)")
        axes.set_xlim(right=1.005)
        _legend(figure, axes)

    return _svg("activities", (_WIDTH_IN, 1.1 + 0.42 * len(activities)), draw)


def curves_figure(gathered: Gathered, curves: Table, key: str) -> str:
    """Return a learning curve against optimiser steps: the mean over runs, and every run thinly.

    Args:
        gathered: The runs.
        curves: The table of means, from `har.evaluation.tables.curves_table`.
        key: What is drawn, one of `CURVES`.
    """
    label, column = CURVES[key]
    if not any(row[column] is not None for row in curves.rows):
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for position, variant in enumerate(gathered.study["variants"]):
            look = _mark(position)
            for run in gathered.of(variant):
                steps, values = _line(run.curve, key)
                axes.plot(steps, values, color=look["color"], lw=0.5, alpha=0.3)
            mean = [(row[1], row[column]) for row in curves.rows if row[0] == variant and row[column] is not None]
            if mean:
                steps, values = [step for step, _ in mean], [value for _, value in mean]
                axes.plot(steps, values, lw=1.8, ms=6, markevery=[-1], label=_short(variant, 14), **look)
        axes.set_xlabel("optimiser steps")
        axes.set_ylabel(label)
        axes.grid(axis="y")
        axes.tick_params(axis="y", labelcolor=_MUTED)
        _legend(figure, axes)

    return _svg(f"curve-{column}", (4.2, 3.1), draw)


def reached_figure(name: str, target: dict[str, Any], variants: list[str]) -> str:
    """Return the share of runs that have reached the target against optimiser steps: a step curve per variant.

    Args:
        name: Unique name of the figure within the page.
        target: The entry ``target`` of the result of `evaluate_study`.
        variants: The variants to draw, in the order of their colours.
    """
    if not any(target["variants"][variant]["runs"] for variant in variants):
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for position, variant in enumerate(variants):
            found = target["variants"][variant]
            if found["runs"]:
                steps, shares = zip([0.0, 0.0], *found["curve"], strict=True)
                last = max(found["followed"], steps[-1])
                look = {**_mark(position), "markevery": [-1], "ms": 6, "lw": 1.8}
                axes.step([*steps, last], [*shares, shares[-1]], where="post", label=_short(variant, 14), **look)
        axes.set(xlabel="optimiser steps", ylabel="share that has reached the target", ylim=(-0.03, 1.03))
        axes.grid(axis="y")
        axes.tick_params(axis="y", labelcolor=_MUTED)
        _legend(figure, axes)

    return _svg(name, (4.2, 3.1), draw)


def confusion_figure(name: str, variant: str, found: dict[str, Any]) -> str:
    """Return the confusion of one variant as shares of each true activity.

    Args:
        name: Unique name of the figure within the page.
        variant: Name of the variant, the title.
        found: Its entry in the result of `evaluate_study`.
    """
    if not found["windows"]:
        return ""
    counts_KK = np.array(found["confusion"], dtype=float)
    rows_K1 = counts_KK.sum(axis=1, keepdims=True)
    share_KK = np.divide(counts_KK, rows_K1, out=np.zeros_like(counts_KK), where=rows_K1 > 0)
    K = len(share_KK)
    labels = [_short(activity, 20) for activity in found["activities"]]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for row, column in np.ndindex(K, K):
            share = float(share_KK[row, column])
            axes.fill_between([column, column + 1], row, row + 1, color=OKABE_ITO[0], alpha=share, lw=0)
            if share >= 0.005 and K <= 12:  # from 13 activities on, the digits of a cell would overlap
                ink = "#ffffff" if share > 0.55 else _INK
                axes.text(
                    column + 0.5, row + 0.5, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=7.5
                )
        axes.set_xticks(np.arange(K) + 0.5, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=7.5)
        axes.set_yticks(np.arange(K) + 0.5, labels, fontsize=7.5)
        axes.set(xlim=(0, K), ylim=(K, 0), aspect="equal", xlabel="predicted", ylabel="true")
        axes.tick_params(length=0, labelcolor=_INK)
        axes.spines[["top", "right"]].set_visible(True)
        axes.set_title(_short(variant), loc="left", fontsize=9, fontweight="bold", color=_INK)

    side = 1.5 + 0.27 * max(K, 6)
    return _svg(name, (side + 0.2, side), draw)


def _difference_row(axes: Axes, row: int, found: dict[str, Any]) -> None:
    """Draw one contrast: a dot per subject, and the mean with its interval below them."""
    points_S = 100 * np.array(list(found["differences"].values()))
    lanes_S = np.argsort(np.argsort(points_S, kind="stable"), kind="stable") % 3  # neighbours in value lie apart
    colour = OKABE_ITO[0] if found["primary"] else OKABE_ITO[7]
    axes.plot(points_S, row - 0.24 + 0.12 * lanes_S, ls="", marker="o", ms=5, color=colour, alpha=0.8, mew=0)
    mean, below = 100 * found["mean"], row + 0.24
    if found["interval"] is not None:
        axes.plot([100 * end for end in found["interval"]], [below, below], color=_INK, lw=1.6, solid_capstyle="butt")
    axes.plot([mean], [below], marker="D", ms=6, color=_INK)


def _difference_label(found: dict[str, Any]) -> str:
    """Return the words beside one contrast: names, mean with interval in points, verdict."""
    mean, *ends = (with_minus(number(value, "points")) for value in (found["mean"], *(found["interval"] or ())))
    interval = f" [{', '.join(ends)}]" if ends else ""
    return f"{_short(found['a'])} − {_short(found['b'])}\n{mean}{interval}\n{found['verdict']}"


def _line(curve: list[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """Return steps and values of one run's curve, where it has the value."""
    known = [(point["step"], point[key]) for point in curve if point.get(key) is not None]
    return [step for step, _ in known], [value for _, value in known]


def _mark(position: int) -> dict[str, Any]:
    """Return colour and marker of a variant."""
    return {"color": OKABE_ITO[position % len(OKABE_ITO)], "marker": _MARKERS[position % len(_MARKERS)], "mew": 0}


def _legend(figure: Figure, axes: Axes) -> None:
    """Put the names of the variants above the panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 4), handletextpad=0.2)


def _short(name: str, letters: int = 28) -> str:
    """Return a name that fits its place in a figure; the tables have it whole."""
    return name if len(name) <= letters else name[: letters - 1].rstrip() + "…"


def _svg(name: str, size_in: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Draw a figure and return it as an ``<svg>`` element with its own identifiers.

    Args:
        name: Prefix of its identifiers, unique in the page.
        size_in: Width and height, inches.
        draw: Draws on the figure that it is given.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # a reader's own matplotlibrc changes nothing
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": name})
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # the page's font draws it, not DejaVu
        figure = Figure(figsize=size_in, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg).replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for colour, variable in _VARIABLES.items():
        svg = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var({variable})", svg)
    return svg
