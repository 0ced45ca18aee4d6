"""Windows: where each begins, which activity it shows and how purely. No sample is copied until a batch is gathered.

A window lies in one recording and covers the rows start, …, start + samples - 1 of the store. The last exact window of
a recording is kept. N = windows, T = samples, C = sensor channels.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from har.datasets.recording import UNLABELLED
from har.errors import DataError, UsageError, unknown
from har.windows.permit import check_permit
from har.windows.store import Store

LABEL_RULES = ("majority", "last", "centre")
NULL_POLICIES = ("drop", "keep", "unlabelled")
UNNAMED = "null"  # what time without a label is called where that is an activity and the data set names none
_REASONS = ("short recordings", "null or unlabelled", "other activities", "impure")
_ROWS = 1 << 22  # labels that are looked at together: 100 MB of counts
# Two clocks' worth of rounding: 1/3 s at 30 Hz is 10 samples although 1/3 has no exact decimal.
_TOLERANCE_SAMPLES = 1e-6
_MOST_SAMPLES = 2**53  # beyond it, and in NumPy's int64 soon after, durations in samples have no neighbours


@dataclasses.dataclass(frozen=True)
class WindowSpec:
    """How recordings are cut into labelled windows.

    Attributes:
        window_s: Length in seconds; a whole number of samples.
        step_s: From one window's begin to the next's, in seconds; a whole number of samples.
        label_rule: `majority`: the activity of most samples, a tie goes to the one that stands first among the data
            set's activities, and unlabelled samples win only when they are more than those of every activity. `last`:
            the activity of the last sample. `centre`: that of sample number T // 2, counted from 0.
        min_purity: Least share of samples that must have the window's label.
        null: What happens to the null activity. `drop`: windows whose label is the null activity are left out. `keep`:
            it is an activity like any other, and unlabelled samples count as null. `unlabelled`: for a data set that
            names no null activity, unlabelled samples make one, called ``null``, the last of the activities. Windows
            that are unlabelled for all that are left out.
        activities: Names of the activities to keep, in the order of the labels; None for all.
    """

    window_s: float
    step_s: float
    label_rule: str = "majority"
    min_purity: float = 0.0
    null: str = "drop"
    activities: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class WindowIndex:
    """Windows of a store, by recording and time.

    Attributes:
        start: int64 (windows,), first row in the store.
        recording: int32 (windows,), number of the recording.
        label: int16 (windows,), index into `activities`.
        purity: float16 (windows,), share of samples that have the window's label.
        samples: Length of every window.
        activities: Names of the labels.
        left_out: What was not taken, by reason: recordings that are shorter than a window, and windows.
    """

    start: NDArray[np.int64]
    recording: NDArray[np.int32]
    label: NDArray[np.int16]
    purity: NDArray[np.float16]
    samples: int
    activities: list[str]
    left_out: dict[str, int]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.start)


def samples_of(seconds: float, rate_hz: float) -> int:
    """Return the number of samples in a duration.

    Args:
        seconds: The duration.
        rate_hz: Samples per second.

    Raises:
        UsageError: It is not a whole number of at least one sample, and the nearest durations that are are named; or it
            is of so many that a float64 does not tell one from the next.
    """
    exact = seconds * rate_hz
    if math.isfinite(exact) and exact > _MOST_SAMPLES:
        raise UsageError(
            f"{seconds:g} s at {rate_hz:g} Hz is {exact:.6g} samples, more than any recording has.", "Shorten it."
        )
    if math.isfinite(exact) and exact > 0.5:
        samples = round(exact)
        if abs(exact - samples) <= _TOLERANCE_SAMPLES:
            return samples
        near = sorted({max(1, math.floor(exact)), math.ceil(exact)})
    else:
        near = [1]
    valid = " or ".join(f"{count / rate_hz:.6g} s ({count} sample{'s' * (count > 1)})" for count in near)
    raise UsageError(f"{seconds} s at {rate_hz:g} Hz is {exact:.6g} samples.", f"Take a whole number of them: {valid}.")


def window_index(store: Store, spec: WindowSpec, subjects: Iterable[str] | None = None) -> WindowIndex:
    """Find the windows of a store. Memory is bounded by the number of windows, whatever the length of the recordings.

    Args:
        store: The prepared data set.
        spec: Length, step and labels of the windows.
        subjects: Whose recordings; None for all.

    Returns:
        The windows, in the order of the store.

    Raises:
        UsageError: A name, duration or share is impossible, or a window is longer than every recording.
        DataError: The store has a label that it does not name.
    """
    samples, step, activities = _check_spec(store, spec)
    lengths = store.recordings["stop"] - store.recordings["start"]
    if samples > lengths.max():
        raise UsageError(
            f"a window of {spec.window_s:g} s is longer than every recording of {store.name}.",
            f"The longest recording has {lengths.max() / store.rate_hz:g} s.",
        )
    chosen = _recordings_of(store, subjects)
    naming = _naming(store, spec, activities)
    left_out: Counter[str] = Counter(dict.fromkeys(_REASONS, 0))
    parts = [(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int16), np.empty(0, np.float16))]
    for number, first, stop in zip(chosen["recording"], chosen["start"], chosen["stop"], strict=True):
        if stop - first < samples:
            left_out["short recordings"] += 1
            continue
        for start in _pieces(np.arange(first, stop - samples + 1, step), step):
            label_T = np.asarray(store.label_T[start[0] : start[-1] + samples])
            label, share, kept = _judge(label_T, start - start[0], samples, spec, naming, left_out)
            recording = np.full(np.count_nonzero(kept), number, np.int32)
            parts.append((start[kept], recording, label[kept], share[kept].astype(np.float16)))
    start_N, recording_N, label_N, purity_N = (np.concatenate(column) for column in zip(*parts, strict=True))
    return WindowIndex(start_N, recording_N, label_N, purity_N, samples, activities, dict(left_out))


def _recordings_of(store: Store, subjects: Iterable[str] | None) -> pd.DataFrame:
    """Return the rows of the recordings of some subjects, of all where None; refuse a subject that there is not."""
    if subjects is None:
        return store.recordings
    wanted = list(subjects)
    for subject in wanted:
        if subject not in store.subjects:
            raise unknown("subject", subject, store.subjects, f"data set {store.name}")
    return store.recordings[store.recordings["subject"].isin(wanted)]


def _pieces(start_N: NDArray[np.int64], step: int) -> list[NDArray[np.int64]]:
    """Cut the windows of a recording into runs of them that begin in a bounded number of rows."""
    windows = max(_ROWS // step, 1)
    return [start_N[first : first + windows] for first in range(0, len(start_N), windows)]


def every_window(store: Store, window_s: float, step_s: float, subjects: Iterable[str] | None = None) -> WindowIndex:
    """Find all windows, labelled or not, as one meets them who knows no labels. Those of `window_index` are among them.

    Args:
        store: The prepared data set.
        window_s: Length of a window in seconds.
        step_s: From one window's begin to the next's, in seconds.
        subjects: Whose recordings; None for all.

    Returns:
        The windows in the order of the store, all with label -1 and purity 0.

    Raises:
        UsageError: A duration is impossible, a subject unknown, or no recording is as long as a window.
    """
    samples, step = samples_of(window_s, store.rate_hz), samples_of(step_s, store.rate_hz)
    chosen = _recordings_of(store, subjects)
    columns = (chosen[name].tolist() for name in ("recording", "start", "stop"))
    begins = [
        (number, np.arange(first, stop - samples + 1, step)) for number, first, stop in zip(*columns, strict=True)
    ]
    start = np.concatenate([begin for _, begin in begins]).astype(np.int64)
    if len(start) == 0:
        raise UsageError(f"a window of {window_s:g} s is longer than every recording of {store.name}.", "Shorten it.")
    recording = np.repeat([number for number, _ in begins], [len(begin) for _, begin in begins]).astype(np.int32)
    label, purity = np.full(len(start), UNLABELLED, np.int16), np.zeros(len(start), np.float16)
    short = sum(len(begin) == 0 for _, begin in begins)
    return WindowIndex(start, recording, label, purity, samples, list(store.activities), {_REASONS[0]: short})


@dataclasses.dataclass(frozen=True)
class _Naming:
    """The store's null label (-1: none), and the new labels by old label (the last entry is that of -1)."""

    null: int
    new_label: NDArray[np.int16]


