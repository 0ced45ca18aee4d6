"""A picture of one recording: its signals, its labels, and the windows that are cut from it, on one axis of time.

For a person to check by eye what no count shows: a label that is late, an axis that is swapped, windows that straddle.
Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart. The same store gives the same
bytes. T = samples, C = sensor channels.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from har.errors import UsageError
from har.files import write_text
from har.windows.segment import WindowIndex
from har.windows.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c7a00", "#666666")
_HATCHES = ("", "//", "..", "xx")  # more activities than colours: the same colours, hatched
_UNLABELLED = "#e8e8e8"
_MOST_POINTS = 4000  # of a line; more cannot be seen, and would make a file of megabytes
_STYLE: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "har", "font.size": 9, "text.parse_math": False}


def draw_recording(path: Path, store: Store, number: int, index: WindowIndex | None = None) -> None:
    """Draw a recording into an SVG file, whole or not at all.

    Args:
        path: The file.
        store: A prepared data set.
        number: Of the recording, as in `store.recordings`.
        index: Its windows, or those of all recordings; None for none.

    Raises:
        UsageError: There is no such recording, or the file's name does not end with `.svg`.
    """
    if path.suffix != ".svg":
        raise UsageError(f"a picture is written as SVG, and {path} does not end with .svg.", f"Call it {path.stem}.svg")
    if not 0 <= number < len(store.recordings):
        raise UsageError(
            f"recording {number} is not in {store.name}.", f"Its recordings are 0 to {len(store.recordings) - 1}."
        )
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    sensors = _sensors(store)
    panels = len(sensors) + 1 + (index is not None)
    stream = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # a reader's own matplotlibrc changes nothing
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(11, 1.9 * len(sensors) + 2.6), layout="constrained")
        FigureCanvasSVG(figure)
        heights = [3.0] * len(sensors) + [1.0] * (panels - len(sensors))
        axes = list(figure.subplots(panels, 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
        row = store.recordings.iloc[number]
        figure.suptitle(f"{store.name}, recording {number}: subject {row['subject']}, trial {row['trial']}")
        _draw_signals(axes, store, int(row["start"]), int(row["stop"]), sensors)
        handles = _draw_labels(axes[len(sensors)], store, int(row["start"]), int(row["stop"]))
        figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)
        if index is not None:
            _draw_windows(axes[-1], store, number, int(row["start"]), index)
        axes[-1].set_xlabel("seconds")
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    write_text(path, stream.getvalue())


def _sensors(store: Store) -> dict[tuple[str, str, str], list[int]]:
    """Return sensor, site and unit → columns."""
    sensors: dict[tuple[str, str, str], list[int]] = {}
    for i, channel in enumerate(store.manifest["preparation"]["channels"]):
        sensors.setdefault((channel["sensor"], channel["site"], channel["unit"]), []).append(i)
    return sensors


def _draw_signals(
    axes: list[Axes], store: Store, start: int, stop: int, sensors: dict[tuple[str, str, str], list[int]]
) -> None:
    """Draw the channels of each sensor into a panel."""
    for axis, ((sensor, site, unit), columns) in zip(axes, sensors.items(), strict=False):
        for i, column in enumerate(columns):
            row_T, value_T = _outline(store.signal_TC[start:stop, column])
            colour = _COLOURS[i % len(_COLOURS)]
            axis.plot(row_T / store.rate_hz, value_T, linewidth=0.6, color=colour, label=store.channels[column])
        axis.set_title(f"{sensor} at the {site}, {unit}", loc="left", fontsize=9)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        axis.margins(x=0)


def _outline(value_T: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return rows and values that look like the signal: all, or the least and the greatest of equal stretches."""
    rows = len(value_T)
    width = math.ceil(2 * rows / _MOST_POINTS)
    if width <= 2:
        return np.arange(rows), value_T
    stretches = rows // width
    block = value_T[: stretches * width].reshape(stretches, width)
    picked = np.sort(np.stack([block.argmin(axis=1), block.argmax(axis=1)], axis=1), axis=1)
    row_T = (picked + width * np.arange(stretches)[:, None]).ravel()
    return row_T, value_T[row_T]


def _look(label: int) -> dict[str, Any]:
    """Return how an activity is filled."""
    if label < 0:
        return {"facecolor": _UNLABELLED}
    hatch = _HATCHES[label // len(_COLOURS) % len(_HATCHES)]
    return {"facecolor": _COLOURS[label % len(_COLOURS)], "hatch": hatch, "edgecolor": "white", "linewidth": 0}


def _draw_labels(axis: Axes, store: Store, start: int, stop: int) -> list[Patch]:
    """Draw the runs of equal labels; return a patch with the name of each that occurs."""
    from matplotlib.patches import Patch

    label_T = np.asarray(store.label_T[start:stop])
    edges = [0, *(np.flatnonzero(np.diff(label_T)) + 1).tolist(), len(label_T)]
    for i in range(len(edges) - 1):
        first_s, length_s = edges[i] / store.rate_hz, (edges[i + 1] - edges[i]) / store.rate_hz
        axis.broken_barh([(first_s, length_s)], (0, 1), **_look(int(label_T[edges[i]])))
    found = np.unique(label_T).tolist()
    names = {label: store.activities[label] if label >= 0 else "unlabelled" for label in found}
    axis.set(yticks=[])
    axis.set_title("labels", loc="left", fontsize=9)
    return [Patch(label=names[label], **_look(label)) for label in found]


def _draw_windows(axis: Axes, store: Store, number: int, start: int, index: WindowIndex) -> None:
    """Draw the windows as bars, in as many rows as overlap at one time."""
    chosen = np.flatnonzero(index.recording == number)
    length_s = index.samples / store.rate_hz
    steps = np.diff(index.start[chosen])
    rows = math.ceil(index.samples / int(steps.min())) if len(steps) else 1
    for i, window in enumerate(chosen.tolist()):
        label = store.activities.index(index.activities[index.label[window]])
        first_s = (int(index.start[window]) - start) / store.rate_hz
        axis.broken_barh([(first_s, length_s)], (-(i % rows) - 0.8, 0.8), **_look(label))
    axis.set(yticks=[])
    axis.set_title(f"{len(chosen)} windows of {length_s:g} s", loc="left", fontsize=9)
