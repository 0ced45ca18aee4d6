"""A process that dies at its n-th call of the system: from then on, nothing it asks for is done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

_CALLS = ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync")


class Killed(BaseException):
    """Not caught by what handles errors; what is done in `finally` is refused as well."""


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let the block die at its `step`-th call, counted from 1, of what changes names or flushes.

    Yields:
        What it was about to call when it died; empty where it came to its end.
    """
    died: list[str] = []
    left = [step]

    def wrapped(name: str):
        call = getattr(os, name)

        def counted(*args, **options):
            left[0] -= 1
            if left[0] <= 0:
                died.append(name)
                raise Killed(name)
            return call(*args, **options)

        return counted

    with monkeypatch.context() as patch:
        for name in _CALLS:
            patch.setattr(os, name, wrapped(name))
        with suppress(Killed):
            yield died
