"""The figure of one recording: truth above the decisions of each variant, and what kind of errors they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from har.evaluation.event_strip import RIGHT, Stretch
from har.evaluation.figures import BAND, INK, MUTED, OKABE_ITO, WIDTH_IN, columns_of, draw_svg, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAMILIES = {  # of an event that is not there at all, one torn or joined, one that begins or ends at another time
    "insertion, deletion": (OKABE_ITO[4], ("insertion", "deletion")),
    "merge, fragmenting": (OKABE_ITO[0], ("merge", "fragmenting")),
    "overfill, underfill": (OKABE_ITO[7], ("overfill", "underfill")),
}
_HATCHES = ("", "////", "----", "xxxx")  # from the ninth activity on colours come again; dots would take 180 kB each
_NAMED = 12  # activities; more have their names in spans and in the table
_LETTER = 0.026  # of the width of the axis


def timeline_figure(name: str, strips: Mapping[str, Sequence[Stretch]], activities: Sequence[str]) -> str:
    """Return truth and decisions of one recording on a time axis.

    Args:
        name: Unique name of the figure within the page.
        strips: Variant to its stretches; the truth is the same for all.
        activities: All activities, whose order gives the colours.

    Returns:
        An ``<svg>`` element; empty where nothing is to be shown.
    """
    if not strips:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        first = next(iter(strips.values()))
        seconds = first[-1].end_s - first[0].start_s
        _row(axes, 0.0, [(found.start_s, found.end_s, found.truth) for found in first], activities, seconds)
        labels = {0.4: "truth"}
        for place, (variant, found) in enumerate(strips.items()):
            bottom = 1.15 + 1.25 * place
            decided = [(stretch.start_s, stretch.end_s, stretch.decision) for stretch in found]
            _row(axes, bottom, decided, activities, seconds)
            _errors(axes, bottom + 0.85, found)
            labels[bottom + 0.4] = short(variant, 22)
        axes.set_ylim(1.15 + 1.25 * len(strips), -0.1)
        axes.set_yticks(list(labels), list(labels.values()))
        axes.tick_params(axis="y", length=0, pad=6)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("seconds")
        axes.margins(x=0.01)
        _legend(figure, axes, activities)

    lines = -(-len(activities) // _columns(activities)) if len(activities) <= _NAMED else 0
    return draw_svg(name, (WIDTH_IN, 1.7 + 0.5 * len(strips) + 0.18 * lines), draw)


def _row(
    axes: Axes, bottom: float, spans: Sequence[tuple[float, float, str]], activities: Sequence[str], seconds: float
) -> None:
    """Draw a row of spans in the colours of their activities; a span that is wide enough has its name in it."""
    merged = _merged(spans)
    for place, activity in enumerate(activities):
        again, colour = divmod(place, len(OKABE_ITO))
        own = [(start_s, end_s - start_s) for start_s, end_s, name in merged if name == activity]
        hatch = _HATCHES[again % len(_HATCHES)]
        if own:
            axes.broken_barh(own, (bottom, 0.8), facecolor=OKABE_ITO[colour], alpha=0.55, lw=0, hatch=hatch)
    for start_s, end_s, activity in merged:
        if activity and end_s - start_s > _LETTER * seconds * (len(activity) + 1):
            middle = (start_s + end_s) / 2
            axes.text(middle, bottom + 0.4, activity, ha="center", va="center", fontsize=8.5, color=INK)


def _errors(axes: Axes, bottom: float, found: Sequence[Stretch]) -> None:
    """Draw below a row what kind of error each stretch is."""
    merged = _merged([(one.start_s, one.end_s, one.category) for one in found])
    for colour, categories in ((BAND, (RIGHT,)), *_FAMILIES.values()):
        own = [(start_s, end_s - start_s) for start_s, end_s, name in merged if name in categories]
        if own:
            axes.broken_barh(own, (bottom, 0.2), facecolor=colour, lw=0)


def _merged(spans: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Join neighbouring spans of one name."""
    joined: list[tuple[float, float, str]] = []
    for start_s, end_s, name in spans:
        goes_on = bool(joined) and joined[-1][1:] == (start_s, name)
        joined.append((joined.pop()[0] if goes_on else start_s, end_s, name))
    return joined


def _legend(figure: Figure, axes: Axes, activities: Sequence[str]) -> None:
    """Put the kinds of errors above the figure and the activities below it, where they are not too many to be read."""
    errors = [_patch(axes, name, colour) for name, (colour, _) in _FAMILIES.items()]
    figure.legend(
        handles=errors,
        loc="outside upper left",
        ncols=2,
        labelcolor=MUTED,
        borderpad=0,
        handletextpad=0.4,
        columnspacing=1.0,
    )
    if len(activities) <= _NAMED:
        own = [
            _patch(axes, short(name, 22), OKABE_ITO[k % len(OKABE_ITO)], 0.55, k) for k, name in enumerate(activities)
        ]
        columns = _columns(activities)
        figure.legend(handles=own, loc="outside lower left", ncols=columns, labelcolor=MUTED, borderpad=0)


def _columns(activities: Sequence[str]) -> int:
    """Return in how many columns the names of the activities stand."""
    return min(2, columns_of([short(name, 22) for name in activities], WIDTH_IN))


def _patch(axes: Axes, name: str, colour: str, alpha: float = 1.0, place: int = 0) -> Any:
    """Return what a legend shows for a colour."""
    hatch = _HATCHES[place // len(OKABE_ITO) % len(_HATCHES)]
    return axes.broken_barh([(0, 0)], (0, 0), facecolor=colour, lw=0, alpha=alpha, hatch=hatch, label=name)
