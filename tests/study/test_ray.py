"""A study on a Ray cluster of two nodes, one of which is killed, beside the same study made here.

`make slow` installs Ray; the quick tests need none, and what they test of the cluster's work runs without one.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from har.__main__ import main
from har.errors import UsageError
from har.study import on_ray
from har.study.execute import Outcome, Task
from har.study.executors import Work
from har.study.on_ray import RayExecutor
from har.study.ray_node import Order, make, pack, read_store, unpack, unpacked
from har.study.runs import PlannedRun
from har.study.states import State
from har.windows.prepare import open_store, store_folder
from har.windows.splits import Fold
from tests.kills import results
from tests.study.small import fold, write_study

ACT = "tests.study.runners:act"


def order(act: str, **settings: Any) -> Order:
    return Order(
        {"do": act, "data": {"name": "spar", "root": "/there"}, **settings}, fold("1"), {"variant": "a"}, None, ACT
    )


def test_a_run_is_made_in_a_folder_of_the_nodes_and_comes_back_whole(tmp_path: Path) -> None:
    made = make(order("nothing"), tmp_path, "a node")
    assert made.folder is not None
    unpack(made.folder, tmp_path / "run")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (made.error, made.log, made.node, result["facts"], result["resume"]) == (
        None,
        "",
        "a node",
        {"variant": "a"},
        False,
    )


def test_a_run_that_fails_says_why_and_brings_what_it_has_written(tmp_path: Path) -> None:
    made = make(order("refuse"), tmp_path, "a node")
    assert str(made.error).startswith("activity walk is missing")
    assert "Traceback" in made.log
    assert made.folder is not None
    unpack(made.folder, tmp_path / "run")
    assert (tmp_path / "run" / "pid").exists()


def test_a_run_goes_on_from_the_folder_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "weights").write_text("as they were")
    packed = pack(tmp_path / "before")
    made = make(Order({"do": "nothing", "data": {}}, fold("1"), {}, packed, ACT), tmp_path, "a node")
    assert made.folder is not None
    unpack(made.folder, tmp_path / "after")
    assert (tmp_path / "after" / "weights").read_text() == "as they were"
    assert json.loads((tmp_path / "after" / "result.json").read_text())["resume"]


def test_a_store_is_unpacked_once_and_only_where_it_is_not_seen(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = open_store("spar", data_root)
    assert unpacked("spar", store.sha256, str(data_root), lambda: pytest.fail("fetched")) == data_root
    files, fetched = read_store(store_folder("spar", data_root)), []

    def fetch() -> Any:
        fetched.append(1)
        return files

    places = {unpacked("spar", store.sha256, "/not/here", fetch) for _ in range(3)}
    (place,) = places
    assert fetched == [1]
    there = open_store("spar", place)
    assert there.sha256 == store.sha256
    assert np.array_equal(there.signal_TC, store.signal_TC)


def test_without_ray_the_study_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="Ray is not installed") as refusal:
        RayExecutor.connected(None)
    assert "har-lab[ray]" in refusal.value.hint


class LostError(Exception):
    """What a stand-in for Ray raises where a worker has died."""


class TaskError(LostError):
    """What it raises for an error around a run."""

    cause = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "signal.npy")


class StandIn:
    """Ray, as far as the study asks for it: every task is done at once, and may be lost or interrupted."""

    exceptions = SimpleNamespace(RayError=LostError, RayTaskError=TaskError)

    def __init__(self, lost: set[int], interrupted_at: int | None = None, error: type[LostError] = LostError) -> None:
        self.lost, self.interrupted_at, self.error = lost, interrupted_at, error
        self.done: list[Any] = []
        self.puts = self.waits = 0

    def put(self, value: Any) -> Any:
        self.puts += 1
        return value

    def get(self, reference: Any) -> Any:
        if isinstance(reference, int):
            if reference in self.lost:
                raise self.error("the node is gone")
            return self.done[reference]
        return reference

    def remote(self, **options: Any) -> Any:
        assert options["max_retries"] > 0

        def do(order: Order, *store: Any) -> int:
            self.done.append(make(order, Path("/nowhere"), "a node"))
            return len(self.done) - 1

        return lambda function: SimpleNamespace(remote=do)

    def wait(self, references: list[int], num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        self.waits += 1
        if self.waits == self.interrupted_at:
            raise KeyboardInterrupt
        return references[:num_returns], references[num_returns:]

    def cancel(self, reference: int, force: bool) -> None:
        pytest.fail("everything had ended")


def conducted(
    stand_in: StandIn, folder: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch, *acts: str
) -> tuple[list[Outcome], list[str]]:
    """Make runs that act, on the stand-in; return how they ended and whom the study was told of."""
    monkeypatch.setattr("har.study.on_ray._ray", lambda: stand_in)
    told: list[str] = []
    to_do, tasks = [], []
    for number, act in enumerate(acts):
        config = {"do": act, "data": {"name": "spar", "root": str(data_root), "folds": "loso"}}
        place = folder / str(number)
        to_do.append((PlannedRun("a", Fold("subject-1", ("2",), ("3",), ("1",)), 0, place, config), State.MISSING))
        tasks.append(Task(str(place), config))
    work = Work(
        to_do, tasks, folder / "logs", (), lambda outcome: told.append(outcome.task.folder), lambda running: None
    )
    try:
        return RayExecutor(1, runner=ACT).run(work), told
    except KeyboardInterrupt:
        return [], told


def test_a_run_fails_alone_and_a_lost_worker_is_told_after_its_retries(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = StandIn({2})
    outcomes, told = conducted(stand_in, tmp_path, data_root, monkeypatch, "nothing", "refuse", "nothing", "nothing")
    assert len(told) == 4
    assert stand_in.puts == 1  # the store, whatever the number of runs
    errors = {Path(outcome.task.folder).name: outcome.error for outcome in outcomes}
    assert (errors["0"], errors["3"]) == (None, None)
    assert str(errors["1"]).startswith("activity walk is missing")
    assert "worker on the cluster died" in str(errors["2"])
    assert "the node is gone" in str(errors["2"])
    assert (tmp_path / "0" / "result.json").is_file()
    assert (tmp_path / "1" / "pid").is_file()
    assert not (tmp_path / "2").exists()
    assert "activity walk is missing" in (tmp_path / "logs" / "cluster.log").read_text()


def test_an_error_around_a_run_is_told_as_it_is(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outcome,), _ = conducted(StandIn({0}, error=TaskError), tmp_path, data_root, monkeypatch, "nothing")
    assert outcome.error == "No space left on device at signal.npy."


def test_results_that_find_no_room_here_fail_their_run_alone(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = on_ray.replacing_folder

    def full(folder: Path) -> Any:
        if folder.name == "0":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(folder)

    monkeypatch.setattr(on_ray, "replacing_folder", full)
    outcomes, _ = conducted(StandIn(set()), tmp_path, data_root, monkeypatch, "nothing", "nothing")
    assert {Path(outcome.task.folder).name: outcome.error for outcome in outcomes} == {
        "0": "No space left on device.",
        "1": None,
    }


def test_a_run_that_cannot_begin_on_a_node_keeps_what_it_would_go_on_from(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "last.ckpt").write_text("weights")
    monkeypatch.setattr(f"{conducted.__module__}.ACT", "no.such.module:run")
    (outcome,), _ = conducted(StandIn(set()), tmp_path, data_root, monkeypatch, "nothing")
    assert "ModuleNotFoundError" in str(outcome.error)
    assert (tmp_path / "0" / "last.ckpt").read_text() == "weights"


def test_an_interrupt_loses_nothing_that_has_ended(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes, told = conducted(StandIn(set(), interrupted_at=1), tmp_path, data_root, monkeypatch, "nothing", "nothing")
    assert outcomes == []
    assert [Path(folder).name for folder in told] == ["0", "1"]
    assert (tmp_path / "1" / "result.json").is_file()


def nodes_said() -> str:
    import ray

    alive = [node["NodeID"][:8] for node in ray.nodes() if node["Alive"]]
    return f"{len(alive)} alive: {', '.join(alive)}"


def kill_when(study: Path, node: Any) -> None:
    """Kill a node's raylet, and so its workers, as soon as some run is done."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(study.rglob("run.json")):
        time.sleep(0.05)
    for process in (process for kind in node.all_processes.values() for process in kind):
        os.kill(process.process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_study_on_a_cluster_that_loses_a_node_comes_to_the_results_of_one_made_here(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray
    from ray.cluster_utils import Cluster

    study = write_study(tmp_path, repeats=2)
    words = ["study", str(study), "--root", str(data_root), "--runs"]
    assert main([*words, str(tmp_path / "here"), "--jobs", "2"]) == 0
    cache = Path(tempfile.gettempdir()) / f"har-stores-{os.getuid()}" / open_store("spar", data_root).sha256
    shutil.rmtree(cache, ignore_errors=True)
    size = {"num_cpus": 1, "object_store_memory": 100 << 20}
    soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_failure_threshold": 3}
    head = {**size, "include_dashboard": False, "_system_config": soon}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        doomed = cluster.add_node(**size)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        # From another folder than the nodes', so that they do not see the data and are sent them.
        monkeypatch.chdir(data_root.parent)
        words[3] = data_root.name
        RayExecutor.connected(None)
        sys.stdout.write(f"before: {nodes_said()}\n")
        there = tmp_path / "there"
        killer = threading.Thread(target=kill_when, args=(there, doomed))
        killer.start()
        assert main([*words, str(there), "--executor", "ray"]) == 0
        killer.join()
        deadline = time.monotonic() + 180
        while sum(node["Alive"] for node in ray.nodes()) > 1 and time.monotonic() < deadline:
            time.sleep(0.5)
        sys.stdout.write(f"after: {nodes_said()}\n")
        assert nodes_said().startswith("1 alive")
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert (cache / "prepared" / "spar" / "manifest.json").is_file()
    shutil.rmtree(cache)
    assert results(there) == results(tmp_path / "here")
