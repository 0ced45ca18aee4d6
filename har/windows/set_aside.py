"""Windows that a new subject labels before a model is used: the first seconds of each of their activities.

A person who is to be learnt performs each activity for a while and says which it is. Whatever is fitted to that must
not be scored on it, nor on a window that shares a sample with it, and what competes with it is scored on the same
windows. N = windows.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from har.errors import UsageError
from har.windows.segment import WindowIndex
from har.windows.store import Store


def subject_of_each(store: Store, index: WindowIndex) -> NDArray[np.str_]:
    """Return the subject of each window of an index."""
    subject_N = store.recordings.set_index("recording").loc[index.recording, "subject"].to_numpy()
    return np.asarray(subject_N.astype(str))


def taken(index: WindowIndex, chosen_N: NDArray[np.bool_]) -> WindowIndex:
    """Return some windows of an index, in its order."""
    columns = {name: getattr(index, name)[chosen_N] for name in ("start", "recording", "label", "purity")}
    return dataclasses.replace(index, **columns)


def first_of_each_activity(store: Store, index: WindowIndex, seconds: float) -> NDArray[np.bool_]:
    """Tell which windows lie in the first seconds of their subject's activity, in the order of recordings and time.

    Counted are the seconds that the windows with the activity's label cover, those that several cover once.

    Args:
        store: The store.
        index: The windows.
        seconds: How long each activity is labelled.

    Returns:
        bool (windows,).
    """
    subject_N = subject_of_each(store, index)
    most, found_N = seconds * store.rate_hz + 1e-6, np.zeros(len(index), bool)
    for subject in np.unique(subject_N):
        for label in np.unique(index.label[subject_N == subject]):
            rows = np.flatnonzero((subject_N == subject) & (index.label == label))
            rows = rows[np.argsort(index.start[rows], kind="stable")]
            fresh = np.minimum(np.diff(index.start[rows]), index.samples)  # a later recording lies behind the earlier
            covered = index.samples + np.concatenate([[0], np.cumsum(fresh)])
            found_N[rows[covered <= most]] = True
    return found_N


def apart_from(index: WindowIndex, used_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which windows share no sample with those that are used, which they are not themselves: bool (windows,)."""
    begin = np.sort(index.start[used_N])
    if len(begin) == 0:
        return np.ones(len(index), bool)
    last = np.searchsorted(begin, index.start + index.samples, side="left") - 1  # the last to begin before the end
    overlaps_N = (last >= 0) & (begin[last] + index.samples > index.start)
    return np.asarray(~overlaps_N)


def set_aside(store: Store, index: WindowIndex, seconds: float) -> tuple[WindowIndex, WindowIndex]:
    """Divide windows into those of the first seconds of each activity, and those that share no sample with them.

    Args:
        store: The store.
        index: The windows of subjects who test.
        seconds: How long each activity is labelled.

    Returns:
        What is labelled, and what is left to score.

    Raises:
        UsageError: A subject has nothing that is labelled, or nothing left.
    """
    used_N = first_of_each_activity(store, index, seconds)
    rest_N = apart_from(index, used_N)
    subject_N = subject_of_each(store, index)
    for subject in np.unique(subject_N):
        if not used_N[subject_N == subject].any():
            raise UsageError(
                f"the first {seconds:g} s of no activity of subject {subject} hold a window of "
                f"{index.samples / store.rate_hz:g} s, so there is nothing to set aside.",
                "Make data.set_aside_s as long as a window at least.",
            )
        if not rest_N[subject_N == subject].any():
            raise UsageError(
                f"with the first {seconds:g} s of each activity set aside, nothing is left to score of subject "
                f"{subject}.",
                "Use a smaller data.set_aside_s.",
            )
    return taken(index, used_N), taken(index, rest_N)
