"""Batches of several replicas at once, gathered in one call from the store that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from har.errors import DataError
from har.training.datamodule import HarDataModule
from har.windows.permit import check_permit
from har.windows.segment import gather

_EVALUATION_WINDOWS = 128  # of a replica at a time
_RESIDENT_SHARE = 0.1  # of an accelerator's free memory that the store may take

Places = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # start_MN and label_MN


class Source:
    """The store's signal, from which windows are copied to where the networks are.

    On a processor they come out of the store's memory map. An accelerator holds the whole store, where that fits, and
    gathers there, so that no window crosses over to it.

    Args:
        signal_TC: float32 (rows of the store, channels).
        samples: Length of a window.
        device: Where the windows are wanted.

    Raises:
        DataError: When the signal has values that are no numbers.
    """

    def __init__(self, signal_TC: npt.NDArray[np.float32], samples: int, device: torch.device) -> None:
        self._samples, self.device = samples, device
        self._signal_TC = np.asarray(signal_TC)  # without the permit of one fold: each replica's own is asked below
        self._resident: Tensor | None = None
        if device.type == "cuda" and signal_TC.nbytes < _RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
            self._resident = torch.from_numpy(np.array(signal_TC)).to(device)
            _require_finite(bool(torch.isfinite(self._resident).all()))

    def windows(self, start_MN: npt.NDArray[np.int64]) -> Tensor:
        """Return x_MNTC, float32, of the windows that begin at some rows."""
        shape = (*start_MN.shape, self._samples, self._signal_TC.shape[1])
        if self._resident is None:
            x_NTC = gather(self._signal_TC, start_MN.reshape(-1), self._samples)
            _require_finite(bool(np.isfinite(x_NTC).all()))
            return sent(x_NTC.reshape(shape), self.device)
        rows, channels = self._resident.shape
        window_T = self._resident.as_strided((rows - self._samples + 1, shape[2] * channels), (channels, 1))
        return window_T[sent(start_MN.reshape(-1), self.device)].view(shape)


def sent(values: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device. A GPU is not waited for: what it has still to do goes on meanwhile."""
    here = torch.from_numpy(values)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here.to(device)


def _require_finite(finite: bool) -> None:
    """Refuse a signal with values that are no numbers; a prepared store has none."""
    if not finite:
        raise DataError(
            "the store is damaged: signal.npy has values that are no numbers.",
            "Make it anew: har prepare and the data set's name.",
        )


class StackedLoader:
    """Yields (x_MNTC float32, label_MN int64) batch by batch.

    Args:
        source: Where windows come from.
        places: Returns first rows and labels of a batch, by its number; the label −1 is no window.
        batches: Number of batches.
    """

    def __init__(self, source: Source, places: Callable[[int], Places], batches: int) -> None:
        self._source, self._places, self._batches = source, places, batches

    def __len__(self) -> int:
        """Return the number of batches."""
        return self._batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches."""
        for number in range(self._batches):
            start_MN, label_MN = self._places(number)
            yield self._source.windows(start_MN), sent(label_MN, self._source.device)


def stacked_training(data: Sequence[HarDataModule], steps: int, source: Source) -> StackedLoader:
    """Return the training batches of several replicas, each drawn in the order of its own seed.

    Args:
        data: Their data modules, set up on one store, with one batch size and window length.
        steps: Optimiser steps.
        source: Where windows come from.

    Raises:
        UsageError: When there are fewer windows than one batch holds.
    """
    for one in data:
        check_permit(one.signal_for("training"), one.train.start, one.train.samples)
    loaders = [one.training_loader(steps) for one in data]

    def places(number: int) -> Places:
        start, label = zip(*(loader.places(number) for loader in loaders), strict=True)
        return np.stack(start), np.stack(label)

    return StackedLoader(source, places, steps)


def stacked_validation(data: Sequence[HarDataModule], source: Source) -> StackedLoader:
    """Return the validation windows of several replicas in their order, shorter ones filled up with label −1."""
    indices = [one.validation for one in data]
    for one, index in zip(data, indices, strict=True):
        check_permit(one.store.signal_TC, index.start, index.samples)
    longest = max(len(index) for index in indices)
    start_MN = np.stack([np.resize(index.start, longest) for index in indices])
    label_MN = np.full((len(indices), longest), -1, np.int64)
    for row, index in zip(label_MN, indices, strict=True):
        row[: len(index)] = index.label

    def places(number: int) -> Places:
        part = slice(number * _EVALUATION_WINDOWS, (number + 1) * _EVALUATION_WINDOWS)
        return start_MN[:, part], np.ascontiguousarray(label_MN[:, part])

    return StackedLoader(source, places, -(-longest // _EVALUATION_WINDOWS))
