"""The labelled windows of some of a run's subjects, without a trainer. N = windows, T = samples, C = channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from har.deploy.networks import Network
from har.errors import UsageError
from har.evaluation.measures import DEFAULT_POLICY, confusion, macro_f1
from har.training.stored import read_config, read_run
from har.windows.prepare import open_store
from har.windows.segment import WindowIndex, WindowSpec, gather, window_index
from har.windows.store import Store

_TOGETHER = 256  # windows in memory at once


@dataclass(frozen=True)
class Windows:
    """Windows of a store.

    Attributes:
        store: The store.
        index: Which of its windows.
        subject_N: Whose each of them is.
    """

    store: Store
    index: WindowIndex
    subject_N: NDArray[np.object_]

    @classmethod
    def of_run(cls, folder: Path, group: str, root: str | None = None) -> Windows:
        """Find the windows of a run's ``train``, ``validation`` or ``test`` subjects, as the run did.

        Args:
            folder: The run's folder.
            group: The group of subjects.
            root: The data root; the run's own when None.

        Raises:
            UsageError: The data set is prepared from other data, or otherwise, than it was for the run.
            DataError: It is not prepared.
        """
        record, settings = read_run(folder), read_config(folder)["data"]
        store = open_store(settings["name"], root or settings.get("root"))
        if store.sha256 != record["hashes"]["data"]:
            raise UsageError(
                f"{store.folder} is not the store that {folder} was trained on, so its windows prove nothing.",
                "Prepare the data as they were, or repeat the run on what is there.",
            )
        spec = WindowSpec(**{key: settings[key] for key in WindowSpec.__dataclass_fields__})
        index = window_index(store, spec, record["fold"][group])
        return cls(store, index, store.recordings["subject"].to_numpy(object)[index.recording])

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.index)

    def spread(self, most: int) -> NDArray[np.float32]:
        """Return at most so many windows, x_NTC, spread evenly over all of them."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.int64))
        return gather(self.store.signal_TC, self.index.start[chosen], self.index.samples)

    def batches(self) -> Iterator[NDArray[np.float32]]:
        """Yield all windows in their order, x_NTC, some at a time."""
        for first in range(0, len(self), _TOGETHER):
            yield gather(self.store.signal_TC, self.index.start[first : first + _TOGETHER], self.index.samples)

    def probabilities(self, networks: Sequence[Network]) -> list[NDArray[np.float32]]:
        """Return probability_NK, float32 (windows, activities), of each network."""
        parts = [[network(x_NTC) for network in networks] for x_NTC in self.batches()]
        return [np.concatenate(of_one) for of_one in zip(*parts, strict=True)]

    def macro_f1(self, probability_NK: NDArray[np.float32]) -> float:
        """Return macro F1 (policy ``present``), the mean over subjects."""
        decided_N, activities = probability_NK.argmax(axis=1), len(self.index.activities)
        scores = []
        for subject in dict.fromkeys(self.subject_N):
            own = self.subject_N == subject
            counts_KK = confusion(self.index.label[own].astype(np.int64), decided_N[own], activities)
            scores.append(macro_f1(counts_KK, DEFAULT_POLICY))
        return float(np.mean(scores))
