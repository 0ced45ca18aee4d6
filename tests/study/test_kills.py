"""`kill -9` at any instant, then the same command again: the results are those of an undisturbed study."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from har.__main__ import main
from tests.study.small import fold, write_study
from tests.study.test_trials import CONTRASTS, TUNE

ROOT = Path(__file__).parents[2]


def words(study: Path, data_root: Path, runs: Path, jobs: int) -> list[str]:
    return ["study", str(study), "--root", str(data_root), "--runs", str(runs), "--jobs", str(jobs)]


def start(study: Path, data_root: Path, runs: Path, jobs: int = 2, more: Sequence[str] = ()) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "har", *words(study, data_root, runs, jobs), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, text=True, **pipes)


def complete(study: Path, data_root: Path, runs: Path) -> None:
    assert main(words(study, data_root, runs, jobs=2)) == 0


def results(runs: Path) -> dict[str, Any]:
    """Return everything that a study found out, without times."""
    found: dict[str, Any] = {}
    for folder in sorted(path.parent for path in runs.rglob("run.json")):
        name = folder.relative_to(runs).as_posix()
        record = json.loads((folder / "run.json").read_text())
        found[name] = {
            "scores": (folder / "scores.json").read_bytes(),
            "predictions": (folder / "predictions" / "running.parquet").read_bytes(),
            "curve": [
                {key: value for key, value in json.loads(line).items() if key != "seconds"}
                for line in (folder / "metrics.jsonl").read_text().splitlines()
            ],
            "chosen": {
                key: record[key] for key in ("status", "seed", "best_step", "best_validation_macro_f1", "hashes")
            },
        }
    study = next(runs.glob("*/*/contrasts.json")).parent
    found["contrasts"] = json.loads((study / "contrasts.json").read_text())["contrasts"]
    tuning = study / "tuning.json"
    found["tuning"] = json.loads(tuning.read_text()) if tuning.exists() else None
    return found


def test_a_study_killed_twice_has_the_results_of_an_undisturbed_one(tmp_path, data_root):
    study = write_study(tmp_path, [fold("1"), fold("2")])
    complete(study, data_root, tmp_path / "undisturbed")
    runs = tmp_path / "killed"

    def checkpointed() -> bool:
        return bool(list(runs.rglob("last.ckpt")))

    def partly_done() -> bool:
        return any('"done"' in path.read_text() for path in runs.rglob("run.json"))

    for is_time in (checkpointed, partly_done):
        kill_when(is_time, start(study, data_root, runs, jobs=1))
    complete(study, data_root, runs)
    assert results(runs) == results(tmp_path / "undisturbed")


def kill_when(is_time: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 180
    while not is_time() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    kill(process)


def kill(process: subprocess.Popen[str], group: bool = True) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "changes"), [(20, {}), (10, {"tune": TUNE, "contrasts": CONTRASTS})], ids=["plain", "tuned"]
)
def test_a_study_killed_at_random_instants_has_the_results_of_an_undisturbed_one(tmp_path, data_root, kills, changes):
    study = write_study(tmp_path, **changes)
    began = time.monotonic()
    process = start(study, data_root, tmp_path / "undisturbed")
    _, err = process.communicate()
    assert process.returncode == 0, err
    whole_s = time.monotonic() - began
    runs = tmp_path / "killed"
    instants = random.Random(0)
    for number in range(kills):
        process = start(study, data_root, runs)
        time.sleep(instants.uniform(0, whole_s))
        was_too_late = process.poll() is not None
        kill(process, group=number % 2 == 0)  # every other time the workers are left to notice by themselves
        if was_too_late:  # or all that follows would be kills of a finished study
            runs = tmp_path / f"killed-{number}"
    for folder in tmp_path.glob("killed*"):
        complete(study, data_root, folder)
        assert results(folder) == results(tmp_path / "undisturbed"), folder


@pytest.mark.slow
def test_a_workers_memory_does_not_grow_with_the_runs_that_it_makes(tmp_path, data_root):
    study = write_study(tmp_path, repeats=5)
    assert main(words(study, data_root, tmp_path / "runs", jobs=1)) == 0
    records = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("run.json")]
    peaks = [record["peak_memory_mib"] for record in sorted(records, key=lambda record: record["finished"])]
    assert len(peaks) == 30
    first, early, late = peaks[0], max(peaks[1:10]), max(peaks[-10:])
    sys.stdout.write(f"peak memory of a run in MiB: {first} first, {early} then, {late} in the end\n")
    assert late < early + 30
