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

# Results of a run depend on its number of threads, and several workers with several threads each slow one another
# down. These must stand before a numerical library is loaded, hence in the environment of the worker.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
_TICK_S = 1.0  # how often a display of the elapsed time is brought up to date


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
    tasks: Sequence[Task],
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
        tasks: The runs.
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
    waiting = deque(tasks)
    outcomes: list[Outcome] = []
    pool = _Pool(runner, logs, tuple(inherited))
    try:
        for slot in range(min(jobs, len(waiting))):
            pool.start(slot, waiting.popleft())
        while pool.workers:
            for worker in pool.ready(_TICK_S):
                outcome = worker.outcome()
                outcomes.append(outcome)
                on_finish(outcome)
                pool.hand_on(worker, waiting)
            on_tick(len(pool.workers))
    finally:
        pool.stop()
    return outcomes


class _Worker:
    """One worker process and the run it is busy with."""

    def __init__(self, slot: int, command: list[str], log: Path, inherited: tuple[int, ...]) -> None:
        self.slot = slot
        self.log = log
        self.is_dead = False
        with log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(_import_path())},
                pass_fds=inherited,
            )

    @property
    def stdout(self) -> Any:
        return self.process.stdout

    def give(self, task: Task) -> None:
        """Hand over a run. A worker that is gone already is noticed by the end of its output."""
        self.task = task
        stdin = self.process.stdin
        assert stdin is not None  # noqa: S101 - Popen was asked for a pipe
        try:
            stdin.write(json.dumps(asdict(task)).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            return

    def outcome(self) -> Outcome:
        """Read the outcome of the run; the end of the output means that the worker has died."""
        line: bytes = self.stdout.readline()
        if line.endswith(b"\n"):
            reply = json.loads(line)
            return Outcome(self.task, reply["error"], reply["seconds"])
        self.is_dead = True
        return Outcome(self.task, f"the worker process {_end_of(self.process.wait())}; its log is {self.log}.", 0.0)

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

    def __init__(self, runner: str, logs: Path, inherited: tuple[int, ...]) -> None:
        self.command = [sys.executable, "-P", "-m", "har.study.worker", runner]
        self.logs = logs
        self.inherited = inherited
        self.workers: list[_Worker] = []
        self.selector = selectors.DefaultSelector()
        logs.mkdir(parents=True, exist_ok=True)
        for old in logs.glob("worker-*.log"):
            old.unlink()

    def start(self, slot: int, task: Task) -> None:
        """Start a worker in a slot with its first run."""
        # Ctrl-C at a terminal reaches every process of the group. The study alone answers it, so workers are born
        # with SIGINT blocked (a mask is inherited), which leaves no instant in which they would print a traceback.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            worker = _Worker(slot, self.command, self.logs / f"worker-{slot}.log", self.inherited)
            self.workers.append(worker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.selector.register(worker.stdout, selectors.EVENT_READ, worker)
        worker.give(task)

    def ready(self, timeout_s: float) -> list[_Worker]:
        """Return the workers that have something to say, none when the time is up."""
        return [key.data for key, _ in self.selector.select(timeout_s)]

    def hand_on(self, worker: _Worker, waiting: deque[Task]) -> None:
        """Give a worker the next run, replace it when it has died, end it when there is nothing left."""
        if waiting and not worker.is_dead:
            worker.give(waiting.popleft())
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
