"""One study process per study folder, its orphaned workers included.

The lock is a `flock` on a file in the study folder. Workers inherit its descriptor, so the lock is free only when the
study process *and* every worker of it are gone: a study that was killed with -9 and started again cannot meet a worker
that still writes into a run folder. (Workers notice the death of their study at once, see `worker`.)
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from har.errors import RunError

_PAUSE_S = 0.05


@contextmanager
def study_lock(folder: Path, wait_s: float = 5.0) -> Iterator[int]:
    """Hold the study folder for the block.

    Args:
        folder: The study folder; it is made when it is missing.
        wait_s: How long to wait for the workers of a study that was just killed to be gone, in seconds.

    Yields:
        The descriptor of the lock, to be inherited by workers.

    Raises:
        RunError: When another study is at work in the folder, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunError(
            f"the study folder {folder} cannot be written: {error.strerror or error}.",
            "Choose another place with --runs FOLDER or HAR_RUNS.",
        ) from None
    try:
        _take(descriptor, folder, time.monotonic() + wait_s)
        yield descriptor
    finally:
        os.close(descriptor)  # not LOCK_UN, which would take it from a worker that is still there


def _take(descriptor: int, folder: Path, deadline: float) -> None:
    """Lock the descriptor, or raise when the deadline (monotonic seconds) has passed."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise RunError(
                    f"another study is at work in {folder}.",
                    "Wait for it, stop it, or give this one a place of its own with --runs FOLDER.",
                ) from None
            time.sleep(_PAUSE_S)
        else:
            return
