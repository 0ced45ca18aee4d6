"""The guard that fails a run in which anything of a validation or test subject could reach training."""

from __future__ import annotations

import itertools

import numpy as np

from har.errors import LeakageError
from har.windows.segment import WindowIndex
from har.windows.splits import Fold
from har.windows.store import Store

_HINT = "Nothing was trained: make the folds and the store again, and report this if it stays."


def guard(train: WindowIndex, validation: WindowIndex, test: WindowIndex, store: Store, fold: Fold) -> None:
    """Prove that the three sets of windows share no subject, no recording and no sample.

    Args:
        train: Windows that are trained on.
        validation: Windows that the weights are chosen on.
        test: Windows that are predicted at the end.
        store: The data set they lie in.
        fold: The subjects that each of them may hold.

    Raises:
        LeakageError: Two sets share something, or a set holds a subject that the fold does not give it. The subject,
            recording or sample interval is named.
    """
    sets = {"train": train, "validation": validation, "test": test}
    subject_of = store.recordings["subject"].to_numpy()
    subjects = {part: set(subject_of[np.unique(index.recording)]) for part, index in sets.items()}
    for one, other in itertools.combinations(sets, 2):
        where = f"fold {fold.name}: {one} and {other} share"
        rows = _shared_rows(sets[one], sets[other])
        if rows is not None:
            raise LeakageError(f"{where} the samples {rows[0]} to {rows[1]} of the store.", _HINT)
        recordings = np.intersect1d(sets[one].recording, sets[other].recording)
        if len(recordings):
            raise LeakageError(f"{where} recording {recordings[0]}.", _HINT)
        shared = sorted((subjects[one] & subjects[other]) | (set(getattr(fold, one)) & set(getattr(fold, other))))
        if shared:
            raise LeakageError(f"{where} subject {shared[0]}.", _HINT)
    for part, found in subjects.items():
        foreign = sorted(found - set(getattr(fold, part)))
        if foreign:
            raise LeakageError(f"fold {fold.name}: subject {foreign[0]} is in {part}, but not in its list.", _HINT)


def _shared_rows(one: WindowIndex, other: WindowIndex) -> tuple[int, int] | None:
    """Return the first rows [a, b) that a window of each index covers, or None.

    All windows of an index are equally long. So of the windows of `other` that begin before a given window of `one`
    ends, the last one to begin is the last one to end, and it alone must be looked at.
    """
    if len(one) == 0 or len(other) == 0:
        return None
    begin = np.sort(other.start)
    last = np.searchsorted(begin, one.start + one.samples, side="left") - 1
    overlaps = (last >= 0) & (begin[last] + other.samples > one.start)
    if not overlaps.any():
        return None
    i = int(np.argmax(overlaps))
    low = max(int(one.start[i]), int(begin[last[i]]))
    return low, min(int(one.start[i]) + one.samples, int(begin[last[i]]) + other.samples)
