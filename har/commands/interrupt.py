"""SIGTERM, answered as Ctrl-C is: what a command has begun, it takes away or finishes in an orderly way."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Answer SIGTERM, with which containers and schedulers stop a process, as Ctrl-C is answered.

    Raises:
        KeyboardInterrupt: SIGTERM came.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
