"""Many runs of one architecture trained as one stack; each begins and ends as any other run does.

What a run leaves behind is what it leaves when it is trained by itself: the same files, equal up to rounding, and
``fused`` in run.json. A replica that diverges fails alone. Checkpoints are written when training has ended, since a
stack that is cut off begins anew: it is over in minutes.

Training seconds, in run.json and metrics.jsonl, are a run's share of its stack's.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch

from har.errors import DivergenceError
from har.training import provenance
from har.training.begin import Begun, begin, failure_recorded, held
from har.training.checkpoint import restore
from har.training.evaluations import MONITOR
from har.training.inference import predicted_plainly
from har.training.judge import Fitted, judge
from har.training.room import replicas_that_fit
from har.training.selection import Kept, Selection
from har.training.stack import Replica, Stack
from har.training.trainer import budgeted_trainer, lightning

Report = Callable[[int, Exception | None, float], None]


def run_together(tasks: Sequence[Mapping[str, Any]], report: Report, *, share: float = 1.0) -> None:
    """Make runs that can be stacked (`har.training.stackable`), as many at a time as memory holds.

    Args:
        tasks: Keyword arguments of `har.training.run.run` for each run; none of them resumes.
        report: Called when a run has ended with its number, its error if it has one, and its seconds: its share of
            the training, and its own beginning and end.
        share: Share of the machine's free memory that may be taken.
    """
    waiting = deque(enumerate(tasks))
    room = 1
    while waiting:
        with ExitStack() as holding:
            begun: dict[int, Begun] = {}
            while waiting and len(begun) < room:
                number, task = waiting.popleft()
                began = time.monotonic()
                try:
                    folder = Path(task["folder"])
                    holding.enter_context(held(folder))
                    one = begin(task["config"], folder, resume=False, facts=task["facts"])
                except Exception as error:  # noqa: BLE001 - whatever a run raises fails that run alone
                    report(number, error, time.monotonic() - began)
                    continue
                begun[number] = one
                if len(begun) == 1:
                    room = replicas_that_fit(one.module, one.data, one.settings["accelerator"], share)
            if begun:
                _make(begun, report)


def _make(begun: Mapping[int, Begun], report: Report) -> None:
    """Train runs that have begun as one stack, and end each."""
    runs = list(begun.values())
    began = time.monotonic()
    results: Sequence[Fitted | Exception]
    try:
        results = fit_together(runs)
    except Exception as error:  # noqa: BLE001
        results = [error] * len(runs)
    fused = {"replicas": len(runs), "seconds": round(time.monotonic() - began, 3)}
    each_s = fused["seconds"] / len(runs)
    for (number, run), result in zip(begun.items(), results, strict=True):
        began = time.monotonic()
        try:
            with failure_recorded(run.folder, run.record):
                if isinstance(result, Exception):
                    raise result
                outcome = judge(run, result)
            seconds = each_s + time.monotonic() - began
            run.finish({**outcome, **_about(fused, seconds)})
        except Exception as error:  # noqa: BLE001
            report(number, error, each_s + time.monotonic() - began)
        else:
            report(number, None, seconds)


def _about(fused: dict[str, float], seconds: float) -> dict[str, Any]:
    """Return what run.json says of how a run was made."""
    return {
        "finished": provenance.now(),
        "seconds": round(seconds, 3),
        "fused": fused,
        "peak_memory_mib": provenance.peak_memory_mib(),
    }


def fit_together(runs: Sequence[Begun]) -> list[Fitted | Exception]:
    """Train runs as one stack and write their checkpoints.

    Args:
        runs: Runs that can be stacked, and that have begun.

    Returns:
        For each run what its fit has left, or why its training has failed.
    """
    provenance.forget_peak_memory()
    torch.set_num_threads(runs[0].config["threads"])
    settings = runs[0].settings
    stack = Stack([Replica(run.module, run.data) for run in runs], settings["max_steps"])
    kept = Kept()
    selection = Selection(stack, runs, kept)
    settings = {**settings, "enable_progress_bar": False}
    trainer = budgeted_trainer(runs[0].folder, settings, [selection], kept)
    with lightning():
        trainer.fit(stack)
        selection.write()
        for run, replica in zip(runs, stack.replicas, strict=True):
            if replica.error is None:
                restore(run.module, run.best)
        stack.take()
        if any(replica.error is None for replica in stack.replicas):
            trainer.validate(stack, verbose=False)
    device = trainer.strategy.root_device
    results: list[Fitted | Exception] = []
    for replica, chosen in zip(stack.replicas, selection.chosen, strict=True):
        if replica.error is not None or chosen is None:
            results.append(replica.error or DivergenceError("training diverged.", "Lower model.learning_rate."))
            continue
        replica.module.to(device)
        again = replica.scores[MONITOR]
        results.append(Fitted(chosen["score"], partial(float, again), partial(predicted_plainly, replica.module)))
    return results
