"""Stand-ins for `har.training.run.run`, called by name in worker processes: `config["do"]` says what happens."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from har.errors import UsageError


def act(config: dict[str, Any], folder: Path, *, resume: bool, facts: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pid").write_text(str(os.getpid()))
    _ACTS[config["do"]](config)
    result = {"resume": resume, "facts": facts, "pid": os.getpid(), "environment": dict(os.environ)}
    if "descriptor" in config:
        result["inode"] = os.fstat(config["descriptor"]).st_ino
    (folder / "result.json").write_text(json.dumps(result))
    return folder


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


def _exit(config: dict[str, Any]) -> None:
    sys.exit("the parser gave up")


def _die(config: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _sleep(config: dict[str, Any]) -> None:
    time.sleep(config.get("seconds", 60))


_ACTS = {
    "nothing": _nothing,
    "print": _print,
    "refuse": _refuse,
    "break": _break,
    "exit": _exit,
    "die": _die,
    "sleep": _sleep,
}
