"""Recordings: one uninterrupted stream of one subject, and what must hold for each of them.

Readers yield `RawRecording`, in the units and with the clocks of their source; preparation makes `Recording` of
them, which is what a store takes. T = samples, C = sensor channels.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Card
from har.errors import DataError

UNLABELLED = -1
SUBJECT_NAME = re.compile(r"[\w-][\w.-]*")  # names folders of runs


@dataclasses.dataclass(frozen=True)
class Stream:
    """Samples that share one clock.

    Attributes:
        channels: Names of the card's channels, in the order of the columns.
        signal_TC: Floating point (samples, channels), in the units of the source; NaN where a value is missing.
        time_s: float64 (samples,), seconds, as the source gives them: with gaps, jumps and repetitions. None where the
            source has no timestamps; the card's rate holds then.
    """

    channels: tuple[str, ...]
    signal_TC: NDArray[Any]
    time_s: NDArray[np.float64] | None = None


@dataclasses.dataclass(frozen=True)
class RawRecording:
    """One recording as its source has it: one stream, or several with clocks of their own.

    Attributes:
        subject: The source's own name of the subject, as text.
        trial: What tells this recording from the others of its subject.
        streams: At least one; together they have every channel of the card once.
        label_T: int16 (samples of the first stream,), index into the card's activities, -1 where unlabelled.
        extra: One value for each name in the card's `extras`.
        files: The files it was read from, relative to the source.
        lacks: Files that are not there, where the card says that such recordings are left out. Such a recording has
            no streams and cannot be prepared: it is counted.
    """

    subject: str
    trial: str
    streams: tuple[Stream, ...]
    label_T: NDArray[np.int16]
    extra: dict[str, str] = dataclasses.field(default_factory=dict)
    files: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Subject, trial and files, for messages."""
        return f"subject {self.subject}, trial {self.trial}{f' ({self.files_named})' if self.files else ''}"

    @property
    def files_named(self) -> str:
        """The files, in words: all of few, the first and the last of many."""
        if len(self.files) > 3:
            return f"{self.files[0]} … {self.files[-1]}, {len(self.files)} files"
        return ", ".join(self.files)


@dataclasses.dataclass(frozen=True)
class Recording:
    """One uninterrupted stream of one subject; a gap ends it.

    Attributes:
        subject: The source's own name of the subject, as text.
        trial: What tells this recording from the others of its subject.
        signal_TC: (samples, channels), float32 in the store's units, in its channel order.
        label_T: int16 (samples,), index into the card's activities, -1 where unlabelled.
        extra: One value for each name in the card's `extras`.
        begin_s: From the begin of the raw recording, where a gap divided it.
    """

    subject: str
    trial: str
    signal_TC: NDArray[Any]
    label_T: NDArray[np.int16]
    extra: dict[str, str] = dataclasses.field(default_factory=dict)
    begin_s: float = 0.0

    @property
    def place(self) -> str:
        """Subject and trial, for messages."""
        return f"subject {self.subject}, trial {self.trial}"


def check(card: Card, recording: Recording) -> None:
    """Refuse a recording that no store may hold.

    Args:
        card: The data set it belongs to.
        recording: In SI units.

    Raises:
        DataError: No samples, values that are not finite, labels that the card does not know, a subject name that
            cannot name a folder, or other extras than the card's.
    """
    place = f"{card.name}, {recording.place}"
    samples = len(recording.signal_TC)
    if samples == 0 or recording.label_T.shape != (samples,):
        raise DataError(
            f"{place}: {samples} samples with labels of shape {recording.label_T.shape}.",
            "Every recording needs samples, and one label for each (-1 where unlabelled).",
        )
    if not SUBJECT_NAME.fullmatch(recording.subject):
        raise DataError(
            f"{place}: the subject's name is {recording.subject!r}.",
            "Use letters, digits, '-', '_' and '.': it names folders of runs.",
        )
    if list(recording.extra) != list(card.extras):
        raise DataError(
            f"{place}: extra values {list(recording.extra)}, but the card names {list(card.extras)}.",
            "Correct `extras` in the card, or the reader.",
        )
    _check_values(card, recording, place)


def _check_values(card: Card, recording: Recording, place: str) -> None:
    """Refuse values that are not finite and labels outside the card's activities."""
    finite_TC = np.isfinite(recording.signal_TC)
    if not finite_TC.all():
        row, channel = np.argwhere(~finite_TC)[0]
        value = recording.signal_TC[row, channel]
        raise DataError(
            f"{place}: {value} in row {row}, channel {card.channels[channel].name} "
            f"({np.count_nonzero(~finite_TC)} such values in this recording).",
            "A store holds finite numbers only: mend the source, or end the recording at the gap.",
        )
    low, high = int(recording.label_T.min()), int(recording.label_T.max())
    if low < UNLABELLED or high >= len(card.activities):
        wrong = low if low < UNLABELLED else high
        raise DataError(
            f"{place}: label {wrong}, but the card has {len(card.activities)} activities.",
            "Labels are indices into the card's activities, or -1.",
        )


def natural_order(names: Iterable[str]) -> list[str]:
    """Return the distinct names in the order a person expects: ``"2"`` before ``"10"``."""
    return sorted(set(names), key=natural_key)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return what natural order compares: digits apart from text; the name decides between ``"1"`` and ``"01"``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name
