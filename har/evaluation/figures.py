"""How figures are drawn: SVG that takes its colours from the page around it.

Every colour is drawn as a placeholder and then replaced by a CSS variable with a fallback, so that one figure serves
light and dark pages, and print; `standalone` puts the fallbacks in for a file of its own. Lines have the hues of Okabe
and Ito (2008), which colour-blind readers can tell apart, and a marker each. Text stays text: sharp, searchable,
escaped by matplotlib, drawn in the page's font. The same data give the same bytes: no date, identifiers from a fixed
salt. What is drawn stands in `figures_scores`, `figures_confusion` and `figures_training`.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OKABE_ITO = ("#0072b2", "#b87a00", "#00855f", "#b8578f", "#d55e00", "#2b8fc6", "#7d6c00", "#666666")
MARKERS = "osD^vP*X"
INK, MUTED, LINE, BAND, CELL = "#010101", "#020202", "#030303", "#040404", "#050505"  # no figure draws these as colours
_VARIABLES = {INK: "--ink, #1a1a1a", MUTED: "--muted, #666666", LINE: "--line, #cccccc", BAND: "--band, #e8e8e8"}
_VARIABLES |= {CELL: "--cell, #4f9fd0"} | {colour: f"--c{place}, {colour}" for place, colour in enumerate(OKABE_ITO)}
WIDTH_IN = 3.7  # on a phone of 390 CSS pixels, 9 pt become 12 pixels
_LARGEST = 1.25  # a page draws no figure larger than this, so that its letters stay those of the text
_SMALLEST = 0.85  # nor smaller: 9 pt stay 10 pixels, and a wide figure is moved sideways on a narrow page
SMALL_IN = (3.5, 2.7)  # one of several in a row
_LETTER_IN, _HANDLE_IN = 0.082, 0.42  # room of a letter and of a mark in a legend
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same layout on every machine
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


def looks_of(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return colour, marker and line of each of several names, the same in every figure of a page.

    From the ninth on colours come again, with another marker and a dashed line.
    """
    found = {}
    for place, name in enumerate(names):
        again, colour = divmod(place, len(OKABE_ITO))
        marker = MARKERS[(colour + again) % len(MARKERS)]
        found[name] = {"color": OKABE_ITO[colour], "marker": marker, "ls": "--" if again else "-", "mew": 0}
    return found


def mark(look: Mapping[str, Any]) -> dict[str, Any]:
    """Return a look for marks without a line between them."""
    return {**look, "ls": ""}


def legend(figure: Figure, axes: Axes) -> None:
    """Put the names of what is drawn above the panel, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    columns = min(4, columns_of(labels, figure.get_figwidth()))
    figure.legend(
        handles, labels, loc="outside upper left", ncols=columns, handletextpad=0.3, columnspacing=1.2, borderpad=0
    )


def columns_of(labels: Sequence[str], width_in: float) -> int:
    """Return in how many columns of a legend names fit beside one another, at least one."""
    widest = _HANDLE_IN + _LETTER_IN * max(map(len, labels), default=0)
    return max(1, min(len(labels), int(width_in / widest)))


def short(name: str, letters: int = 28) -> str:
    """Return a name that fits its place in a figure; the tables have it whole."""
    return name if len(name) <= letters else name[: letters - 1].rstrip() + "…"


def draw_svg(name: str, size_in: tuple[float, float], draw: Callable[[Figure], None]) -> str:
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
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r">\s+<", "><", svg).rstrip()
    used = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg))
    targets = {found for pair in used for found in pair}
    svg = re.sub(r"<[^>]*>", lambda tag: _of_page(tag[0], name, targets), svg)
    least, most = (factor * 72 * size_in[0] for factor in (_SMALLEST, _LARGEST))
    return svg.replace("<svg ", f'<svg style="min-width: {least:.0f}pt; max-width: {most:.0f}pt" ', 1)


def _of_page(tag: str, name: str, targets: Collection[str]) -> str:
    """Return a tag as it may stand in a page: own identifiers where they are used, variables, numbers that are seen.

    Between tags, where names stand, nothing is changed.
    """
    tag = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in targets else "", tag)
    tag = tag.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    tag = re.sub(r'(?<= d=")[^"]*', lambda path: _compact(path[0]), tag)
    for colour, variable in _VARIABLES.items():
        tag = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var({variable})", tag)
    return tag


def _compact(path: str) -> str:
    """Return a path on one line, with hundredths of a point: a tenth of what a screen shows."""
    return re.sub(r"(\.\d\d)\d+", r"\1", " ".join(path.split()))


def standalone(svg: str) -> str:
    """Return a figure for a file of its own: the colours of a light page in place of variables."""
    return re.sub(r"var\(--[\w-]+, (#[0-9a-f]{6})\)", r"\1", svg) + "\n"
