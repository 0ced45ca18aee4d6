"""A worker process of a study: runs handed over as lines of JSON on stdin, outcomes handed back on stdout.

It is started by `execute` as ``python -m har.study.worker MODULE:FUNCTION MODULE:FUNCTION``, one for single runs and
one for several that are made together. It lives across runs, so that the heavy imports are paid once. What the runs
print goes to the worker's log, never into the outcomes.

A worker must not outlive its study: a thread waits on stdin all the time, and the end of stdin (the study has ended,
or was killed with -9) ends the process at once, in the middle of a run if need be. Everything a run writes for others
is written whole or not at all, so that is as safe as `kill -9` is.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import gc
import importlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from har.errors import HarError

Runner = Callable[..., Any]
Reply = Callable[[int, BaseException | None, float], None]


def main() -> None:
    """Serve the study until it closes stdin."""
    replies = os.dup(1)
    os.dup2(2, 1)  # from here on, print() of anything in a run lands in the log
    faulthandler.enable()  # a crash in native code leaves its stack in the log
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    replies_to = functools.partial(_reply, replies)
    find = functools.cache(find_runner)
    while True:
        parcel = json.loads(lines.get())
        tasks = parcel["tasks"]
        if len(tasks) == 1:
            _work(find, sys.argv[1], tasks[0], replies_to)
        else:
            _work_together(find, sys.argv[2], parcel, replies_to)
        # A run leaves circles behind (trainer and module know each other) that hold the store's maps and its tensors;
        # Python would let dozens of runs pass before it looked for them.
        gc.collect()


def _work(find: Callable[[str], Runner], name: str, task: dict[str, Any], reply: Reply) -> None:
    """Call the runner for one task, as `execute.Task` holds it."""
    began = time.perf_counter()
    failure = None
    try:
        runner = find(name)
        began = time.perf_counter()  # imports are no part of the run's time
        log(f"--- {task['folder']}\n")
        runner(task["config"], Path(task["folder"]), resume=task["resume"], facts=task["facts"])
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a run raises fails that run alone
        failure = error
    reply(0, failure, time.perf_counter() - began)


def _work_together(find: Callable[[str], Runner], name: str, parcel: dict[str, Any], reply: Reply) -> None:
    """Call the runner for several tasks at once; it says of each how it ended."""
    tasks = parcel["tasks"]
    log("".join(f"--- {task['folder']}\n" for task in tasks))
    left = set(range(len(tasks)))

    def report(number: int, failure: Exception | None, seconds: float) -> None:
        left.discard(number)
        reply(number, failure, seconds)

    try:
        find(name)(tasks, report, share=parcel["share"])
    except (Exception, SystemExit) as error:  # noqa: BLE001
        for number in sorted(left):
            reply(number, error, 0.0)


def _reply(replies: int, number: int, failure: BaseException | None, seconds: float) -> None:
    """Tell the study how a run ended."""
    error = None
    if failure is not None:
        log("".join(traceback.format_exception(failure)))
        error = sentence(failure)
    answer = {"number": number, "error": error, "seconds": seconds}
    os.write(replies, json.dumps(answer).encode() + b"\n")


def _listen(lines: queue.SimpleQueue[bytes]) -> None:
    """Pass on the lines of stdin; end the process when the study is gone."""
    with os.fdopen(0, "rb", closefd=False) as stdin:
        for line in stdin:
            lines.put(line)
    os._exit(0)


def log(text: str) -> None:
    """Write to the worker's log. That a disk is full is the run's error to tell, and must not end the worker."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode())


def find_runner(name: str) -> Runner:
    """Return the function that ``module:function`` names.

    Raises:
        ImportError: When the module cannot be imported.
        AttributeError: When it has no such function.
    """
    module, _, function = name.partition(":")
    runner: Runner = getattr(importlib.import_module(module), function)
    return runner


def sentence(failure: BaseException) -> str:
    """Return what a person is told of a failure: a `HarError` as it is, anything else with its kind before it."""
    if isinstance(failure, HarError):
        return str(failure)
    if isinstance(failure, OSError) and failure.strerror:  # a full disk, as a rule
        return f"{failure.strerror}{f' at {failure.filename}' if failure.filename else ''}."
    text = str(failure).strip()
    return f"{type(failure).__name__}: {text}" if text else type(failure).__name__


if __name__ == "__main__":
    main()
