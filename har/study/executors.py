"""Where the runs of a study are made: what every executor is given, and the one for workers on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from har.study.execute import RUNNER, Outcome, Task, execute
from har.study.plan import Plan
from har.study.runs import PlannedRun
from har.study.states import State


@dataclass(frozen=True)
class Work:
    """Runs that are to be made.

    Attributes:
        to_do: The runs with their states, the longest first.
        tasks: What is handed over for each.
        logs: Folder for what is printed meanwhile.
        inherited: Descriptors that processes which write into the study's folder keep open (its lock).
        on_finish: Called after each run, in the order in which they end.
        on_tick: Called about once a second with the number of runs at work.
    """

    to_do: Sequence[tuple[PlannedRun, State]]
    tasks: Sequence[Task]
    logs: Path
    inherited: tuple[int, ...]
    on_finish: Callable[[Outcome], None]
    on_tick: Callable[[int], None]

    @property
    def pool(self) -> dict[str, Any]:
        """What `har.study.execute.execute` is told of them, beside the tasks."""
        names = ("logs", "inherited", "on_finish", "on_tick")
        return {name: getattr(self, name) for name in names}


class Executor(Protocol):
    """Makes runs somewhere. A run that fails, or whose process dies, stops no other.

    Attributes:
        jobs: Runs, or stacks of runs, at a time.
    """

    @property
    def jobs(self) -> int:
        """Runs at a time."""

    def run(self, work: Work) -> list[Outcome]:
        """Make every run once and return one outcome per run, in the order in which they ended.

        Raises:
            KeyboardInterrupt: On Ctrl-C, when everything has been stopped.
        """

    def notes(self, to_do: Sequence[tuple[PlannedRun, State]]) -> list[str]:
        """Say what a person must know of how these runs will be made, before they are."""


@dataclass(frozen=True)
class LocalExecutor:
    """Worker processes on this machine, one thread and one run each.

    Attributes:
        jobs: Workers.
        runner: ``module:function`` that makes a run.
    """

    jobs: int
    runner: str = RUNNER

    def run(self, work: Work) -> list[Outcome]:
        """Make runs; see `Executor`."""
        return execute(work.tasks, jobs=self.jobs, runner=self.runner, **work.pool)

    def notes(self, to_do: Sequence[tuple[PlannedRun, State]]) -> list[str]:
        """Say nothing: a run is made as `har fit` makes it."""
        return []


def uses_gpu(plan: Plan) -> bool:
    """Return whether the runs of a plan are trained on a GPU, as ``trainer.accelerator`` says."""
    named = {run.config["trainer"]["accelerator"] for run in plan.work}
    if named & {"gpu", "cuda"}:
        return True
    if "auto" not in named:
        return False
    import torch

    return torch.cuda.is_available()
