"""The account of a preparation: what the source holds, and what was done to how many samples."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from har.datasets.recording import UNLABELLED, RawRecording, Recording, natural_order
from har.errors import DataError
from har.windows.plausible import Vector, looks_like
from har.windows.signal import Plan, Treated, prepare_recording

# What is counted, in rows of a stream unless said otherwise.
COUNTED = {
    "rows_as_they_were": "rows of the store are rows of the source, in the units of the store",
    "rows_resampled": "rows of the store were computed from rows of the source: filtered or interpolated",
    "missing_timestamps": "rows without a timestamp, left out",
    "duplicated_timestamps": "rows that repeat a timestamp, left out",
    "backward_timestamps": "rows that are older than a row before them, left out",
    "clock_resets": "times a clock was set anew, which ended a recording",
    "missing_values": "values of a channel that the source lacks",
    "interpolated_values": "of them, values that were interpolated",
    "rows_in_gaps": "rows that lack a value which was not interpolated, left out",
    "interpolated_rows": "rows that the source lacks and that were interpolated",
    "rows_without_counterpart": "rows at times at which another stream has none, left out",
    "gaps": "gaps that ended a recording",
    "labels_out_of_reach": "samples without a label nearer than the longest gap, unlabelled",
}
_USUAL = ("rows_as_they_were", "rows_resampled")
_NAMED = 5  # subjects of a caution


class Preparation:
    """Prepares raw recordings, one after the other, and adds up what it found and did.

    Args:
        plan: The card and its recipe.
        name: Of the store; None for the card's.
        source_sha256: Of the files of a source that the card has no hash of.
        unread_files: Files of a person's own folder that no path of the card matches; None of an official source.

    Attributes:
        source_sha256: The same.
        plan: The same.
        name: The store's name.
    """

    def __init__(
        self,
        plan: Plan,
        name: str | None = None,
        source_sha256: str | None = None,
        unread_files: list[str] | None = None,
    ) -> None:
        self.plan = plan
        self.source_sha256 = source_sha256
        self._unread = {} if unread_files is None else {"unread_files": unread_files}
        self.name = name or plan.card.name
        self._card = plan.card
        self._rows_of: Counter[int] = Counter()
        self._files: set[str] = set()
        self._subjects: set[str] = set()
        self._recordings = 0
        self._counts: Counter[str] = Counter()
        self._measured_hz: list[float] = []
        self._left_out: list[dict[str, str]] = []
        self._changed: list[dict[str, Any]] = []
        self._lengths: dict[Vector, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def recordings(self, raws: Iterable[RawRecording], jobs: int = 1) -> Iterator[Recording]:
        """Yield what the raw recordings become, in their order.

        Args:
            raws: What the reader yields.
            jobs: How many of them are prepared at once, while the next one is read. So many and two more are in memory;
                with one job it is one.

        Raises:
            DataError: A recording cannot be prepared, or nothing is left of it and the recipe does not leave it out.
        """
        for raw, treated in self._treated(raws, jobs):
            if treated.reason and not raw.lacks and self.plan.recipe.empty == "refuse":
                raise DataError(
                    f"{self._card.name}, {raw.place}: nothing is left of it: {treated.reason}.",
                    "Select channels that it has, allow longer gaps (--max-gap-s), or leave such recordings out "
                    "(--leave-out-empty).",
                )
            self._add(raw, treated)
            yield from treated.recordings

    def _treated(self, raws: Iterable[RawRecording], jobs: int) -> Iterator[tuple[RawRecording, Treated]]:
        """Yield raw recordings with what they become, in their order."""
        if jobs == 1:
            for raw in raws:
                yield raw, prepare_recording(self.plan, raw)
            return
        with ThreadPoolExecutor(jobs) as pool:
            waiting: deque[tuple[RawRecording, Future[Treated]]] = deque()
            for raw in raws:
                waiting.append((raw, pool.submit(prepare_recording, self.plan, raw)))
                if len(waiting) > jobs:
                    first, done = waiting.popleft()
                    yield first, done.result()
            for first, done in waiting:
                yield first, done.result()

    def _add(self, raw: RawRecording, treated: Treated) -> None:
        """Add a recording and what became of it."""
        self._files.update(raw.files)
        self._subjects.add(raw.subject)
        labels, counts = np.unique(raw.label_T, return_counts=True)
        self._rows_of.update(dict(zip(labels.tolist(), counts.tolist(), strict=True)))
        self._recordings += not raw.lacks
        self._counts.update(treated.counts)
        self._measured_hz += treated.measured_hz
        for lengths in treated.lengths:
            for vector, length in lengths.items():
                self._lengths[vector][raw.subject].append(length)
        name = {"subject": raw.subject, "trial": raw.trial}
        if treated.reason:
            self._left_out.append({**name, "reason": treated.reason})
        done = {key: treated.counts[key] for key in COUNTED if treated.counts[key] and key not in _USUAL}
        if done or treated.measured_hz or len(treated.recordings) > 1:
            rates = {"measured_hz": treated.measured_hz} if treated.measured_hz else {}
            self._changed.append({**name, "parts": len(treated.recordings), **rates, **done})

    @property
    def subjects(self) -> list[str]:
        """Subjects of the source, in natural order."""
        return natural_order(self._subjects)

    def cautions(self) -> list[str]:
        """Return what every run on the data must say, by what was found in them: names alike, units."""
        cautions = _alike_but_for_case(self.subjects)
        for vector, of_each in self._lengths.items():
            sensor, _, unit = vector
            length_of = {subject: float(np.median(of_each[subject])) for subject in natural_order(of_each)}
            looks_of = {subject: looks_like(sensor, unit, length) for subject, length in length_of.items()}
            for other in filter(None, dict.fromkeys(looks_of.values())):
                found = {subject: length_of[subject] for subject, looks in looks_of.items() if looks == other}
                cautions.append(_doubt(vector, other, found, len(length_of)))
        return cautions

    def source_counts(self) -> dict[str, Any]:
        """Return what the source holds, to be held against the card's facts; a row is one of a first stream."""
        rows = self._rows_of.total()
        return {
            "files": len(self._files),
            "recordings": self._recordings,
            "rows": rows,
            "rows_per_activity": {activity.name: self._rows_of[i] for i, activity in enumerate(self._card.activities)},
            "labelled_rows": rows - self._rows_of[UNLABELLED],
            "unlabelled_rows": self._rows_of[UNLABELLED],
        }

    def described(self) -> dict[str, Any]:
        """Return what was done, for the manifest: in all, and for each recording that is not simply as it was."""
        rates = self._measured_hz
        measured = {"lowest": min(rates), "median": float(np.median(rates)), "highest": max(rates)} if rates else None
        return {
            "nominal_hz": self._card.rate_hz,
            "measured_hz": measured,
            **{key: self._counts[key] for key in COUNTED},
            **self._unread,
            "left_out": self._left_out,
            "recordings": self._changed,
        }


def _alike_but_for_case(subjects: list[str]) -> list[str]:
    """Say which names of subjects may be one person, who could then be in training and in test."""
    alike: dict[str, list[str]] = defaultdict(list)
    for subject in subjects:
        alike[subject.casefold()].append(subject)
    return [
        f"{' and '.join(names)} are {len(names)} subjects, though their names differ in case alone: if they are one "
        "person, training and test would share them. Give a person one name in the source."
        for names in alike.values()
        if len(names) > 1
    ]


def _doubt(vector: Vector, other: str, found: dict[str, float], subjects: int) -> str:
    """Say that a sensor looks like another unit than the card's, of whom, and what to do about it."""
    sensor, site, unit = vector
    named = f"{', '.join(list(found)[:_NAMED])}{' …' if len(found) > _NAMED else ''}"
    whose = "" if len(found) == subjects else f" of {len(found)} of {subjects} subjects ({named})"
    gravity = "; where gravity was taken out, sensor: linear-acceleration" if sensor == "accelerometer" else ""
    return (
        f"The {sensor} at {site}{whose} looks like {other} and not {unit}, which the card says: the median "
        f"length of its vector is {np.median(list(found.values())):.3g}. Correct the unit in the card{gravity}."
    )
