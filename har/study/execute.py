"""Runs executed by a small pool of worker processes, one thread each.

The pool is our own because a worker may die (kill -9, out of memory, a crash in native code): then its run has failed,
another worker takes its place and the others never notice. Each worker is a fresh interpreter (`worker`), talked to
over its stdin and stdout; see there for what happens when the study itself dies.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RUNNER = "har.training.run:run"
TOGETHER = "har.training.fused:run_together"  # what makes several runs at once

# Results of a run depend on its number of threads, and several workers with several threads each slow one another
# down. These must stand before a numerical library is loaded, hence in the environment of the worker.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
_TICK_S = 1.0  # how often a display of the elapsed time is brought up to date

# A worker is replaced after so many runs. No object of a run outlives it, but its memory, cut into pieces, does not all
# go back to the system (half a MiB a run). The imports of a new worker are a hundredth of what so many runs take.
RUNS_OF_A_WORKER = 100


@dataclass(frozen=True)
class Task:
    """One run to be made: the arguments of the runner, all of them plain JSON values.

    Attributes:
        folder: The run folder.
        config: The run's complete configuration.
        resume: Whether to go on from the folder's last checkpoint.
        facts: What the run's record shall also say (variant, study).
    """

    folder: str
    config: dict[str, Any]
    resume: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        task: The run.
        error: What went wrong, None when nothing did.
        seconds: Wall time of the run in its worker; 0 when the worker died.
    """

    task: Task
    error: str | None
    seconds: float


def execute(
    tasks: Sequence[Task | tuple[Task, ...]],
    *,
    jobs: int,
    logs: Path,
    runner: str = RUNNER,
    inherited: Iterable[int] = (),
    on_finish: Callable[[Outcome], None] = lambda outcome: None,
    on_tick: Callable[[int], None] = lambda running: None,
) -> list[Outcome]:
    """Run every task once, up to `jobs` of them at a time, started in the order given.

    Args:
        tasks: The runs; several in a tuple are made together by one worker (`TOGETHER`).
        jobs: Number of worker processes.
        logs: Folder for what the workers print, one file each.
        runner: ``module:function``, called as ``function(config, folder, resume=…, facts=…)`` in the workers.
        inherited: Descriptors that workers keep open (the study's lock).
        on_finish: Called after each run, in the order in which they end.
        on_tick: Called about once a second with the number of runs at work.

    Returns:
        One outcome per task, in the order in which they ended. A run that fails, or whose worker dies, stops nothing.

    Raises:
        KeyboardInterrupt: On Ctrl-C, when every worker has been stopped.
    """
    waiting = deque((task,) if isinstance(task, Task) else task for task in tasks)
    outcomes: list[Outcome] = []
    at_a_time = min(jobs, len(waiting))
    pool = _Pool(runner, logs, tuple(inherited), share=1 / max(at_a_time, 1))
    try:
        for slot in range(at_a_time):
            pool.start(slot, waiting.popleft())
        while pool.workers:
            for worker in pool.ready(_TICK_S):
                for outcome in worker.outcomes():
                    outcomes.append(outcome)
                    on_finish(outcome)
                if worker.is_dead or not worker.open:
                    pool.hand_on(worker, waiting)
            on_tick(sum(len(worker.open) for worker in pool.workers))
    finally:
        pool.stop()
    return outcomes


class _Worker:
    """One worker process and the runs that it is busy with.

    Attributes:
        open: The runs that it has not answered for, by their number in what it was given.
        is_dead: Whether it has ended without being told to.
        given: How often it has been given something.
    """

    def __init__(self, slot: int, command: list[str], log: Path, inherited: tuple[int, ...]) -> None:
        self.slot = slot
        self.log = log
        self.is_dead = False
        self.open: dict[int, Task] = {}
        self.given = 0
        with log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                bufsize=0,  # or a second answer could lie in a buffer while the pipe seems empty
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(_import_path())},
                pass_fds=inherited,
            )

    @property
    def stdout(self) -> Any:
        return self.process.stdout

    def give(self, tasks: tuple[Task, ...], share: float) -> None:
        """Hand over runs to be made together. A worker that is gone already is noticed by the end of its output."""
        self.open = dict(enumerate(tasks))
        self.given += 1
        parcel = {"tasks": [asdict(task) for task in tasks], "share": share}
        left = memoryview(json.dumps(parcel).encode() + b"\n")
        stdin = self.process.stdin
        assert stdin is not None  # noqa: S101 - Popen was asked for a pipe
        try:
            while left:
                left = left[os.write(stdin.fileno(), left) :]
        except BrokenPipeError:
            return

    def outcomes(self) -> list[Outcome]:
        """Read how a run ended; the end of the output means that the worker has died, with every run it has left."""
        line: bytes = self.stdout.readline()
        if line.endswith(b"\n"):
            reply = json.loads(line)
            return [Outcome(self.open.pop(reply["number"]), reply["error"], reply["seconds"])]
        self.is_dead = True
        error = f"the worker process {_end_of(self.process.wait())}; its log is {self.log}."
        return [Outcome(task, error, 0.0) for task in self.open.values()]

    def stop(self) -> None:
        """End the process at once. What it was writing is whole or not there."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # an unfinished hand-over to a worker that died
                    continue
        self.process.wait()


class _Pool:
    """The workers that are alive, each in a slot that names its log."""

    def __init__(self, runner: str, logs: Path, inherited: tuple[int, ...], share: float) -> None:
        self.command = [sys.executable, "-P", "-m", "har.study.worker", runner, TOGETHER]
        self.share = share
        self.logs = logs
        self.inherited = inherited
        self.workers: list[_Worker] = []
        self.selector = selectors.DefaultSelector()
        logs.mkdir(parents=True, exist_ok=True)
        for old in logs.glob("worker-*.log"):
            old.unlink()

    def start(self, slot: int, tasks: tuple[Task, ...]) -> None:
        """Start a worker in a slot with its first run, or runs."""
        # Ctrl-C at a terminal reaches every process of the group. The study alone answers it, so workers are born
        # with SIGINT blocked (a mask is inherited), which leaves no instant in which they would print a traceback.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            worker = _Worker(slot, self.command, self.logs / f"worker-{slot}.log", self.inherited)
            self.workers.append(worker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.selector.register(worker.stdout, selectors.EVENT_READ, worker)
        worker.give(tasks, self.share)

    def ready(self, timeout_s: float) -> list[_Worker]:
        """Return the workers that have something to say, none when the time is up."""
        return [key.data for key, _ in self.selector.select(timeout_s)]

    def hand_on(self, worker: _Worker, waiting: deque[tuple[Task, ...]]) -> None:
        """Give a worker the next run, replace it when it has died or is old, end it when there is nothing left."""
        if waiting and not worker.is_dead and worker.given < RUNS_OF_A_WORKER:
            worker.give(waiting.popleft(), self.share)
            return
        self.selector.unregister(worker.stdout)
        self.workers.remove(worker)
        worker.stop()
        if waiting:
            self.start(worker.slot, waiting.popleft())

    def stop(self) -> None:
        """End every worker, at once."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.stop()
        self.workers.clear()
        self.selector.close()


def _import_path() -> list[str]:
    """Return this process's import path, so that workers import the very same modules."""
    return [str(Path(entry).absolute()) for entry in sys.path]


def _end_of(code: int) -> str:
    """Say how a process ended, from its return code."""
    if code >= 0:
        return f"ended by itself with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    reason = ", as it is when memory runs out" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{reason}"
