"""What an inference predicts with: the norms' statistics of the windows that its name stands for.

The weights stay as they are, so all inferences of a run are comparable; its network keeps the statistics it came with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from har.norms.collectors import Averaged, Pooled
from har.norms.inferences import Inference
from har.norms.statistics import (
    Adapt,
    Forward,
    Statistics,
    adapted,
    by_depth,
    measure,
    measure_by_layer,
    measure_in_equal_shares,
    replaced,
    weighted,
)
from har.seeds import derive_seed
from har.training.at_use import change_of
from har.training.datamodule import Batch, HarDataModule, WindowLoader, loader_in_order, training_batches
from har.training.personal import personalised
from har.windows.segment import WindowIndex, every_window
from har.windows.set_aside import subject_of_each
from har.windows.store import Store

if TYPE_CHECKING:
    from har.training.module import HarModule

_PURPOSE = "the measurement of the norms' statistics"  # as an error names it
_LARGE_BATCH = 256  # windows; only a matter of memory, where the result does not depend on the batch

Predict = Callable[[WindowLoader], npt.NDArray[np.float32]]


def probabilities(
    inference: Inference, module: HarModule, data: HarDataModule, step: int, predict: Predict
) -> npt.NDArray[np.float32]:
    """Return probability_NK, float32 (test windows, activities), as one inference has it.

    Args:
        inference: Which statistics to predict with.
        module: The trained module, its best weights restored.
        data: The data module, set up.
        step: The step that the weights are from; `last_batch` is the batch of that step.
        predict: How the windows of a loader are predicted.

    Raises:
        DataError: When statistics are not finite.
        UsageError: When the windows cannot be changed as the inference says.
    """
    if inference.statistics.startswith("target"):
        return _of_target(inference, module, data, predict)
    if inference.labelled_s:
        return personalised(inference.labelled_s, module, data)
    loader = loader_in_order(data.store, data.test, change_of(inference.change, data))
    if inference.statistics == "running":
        return predict(loader)
    with replaced(module.network, training_statistics(inference.statistics, module, data, step)):
        return predict(loader)


def training_statistics(name: str, module: HarModule, data: HarDataModule, step: int) -> Statistics:
    """Return the statistics of training windows under the module's weights.

    Args:
        name: ``population``, ``population-layerwise``, ``population-balanced``, ``cumulative`` or ``last_batch``.
        module: The module.
        data: The data module, set up.
        step: The step whose batch ``last_batch`` stands for.

    Raises:
        DataError: When statistics are not finite.
    """
    forward = forward_on(module.device)
    if name == "last_batch":
        batch = training_batches(len(data.train), data.batch_size, step, data.seed)[-1]
        loader = WindowLoader(data.signal_for(_PURPOSE), data.train, [batch])
        return measure(module.network, loader, collect=Averaged, forward=forward)
    if name == "population-balanced":
        subjects = [
            WindowLoader(data.signal_for(_PURPOSE), data.train, even_batches(rows, _LARGE_BATCH))
            for rows in _rows_by_subject(data.store, data.train).values()
        ]
        return measure_in_equal_shares(module.network, subjects, forward=forward)
    loader = training_sweep(data)
    if name == "population-layerwise":
        return measure_by_layer(module.network, loader, forward=forward)
    collect = Averaged if name == "cumulative" else Pooled
    return measure(module.network, loader, collect=collect, forward=forward)


def forward_on(device: torch.device) -> Forward:
    """Return how a network on a device is given a batch of windows with labels."""

    def forward(network: nn.Module, batch: Batch) -> object:
        return network(batch[0].to(device))

    return forward


def training_sweep(data: HarDataModule) -> WindowLoader:
    """Return every training window once, shuffled, each batch with the subjects in their shares of the whole.

    Batches are as large as in training or, so that none is short, a little smaller. Training itself draws without
    regard to subjects; here every batch is to stand for all of them, since the norms behind the first see only a batch.
    """
    generator = np.random.Generator(np.random.PCG64(derive_seed(data.seed, "statistics")))
    place_N = np.empty(len(data.train))
    for rows in _rows_by_subject(data.store, data.train).values():
        # Each subject's windows, in random order, are spread evenly over the pass.
        place_N[generator.permutation(rows)] = (np.arange(len(rows)) + generator.random()) / len(rows)
    return WindowLoader(data.signal_for(_PURPOSE), data.train, even_batches(np.argsort(place_N), data.batch_size))


def even_batches(numbers_N: npt.NDArray[np.int64], batch_size: int) -> list[npt.NDArray[np.int64]]:
    """Cut window numbers into batches of nearly equal size, none above `batch_size`."""
    return [np.asarray(part, np.int64) for part in np.array_split(numbers_N, -(-len(numbers_N) // batch_size))]


def _of_target(
    inference: Inference, module: HarModule, data: HarDataModule, predict: Predict
) -> npt.NDArray[np.float32]:
    """Return probability_NK of the scored windows under statistics of all windows of their subject.

    Which windows are scored depends on labels (unlabelled and null ones are not), which an adaptation does not have.
    """
    every = every_window(data.store, data.spec.window_s, data.spec.step_s, data.fold.test)
    rows_of = _rows_by_subject(data.store, every)
    if inference.statistics != "target":
        return _of_streams(inference, module, data, every, rows_of)
    change = change_of(inference.change, data)
    probability_NK = np.empty((len(data.test), len(data.activities)), np.float32)
    for subject, scored in _rows_by_subject(data.store, data.test).items():
        own = WindowLoader(data.store.signal_TC, every, even_batches(rows_of[subject], _LARGE_BATCH), change=change)
        adapt = _mixing(inference, len(rows_of[subject]))
        found = measure_by_layer(module.network, own, adapt=adapt, forward=forward_on(module.device))
        with replaced(module.network, found):
            batches = even_batches(scored, _LARGE_BATCH)
            loader = WindowLoader(data.store.signal_TC, data.test, batches, change=change)
            probability_NK[scored] = predict(loader)
    return probability_NK


def _of_streams(
    inference: Inference,
    module: HarModule,
    data: HarDataModule,
    every: WindowIndex,
    rows_of: dict[str, npt.NDArray[np.int64]],
) -> npt.NDArray[np.float32]:
    """Return probability_NK of the scored windows, each under statistics of its batch of its subject's stream."""
    probability_NK = np.empty((len(data.test), len(data.activities)), np.float32)
    change = change_of(inference.change, data)
    place_N = np.full(len(every), -1)  # in the test windows; -1 for those that are not scored
    _, row_N, scored_N = np.intersect1d(every.start, data.test.start, assume_unique=True, return_indices=True)
    place_N[row_N] = scored_N
    for subject, rows in rows_of.items():
        shuffled = np.random.Generator(np.random.PCG64(derive_seed(data.seed, "stream", subject)))
        stream = shuffled.permutation(rows) if inference.statistics == "target-shuffled" else rows
        for batch in even_batches(stream, data.batch_size):
            is_scored = place_N[batch] >= 0
            if is_scored.any():
                loader = WindowLoader(data.store.signal_TC, every, [batch], change=change)
                met_NK = _met(module, loader, _mixing(inference, len(batch)))
                probability_NK[place_N[batch][is_scored]] = met_NK[is_scored]
    return probability_NK


def _mixing(inference: Inference, windows: int) -> Adapt:
    """Return how the training's statistics and those of so many windows of a target are mixed."""
    if inference.prior:
        return weighted(windows / (inference.prior + windows))
    return by_depth() if inference.weight is None else weighted(inference.weight)


def _met(module: HarModule, loader: WindowLoader, adapt: Adapt) -> npt.NDArray[np.float32]:
    """Return probability_NK of a loader's one batch, under that batch's own statistics."""
    logits_NK = adapted(module.network, next(iter(loader)), adapt, forward=forward_on(module.device))
    probability_NK: npt.NDArray[np.float32] = torch.softmax(logits_NK, dim=1).cpu().numpy()
    return probability_NK


def _rows_by_subject(store: Store, index: WindowIndex) -> dict[str, npt.NDArray[np.int64]]:
    """Return the numbers of each subject's windows, in the order of recording and time."""
    subject_N = subject_of_each(store, index)
    order_N = np.argsort(index.start, kind="stable")
    return {
        str(subject): order_N[subject_N[order_N] == subject].astype(np.int64) for subject in dict.fromkeys(subject_N)
    }
