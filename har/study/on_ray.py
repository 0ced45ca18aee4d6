"""Runs of a study as tasks on a Ray cluster, which needs the project on every node and no shared file system.

The store goes to each node once, as an object of Ray's, and lies unpacked there for later studies too. A run is made in
a folder of the node's; its files come back as the task's result and are put in place here by one rename, so a run that
counts is always whole. Ray repeats a task whose worker or node has died; a run that fails by itself is not repeated.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from har.errors import UsageError
from har.files import replacing_folder
from har.study.execute import ONE_THREAD, RUNNER, RUNS_OF_A_WORKER, Outcome, Task
from har.study.executors import Work
from har.study.ray_node import Made, Order, StoreFiles, make, pack, read_store, unpack, unpacked
from har.study.runs import PlannedRun
from har.study.states import State
from har.study.worker import sentence
from har.windows.prepare import open_store, store_folder

_RETRIES = 3  # of a run whose worker or node has died
_TICK_S = 1.0
_QUEUED = 2  # runs handed over for each that is at work, so that no worker waits for the next


@dataclass(frozen=True)
class RayExecutor:
    """A Ray cluster: the one that ``RAY_ADDRESS`` names or that runs here, else one of this machine alone.

    Attributes:
        jobs: Runs at a time.
        gpus: GPUs of a run.
        runner: ``module:function`` that makes a run.
    """

    jobs: int
    gpus: float = 0.0
    runner: str = RUNNER
    _stores: dict[str, Any] = field(default_factory=dict)  # what has been put into the cluster, by hash

    @classmethod
    def connected(cls, jobs: int | None, *, gpu: bool = False, runner: str = RUNNER) -> RayExecutor:
        """Connect to the cluster.

        Args:
            jobs: Runs at a time; as many as the cluster has processors, or GPUs, when None.
            gpu: Whether runs are trained on GPUs.
            runner: ``module:function`` that makes a run.

        Raises:
            UsageError: Ray is not installed, or there is no cluster where ``RAY_ADDRESS`` says, or it has no GPU.
        """
        ray = _ray()
        if not ray.is_initialized():
            own = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
            try:
                ray.init(**own, runtime_env={"env_vars": ONE_THREAD})
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise UsageError(
                    f"no Ray cluster answers ({str(error).splitlines()[0]}).",
                    "Start one with ray start --head, or unset RAY_ADDRESS.",
                ) from None
        kind = "GPU" if gpu else "CPU"
        there = int(ray.cluster_resources().get(kind, 0))
        if not there:
            hint = "Start nodes that have one, or set trainer.accelerator to cpu."
            raise UsageError(f"no node of the Ray cluster has a {kind}.", hint)
        return cls(min(jobs or there, there), 1.0 if gpu else 0.0, runner)

    def run(self, work: Work) -> list[Outcome]:
        """Make runs; see `har.study.executors.Executor`."""
        work.logs.mkdir(parents=True, exist_ok=True)
        waiting = deque(zip((run for run, _ in work.to_do), work.tasks, strict=True))
        crew = _Crew(self, work)
        try:
            while waiting or crew.at_work:
                while waiting and len(crew.at_work) < _QUEUED * self.jobs:
                    crew.hand_over(*waiting.popleft())
                crew.collect(_TICK_S)
                work.on_tick(min(len(crew.at_work), self.jobs))
        finally:
            crew.stop()
        return crew.outcomes

    def notes(self, to_do: Sequence[tuple[PlannedRun, State]]) -> list[str]:
        """Say how large the cluster is."""
        alive = [node for node in _ray().nodes() if node["Alive"]]
        nodes = "1 node" if len(alive) == 1 else f"{len(alive)} nodes"
        return [f"{len(to_do)} runs are made on a Ray cluster of {nodes}, {self.jobs} at a time."] if to_do else []

    def store(self, name: str, root: str | None) -> tuple[str, list[Any]]:
        """Put a store into the cluster, once; return its hash and, in a list, the reference to its files.

        A reference in a list reaches a task as it is, so a node that has the store already does not fetch it.
        """
        sha256 = open_store(name, root).sha256
        if sha256 not in self._stores:
            self._stores[sha256] = [_ray().put(read_store(store_folder(name, root)))]
        return sha256, self._stores[sha256]


class _Crew:
    """The tasks that are on the cluster.

    Args:
        executor: Whose they are.
        work: The runs, and who is told of them.
    """

    def __init__(self, executor: RayExecutor, work: Work) -> None:
        self._executor, self._work = executor, work
        options = {"num_cpus": 1, "num_gpus": executor.gpus, "max_retries": _RETRIES}
        if not executor.gpus:  # Ray itself replaces a worker with a GPU after each run, since it would keep that one
            options["max_calls"] = RUNS_OF_A_WORKER
        self._remote = _ray().remote(**options)(_made)
        self.at_work: dict[Any, Task] = {}
        self.outcomes: list[Outcome] = []

    def hand_over(self, run: PlannedRun, task: Task) -> None:
        """Give a run to the cluster."""
        folder = Path(task.folder)
        before = pack(folder) if task.resume else None
        order = Order(task.config, run.fold.record(), task.facts, before, self._executor.runner)
        data = task.config["data"]
        store = self._executor.store(data["name"], data.get("root"))
        self.at_work[self._remote.remote(order, data["name"], data.get("root"), *store)] = task

    def collect(self, timeout_s: float) -> None:
        """Take what has ended, waiting for the first one for some time."""
        ready, _ = _ray().wait(list(self.at_work), num_returns=1, timeout=timeout_s)
        if ready:
            ready, _ = _ray().wait(list(self.at_work), num_returns=len(self.at_work), timeout=0)
        for reference in ready:
            outcome = self._put_in_place(reference, self.at_work.pop(reference))
            self.outcomes.append(outcome)
            self._work.on_finish(outcome)

    def stop(self) -> None:
        """Take what has ended, and end what has not."""
        if not self.at_work:
            return
        with contextlib.suppress(Exception):  # the cluster may be what has failed
            self.collect(0)
        for reference in self.at_work:
            with contextlib.suppress(Exception):
                _ray().cancel(reference, force=True)

    def _put_in_place(self, reference: Any, task: Task) -> Outcome:
        """Put a run's files into its folder."""
        ray = _ray()
        try:
            made: Made = ray.get(reference)
        except ray.exceptions.RayTaskError as error:  # around the run, such as a disk without room for the store
            self._log(task, f"\n{error}\n")
            return Outcome(task, sentence(error.cause), 0.0)
        except ray.exceptions.RayError as error:
            cause = str(error).strip().splitlines()[0]
            died = f"its worker on the cluster died, and so did {_RETRIES} in its place"
            return Outcome(task, f"{died} ({type(error).__name__}: {cause}).", 0.0)
        if made.log:
            self._log(task, f" on node {made.node}\n{made.log}")
        try:
            if made.folder is not None:
                with replacing_folder(Path(task.folder)) as fresh:
                    unpack(made.folder, fresh)
        except OSError as error:  # a full disk here
            return Outcome(task, sentence(error), made.seconds)
        return Outcome(task, made.error, made.seconds)

    def _log(self, task: Task, text: str) -> None:
        """Keep what a task left behind for people."""
        with contextlib.suppress(OSError), (self._work.logs / "cluster.log").open("a", encoding="utf-8") as log:
            log.write(f"--- {task.folder}{text}")


def _made(order: Order, name: str, root: str | None, sha256: str, files: list[Any]) -> Made:
    """Make a run on whichever node this is."""
    import ray

    def fetch() -> StoreFiles:
        found: StoreFiles = ray.get(files[0])
        return found

    return make(order, unpacked(name, sha256, root, fetch), str(ray.get_runtime_context().get_node_id()))


def _ray() -> Any:
    """Return Ray.

    Raises:
        UsageError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UsageError("Ray is not installed.", "pip install 'har-lab[ray]', on every node.") from None
    return ray
