"""Stand-ins for `har.training.run.run`, called by name in worker processes: `config["do"]` says what happens."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from har.errors import DivergenceError, HarError, UsageError
from har.files import sha256_of_json, write_json


def act(config: dict[str, Any], folder: Path, *, resume: bool, facts: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pid").write_text(str(os.getpid()))
    _ACTS[config["do"]](config)
    result = {"resume": resume, "facts": facts, "pid": os.getpid(), "environment": dict(os.environ)}
    if "descriptor" in config:
        result["inode"] = os.fstat(config["descriptor"]).st_ino
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def act_together(tasks: list[dict[str, Any]], report: Callable[..., None], *, share: float) -> None:
    """Act run by run, each with a word to the study; an exit ends all that are left."""
    for number, task in enumerate(tasks):
        try:
            act(task["config"], Path(task["folder"]), resume=False, facts={})
        except HarError as error:
            report(number, error, 0.1)
        else:
            report(number, None, 0.1)


def _nothing(config: dict[str, Any]) -> None:
    pass


def _print(config: dict[str, Any]) -> None:
    sys.stdout.write('{"error": "this is no outcome", "seconds": 0}\n')
    sys.stdout.flush()
    os.write(1, b"neither is this\n")


def _refuse(config: dict[str, Any]) -> None:
    raise UsageError("activity walk is missing from the training subjects.", "Use other folds.")


def _break(config: dict[str, Any]) -> None:
    raise ZeroDivisionError("division by zero")


def _fill(config: dict[str, Any]) -> None:
    """Behave as on a full disk, where the worker's log cannot be written either."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "scores.json")


def _exit(config: dict[str, Any]) -> None:
    sys.exit("the parser gave up")


def _die(config: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _sleep(config: dict[str, Any]) -> None:
    time.sleep(config.get("seconds", 60))


def _diverge(config: dict[str, Any]) -> None:
    raise DivergenceError("training diverged: the validation loss is not finite at step 5.", "Lower the learning rate.")


class _Circle:
    """Holds itself, as a trainer and its module hold each other."""

    def __init__(self) -> None:
        self.itself = self


_LEFT: list[weakref.ref[_Circle]] = []


def _circle(config: dict[str, Any]) -> None:
    """Leave a circle behind; refuse to work where an earlier one is still there."""
    if any(circle() is not None for circle in _LEFT):
        raise UsageError("what an earlier run left is still in memory.", "Collect it.")
    _LEFT.append(weakref.ref(_Circle()))


_ACTS = {
    "circle": _circle,
    "diverge": _diverge,
    "nothing": _nothing,
    "print": _print,
    "refuse": _refuse,
    "break": _break,
    "fill": _fill,
    "exit": _exit,
    "die": _die,
    "sleep": _sleep,
}


def fake_identity(config: dict[str, Any], fold: Any = None) -> dict[str, str]:
    """Stand in for `har.training.record.identity`: no store is needed."""
    settings = {key: value for key, value in config.items() if key != "inferences"}
    return {"config": sha256_of_json(settings), "data": "a store", "split": "a split"}


def write_results(folder: Path, inferences: Sequence[str] = ("running",), score: float = 0.8714) -> None:
    """Leave files behind that look like the results of a run, from outside."""
    for file in (*(f"predictions/{name}.parquet" for name in inferences), "truth.parquet"):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(b"PAR1 a table PAR1")
    write_json(folder / "scores.json", {"macro_f1": score, "macro_f1_by_policy": {"present": score, "union": 0.0}})


def _fold(config: dict[str, Any]) -> dict[str, Any]:
    folds = json.loads(Path(config["data"]["folds"]).read_text())["folds"]
    return next(fold for fold in folds if fold["name"] == config["data"]["fold"])


def pretend(config: dict[str, Any], folder: Path, *, resume: bool, facts: dict[str, Any]) -> Path:
    """Leave a finished run behind; the study folder's `orders.json` can ask for something else, by run.

    Its score is what `marks.json` says of the first part of a run's path that it names.
    """
    study = next(place for place in folder.parents if (place / "study.json").is_file())
    folder.mkdir(parents=True, exist_ok=True)
    hashes, inferences = fake_identity(config), config.get("inferences", ["running"])
    record = {"hashes": hashes, **facts, "seconds": 2.0, "seed": config["seed_everything"], "inferences": inferences}
    record["fold"] = _fold(config)
    write_json(folder / "run.json", {"status": "running", **record})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with (study / "calls.txt").open("a") as calls:
        calls.write(f"{folder.relative_to(study)} {'resumed' if resume else 'begun'}\n")
    orders = study / "orders.json"
    act_name = json.loads(orders.read_text()).get(str(folder.relative_to(study))) if orders.exists() else None
    try:
        _ACTS[act_name or "nothing"](config)
    except HarError as error:
        how = {"error": str(error), "diverged": isinstance(error, DivergenceError)}
        write_json(folder / "run.json", {"status": "failed", **record, **how})
        raise
    marks = study / "marks.json"
    known = json.loads(marks.read_text()) if marks.exists() else {}
    name = folder.relative_to(study).as_posix()
    write_results(folder, inferences, next((mark for part, mark in known.items() if name.startswith(part)), 0.8714))
    write_json(folder / "run.json", {"status": "done", **record})
    return folder
