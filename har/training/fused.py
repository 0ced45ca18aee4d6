"""Many runs of one architecture trained as one stack; each begins and ends as any other run does.

What a run leaves behind is what it leaves when it is trained by itself: the same files, equal up to rounding, and
``fused`` in run.json. A replica that diverges fails alone. Checkpoints are written when training has ended, since a
stack that is cut off begins anew: it is over in minutes.

Training seconds, in run.json and metrics.jsonl, are a run's share of its stack's.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch

from har.errors import DivergenceError, RunError
from har.training import provenance
from har.training.begin import Begun, begin, failure_recorded, held
from har.training.checkpoint import restore
from har.training.evaluations import MONITOR
from har.training.inference import predicted_plainly
from har.training.judge import Fitted, judge
from har.training.room import release_unused, replicas_that_fit
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
    most = len(waiting)
    while waiting:
        with ExitStack() as holding:
            begun = _begin(waiting, most, share, holding, report)
            if begun:
                most = min(most, _make(begun, report))


def _begin(
    waiting: deque[tuple[int, Mapping[str, Any]]], most: int, share: float, holding: ExitStack, report: Report
) -> dict[int, Begun]:
    """Begin runs, as many as memory holds side by side, and report those that cannot.

    Args:
        waiting: Runs by their number; those that are taken are removed.
        most: The most to begin.
        share: Share of the machine's free memory that may be taken.
        holding: What holds their folders.
        report: See `run_together`.
    """
    release_unused()
    begun: dict[int, Begun] = {}
    while waiting and len(begun) < most:
        number, task = waiting.popleft()
        began = time.monotonic()
        folder = Path(task["folder"])
        try:
            holding.enter_context(held(folder))
            one = begin(task["config"], folder, resume=False, facts=task["facts"])
            if not begun:
                with failure_recorded(folder, one.record):
                    fitting = replicas_that_fit(one.module, one.data, one.settings["accelerator"], share)
                most = min(most, fitting)
        except Exception as error:  # noqa: BLE001 - whatever a run raises fails that run alone
            report(number, error, time.monotonic() - began)
            continue
        begun[number] = one
    return begun


def _make(begun: Mapping[int, Begun], report: Report) -> int:
    """Train runs that have begun as one stack, and end each; return how many were trained together.

    What an accelerator's memory does not hold is trained in two halves, each from the beginning.
    """
    runs = list(begun.values())
    began = time.monotonic()
    results: Sequence[Fitted | Exception]
    try:
        results = fit_together(runs)
    except torch.OutOfMemoryError as error:
        results = [_too_large(error)] if len(runs) == 1 else []
    except Exception as error:  # noqa: BLE001
        results = [error] * len(runs)
    if not results:  # out here, where no traceback holds the stack any more
        return _make_halves(begun, report)
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
    return len(runs)


def _make_halves(begun: Mapping[int, Begun], report: Report) -> int:
    """Do what `_make` does with each half, after a stack of all was too large."""
    sys.stderr.write(f"{len(begun)} runs side by side need more memory than there is; they are trained in halves.\n")
    numbered = list(begun.items())
    for _, run in numbered:
        run.module.cpu().doubts(run.data)  # builds the network anew
    release_unused()
    middle = len(numbered) // 2
    return max(_make(dict(half), report) for half in (numbered[:middle], numbered[middle:]))


def _too_large(error: torch.OutOfMemoryError) -> RunError:
    """Return what is told of a run that cannot even be trained by itself."""
    detail = str(error).splitlines()[0]
    hint = "Lower data.batch_size, or --jobs, since workers share that memory."
    return RunError(f"a training step needs more memory than the accelerator has: {detail}", hint)


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