def _naming(store: Store, spec: WindowSpec, activities: list[str]) -> _Naming:
    """Return the naming for the labels `activities`."""
    known = activities_of(store, spec.null)
    new_label = np.full(len(known) + 1, UNLABELLED, np.int16)
    new_label[[known.index(name) for name in activities]] = np.arange(len(activities))
    return _Naming(null_label(store, spec.null), new_label)


def activities_of(store: Store, policy: str) -> list[str]:
    """Return the activities that windows can have under a policy for null (`WindowSpec.null`), dropped ones too."""
    return [*store.activities, UNNAMED] if policy == "unlabelled" else list(store.activities)


def null_label(store: Store, policy: str) -> int:
    """Return the label of the null activity, an index into `activities_of`; -1 where there is none."""
    null = UNNAMED if policy == "unlabelled" else store.null
    return UNLABELLED if null is None else activities_of(store, policy).index(null)


def as_counted(label_T: NDArray[np.int16], null: int, policy: str) -> NDArray[np.int16]:
    """Return labels as windows count them: unless null is dropped, unlabelled samples are of the null activity.

    Args:
        label_T: int16 (samples,), labels of the store.
        null: As `null_label` returns it; with -1 they stay unlabelled.
        policy: One of `NULL_POLICIES`.
    """
    return label_T if policy == "drop" else np.where(label_T == UNLABELLED, np.int16(null), label_T)


