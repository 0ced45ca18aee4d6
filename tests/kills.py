"""Processes that die: at their n-th call of the system, or by `kill -9`; and what a study has found out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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


def words(study: Path, data_root: Path, runs: Path, jobs: int) -> list[str]:
    return ["study", str(study), "--root", str(data_root), "--runs", str(runs), "--jobs", str(jobs)]


def start(study: Path, data_root: Path, runs: Path, jobs: int = 2, more: Sequence[str] = ()) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "har", *words(study, data_root, runs, jobs), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=Path(__file__).parents[1], start_new_session=True, text=True, **pipes)


def kill_when(is_time: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 180
    while not is_time() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def results(runs: Path) -> dict[str, Any]:
    """Return everything that a study found out, without times."""
    found: dict[str, Any] = {}
    for folder in sorted(path.parent for path in runs.rglob("run.json")):
        name = folder.relative_to(runs).as_posix()
        record = json.loads((folder / "run.json").read_text())
        found[name] = {
            "scores": (folder / "scores.json").read_bytes(),
            "predictions": (folder / "predictions" / "running.parquet").read_bytes(),
            "curve": [
                {key: value for key, value in json.loads(line).items() if key != "seconds"}
                for line in (folder / "metrics.jsonl").read_text().splitlines()
            ],
            "chosen": {
                key: record[key] for key in ("status", "seed", "best_step", "best_validation_macro_f1", "hashes")
            },
        }
    study = next(runs.glob("*/*/contrasts.json")).parent
    found["contrasts"] = json.loads((study / "contrasts.json").read_text())["contrasts"]
    tuning = study / "tuning.json"
    found["tuning"] = json.loads(tuning.read_text()) if tuning.exists() else None
    return found
