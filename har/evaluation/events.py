"""Events of continuous recordings: what became of every true event and every returned one, and of every second.

One activity at a time, against everything else (Ward, Lukowicz and Gellersen, Performance metrics for activity
recognition, ACM TIST 2(1):6, 2011). A **segment** is a maximal stretch in which neither the truth nor the decision
about the activity changes; it is TP, TN, FP or FN. What kind of error it is, its neighbours say; the border of a
recording is no TP:

    left  right   FP                        FN
    -     -       I   insertion             D   deletion
    TP    TP      M   merge                 F   fragmenting
    -     TP      Oα  overfill at start     Uα  underfill at start
    TP    -       Oω  overfill at end       Uω  underfill at end

A true **event** is deleted (D: no returned event meets it), fragmented (F: several do), merged (M: one that meets it
also meets another true event), both (FM), or correct (C: exactly one, which meets only it). A returned event is an
insertion (I'), fragmenting (F': its true event is met by others too), merging (M': it meets several), both (FM') or
correct; the correct ones are the same on both sides. Null is a class like the others, listed apart.

**Segmental F1** (Lea et al., Temporal convolutional networks for action segmentation and detection, CVPR 2017): a
returned event is compared with the true event of its activity of the largest intersection over union. It is a hit where
that is at least the threshold and no other returned event has hit the same true event.

**Boundary error**: begin and end of a correct returned event minus those of its true event, seconds; late is positive.

All activities of all recordings are computed at once. What is counted adds up over runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from har.evaluation.timeline import BETWEEN, Timeline

IOU = (0.1, 0.25, 0.5, 0.75)
FRAMES = ("TP", "D", "F", "Ua", "Uo", "I", "M", "Oa", "Oo")  # seconds; TN is what remains of the time
TRUE_EVENTS = ("D", "F", "FM", "M", "C")
RETURNED_EVENTS = ("I", "F", "FM", "M", "C")
_TP, _FN, _FP = 0, 1, 5  # where the frames of each state begin in FRAMES
_OF_NEIGHBOURS = np.array([0, 3, 2, 1])  # neither is TP, the left one, the right one, both: place behind _FN or _FP
_OF_FLAGS = np.array([4, 1, 3, 2])  # neither, fragmented, merged, both: place in TRUE_EVENTS or RETURNED_EVENTS
_NEARLY = 1e-9  # an intersection over union that reaches its threshold but for rounding has reached it


@dataclass(frozen=True)
class Events:
    """What is counted of events; the last of the classes is null. X = activities and null.

    Attributes:
        frame_s_XC: float64 (classes, categories of `FRAMES`), seconds.
        true_XC: int64 (classes, categories of `TRUE_EVENTS`).
        returned_XC: int64 (classes, categories of `RETURNED_EVENTS`).
        hit_XU: int64 (classes, thresholds of `IOU`), returned events that are hits.
        boundary_s_XE: float64 (classes, 4), seconds, sums over the correct events: begin late, begin off, end late,
            end off, where off is without its sign.
        seconds: Length of all recordings.
        unpredicted_s: Seconds of it without a window.
        unpredicted_null_s: Seconds of these in which the truth is null.
        recordings: Number of recordings.
        changing: Number of them in which the truth changes.
    """

    frame_s_XC: np.ndarray
    true_XC: np.ndarray
    returned_XC: np.ndarray
    hit_XU: np.ndarray
    boundary_s_XE: np.ndarray
    seconds: float
    unpredicted_s: float
    unpredicted_null_s: float
    recordings: int
    changing: int


def count_events(timeline: Timeline) -> Events:
    """Return the categories of all segments and events of a time axis.

    Args:
        timeline: As `har.evaluation.timeline.lay` makes it.
    """
    X = len(timeline.activities) + 1
    segments = _segments(timeline, X)
    pairs = _pairs(segments)
    inside_M = timeline.truth_M != BETWEEN
    null_M, unpredicted_M = timeline.truth_M == X - 1, timeline.decision_M == X - 1
    return Events(
        frame_s_XC=_frames(segments, X),
        true_XC=_categories(pairs.true, pairs.returned, pairs.true_P, pairs.returned_P, X, true=True),
        returned_XC=_categories(pairs.returned, pairs.true, pairs.returned_P, pairs.true_P, X, true=False),
        hit_XU=_hits(pairs, X),
        boundary_s_XE=_boundaries(pairs, X),
        seconds=float(timeline.length_M[inside_M].sum()),
        unpredicted_s=float(timeline.length_M[unpredicted_M].sum()),
        unpredicted_null_s=float(timeline.length_M[unpredicted_M & null_M].sum()),
        recordings=timeline.recordings,
        changing=_changing(timeline.truth_M),
    )


def sum_events(found: Iterable[Events]) -> Events | None:
    """Return the counts of several runs together; None where there is none."""
    found = list(found)
    if not found:
        return None
    return Events(**{field.name: sum(getattr(events, field.name) for events in found) for field in fields(Events)})


@dataclass(frozen=True)
class _Segments:
    """The TP, FP and FN segments of every class, class after class, each in order of time. J = segments.

    Attributes:
        class_J: Index of the class.
        state_J: `_TP`, `_FN` or `_FP`.
        start_J: Begin on the common axis, seconds.
        stop_J: End, seconds.
        follows_J: Whether it begins where the one before it, of the same class, ends.
    """

    class_J: np.ndarray
    state_J: np.ndarray
    start_J: np.ndarray
    stop_J: np.ndarray
    follows_J: np.ndarray


def _segments(timeline: Timeline, X: int) -> _Segments:
    """Return the segments of every class: a stretch is one of its truth's class and one of its decision's."""
    M = len(timeline.length_M)
    stop_M = np.cumsum(timeline.length_M)
    hit_M = timeline.truth_M == timeline.decision_M
    of_truth, of_decision = np.flatnonzero(timeline.truth_M != BETWEEN), np.flatnonzero(~hit_M)
    classes = np.concatenate([timeline.truth_M[of_truth], timeline.decision_M[of_decision]])
    place = np.concatenate([of_truth, of_decision])
    state = np.concatenate([np.where(hit_M[of_truth], _TP, _FN), np.full(len(of_decision), _FP)])
    order = np.argsort(classes * M + place)
    classes, place, state = classes[order], place[order], state[order]
    adjoins = np.append(False, (np.diff(place) == 1) & (np.diff(classes) == 0))
    begins = ~adjoins | np.append(True, np.diff(state) != 0)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(place)) - 1
    start_M = stop_M - timeline.length_M
    return _Segments(classes[first], state[first], start_M[place[first]], stop_M[place[last]], adjoins[first])


def _frames(segments: _Segments, X: int) -> np.ndarray:
    """Return the seconds of each class in each category of `FRAMES`."""
    is_tp_J = segments.state_J == _TP
    left_J = segments.follows_J & np.append(False, is_tp_J[:-1])
    right_J = np.append(segments.follows_J[1:], False) & np.append(is_tp_J[1:], False)
    of_error_J = segments.state_J + _OF_NEIGHBOURS[left_J + 2 * right_J]
    return _sums(
        segments.class_J, np.where(is_tp_J, _TP, of_error_J), X, len(FRAMES), segments.stop_J - segments.start_J
    )


@dataclass(frozen=True)
class _Found:
    """Events of one side (true or returned), class after class, each in order of time. E = events.

    Attributes:
        class_E: Index of the class.
        start_E: Begin on the common axis, seconds.
        stop_E: End, seconds.
        met_E: How many events of the other side it meets.
    """

    class_E: np.ndarray
    start_E: np.ndarray
    stop_E: np.ndarray
    met_E: np.ndarray


@dataclass(frozen=True)
class _Pairs:
    """All events, and which true and returned ones meet. P = pairs.

    Two intervals meet in one interval, so that every TP segment is one pair.

    Attributes:
        true: The true events.
        returned: The returned events.
        true_P: Number of each pair's true event.
        returned_P: Number of its returned event.
        shared_s_P: Seconds that both have.
    """

    true: _Found
    returned: _Found
    true_P: np.ndarray
    returned_P: np.ndarray
    shared_s_P: np.ndarray


def _pairs(segments: _Segments) -> _Pairs:
    """Return all events and which of them meet."""
    tp = np.flatnonzero(segments.state_J == _TP)
    true, true_P = _events(segments, segments.state_J != _FP, tp)
    returned, returned_P = _events(segments, segments.state_J != _FN, tp)
    return _Pairs(true, returned, true_P, returned_P, (segments.stop_J - segments.start_J)[tp])


def _events(segments: _Segments, inside_J: np.ndarray, tp: np.ndarray) -> tuple[_Found, np.ndarray]:
    """Return the events that some segments make up, and the number of the event of each TP segment.

    Args:
        segments: All segments.
        inside_J: bool (segments,), those that the events consist of.
        tp: Places of the TP segments.
    """
    begins_J = inside_J & ~(segments.follows_J & np.append(False, inside_J[:-1]))
    ends_J = inside_J & np.append(begins_J[1:] | ~inside_J[1:], True)
    first, last = np.flatnonzero(begins_J), np.flatnonzero(ends_J)
    number_P = (np.cumsum(begins_J) - 1)[tp]
    met_E = np.bincount(number_P, minlength=len(first))
    return _Found(segments.class_J[first], segments.start_J[first], segments.stop_J[last], met_E), number_P


def _categories(
    own: _Found, other: _Found, own_P: np.ndarray, other_P: np.ndarray, X: int, *, true: bool
) -> np.ndarray:
    """Return how many events of one side are in each category of `TRUE_EVENTS` (or of `RETURNED_EVENTS`), per class.

    Args:
        own: The events.
        other: Those of the other side.
        own_P: Number of the event in each pair.
        other_P: Number of the other side's.
        X: Number of classes.
        true: Whether they are the true events: these are fragmented where they meet several returned ones, and merged
            where such a one meets several; with returned events it is the other way round.
    """
    several_E = own.met_E > 1
    shares_E = np.bincount(own_P, other.met_E[other_P] > 1, len(own.class_E)) > 0
    fragmented_E, merged_E = (several_E, shares_E) if true else (shares_E, several_E)
    category_E = np.where(own.met_E == 0, 0, _OF_FLAGS[fragmented_E + 2 * merged_E])
    return _sums(own.class_E, category_E, X, len(TRUE_EVENTS))


def _hits(pairs: _Pairs, X: int) -> np.ndarray:
    """Return how many returned events of each class hit a true event, at each threshold of `IOU`."""
    both_s_P = _length(pairs.true)[pairs.true_P] + _length(pairs.returned)[pairs.returned_P]
    iou_P = pairs.shared_s_P / (both_s_P - pairs.shared_s_P)
    order = np.lexsort((-iou_P, pairs.returned_P))  # stable: of equal ones the earlier true event
    best = order[np.append(True, np.diff(pairs.returned_P[order]) != 0)[: len(order)]]
    hit_XU = np.zeros((X, len(IOU)), dtype=np.int64)
    for column, threshold in enumerate(IOU):
        hit = np.unique(pairs.true_P[best[iou_P[best] >= threshold - _NEARLY]])
        hit_XU[:, column] = np.bincount(pairs.true.class_E[hit], minlength=X)
    return hit_XU


def _boundaries(pairs: _Pairs, X: int) -> np.ndarray:
    """Return the sums of the boundary errors of the correct events of each class, see `Events.boundary_s_XE`."""
    correct_P = (pairs.true.met_E[pairs.true_P] == 1) & (pairs.returned.met_E[pairs.returned_P] == 1)
    true_C, returned_C = pairs.true_P[correct_P], pairs.returned_P[correct_P]
    begin_C = pairs.returned.start_E[returned_C] - pairs.true.start_E[true_C]
    end_C = pairs.returned.stop_E[returned_C] - pairs.true.stop_E[true_C]
    errors = (begin_C, np.abs(begin_C), end_C, np.abs(end_C))
    return np.stack([np.bincount(pairs.true.class_E[true_C], error_C, X) for error_C in errors], axis=1)


def _length(found: _Found) -> np.ndarray:
    """Return the lengths of events: float64 (events,), seconds."""
    length_E: np.ndarray = found.stop_E - found.start_E
    return length_E


def _changing(truth_M: np.ndarray) -> int:
    """Return in how many recordings the truth changes."""
    recording_M = np.cumsum(truth_M == BETWEEN)
    changes = (np.diff(truth_M) != 0) & (truth_M[1:] != BETWEEN) & (truth_M[:-1] != BETWEEN)
    return len(np.unique(recording_M[1:][changes]))


def _sums(row: np.ndarray, column: np.ndarray, rows: int, columns: int, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the number, or the sum of the weights, of what falls into each cell of a table."""
    return np.bincount(row * columns + column, weight, rows * columns).reshape(rows, columns)