def _judge(
    label_T: NDArray[np.int16],
    begin: NDArray[np.int64],
    samples: int,
    spec: WindowSpec,
    naming: _Naming,
    left_out: Counter[str],
) -> tuple[NDArray[np.int16], NDArray[np.float64], NDArray[np.bool_]]:
    """Return new label, purity and whether it is kept, for each window of one recording; count the others by reason."""
    label_T = as_counted(label_T, naming.null, spec.null)
    old_label, count = _labels(label_T, begin, samples, spec.label_rule)
    if (highest := old_label.max(initial=UNLABELLED)) >= len(naming.new_label) - 1:
        raise DataError(
            f"a label of the store is {highest}, and it names {len(naming.new_label) - 1} activities.",
            "Delete the store and prepare the data set again.",
        )
    label = naming.new_label[old_label]
    is_null = (old_label == UNLABELLED) | ((old_label == naming.null) & (spec.null == "drop"))
    is_other = ~is_null & (label == UNLABELLED)
    is_impure = ~is_null & ~is_other & (count < spec.min_purity * samples - _TOLERANCE_SAMPLES)
    for reason, mask in zip(_REASONS[1:], (is_null, is_other, is_impure), strict=True):
        left_out[reason] += int(np.count_nonzero(mask))
    return label, count / samples, ~(is_null | is_other | is_impure)


