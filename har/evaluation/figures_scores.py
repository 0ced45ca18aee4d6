"""Figures of scores: paired differences, subjects, activities and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from har.evaluation.figures import (
    BAND,
    INK,
    MUTED,
    OKABE_ITO,
    SMALL_IN,
    WIDTH_IN,
    draw_svg,
    legend,
    mark,
    short,
)
from har.evaluation.numbers import number, with_minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Looks = Mapping[str, Mapping[str, Any]]


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
        axes.axvspan(-rope, rope, color=BAND, lw=0, zorder=0)
        axes.axvline(0, color=MUTED, lw=0.8, zorder=1)
        for row, found in enumerate(contrasts):
            _difference_row(axes, row, found)
        axes.set_ylim(len(contrasts) - 0.5, -0.5)
        axes.set_yticks(np.arange(len(contrasts)), [_difference_label(found) for found in contrasts])
        axes.tick_params(axis="y", length=0, pad=8)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"difference of macro F1 ({result['policy']}), points", loc="right")
        axes.margins(x=0.06)

    return draw_svg("differences", (WIDTH_IN, 0.7 + 0.74 * len(contrasts)), draw)


def subjects_figure(result: dict[str, Any], looks: _Looks) -> str:
    """Return the macro F1 of each subject: a row per arm, a dot per subject, the lowest one named, and the mean.

    Args:
        result: What `har.evaluation.comparison.evaluate_study` returns.
        looks: The arms to draw, each with its look.
    """
    arms = [name for name in looks if result["variants"][name]["per_subject"]]
    if not arms:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for row, name in enumerate(arms):
            _subject_row(axes, row, result["variants"][name]["per_subject"], looks[name])
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.set_yticks(np.arange(len(arms)), [short(name, 22) for name in arms])
        axes.tick_params(axis="y", length=0, pad=8)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.set_xlim(right=1.005)
        axes.set_xlabel(f"macro F1 ({result['policy']}) of each subject, mean over repeats", loc="right")
        axes.margins(x=0.12)  # room for the name of the lowest

    return draw_svg("subjects", (WIDTH_IN, 0.65 + 0.42 * len(arms)), draw)


def activities_figure(result: dict[str, Any], looks: _Looks) -> str:
    """Return F1 per activity (rows) and arm (marks with their intervals over subjects) as an ``<svg>`` element.

    Args:
        result: Its entry ``variants`` has the scores of each arm.
        looks: The arms to draw, each with its look.
    """
    arms = [name for name in looks if result["variants"][name]["windows"]]
    if not arms:
        return ""
    activities: list[str] = result["variants"][arms[0]]["activities"]
    apart = 0.7 / max(len(arms), 3)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        place_K = np.arange(len(activities))
        for position, name in enumerate(arms):
            rows = result["variants"][name]["per_activity"]
            f1_K = [np.nan if row["f1"] is None else row["f1"] for row in rows]
            at_K = place_K + (position - (len(arms) - 1) / 2) * apart
            for at, row in zip(at_K, rows, strict=True):
                if row["f1_interval"]:
                    axes.plot(row["f1_interval"], [at, at], color=looks[name]["color"], lw=1.1, zorder=2)
            axes.plot(f1_K, at_K, ms=5, label=short(name), **mark(looks[name]), zorder=3)
        for place in place_K[::2]:
            axes.axhspan(place - 0.5, place + 0.5, color=BAND, alpha=0.5, lw=0, zorder=0)
        axes.set_yticks(place_K, [short(name, 22) for name in activities])
        axes.set_ylim(len(activities) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.set_xlabel("F1, all subjects' windows together", loc="right")
        axes.set_xlim(right=1.005)
        if len(arms) > 1:
            legend(figure, axes)

    height = 0.9 + 0.15 * len(arms) / 3 + len(activities) * max(0.34, 0.11 * len(arms) + 0.06)
    return draw_svg("activities", (WIDTH_IN, height), draw)


def reliability_figure(name: str, title: str, calibration: dict[str, Any], look: Mapping[str, Any]) -> str:
    """Return the reliability curve of one arm: the share that is right against the probability stated.

    Args:
        name: Unique name of the figure within the page.
        title: Name of the arm.
        calibration: As `har.evaluation.calibration.calibration` returns it.
        look: The arm's look.

    Returns:
        An ``<svg>`` element; empty without windows. The area of a mark is the share of the windows in its bin.
    """
    bins = [found for found in calibration["bins"] if found["windows"]]
    if not bins:
        return ""
    share_B = np.array([found["windows"] for found in bins], dtype=float)
    share_B /= share_B.sum()

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (4, 3)))
        stated_B, right_B = ([found[key] for found in bins] for key in ("probability", "accuracy"))
        axes.plot(stated_B, right_B, color=look["color"], lw=1.2, ls=look["ls"])
        axes.scatter(
            stated_B, right_B, s=8 + 160 * share_B, color=look["color"], marker="o", linewidths=0, clip_on=False
        )
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="stated probability", ylabel="share right", aspect="equal")
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        axes.tick_params(axis="y", labelcolor=MUTED)
        figure.suptitle(short(title), x=0.01, ha="left", fontsize=9, fontweight="bold", color=INK)
        axes.text(0.97, 0.06, f"error {number(calibration['ece'], 'score')}", ha="right", color=INK)

    return draw_svg(name, (SMALL_IN[1], SMALL_IN[1]), draw)


def _difference_row(axes: Axes, row: int, found: dict[str, Any]) -> None:
    """Draw one contrast: a dot per subject, and the mean with its interval below them."""
    points_S = 100 * np.array(list(found["differences"].values()))
    colour = OKABE_ITO[0] if found["primary"] else OKABE_ITO[7]
    axes.plot(points_S, row - 0.24 + 0.12 * _lanes(points_S), ls="", marker="o", ms=4.6, color=colour, alpha=0.8, mew=0)
    mean, below = 100 * found["mean"], row + 0.24
    if found["interval"] is not None:
        axes.plot([100 * end for end in found["interval"]], [below, below], color=INK, lw=1.6, solid_capstyle="butt")
    axes.plot([mean], [below], marker="D", ms=5.5, color=INK)


def _subject_row(axes: Axes, row: int, scores: Mapping[str, float], look: Mapping[str, Any]) -> None:
    """Draw one arm: a dot per subject, the name of the lowest beside it, and the mean as a bar."""
    score_S = np.array(list(scores.values()))
    lane_S = row - 0.14 + 0.14 * _lanes(score_S)
    axes.plot(score_S, lane_S, ms=4.6, alpha=0.8, **mark(look) | {"marker": "o"})
    axes.plot([score_S.mean()] * 2, [row - 0.32, row + 0.32], color=INK, lw=1.8, solid_capstyle="butt")
    lowest = int(score_S.argmin())
    place = (score_S[lowest], lane_S[lowest])
    name = short(list(scores)[lowest], 8)
    axes.annotate(name, place, (-5, 0), textcoords="offset points", ha="right", va="center", color=MUTED)


def _lanes(value_S: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return a lane (0, 1, 2) for each value such that neighbours in value lie apart."""
    return np.argsort(np.argsort(value_S, kind="stable"), kind="stable") % 3


def _difference_label(found: dict[str, Any]) -> str:
    """Return the words beside one contrast: names, mean with interval in points, verdict."""
    mean, *ends = (with_minus(number(value, "points")) for value in (found["mean"], *(found["interval"] or ())))
    interval = f" [{', '.join(ends)}]" if ends else ""
    names = f"{found['a']} − {found['b']}"
    if len(names) > 24:
        names = f"{short(found['a'], 22)}\n− {short(found['b'], 20)}"
    return f"{names}\n{mean}{interval}\n{found['verdict']}"
