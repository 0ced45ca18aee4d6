"""The windows of one fold as batches: what Lightning is fed with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch import Tensor

from har.errors import DataError, UsageError, unknown
from har.seeds import derive_seed
from har.training.shift import Shift
from har.windows.fewer import with_fewer
from har.windows.leakage import guard, require_no_label_channel, require_unfitted, sealed
from har.windows.moments import moments
from har.windows.permit import TEST, permitted
from har.windows.prepare import open_store
from har.windows.segment import WindowIndex, WindowSpec, gather, missing_activities, window_index
from har.windows.set_aside import set_aside
from har.windows.splits import Fold, grouped_k_fold, leave_one_subject_out, load_folds, named_split
from har.windows.store import Store

Batch = tuple[Tensor, Tensor]
# (x_NTC, first rows of the windows, int64) to other windows of the same shape
Change = Callable[[Tensor, npt.NDArray[np.int64]], Tensor]
_EVALUATION_BATCH = 256  # windows; only a matter of memory, since inference does not depend on the batch


class WindowLoader:
    """Batches gathered at once from the store: one vectorised copy per batch, no worker processes.

    Args:
        signal_TC: float32 (rows of the store, channels).
        index: The windows to draw from.
        batches: For each batch, the numbers of its windows in `index`; see `training_batches`.
        shift: Where each window begins instead of its place in `index`; nowhere else when None.
        change: What becomes of the windows that were gathered; nothing when None.
    """

    def __init__(
        self,
        signal_TC: npt.NDArray[np.float32],
        index: WindowIndex,
        batches: Sequence[npt.NDArray[np.int64]],
        shift: Shift | None = None,
        change: Change | None = None,
    ) -> None:
        self._shift, self._change = shift, change
        self._signal_TC = signal_TC
        self._index = index
        self._batches = batches
        self._first = 0
        self._delivered = 0

    def __len__(self) -> int:
        """Return the number of batches, those before a resumed run's start included."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        """Yield (x_NTC float32, label_N int64), from the first batch or from where `load_state_dict` put it."""
        first, self._first = self._first, 0
        for number in range(first, len(self._batches)):
            start_N, label_N = self.places(number)
            x_NTC = gather(self._signal_TC, start_N, self._index.samples)
            if not np.isfinite(x_NTC).all():
                raise self._not_finite(x_NTC, start_N)
            self._delivered = number + 1
            given_NTC = torch.from_numpy(x_NTC)
            yield given_NTC if self._change is None else self._change(given_NTC, start_N), torch.from_numpy(label_N)

    def places(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the first rows and the labels of a batch's windows, int64 both, by the batch's number."""
        chosen = self._batches[number]
        start_N = self._index.start[chosen] if self._shift is None else self._shift(chosen, number)
        return start_N, self._index.label[chosen].astype(np.int64)

    def _not_finite(self, x_NTC: npt.NDArray[np.float32], start_N: npt.NDArray[np.int64]) -> DataError:
        """Return the error for a signal with values that are no numbers; a prepared store has none."""
        window, sample, channel = np.argwhere(~np.isfinite(x_NTC))[0]
        row = int(start_N[window]) + int(sample)
        return DataError(
            f"the store is damaged: {x_NTC[window, sample, channel]} in row {row} of signal.npy, channel {channel}.",
            "Make it anew: har prepare and the data set's name.",
        )

    def state_dict(self) -> dict[str, int]:
        """Return where the loader stands, for a checkpoint in the middle of training."""
        return {"delivered": self._delivered}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on behind the batches that were delivered before the checkpoint."""
        self._first = state["delivered"]


def loader_in_order(store: Store, index: WindowIndex, change: Change | None = None) -> WindowLoader:
    """Return all windows of an index in batches, in its order, changed where that is said."""
    numbers = np.arange(len(index), dtype=np.int64)
    batches = [numbers[first : first + _EVALUATION_BATCH] for first in range(0, len(index), _EVALUATION_BATCH)]
    return WindowLoader(store.signal_TC, index, batches, change=change)


def training_batches(windows: int, batch_size: int, steps: int, seed: int) -> Sequence[npt.NDArray[np.int64]]:
    """Return the batch order of a run, a function of (seed, epoch) and of nothing else.

    Every epoch is a new permutation of all windows, cut into full batches; its remainder is left out of that epoch.

    Args:
        windows: Number of training windows.
        batch_size: Windows of a batch.
        steps: Optimiser steps of the run, hence batches.
        seed: The run's seed.

    Returns:
        One array of `batch_size` window numbers per step. They are drawn when they are asked for, an epoch at a time.

    Raises:
        UsageError: When there are fewer windows than one batch holds.
    """
    if windows < batch_size:
        raise UsageError(
            f"a batch of {batch_size} is larger than the {windows} training windows of this fold.",
            "Use a smaller data.batch_size, a smaller data.step_s or more training subjects.",
        )
    return _BatchOrder(windows, batch_size, range(steps), seed)


class _BatchOrder(Sequence[npt.NDArray[np.int64]]):
    """The batches of some steps of a run; see `training_batches`."""

    def __init__(self, windows: int, batch_size: int, steps: range, seed: int) -> None:
        self._windows, self._batch_size, self._steps, self._seed = windows, batch_size, steps, seed
        self._epoch = -1
        self._order = np.empty((0, batch_size), np.int64)  # of that epoch: batches, windows of a batch

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, place: int) -> npt.NDArray[np.int64]: ...

    @overload
    def __getitem__(self, place: slice) -> _BatchOrder: ...

    def __getitem__(self, place: int | slice) -> npt.NDArray[np.int64] | _BatchOrder:
        if isinstance(place, slice):
            return _BatchOrder(self._windows, self._batch_size, self._steps[place], self._seed)
        epoch, number = divmod(self._steps[place], self._windows // self._batch_size)
        if epoch != self._epoch:
            generator = np.random.Generator(np.random.PCG64(derive_seed(self._seed, "batches", epoch)))
            whole = self._windows - self._windows % self._batch_size
            self._order = generator.permutation(self._windows)[:whole].reshape(-1, self._batch_size)
            self._epoch = epoch
        batch: npt.NDArray[np.int64] = self._order[number]
        return batch


def folds_of(
    store: Store,
    folds: str,
    fold_count: int,
    validation_subjects: int,
    train_subjects: Sequence[int] | None = None,
    seed: int = 0,
) -> list[Fold]:
    """Return the folds that a configuration asks for.

    Args:
        store: The data set: its subjects, and the splits that its card names.
        folds: ``loso``, ``kfold``, the name of a split of the card such as ``official``, or the path of a folds file.
        fold_count: Number of folds of ``kfold``.
        validation_subjects: Subjects taken from the training subjects of each fold.
        train_subjects: Numbers of training subjects that every fold is had with; all that it has when None.
        seed: Seed of the grouping of ``kfold``, apart from the run's seed, so that repeats share their folds.

    Raises:
        UsageError: When neither a protocol nor a file has this name, or there are too few subjects.
    """
    if train_subjects is not None:
        whole = folds_of(store, folds, fold_count, validation_subjects, seed=seed)
        return with_fewer(whole, train_subjects)
    if folds == "loso":
        return leave_one_subject_out(store.subjects, validation_subjects)
    if folds == "kfold":
        return grouped_k_fold(store.subjects, fold_count, validation_subjects, seed)
    splits: dict[str, dict[str, list[str]]] = store.manifest.get("splits", {})
    if folds in splits:
        return [named_split(folds, splits[folds], validation_subjects)]
    if Path(folds).is_file():
        return load_folds(Path(folds), store.subjects)
    where = f"nor is it a split of {store.name} or a file"
    raise unknown("folds", folds, ["loso", "kfold", *splits], where)


class HarDataModule(pl.LightningDataModule):
    """The training, validation and test windows of one fold of a prepared data set.

    Args:
        name: The data set, as in ``har datasets``.
        window_s: Length of a window in seconds.
        step_s: Time from the start of one window to the next in seconds, alike for training and test.
        label_rule: ``majority``, ``last`` or ``centre``: which samples of a window name its activity.
        min_purity: Windows where a smaller share of the samples has the window's activity are left out, in [0, 1].
        null: ``drop`` leaves windows of the null activity out, ``keep`` makes it an activity like the others,
            ``unlabelled`` makes one, ``null``, of the samples without a label where the data set names none.
        activities: Activities to keep, by name and in this order; all when null.
        folds: ``loso``, ``kfold``, a split that the card names (``official``) or the path of a folds file.
        fold_count: Number of folds of ``kfold``.
        validation_subjects: Subjects of each fold's training subjects that choose the step, instead of training.
        train_subjects: Numbers of training subjects, such as ``[2, 4]``: every fold is then there with each of them, as
            ``subject-3_train-2``; with all of its training subjects when null.
        fold: Name of the fold, such as ``subject-3`` or ``fold-0``; the first one when null.
        batch_size: Windows of a training batch.
        shift_s: The most seconds that a training window begins earlier or later than at its place, drawn anew each
            time it is shown; it keeps its label and stays in its recording. At most half of `step_s` keeps labels true.
        set_aside_s: Seconds of each activity that every test subject labels beforehand, the first ones, for inferences
            such as ``personal-20s``; neither they nor what overlaps them is scored under any inference. 0 for none.
        root: Folder of the data; ``$HAR_DATA`` or ``./data`` when null.
        seed: The run's seed, for the batch order; linked to ``seed_everything``.
    """

    def __init__(
        self,
        name: str = "spar",
        window_s: float = 4.0,
        step_s: float = 1.0,
        label_rule: str = "majority",
        min_purity: float = 0.0,
        null: str = "drop",
        activities: list[str] | None = None,
        folds: str = "loso",
        fold_count: int = 5,
        validation_subjects: int = 2,
        train_subjects: list[int] | None = None,
        fold: str | None = None,
        batch_size: int = 64,
        shift_s: float = 0.0,
        set_aside_s: float = 0.0,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= shift_s < window_s:
            raise UsageError(
                f"data.shift_s {shift_s} is not from 0 to the length of a window, {window_s} s.",
                "0 leaves windows where they are; half of data.step_s is the usual most.",
            )
        if not 0 <= set_aside_s < float("inf"):
            raise UsageError(f"data.set_aside_s {set_aside_s} is no duration.", "0 sets nothing aside.")
        if batch_size < 1:
            raise UsageError(f"data.batch_size {batch_size} is not a positive number of windows.", "64 is the default.")
        self.data_set = name
        self.spec = WindowSpec(
            window_s, step_s, label_rule, min_purity, null, None if activities is None else tuple(activities)
        )
        self.fold_name = fold
        self.fold_arguments = (folds, fold_count, validation_subjects, train_subjects)
        self.batch_size, self.shift_s, self.set_aside_s = batch_size, shift_s, set_aside_s
        self.root = root
        self.seed = seed
        self._ready = False

    def setup(self, stage: str = "fit") -> None:
        """Open the store, index the windows of the fold's three groups of subjects and let the guard check them.

        Raises:
            DataError: When the data set is not prepared or its store is damaged.
            UsageError: When the fold does not exist or an activity is missing from the training subjects.
            LeakageError: When a subject, a recording or a sample would be on two sides, or the store's preparation or
                one of its channels knows more than it may (`har.windows.leakage`).
        """
        if self._ready:
            return
        self.store = open_store(self.data_set, self.root)
        self.fold = self.find_fold(self.store)
        self.train, self.validation, self.test = (
            window_index(self.store, self.spec, list(subjects))
            for subjects in (self.fold.train, self.fold.validation, self.fold.test)
        )
        guard(self.train, self.validation, self.test, self.store, self.fold)
        require_unfitted(self.store)
        require_no_label_channel(self.store, self.train)
        self.store, self._permit = sealed(self.store, self.fold)
        self._require_windows()
        if self.set_aside_s:
            self.set_aside, self.test = set_aside(self.store, self.test, self.set_aside_s)
        self.activities = list(self.train.activities)
        if len(self.activities) < 2:
            raise UsageError(
                f"there is one activity, {self.activities[0]}, so there is nothing to tell apart.",
                "Name at least two with data.activities.",
            )
        self._ready = True

    def signal_for(self, purpose: str) -> npt.NDArray[np.float32]:
        """Return the store's signal as something that is fitted may read it: the training subjects' rows alone.

        `store.signal_TC` is for what is chosen, and has the validation subjects' rows too. Anything else is a
        `LeakageError`, raised where the windows are gathered.

        Args:
            purpose: What is fitted, as a sentence begins; the error names it.
        """
        return permitted(self.store.signal_TC, self._permit.only("train", purpose))

    def open_test(self) -> None:
        """Let the test subjects' samples be read, once everything is chosen."""
        self._permit.open(TEST)

    def find_fold(self, store: Store) -> Fold:
        """Return the fold of a store that was asked for by name."""
        folds = folds_of(store, *self.fold_arguments)
        by_name = {fold.name: fold for fold in folds}
        if self.fold_name is None:
            return folds[0]
        if self.fold_name not in by_name:
            raise unknown("fold", self.fold_name, by_name, f"data set {self.data_set}")
        return by_name[self.fold_name]

    def _require_windows(self) -> None:
        """Refuse a fold that cannot be learnt: no windows somewhere, or an activity that training never shows."""
        for group, index in (("training", self.train), ("validation", self.validation), ("test", self.test)):
            if len(index) == 0:
                raise UsageError(
                    f"the {group} subjects of fold {self.fold.name} of {self.data_set} have no window of "
                    f"{self.spec.window_s} s with a label.",
                    "Use shorter windows, a lower data.min_purity or other folds.",
                )
        missing = missing_activities(self.train)
        if missing:
            raise UsageError(
                f"no training subject of fold {self.fold.name} of {self.data_set} shows the activity {missing[0]}"
                f"{f', nor {len(missing) - 1} more' if len(missing) > 1 else ''}.",
                "Name the activities to learn with data.activities, or use folds with more training subjects.",
            )

    @property
    def steps_per_epoch(self) -> int:
        """Batches that show each training window at most once."""
        return max(len(self.train) // self.batch_size, 1)

    def training_moments(self) -> tuple[Tensor, Tensor]:
        """Return mean_C and variance_C (float64) over all training windows, for the input scaling."""
        mean_C, variance_C = moments(self.signal_for("the input scaling"), self.train)
        return torch.from_numpy(mean_C), torch.from_numpy(variance_C)

    def train_dataloader(self) -> WindowLoader:
        """Return all batches of the run, in the order given by its seed; one pass is the whole step budget."""
        return self.training_loader(self.trainer.max_steps if self.trainer else 0)

    def training_loader(self, steps: int) -> WindowLoader:
        """Return so many batches; see `train_dataloader`."""
        batches = training_batches(len(self.train), self.batch_size, steps, self.seed)
        most = int(self.shift_s * self.store.rate_hz)
        shift = Shift(self.store, self.train, most, self.seed) if most else None
        return WindowLoader(self.signal_for("training"), self.train, batches, shift)

    def val_dataloader(self) -> WindowLoader:
        """Return the validation windows in the order of the store."""
        return loader_in_order(self.store, self.validation)

    def test_dataloader(self) -> WindowLoader:
        """Return the test windows in the order of the store."""
        return loader_in_order(self.store, self.test)

    def predict_dataloader(self) -> WindowLoader:
        """Return the test windows in the order of the store."""
        return loader_in_order(self.store, self.test)

    def recipe(self) -> dict[str, Any]:
        """Return what a model must be fed with: plain values that go into its checkpoint."""
        return {
            "data_set": self.data_set,
            "samples": self.train.samples,
            "rate_hz": self.store.rate_hz,
            "channels": list(self.store.channels),
            "preparation": self.store.manifest["preparation"],
            "activities": self.activities,
        }
