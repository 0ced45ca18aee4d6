"""The samples of windows that probes are measured on: batches as training draws them, and windows spread evenly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from har.seeds import derive_seed
from har.training.datamodule import HarDataModule, training_batches
from har.windows.segment import WindowIndex, gather
from har.windows.store import Store


@dataclass(frozen=True)
class Sample:
    """Windows in memory, with what is known of them.

    Attributes:
        x_NTC: float32 (windows, samples, channels), in the store's units.
        label_N: int64 (windows,), their activities.
        subject_N: int64 (windows,), numbers of their subjects.
        recording_N: int64 (windows,), numbers of their recordings.
        start_N: int64 (windows,), first rows in the store.
    """

    x_NTC: Tensor
    label_N: Tensor
    subject_N: Tensor
    recording_N: Tensor
    start_N: Tensor


def random_batches(data: HarDataModule, batches: int) -> list[Sample]:
    """Return batches of training windows, drawn as training draws its own, from an address of the seed.

    Args:
        data: The data module, set up.
        batches: How many.
    """
    drawn = training_batches(len(data.train), data.batch_size, batches, derive_seed(data.seed, "probes"))
    return [_sample(data.store, data.train, rows) for rows in drawn]


def spread(store: Store, index: WindowIndex, windows: int) -> Sample:
    """Return windows at equal distances in the order of subject, recording and time; all, where there are fewer.

    They stand for all windows better than as many drawn at random: every subject and recording has its share.

    Args:
        store: The store.
        index: The windows to take from.
        windows: How many.
    """
    return _sample(store, index, _evenly(len(index), windows))


def of_each_activity(store: Store, index: WindowIndex, windows: int) -> Sample:
    """Return windows at equal distances in the same order, as many of each activity.

    Args:
        store: The store.
        index: The windows to take from.
        windows: How many of an activity; all, where it has fewer.
    """
    own = [np.flatnonzero(index.label == label) for label in np.unique(index.label)]
    return _sample(store, index, np.concatenate([rows[_evenly(len(rows), windows)] for rows in own]))


def _evenly(count: int, wanted: int) -> npt.NDArray[np.int64]:
    """Return `wanted` of the numbers below `count` at equal distances, or all."""
    taken = min(wanted, count)
    return ((np.arange(taken) + 0.5) * count / max(taken, 1)).astype(np.int64)


def _sample(store: Store, index: WindowIndex, rows: npt.NDArray[np.int64]) -> Sample:
    """Return the windows of some rows of an index."""
    subjects = {subject: number for number, subject in enumerate(store.subjects)}
    owners = store.recordings.set_index("recording").loc[index.recording[rows], "subject"]
    return Sample(
        x_NTC=torch.from_numpy(gather(store.signal_TC, index.start[rows], index.samples)),
        label_N=torch.from_numpy(index.label[rows].astype(np.int64)),
        subject_N=torch.from_numpy(owners.map(subjects).to_numpy(np.int64, copy=True)),
        recording_N=torch.from_numpy(index.recording[rows].astype(np.int64)),
        start_N=torch.from_numpy(index.start[rows].astype(np.int64)),
    )
