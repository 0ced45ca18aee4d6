"""Runs of a study trained together, as stacks: which ones, which by themselves and why."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from har.study.execute import Outcome, Task, execute
from har.study.executors import Work
from har.study.runs import PlannedRun
from har.study.states import State

LARGEST = 64  # runs of a stack, unless another bound is asked for


@dataclass(frozen=True)
class Arrangement:
    """How runs are put together.

    Attributes:
        groups: Runs that are trained together; those that are not are groups of one, which stand last.
        reasons: Why runs are trained by themselves: a reason to the variants it holds for.
    """

    groups: tuple[tuple[PlannedRun, ...], ...]
    reasons: dict[str, tuple[str, ...]]

    def sentences(self) -> list[str]:
        """Say it."""
        stacks = [group for group in self.groups if len(group) > 1]
        alone = len(self.groups) - len(stacks)
        if not self.groups:
            return []
        sizes = sorted({len(stack) for stack in stacks})
        size = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else "".join(map(str, sizes))
        together = f"{sum(map(len, stacks))} runs are trained together, in {len(stacks)} stacks of {size}"
        said = [f"{together if stacks else 'No runs are trained together'}; {alone} by themselves."]
        return said + [f"By themselves: {', '.join(names)}: {reason}." for reason, names in self.reasons.items()]


def arrange(to_do: Sequence[tuple[PlannedRun, State]], *, largest: int, jobs: int, spread: bool) -> Arrangement:
    """Put the runs that are to be made into stacks.

    Args:
        to_do: Runs and trials, with their states. One that goes on from what there is is made by itself.
        largest: The most runs of a stack.
        jobs: Workers.
        spread: Whether to make as many stacks as there are workers, which processors want; an accelerator is best
            used by one large stack.

    Raises:
        DataError: The store is damaged.
    """
    from har.training.stackable import likeness, obstacle  # heavy: torch and Lightning

    alike: dict[str, list[PlannedRun]] = {}
    for run, state in to_do:
        key = f"by itself: {run.folder}" if state.goes_on else likeness(run.config)
        alike.setdefault(key, []).append(run)
    stacks: list[tuple[PlannedRun, ...]] = []
    alone: list[tuple[PlannedRun, ...]] = []
    reasons: dict[str, dict[str, None]] = {}
    for runs in alike.values():
        reason = obstacle(runs[0].config) if len(runs) > 1 else None
        if len(runs) > 1 and reason is None:
            stacks += _cut(runs, largest, jobs if spread else 1)
            continue
        alone += [(run,) for run in runs]
        if reason is not None:
            reasons.setdefault(reason, {}).update(dict.fromkeys(run.variant for run in runs))
    return Arrangement((*stacks, *alone), {reason: tuple(names) for reason, names in reasons.items()})


def _cut(runs: Sequence[PlannedRun], largest: int, parts: int) -> list[tuple[PlannedRun, ...]]:
    """Cut runs into stacks of nearly equal size, none above `largest`."""
    count = max(-(-len(runs) // largest), min(parts, len(runs) // 2))
    edges = [len(runs) * number // count for number in range(count + 1)]
    return [tuple(runs[start:stop]) for start, stop in itertools.pairwise(edges)]


@dataclass(frozen=True)
class FusedExecutor:
    """Workers on this machine, each of which trains a stack of runs at a time.

    Attributes:
        jobs: Workers.
        largest: The most runs of a stack; where memory holds fewer, these follow each other.
        spread: See `arrange`.
    """

    jobs: int
    largest: int = LARGEST
    spread: bool = True

    def run(self, work: Work) -> list[Outcome]:
        """Make runs; see `har.study.executors.Executor`."""
        task_of = {run.folder: task for (run, _), task in zip(work.to_do, work.tasks, strict=True)}
        groups = self._arranged(work.to_do).groups
        parcels: list[Task | tuple[Task, ...]] = [tuple(task_of[run.folder] for run in group) for group in groups]
        return execute(parcels, jobs=self.jobs, **work.pool)

    def notes(self, to_do: Sequence[tuple[PlannedRun, State]]) -> list[str]:
        """Say which runs are trained together."""
        return self._arranged(to_do).sentences()

    def _arranged(self, to_do: Sequence[tuple[PlannedRun, State]]) -> Arrangement:
        return arrange(to_do, largest=self.largest, jobs=self.jobs, spread=self.spread)
