"""Plans that are conducted with workers that only pretend, and runs that were left behind."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from har.study.conduct import conduct, survey
from har.study.executors import LocalExecutor
from har.study.lock import study_lock
from har.study.plan import Plan
from tests.study.runners import fake_identity


def go(plan: Plan, jobs: int = 1) -> tuple[list[str], str]:
    """Conduct the plan; return the failed runs as variant/fold/repeat, and what progress said."""
    stream = io.StringIO()
    with study_lock(plan.folder) as lock:
        executor = LocalExecutor(jobs, "tests.study.runners:pretend")
        _, failures = conduct(survey(plan), executor=executor, stream=stream, locked=lock)
    return [name(plan, run) for run, _ in failures], stream.getvalue()


def name(plan: Plan, run) -> str:
    return run.folder.relative_to(plan.folder).as_posix()


def order(plan: Plan, **acts: str) -> None:
    plan.folder.mkdir(parents=True, exist_ok=True)
    (plan.folder / "orders.json").write_text(json.dumps({key.replace("__", "/"): act for key, act in acts.items()}))


def calls(plan: Plan) -> list[str]:
    path = plan.folder / "calls.txt"
    made = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return made


def everything(plan: Plan) -> list[str]:
    return [f"{name(plan, run)} begun" for run in plan.runs]


def checkpoint(folder: Path, size: int | None = None) -> None:
    """Write a last checkpoint, cut off after `size` bytes."""
    path = folder / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", b"weights" * 100)
    path.write_bytes(path.read_bytes()[:size])


def cut_off(plan: Plan, index: int, size: int | None = None) -> Path:
    """Leave a run in the middle of training behind."""
    run = plan.runs[index]
    checkpoint(run.folder, size)
    record = {"status": "running", "hashes": fake_identity(run.config)}
    (run.folder / "run.json").write_text(json.dumps(record))
    return run.folder