def _check_spec(store: Store, spec: WindowSpec) -> tuple[int, int, list[str]]:
    """Return window and step in samples and the names of the labels; refuse what is impossible."""
    if spec.label_rule not in LABEL_RULES:
        raise unknown("label rule", spec.label_rule, LABEL_RULES)
    if spec.null not in NULL_POLICIES:
        raise unknown("null policy", spec.null, NULL_POLICIES)
    if not 0 <= spec.min_purity <= 1:
        raise UsageError(f"min_purity {spec.min_purity} is not a share.", "Give a number from 0 to 1.")
    if spec.null == "unlabelled" and store.null is not None:
        raise UsageError(f"{store.name} has the null activity {store.null!r} already.", "Set null: keep.")
    known, dropped = activities_of(store, spec.null), store.null if spec.null == "drop" else None
    if spec.activities is None:
        activities = [name for name in known if name != dropped]
    else:
        activities = list(spec.activities)
        for name in activities:
            if name not in known:
                raise unknown("activity", name, known, f"data set {store.name}")
        if dropped in activities:
            raise UsageError(f"activity {dropped!r} is asked for, but it is the null activity.", "Set null: keep.")
        if not activities or len(set(activities)) < len(activities):
            raise UsageError(f"activities {activities}: an empty list or a repeated name.", "Name each activity once.")
    return samples_of(spec.window_s, store.rate_hz), samples_of(spec.step_s, store.rate_hz), activities


def _labels(
    label_T: NDArray[np.int16], begin: NDArray[np.int64], samples: int, rule: str
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Return label, and number of samples that have it, of each window of one recording.

    One activity at a time: its running count gives its samples in every window, so that memory does not grow with the
    number of activities.
    """
    label = np.full(len(begin), UNLABELLED, np.int16)
    count = np.zeros(len(begin), np.int64)
    offset = {"last": samples - 1, "centre": samples // 2}.get(rule)
    values = np.unique(label_T)
    # Unlabelled comes last: a later value must be more frequent, not equally frequent, to win.
    for value in [*values[values != UNLABELLED], *values[values == UNLABELLED]]:
        total = np.concatenate(([0], np.cumsum(label_T == value)))
        here = total[begin + samples] - total[begin]
        wins = here > count if offset is None else label_T[begin + offset] == value
        label[wins], count[wins] = value, here[wins]
    return label, count


def gather(signal_TC: NDArray[np.float32], start_N: NDArray[np.int64], samples: int) -> NDArray[np.float32]:
    """Copy windows out of a store's signal, all at once.

    Args:
        signal_TC: float32 (rows of the store, channels), in memory or a memory map.
        start_N: int64 (windows,), first rows.
        samples: Length of a window.

    Returns:
        x_NTC: float32 (windows, samples, channels), contiguous, time-major as in the store.

    Raises:
        IndexError: A window reaches over either end of the signal.
        LeakageError: The signal is one that is read by permission (`har.windows.permit`), and there is none.
    """
    check_permit(signal_TC, start_N, samples)
    rows, channels = signal_TC.shape
    if len(start_N) == 0:
        return np.empty((0, samples, channels), np.float32)
    if start_N.min() < 0 or start_N.max() + samples > rows:
        raise IndexError(
            f"windows of {samples} rows from {start_N.min()} to {start_N.max()} in a signal of {rows} rows"
        )
    # Rows are contiguous, so a window is one run of memory. As one opaque value each, overlapping in memory, windows
    # are copied by runs and not by numbers: up to twice as fast (benchmarks/prepare.py).
    signal_TC = np.ascontiguousarray(signal_TC, np.float32)
    row_bytes = channels * signal_TC.itemsize
    window = np.dtype((np.void, samples * row_bytes))
    window_T = np.ndarray((rows - samples + 1,), window, signal_TC, strides=(row_bytes,))
    return window_T[start_N].view(np.float32).reshape(-1, samples, channels)


def missing_activities(index: WindowIndex) -> list[str]:
    """Return the activities that no window of `index` shows."""
    present = np.bincount(index.label, minlength=len(index.activities))
    return [name for name, count in zip(index.activities, present, strict=True) if count == 0]


def window_counts(store: Store, index: WindowIndex) -> pd.DataFrame:
    """Return the number of windows per subject (rows) and activity (columns); those without any show 0."""
    subjects = store.recordings["subject"].to_numpy()[index.recording]
    counts = pd.crosstab(subjects, np.array(index.activities, object)[index.label])
    counts.index.name, counts.columns.name = "subject", "activity"
    return counts.reindex(index=store.subjects, columns=index.activities, fill_value=0)
