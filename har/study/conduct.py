"""A study from its plan to finished runs: what is missing is run, what failed is named, what is done stays."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from har.files import parse_json
from har.study.execute import Outcome, Task
from har.study.executors import Executor, Work
from har.study.lengths import ADDED_S, STEP_S, WINDOW_S, Lengths, longest_first, seconds_by_variant
from har.study.plan import Plan
from har.study.progress import Progress
from har.study.record import check_folds, command_line, save_plan
from har.study.runs import PlannedRun, Trial
from har.study.states import State, clear, has_diverged, lacking, lost_files, read_record, states
from har.study.tuning import settle


@dataclass(frozen=True)
class Survey:
    """A plan held against what is on the disk.

    Attributes:
        plan: The plan; where a setting is tuned, with what its trials have come to.
        states: One state per run and trial, in the order of `Plan.work`.
        expected_s: Expected wall time of a whole run, in seconds.
        basis: What `expected_s` is based on, in words.
        lengths: What its networks were found to compute.
    """

    plan: Plan
    states: tuple[State, ...]
    expected_s: float
    basis: str
    lengths: Lengths = field(default_factory=Lengths)

    def to_do(self) -> list[tuple[PlannedRun, State]]:
        """Return the runs and trials that can be made now, in their order, with their states."""
        return [(run, state) for run, state in self.pairs() if not state.is_settled]

    def pairs(self) -> list[tuple[PlannedRun, State]]:
        """Return every run and trial with its state."""
        return list(zip(self.plan.work, self.states, strict=True))

    @property
    def left(self) -> int:
        """Number of runs and trials to be made, those that wait for others included."""
        return len(self.to_do()) + len(self.plan.awaiting)

    @property
    def total(self) -> int:
        """Number of all runs and trials."""
        return len(self.states) + len(self.plan.awaiting)

    def left_s(self, jobs: int) -> float:
        """Return the expected seconds until all runs are done, with `jobs` at a time."""
        return self.expected_s * self.left / max(min(jobs, self.left), 1)


def survey(plan: Plan, lengths: Lengths | None = None) -> Survey:
    """Hold a plan against the run folders.

    Args:
        plan: The plan.
        lengths: Of an earlier survey of it, whose networks need not be counted again.

    Returns:
        The state of every run and trial, and an estimate of a run's time.

    Raises:
        UsageError: A finished run was made with other settings, data or split, or the folder has other folds.
        DataError: The record of a run, or the store, is damaged.
        LeakageError: A finished trial has seen a test subject of its fold.
    """
    from har.training.record import identity  # heavy: torch and Lightning

    check_folds(plan)
    trials = plan.tuning.trials if plan.tuning else ()
    of_trials = states(trials, identity)
    plan = settle(plan, {trial.folder: state for trial, state in zip(trials, of_trials, strict=True)})
    found = (*states(plan.distinct, identity), *of_trials)
    lengths = lengths or Lengths()
    expected_s, basis = _expected(plan, found, lengths)
    return Survey(plan, found, expected_s, basis, lengths)


def _expected(plan: Plan, found: Sequence[State], lengths: Lengths) -> tuple[float, str]:
    """Return the expected seconds of a run that is to be made, on average, and what that is based on."""
    pairs = list(zip(plan.work, found, strict=True))
    left = [ADDED_S if state is State.LACKING else lengths.usual_s(run) for run, state in pairs if not state.is_settled]
    mean_s = sum(left) / len(left) if left else 0.0
    done = [run for run, state in pairs if state is State.DONE]
    records = [(run, read_record(run.folder) or {}) for run in done]
    timed = [(float(record["seconds"]), lengths.usual_s(run)) for run, record in records if "seconds" in record]
    if timed:
        slower = sum(seconds for seconds, _ in timed) / sum(guess_s for _, guess_s in timed)
        return mean_s * slower, f"this study's {len(timed)} finished runs, by steps, windows and multiply-adds"
    basis = (
        f"{STEP_S:g} s a step and {WINDOW_S:g} s a window in it, as measured with the default network and windows on "
        "another machine, others by their multiply-adds; the first run that ends here tells better"
    )
    return mean_s, basis


def damages(found: Survey) -> list[str]:
    """Return one sentence for each finished run that has lost results: it will be made again, which is never silent."""
    return [
        f"{run.folder} is finished but damaged ({', '.join(lost_files(run))} missing or cut off); "
        "it is deleted and made again from the start."
        for run, state in found.pairs()
        if state is State.DAMAGED
    ]


def additions(found: Survey) -> list[str]:
    """Return a sentence where finished runs get inferences that they lack."""
    lacks = [lacking(run) for run, state in found.to_do() if state is State.LACKING]
    if not lacks:
        return []
    names = ", ".join(dict.fromkeys(name for missing in lacks for name in missing))
    runs = "1 finished run lacks" if len(lacks) == 1 else f"{len(lacks)} finished runs lack"
    return [f"{runs} predictions ({names}), which are made with the weights that there are; nothing is trained for it."]


def conduct(
    found: Survey, *, executor: Executor, stream: TextIO, locked: int
) -> tuple[Plan, list[tuple[PlannedRun, str]]]:
    """Run what is missing: first what is known, then what the trials have chosen.

    The caller holds the study's lock since before the survey.

    Args:
        found: The plan, held against the disk.
        executor: What makes the runs.
        stream: Where progress is written.
        locked: The descriptor of the study's lock (`study_lock`), which workers inherit.

    Returns:
        The plan with all that the trials have chosen, and the runs that failed, each with its error: first those that
        had diverged before, which are not tried again, then the others in the order of the plan.

    Raises:
        UsageError: The study folder was begun with other folds, or a run folder holds something else.
        LeakageError: A trial has seen a test subject of its fold.
        KeyboardInterrupt: On Ctrl-C, when every worker has been stopped.
    """
    done = found.total - found.left
    progress = Progress(stream, total=found.total, done=done, jobs=executor.jobs, expected_s=found.expected_s)
    pool: dict[str, Any] = {"executor": executor, "inherited": (locked,)}
    logs = found.plan.folder / "logs"
    save_plan(found.plan)
    try:
        tried = found.to_do()
        failures = _diverged(found) + _make(found, tried, progress, logs=logs, **pool)
        if found.plan.awaiting:
            found = survey(found.plan, found.lengths)
            save_plan(found.plan)
            progress.revise(found.total)
            folders = {run.folder for run, _ in tried}
            chosen = [(run, state) for run, state in found.to_do() if run.folder not in folders]
            failures += _make(found, chosen, progress, logs=logs / "own", **pool)
    finally:
        progress.close()
    return found.plan, failures


def _make(
    found: Survey,
    to_do: Sequence[tuple[PlannedRun, State]],
    progress: Progress,
    *,
    executor: Executor,
    logs: Path,
    inherited: tuple[int, ...],
) -> list[tuple[PlannedRun, str]]:
    """Make some runs of a survey; return those that failed, in their order, each with its error."""
    plan = found.plan
    for run, state in to_do:
        if not state.goes_on:
            clear(run, state)
    to_do = longest_first(to_do, seconds_by_variant(plan.work), found.lengths)
    tasks = [_task(plan, run, state) for run, state in to_do]
    runs = {task.folder: run for task, (run, _) in zip(tasks, to_do, strict=True)}

    def report(outcome: Outcome) -> None:
        run = runs[outcome.task.folder]
        if outcome.error is None:
            if isinstance(run, Trial):  # nothing reads its weights, and hundreds of trials would fill a gigabyte
                shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)
            progress.finished(run.label, _score(run.folder), outcome.seconds)
        else:
            progress.failed(run.label, outcome.error)

    outcomes = executor.run(Work(to_do, tasks, logs, inherited, report, progress.tick))
    errors = {outcome.task.folder: outcome.error for outcome in outcomes if outcome.error is not None}
    failed = [(run, errors[str(run.folder)]) for run in plan.work if str(run.folder) in errors]
    return [(run, error) for run, error in failed if not (isinstance(run, Trial) and has_diverged(run))]


def _diverged(found: Survey) -> list[tuple[PlannedRun, str]]:
    """Return the runs, trials apart, whose training diverged at an earlier start, each with its error."""
    return [
        (run, str((read_record(run.folder) or {}).get("error") or "training diverged"))
        for run, state in found.pairs()
        if state is State.DIVERGED and not isinstance(run, Trial)
    ]


def finished(plan: Plan) -> tuple[int, int]:
    """Return how many runs and trials of a plan have been finished, by their records alone, and how many there are."""
    places = (*plan.work, *plan.awaiting)
    return sum((read_record(place.folder) or {}).get("status") == "done" for place in places), len(places)


def _task(plan: Plan, run: PlannedRun, state: State) -> Task:
    """Return what a worker is told about a run."""
    facts = {"study": plan.study.name, "variant": run.variant, "repeat": run.repeat, "command": command_line(plan)}
    if isinstance(run, Trial):
        facts["trial"] = {"fold": run.outer.name, run.key: run.value}
    return Task(str(run.folder), run.config, state.goes_on, facts)


def _score(folder: Path) -> str:
    """Return a finished run's macro F1 in words."""
    try:
        scores: dict[str, Any] = parse_json((folder / "scores.json").read_text(encoding="utf-8"))
        return f"macro F1 {scores['macro_f1']:.3f}"
    except (OSError, ValueError, KeyError, TypeError):
        return "no score"
