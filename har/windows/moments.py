"""Mean and variance per channel over all windows of an index, without making the windows, in bounded memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from har.errors import DataError
from har.windows.permit import check_permit
from har.windows.segment import WindowIndex

_ROWS = 1 << 18  # rows at a time: bounded memory for stores of any length


def moments(
    signal_TC: npt.NDArray[np.float32], index: WindowIndex
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean_C and variance_C over every window and sample of `index`, in float64.

    A sample that lies in several windows counts once for each, as it would if the windows were stacked: each row of
    the store is weighted by the number of windows that cover it.

    Args:
        signal_TC: float32 (rows of the store, channels).
        index: The windows; at least one.

    Returns:
        Mean per channel and variance per channel (divided by the number of values).

    Raises:
        DataError: A value is not finite; a prepared store has none.
        LeakageError: The signal is one that is read by permission (`har.windows.permit`), and there is none.
    """
    check_permit(signal_TC, index.start, index.samples)
    start_N = np.sort(index.start)
    count = 0.0
    mean_C = np.zeros(signal_TC.shape[1])
    sum_of_squares_C = np.zeros(signal_TC.shape[1])
    for first in range(0, len(signal_TC), _ROWS):
        weight_B = _covering(start_N, index.samples, first, min(first + _ROWS, len(signal_TC)))
        block_count = weight_B.sum()
        if block_count == 0:
            continue
        covered = weight_B > 0  # rows of other subjects are not even read
        x_BC = signal_TC[first : first + _ROWS][covered].astype(np.float64)
        weight_B = weight_B[covered]
        if not np.isfinite(x_BC).all():
            row = first + int(np.flatnonzero(covered)[~np.isfinite(x_BC).all(axis=1)][0])
            raise DataError(
                f"the store is damaged: row {row} of signal.npy holds values that are no numbers.",
                "Make it anew: har prepare and the data set's name.",
            )
        block_mean_C = weight_B @ x_BC / block_count
        block_squares_C = weight_B @ (x_BC - block_mean_C) ** 2
        # Merging blocks by their means (Chan et al. 1979) keeps precision at large offsets such as gravity.
        difference_C = block_mean_C - mean_C
        total = count + block_count
        mean_C += difference_C * block_count / total
        sum_of_squares_C += block_squares_C + difference_C**2 * count * block_count / total
        count = total
    return mean_C, sum_of_squares_C / count


def _covering(start_N: npt.NDArray[np.int64], samples: int, first: int, stop: int) -> npt.NDArray[np.float64]:
    """Return the number of windows that cover each of the rows [first, stop), float64, of ascending starts."""
    reaching = start_N[slice(*np.searchsorted(start_N, [first - samples + 1, stop]))] - first
    rows = stop - first
    change = np.bincount(np.maximum(reaching, 0), minlength=rows + 1)
    change -= np.bincount(np.minimum(reaching + samples, rows), minlength=rows + 1)
    return np.cumsum(change[:-1]).astype(np.float64)
