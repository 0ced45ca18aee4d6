"""Figures of training: learning curves, steps to a target, numbers of training subjects, and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from har.evaluation.figures import MUTED, SMALL_IN, WIDTH_IN, draw_svg, legend, looks_of, mark, short
from har.evaluation.numbers import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = {"validation macro F1": "validation-macro-f1", "training loss": "training-loss"}  # column to figure
RUN_CURVES = {  # figure to the label of its axis, the entries of an evaluation that it shows, and its caption
    "macro-f1": ("macro F1", ("validation_macro_f1",), "Macro F1 of the validation subjects during training."),
    "loss": ("loss", ("train_loss", "validation_loss"), "Loss during training."),
}
_BANDS = 2  # bands of more variants hide one another
_Looks = Mapping[str, Mapping[str, Any]]


def curves_figure(curves: Table, column: str, looks: _Looks) -> str:
    """Return a learning curve against optimiser steps: mean over runs, and the band of the middle 80 % of them.

    Args:
        curves: From `har.evaluation.tables.curves_table`.
        column: The column to draw, one of `CURVES`; its two neighbours are the ends of the band.
        looks: The variants to draw, each with its look.

    Returns:
        An ``<svg>`` element; empty where no variant has a curve. Bands are left out of more than two variants.
    """
    at = [head.head for head in curves.columns].index(column)
    lines = {name: [row for row in curves.rows if row[0] == name and row[at] is not None] for name in looks}
    lines = {name: rows for name, rows in lines.items() if rows}
    if not lines:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for name, rows in lines.items():
            steps, look = [row[1] for row in rows], looks[name]
            if len(lines) <= _BANDS:
                low, high = [row[at + 1] for row in rows], [row[at + 2] for row in rows]
                axes.fill_between(steps, low, high, color=look["color"], alpha=0.14, lw=0)
            axes.plot(steps, [row[at] for row in rows], lw=1.8, ms=6, markevery=[-1], label=short(name, 16), **look)
        _finish(axes, "optimiser steps", column)
        if len(lines) > 1:
            legend(figure, axes)

    return draw_svg(f"curve-{CURVES[column]}", _with_legend(len(lines)), draw)


def run_curve_figure(
    name: str, curve: Sequence[Mapping[str, Any]], label: str, shown: Mapping[str, str], best: float | None
) -> str:
    """Return entries of one run's evaluations against optimiser steps.

    Args:
        name: Unique name of the figure within the page.
        curve: The content of `metrics.jsonl`.
        label: What the vertical axis shows.
        shown: Each entry to draw, with its name.
        best: The step whose weights were chosen, marked by a line.

    Returns:
        An ``<svg>`` element; empty where no evaluation has such an entry.
    """
    lines = {key: [point for point in curve if point.get(key) is not None] for key in shown}
    lines = {key: points for key, points in lines.items() if points}
    if not lines:
        return ""
    looks = looks_of(lines)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        if best is not None:
            axes.axvline(best, color=MUTED, lw=0.9, ls=(0, (4, 3)))
        for key, points in lines.items():
            steps, values = [point["step"] for point in points], [point[key] for point in points]
            axes.plot(steps, values, lw=1.6, ms=4.5, label=shown[key], **looks[key])
        _finish(axes, "optimiser steps", label)
        if len(lines) > 1:
            legend(figure, axes)

    return draw_svg(name, _with_legend(len(lines)), draw)


def reached_figure(name: str, target: dict[str, Any], looks: _Looks) -> str:
    """Return the share of runs that have reached the target against optimiser steps: a step curve per variant.

    Args:
        name: Unique name of the figure within the page.
        target: The entry ``target`` of the result of `evaluate_study`.
        looks: The variants to draw, each with its look.
    """
    drawn = [variant for variant in looks if target["variants"][variant]["runs"]]
    if not drawn:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for variant in drawn:
            found = target["variants"][variant]
            steps, shares = zip([0.0, 0.0], *found["curve"], strict=True)
            last = max(found["followed"], steps[-1])
            look = {**looks[variant], "markevery": [-1], "ms": 6, "lw": 1.8}
            axes.step([*steps, last], [*shares, shares[-1]], where="post", label=short(variant, 16), **look)
        axes.set(ylim=(-0.03, 1.03))
        _finish(axes, "optimiser steps", "share that has reached the target")
        legend(figure, axes)

    return draw_svg(name, _with_legend(len(drawn)), draw)


def training_subjects_figure(found: dict[str, Any], policy: str, looks: _Looks) -> str:
    """Return the macro F1 of each arm against the number of training subjects.

    Args:
        found: As `har.evaluation.training_subjects.training_curve` returns it.
        policy: The policy of absent activities.
        looks: The arms to draw, each with its look.
    """
    drawn = [name for name in looks if any(point["macro_f1"] is not None for point in found["variants"][name])]
    if not drawn:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for name in drawn:
            points = [point for point in found["variants"][name] if point["macro_f1"] is not None]
            numbers, scores = ([point[key] for point in points] for key in ("train_subjects", "macro_f1"))
            axes.plot(numbers, scores, lw=1.6, ms=6, label=short(name, 16), **looks[name])
        axes.set_xticks(found["numbers"])
        _finish(axes, "training subjects", f"macro F1 ({policy})")
        legend(figure, axes)

    return draw_svg("training-subjects", _with_legend(len(drawn)), draw)


def training_contrasts_figure(contrasts: Sequence[dict[str, Any]], looks: _Looks) -> str:
    """Return the paired differences of contrasts against the number of training subjects, with intervals.

    Args:
        contrasts: The entry ``contrasts`` of what `har.evaluation.training_subjects.training_curve` returns.
        looks: A look for each contrast, by ``a − b``.
    """
    lines = {f"{found['a']} − {found['b']}": _known(found["points"]) for found in contrasts}
    lines = {name: points for name, points in lines.items() if points and name in looks}
    if not lines:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=MUTED, lw=0.8)
        numbers = sorted({point["train_subjects"] for points in lines.values() for point in points})
        apart = 0.04 * (numbers[-1] - numbers[0] or 1)  # intervals beside one another, not on one another
        for place, (name, points) in enumerate(lines.items()):
            at = [point["train_subjects"] + apart * (place - (len(lines) - 1) / 2) for point in points]
            axes.plot(at, [100 * point["mean"] for point in points], lw=1.2, ms=5, label=short(name), **looks[name])
            for x, point in zip(at, points, strict=True):
                if point["interval"]:
                    axes.plot([x, x], [100 * end for end in point["interval"]], color=looks[name]["color"], lw=1.1)
        axes.set_xticks(numbers)
        _finish(axes, "training subjects", "difference of macro F1, points")
        legend(figure, axes)

    return draw_svg("training-contrasts", _with_legend(len(lines)), draw)


def cost_figure(costs: Table, looks: _Looks) -> str:
    """Return the macro F1 of each variant against the seconds that one run of it takes.

    Args:
        costs: From `har.evaluation.cost.cost_table`: variant, macro F1 and seconds in the first three columns.
        looks: The variants to draw, each with its look.
    """
    rows = [row for row in costs.rows if row[0] in looks and row[1] is not None and row[2] is not None]
    if not rows:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for row in rows:
            axes.plot([row[2]], [row[1]], ms=8, label=short(row[0], 16), **mark(looks[row[0]]))
        axes.set_xlim(left=0, right=1.12 * max(row[2] for row in rows))
        axes.margins(y=0.2)
        _finish(axes, "seconds per run", costs.columns[1].head.partition(",")[0])
        legend(figure, axes)

    return draw_svg("cost", _with_legend(len(rows)), draw)


def _known(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the points that have a difference."""
    return [point for point in points if point["mean"] is not None]


def _finish(axes: Axes, x: str, y: str) -> None:
    """Name the axes and draw the grid of a panel."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", labelcolor=MUTED)


def _with_legend(lines: int) -> tuple[float, float]:
    """Return width and height, inches, of a panel with the names of its lines above it."""
    return (WIDTH_IN if lines > 4 else SMALL_IN[0]), SMALL_IN[1] + 0.12 * lines
