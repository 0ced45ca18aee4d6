"""The pool of workers: one run's fate is its own, and nothing outlives the study."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from har.errors import RunError
from har.study.execute import ONE_THREAD, Outcome, Task, execute
from har.study.lock import study_lock

RUNNER = "tests.study.runners:act"
ROOT = Path(__file__).parents[2]

# A study process to be interrupted or killed: two workers that sleep, in a process group of its own.
_STUDY = """
import sys
from pathlib import Path
from har.study.execute import Task, execute
from har.study.lock import study_lock
folder = Path(sys.argv[1])
tasks = [Task(str(folder / str(i)), {"do": "sleep"}) for i in range(4)]
with study_lock(folder) as lock:
    execute(tasks, jobs=2, logs=folder / "logs", runner="tests.study.runners:act", inherited=(lock,))
"""


def tasks_of(folder: Path, *acts: str) -> list[Task]:
    return [Task(str(folder / f"run-{i}"), {"do": act}) for i, act in enumerate(acts)]


def run_all(folder: Path, tasks: list[Task], jobs: int = 1) -> dict[str, Outcome]:
    outcomes = execute(tasks, jobs=jobs, logs=folder / "logs", runner=RUNNER)
    assert len(outcomes) == len(tasks)
    return {Path(outcome.task.folder).name: outcome for outcome in outcomes}


def result(task: Task) -> dict:
    return json.loads((Path(task.folder) / "result.json").read_text())


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie (in a container nobody may reap an orphan)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def sleeping_study(tmp_path: Path):
    study = subprocess.Popen(
        [sys.executable, "-c", _STUDY, str(tmp_path)], cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE
    )
    pids = [tmp_path / "0" / "pid", tmp_path / "1" / "pid"]
    wait_for(lambda: all(path.exists() and path.read_text() for path in pids))
    yield study, [int(path.read_text()) for path in pids]
    if study.poll() is None:
        os.killpg(study.pid, signal.SIGKILL)
    study.communicate()


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_every_task_is_run_once_whatever_the_number_of_jobs(tmp_path, jobs):
    tasks = tasks_of(tmp_path, *["nothing"] * 5)
    outcomes = run_all(tmp_path, tasks, jobs)
    assert sorted(outcomes) == [f"run-{i}" for i in range(5)]
    assert all(outcome.error is None for outcome in outcomes.values())
    assert len({result(task)["pid"] for task in tasks}) <= min(jobs, 5)


def test_a_worker_lives_across_runs(tmp_path):
    tasks = tasks_of(tmp_path, "nothing", "refuse", "nothing")
    run_all(tmp_path, tasks)
    assert result(tasks[0])["pid"] == result(tasks[2])["pid"]


def test_a_worker_is_replaced_after_so_many_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("har.study.execute.RUNS_OF_A_WORKER", 2)
    tasks = tasks_of(tmp_path, *["nothing"] * 5)
    assert all(outcome.error is None for outcome in run_all(tmp_path, tasks).values())
    pids = [result(task)["pid"] for task in tasks]
    assert (pids[0], pids[2], len(set(pids))) == (pids[1], pids[3], 3)


def test_nothing_of_a_run_is_left_in_the_memory_of_its_worker(tmp_path):
    outcomes = run_all(tmp_path, tasks_of(tmp_path, *["circle"] * 3))
    assert [outcome.error for outcome in outcomes.values()] == [None] * 3


def test_runs_start_in_the_order_given(tmp_path):
    ended = []
    tasks = tasks_of(tmp_path, *["nothing"] * 6)
    execute(tasks, jobs=1, logs=tmp_path, runner=RUNNER, on_finish=lambda outcome: ended.append(outcome.task))
    assert ended == tasks


def test_resume_and_facts_reach_the_runner(tmp_path):
    task = Task(str(tmp_path / "run"), {"do": "nothing"}, resume=True, facts={"variant": "every", "repeat": 2})
    run_all(tmp_path, [task])
    assert (result(task)["resume"], result(task)["facts"]) == (True, {"variant": "every", "repeat": 2})


def test_a_worker_has_one_thread_before_anything_is_imported(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    (task,) = tasks_of(tmp_path, "nothing")
    run_all(tmp_path, [task])
    assert ONE_THREAD.items() <= result(task)["environment"].items()


def test_an_exception_fails_its_run_alone_and_says_why(tmp_path):
    outcomes = run_all(tmp_path, tasks_of(tmp_path, "refuse", "break", "exit", "nothing"))
    assert outcomes["run-0"].error == "activity walk is missing from the training subjects.\n  Use other folds."
    assert outcomes["run-1"].error == "ZeroDivisionError: division by zero"
    assert outcomes["run-2"].error == "SystemExit: the parser gave up"
    assert outcomes["run-3"].error is None
    assert 'raise ZeroDivisionError("division by zero")' in (tmp_path / "logs" / "worker-0.log").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_fails_a_run_and_not_its_worker(tmp_path):
    tasks = tasks_of(tmp_path, "fill", "break", "nothing")
    outcomes = run_all(tmp_path, tasks)
    assert outcomes["run-0"].error == "No space left on device at scores.json."
    assert outcomes["run-1"].error == "ZeroDivisionError: division by zero"
    assert outcomes["run-2"].error is None


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_worker_fails_its_run_alone_and_is_replaced(tmp_path, jobs):
    tasks = tasks_of(tmp_path, "nothing", "die", "nothing", "die", "nothing")
    outcomes = run_all(tmp_path, tasks, jobs)
    assert [i for i in range(5) if outcomes[f"run-{i}"].error] == [1, 3]
    assert "was killed by SIGKILL, as it is when memory runs out" in outcomes["run-1"].error
    assert "worker-" in outcomes["run-1"].error


def test_a_worker_that_dies_with_the_last_run_does_not_hang_the_study(tmp_path):
    assert run_all(tmp_path, tasks_of(tmp_path, "die"))["run-0"].error


def test_what_a_run_prints_is_no_outcome(tmp_path):
    outcomes = run_all(tmp_path, tasks_of(tmp_path, "print", "nothing"))
    assert all(outcome.error is None for outcome in outcomes.values())
    log = (tmp_path / "logs" / "worker-0.log").read_text()
    assert "neither is this" in log
    assert str(tmp_path / "run-0") in log


def test_a_runner_that_cannot_be_imported_is_the_error_of_each_run(tmp_path):
    (outcome,) = execute(tasks_of(tmp_path, "nothing"), jobs=1, logs=tmp_path, runner="tests.study.nowhere:act")
    assert outcome.error == "ModuleNotFoundError: No module named 'tests.study.nowhere'"


def test_no_tasks_need_no_worker(tmp_path):
    assert execute([], jobs=2, logs=tmp_path / "logs", runner="nowhere:nothing") == []


def test_an_error_in_the_study_itself_leaves_no_worker_behind(tmp_path):
    def fail(outcome: Outcome) -> None:
        raise OSError("the disk is full")

    tasks = [*tasks_of(tmp_path, "nothing"), Task(str(tmp_path / "sleeper"), {"do": "sleep"})]
    pid = tmp_path / "sleeper" / "pid"
    with pytest.raises(OSError, match="full"):
        execute(tasks, jobs=2, logs=tmp_path, runner=RUNNER, on_finish=fail)
    assert not pid.exists() or not is_alive(int(pid.read_text() or 0))


def test_workers_of_a_killed_study_exit_in_the_middle_of_their_runs(sleeping_study, tmp_path):
    study, pids = sleeping_study
    study.kill()  # the study alone, not its workers
    began = time.monotonic()
    wait_for(lambda: not any(map(is_alive, pids)))
    assert time.monotonic() - began < 2
    with study_lock(tmp_path):  # a study that is started again gets the folder
        pass


def test_a_folder_is_taken_until_every_process_that_inherited_its_lock_is_gone(tmp_path):
    with study_lock(tmp_path) as lock:
        orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=(lock,))
    with pytest.raises(RunError, match="another study is at work"), study_lock(tmp_path, wait_s=0.2):
        pass
    orphan.kill()
    orphan.wait()
    with study_lock(tmp_path, wait_s=0):
        pass


def test_workers_inherit_the_lock(tmp_path):
    with study_lock(tmp_path) as lock:
        task = Task(str(tmp_path / "run"), {"do": "nothing", "descriptor": lock})
        execute([task], jobs=1, logs=tmp_path, runner=RUNNER, inherited=(lock,))
        assert result(task)["inode"] == os.fstat(lock).st_ino


def test_an_interrupt_does_not_reach_a_run(sleeping_study):
    study, pids = sleeping_study
    for pid in pids:
        os.kill(pid, signal.SIGINT)
    time.sleep(0.3)
    assert study.poll() is None
    assert all(map(is_alive, pids))


def test_ctrl_c_stops_every_worker_and_only_the_study_hears_of_it(sleeping_study, tmp_path):
    study, pids = sleeping_study
    os.killpg(study.pid, signal.SIGINT)  # what a terminal does
    _, errors = study.communicate(timeout=60)
    assert not any(map(is_alive, pids))
    assert errors.decode().rstrip().endswith("KeyboardInterrupt")
    assert "KeyboardInterrupt" not in "".join(log.read_text() for log in tmp_path.glob("logs/*"))


def test_two_studies_cannot_share_a_folder(tmp_path):
    began = time.monotonic()
    taken = pytest.raises(RunError, match="another study is at work")
    with study_lock(tmp_path), taken as refusal, study_lock(tmp_path, wait_s=0.3):
        pass
    assert time.monotonic() - began >= 0.3
    assert "--runs" in refusal.value.hint


@pytest.mark.parametrize("folder", ["/dev/null/runs", "/proc/runs"])
def test_a_folder_that_cannot_be_written_is_one_clear_error(folder):
    taken = pytest.raises(RunError, match="cannot be written")
    with taken as refusal, study_lock(Path(folder)):
        pass
    assert "--runs" in refusal.value.hint


def test_a_folder_is_free_again_when_its_study_has_ended(tmp_path):
    for _ in range(2):
        with study_lock(tmp_path, wait_s=0):
            run_all(tmp_path, tasks_of(tmp_path, "nothing"))
