"""Training windows that begin a little earlier or later each time they are shown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from har.seeds import derive_seed
from har.windows.segment import WindowIndex
from har.windows.store import Store


class Shift:
    """Begins training windows a little earlier or later, drawn anew each time, never beyond their recording.

    Args:
        store: The windows' store.
        index: The windows.
        most: The most samples that a window is moved by.
        seed: The run's seed.
    """

    def __init__(self, store: Store, index: WindowIndex, most: int, seed: int) -> None:
        recordings = store.recordings.set_index("recording").loc[index.recording]
        self._start_N, self._seed = index.start, seed
        self._earliest_N = np.maximum(recordings["start"].to_numpy(), index.start - most)
        self._latest_N = np.minimum(recordings["stop"].to_numpy() - index.samples, index.start + most)

    def __call__(self, chosen: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
        """Return the first rows of some windows in a step, as a function of the seed and the step.

        Args:
            chosen: Numbers of the windows in the index.
            step: Optimiser step.
        """
        generator = np.random.Generator(np.random.PCG64(derive_seed(self._seed, "shift", step)))
        start_N: npt.NDArray[np.int64] = generator.integers(
            self._earliest_N[chosen], self._latest_N[chosen], endpoint=True
        )
        return start_N
