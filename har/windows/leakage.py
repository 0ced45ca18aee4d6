"""The guards that fail a run in which anything of a validation or test subject could reach training.

What each of them finds stands in docs/leaks.md; who reads whose samples is watched by `har.windows.permit`.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from har.errors import LeakageError
from har.windows.permit import TEST, Permit, permitted
from har.windows.segment import WindowIndex
from har.windows.splits import Fold
from har.windows.store import Store

_HINT = "Nothing was trained: make the folds and the store again, and report this if it stays."
_PREPARATION = {"rate_hz", "channels", "filters", "recipe"}  # what looks at one recording at a time
_FILTERS = ("resampling, ", "gravity, ")
_ROWS = 20_000  # of a channel that are held against the labels
_FIRST = 500  # of these that show whether a channel is a sensor's


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


def sealed(store: Store, fold: Fold) -> tuple[Store, Permit]:
    """Return the store with a signal whose test rows cannot be read yet, and the permit that opens them.

    Args:
        store: The data set.
        fold: Who trains, validates and tests.
    """
    table = store.recordings
    part_of = {subject: part for part in ("validation", "train", TEST) for subject in getattr(fold, part)}
    rows = (table["start"].to_numpy(), table["stop"].to_numpy(), [str(name) for name in table["subject"]])
    permit = Permit(fold.name, *rows, part_of, ["train", "validation"], "what is done before the test")
    return dataclasses.replace(store, signal_TC=permitted(store.signal_TC, permit)), permit


def require_unfitted(store: Store) -> None:
    """Refuse a store whose preparation may have learnt something from all subjects, those who test among them.

    Args:
        store: The data set; its manifest says what was done to its signals.

    Raises:
        LeakageError: The manifest names a step that is none of those that look at one recording at a time.
    """
    preparation = store.manifest["preparation"]
    strange = [str(key) for key in preparation if key not in _PREPARATION]
    kinds = [str(found.get("kind")) for found in preparation.get("filters", ())]
    strange += [kind for kind in kinds if not kind.startswith(_FILTERS)]
    if strange:
        raise LeakageError(
            f"{store.name} was prepared with {strange[0]!r}, which may have been fitted on subjects who test.",
            "Prepare it with har prepare, whose steps look at one recording at a time; fit the rest within a fold.",
        )


def require_no_label_channel(store: Store, train: WindowIndex) -> None:
    """Refuse a channel from which the label can be read off: few values, and each of them with one label alone.

    Args:
        store: The data set.
        train: Windows that are trained on.

    Raises:
        LeakageError: A channel is such a one. It is named.
    """
    start_N = train.start[:: max(8 * len(train) // _ROWS, 1)]
    rows = np.unique(start_N[:, None] + np.arange(0, train.samples, max(train.samples // 8, 1)))
    label_N = np.asarray(store.label_T[rows])
    x_NC = np.asarray(store.signal_TC)[rows]
    labels = len(np.unique(label_N))
    for channel, x_N in zip(store.channels, x_NC.T, strict=True):
        if labels < 2 or len(np.unique(x_N[:: max(len(x_N) // _FIRST, 1)])) > 2 * labels:
            continue  # a sensor's values; sorting all of them would take a hundred times as long
        values, value_N = np.unique(x_N, return_inverse=True)
        if not 2 <= len(values) <= 2 * labels:
            continue
        pairs = np.unique(np.stack([value_N, label_N]), axis=1)
        if pairs.shape[1] == len(values):
            raise LeakageError(
                f"channel {channel} of {store.name} tells the label: each of its {len(values)} values goes with one.",
                "Leave it out: it is the label under another name (`channels` under `preparation` in the card).",
            )


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
