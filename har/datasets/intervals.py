"""Labels that stand in a file of intervals: `1 1 5 250 1232` = experiment, user, activity, first and last sample."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Intervals
from har.datasets.codes import Codes
from har.datasets.diagnosis import line_of_row, place_of_row
from har.datasets.patterns import find
from har.datasets.tables import read_table
from har.errors import DataError

_OWN = ("activity", "start", "stop")
# Samples that an interval in seconds may reach beyond its recording, which people who round them do.
_REACH = 1 + 1e-6


@dataclasses.dataclass(frozen=True)
class Interval:
    """One labelled interval; `path` (`file`, relative to the source) and `row` say where it stands."""

    label: int
    start: float
    stop: float
    path: Path
    file: str
    row: int


class IntervalFile:
    """All intervals of a source, by the recording that they belong to.

    Args:
        source: The source's folder.
        intervals: What the card says about them.
        codes: Of the card.
        plain: Group and value → the value as the recordings have it.

    Attributes:
        groups: The groups that tell whose an interval is.

    Raises:
        DataError: There is no such file, or a line cannot be read.
    """

    def __init__(
        self,
        source: Path,
        intervals: Intervals,
        codes: Codes,
        plain: Callable[[str, str], str],
    ) -> None:
        self._source, self._intervals = source, intervals
        self._known: dict[tuple[str, ...], list[Interval]] = {}
        self._places: dict[tuple[str, ...], list[str]] = {}  # the recordings of an owner, in their order
        self._met: set[tuple[Path, int]] = set()  # path and row of intervals that hold samples
        found = find(source, intervals.path)
        if not found:
            raise DataError(
                f"no file of intervals in {source} matches {intervals.path}.", "Correct the path in the card."
            )
        columns = [key for key in intervals.columns if key not in _OWN]
        self.groups = [*columns, *(key for key in found[0][1] if key not in columns)]
        for name, groups in found:
            self._read(name, groups, codes, plain)

    def _read(
        self,
        file: str,
        groups: dict[str, str],
        codes: Codes,
        plain: Callable[[str, str], str],
    ) -> None:
        """Read one file."""
        path = self._source / file
        layout, columns = self._intervals.format, self._intervals.columns
        keys = [key for key in columns if key not in _OWN]
        data = read_table(path, layout, [columns["start"], columns["stop"]], [columns[k] for k in (*keys, "activity")])
        start_T, stop_T = data.numbers[columns["start"]], data.numbers[columns["stop"]]
        for row in range(data.rows):

            def cell(key: str, row: int = row) -> str:
                words = data.words[columns[key]]
                if words.index_T[row] < 0:
                    raise DataError(f"{self._place(path, row)}: {key} is missing.", "Mend the line.")
                return words.at(row)

            start, stop = float(start_T[row]), float(stop_T[row])
            if not np.isfinite([start, stop]).all():
                raise DataError(f"{self._place(path, row)}: start or stop is missing.", "Mend the line.")
            values = {**groups, **{key: plain(key, cell(key)) for key in keys}}
            label = codes.label(cell("activity"), functools.partial(self._place, path, row))
            owner = tuple(values[key] for key in self.groups)
            self._known.setdefault(owner, []).append(Interval(label, start, stop, path, file, row))

    def labels(
        self, groups: dict[str, str], samples: int, rate_hz: float, time_s: NDArray[np.float64] | None, place: str
    ) -> NDArray[np.int16]:
        """Return the label of each sample of a recording, -1 outside its intervals.

        Args:
            groups: Of the recording.
            samples: It has.
            rate_hz: Holds where there are no timestamps.
            time_s: float64 (samples,), its timestamps.
            place: The recording, for messages.

        Raises:
            DataError: An interval ends before it starts, lies outside the recording, or overlaps with another one.
        """
        owner = tuple(groups[key] for key in self.groups)
        self._places.setdefault(owner, []).append(place)
        label_T = np.full(samples, -1, np.int16)
        taken_T = np.full(samples, -1, np.int32)
        own = self._known.get(owner, [])
        for i, interval in enumerate(own):
            part = self._part(interval, samples, rate_hz, time_s, place)
            if part is None:
                continue
            self._met.add((interval.path, interval.row))
            others = taken_T[part][taken_T[part] >= 0]
            if len(others):
                other = own[int(others[0])]
                what = f"{self._place(interval.path, interval.row)}: the interval overlaps with the one in line"
                line = line_of_row(other.path, self._intervals.format, other.row)
                raise DataError(f"{what} {line}.", "Mend the file.")
            taken_T[part] = i
            label_T[part] = interval.label
        return label_T

    def _part(
        self, interval: Interval, samples: int, rate_hz: float, time_s: NDArray[np.float64] | None, place: str
    ) -> slice | NDArray[np.intp] | None:
        """Return the samples of an interval; None where it may be one of another session of the same owner."""
        counting, start, stop = self._intervals.counting, interval.start, interval.stop
        if start > stop:
            raise self._refused(interval, f"from {start:g} to {stop:g} ends before it starts")
        if counting.startswith("samples"):
            first = start - (counting == "samples-from-1")
            if first.is_integer() and stop.is_integer() and 0 <= first < stop <= samples:
                return slice(int(first), int(stop))
            what = f"from {start:g} to {stop:g} does not lie in the {samples} samples of {place}"
            raise self._refused(interval, what)
        if time_s is None:
            time_s = np.arange(samples) / rate_hz
        origin_s = time_s[0] if counting == "seconds-from-start" else 0.0
        rows = np.flatnonzero((time_s >= origin_s + start) & (time_s < origin_s + stop))
        if not len(rows):
            if counting == "seconds":  # of a clock that several sessions share
                return None
            raise self._refused(interval, f"from {start:g} s to {stop:g} s holds no sample of {place}")
        first_s, last_s = np.nanmin(time_s) - origin_s, np.nanmax(time_s) - origin_s
        reach_s = _REACH / rate_hz
        if start < first_s - reach_s or stop > last_s + 1 / rate_hz + reach_s:
            what = f"from {start:g} s to {stop:g} s reaches beyond {place}, which is from {first_s:g} s to {last_s:g} s"
            raise self._refused(interval, what)
        return rows

    def _refused(self, interval: Interval, what: str) -> DataError:
        """Return the error for an interval."""
        place = self._place(interval.path, interval.row)
        return DataError(f"{place}: the interval {what}.", "Mend the file or the card.")

    def files_of(self, groups: dict[str, str]) -> tuple[str, ...]:
        """Return the files that a recording's intervals stand in, relative to the source."""
        own = self._known.get(tuple(groups[key] for key in self.groups), [])
        return tuple(dict.fromkeys(interval.file for interval in own))

    def refuse_unused(self, recordings: str) -> None:
        """Refuse intervals that belong to no recording, or hold no sample of any.

        Args:
            recordings: What the recordings are read from, for the message.

        Raises:
            DataError: There is one; its line is named.
        """
        for owner, own in self._known.items():
            if owner not in self._places:
                named = ", ".join(f"{key} {value}" for key, value in zip(self.groups, owner, strict=True))
                what = f"{self._place(own[0].path, own[0].row)}: there is no recording of {named} ({recordings})."
                raise DataError(what, "Get the missing files, or remove the line.")
            for interval in own:
                if (interval.path, interval.row) not in self._met:
                    places = self._places[owner]
                    named = " … ".join(dict.fromkeys((places[0], places[-1])))
                    what = f"from {interval.start:g} s to {interval.stop:g} s holds no sample of {named}"
                    raise self._refused(interval, what)

    def _place(self, path: Path, row: int) -> str:
        """Return file and line."""
        return place_of_row(path, self._intervals.format, row)
