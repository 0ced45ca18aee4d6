"""Spools: arrays put aside while files are read, in memory as long as they are small, then in a temporary file."""

from __future__ import annotations

import os
import tempfile
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from har.errors import DataError, disk_failure

MOST_BYTES = 1 << 27  # that all arrays together take of the memory


class Spool:
    """Keeps float64 arrays and gives them back. A context, which forgets them when it ends.

    The file lies in the folder for temporary files (``TMPDIR``).
    """

    def __init__(self) -> None:
        self._kept: list[NDArray[np.float64] | tuple[int, tuple[int, ...]]] = []  # or its place in the file, and shape
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Return the spool itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget all arrays."""
        self._kept.clear()
        if self._file is not None:
            self._file.close()

    def put(self, array: NDArray[np.float64]) -> int:
        """Take an array, which is not changed afterwards; return the number that it is given back for.

        Raises:
            DataError: The disk is full; the folder of the file is named.
        """
        if self._bytes + array.nbytes <= MOST_BYTES:
            self._bytes += array.nbytes
            self._kept.append(array)
        else:
            self._kept.append((self._written(array), array.shape))
        return len(self._kept) - 1

    def _written(self, array: NDArray[np.float64]) -> int:
        """Write an array to the end of the file; return where it begins."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the context
            begin = self._file.seek(0, os.SEEK_END)
            self._file.write(np.ascontiguousarray(array).data)
            self._file.flush()
        except OSError as error:
            reason = disk_failure(error)
            if reason is None:
                raise
            what = f"rows that wait for their recording have no room in {tempfile.gettempdir()}: {reason}."
            raise DataError(
                what, "Make room there, or name another folder in the environment variable TMPDIR."
            ) from error
        return begin

    def get(self, number: int) -> NDArray[np.float64]:
        """Return an array; it must not be changed."""
        kept = self._kept[number]
        if isinstance(kept, np.ndarray):
            return kept
        if self._file is None:
            raise RuntimeError("an array lies in a file that was never made")
        begin, shape = kept
        self._file.seek(begin)
        array: NDArray[np.float64] = np.frombuffer(self._file.read(8 * int(np.prod(shape)))).reshape(shape)
        return array
