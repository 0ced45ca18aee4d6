"""A process that has imported the project once, and forks one child a command.

A start of `har study` is seconds of imports and a fraction of a second of work, so most kills at random instants would
hit imports. Children of this process are at work at once. Workers of a study are forked likewise; apart from that a
child is what the command line is: a process group of its own, with pipes and inherited descriptors as they are.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, NoReturn

from har.study.execute import ONE_THREAD

_ROOT = Path(__file__).parents[2]
_LIMIT_S = 120.0  # of one command


class Command:
    """One command at work, in a child of the server.

    Attributes:
        log: What it has printed, both streams.
    """

    def __init__(self, forks: Forks, pid: int, log: Path) -> None:
        self._forks, self._pid, self.log = forks, pid, log
        self._code: int | None = None

    def code(self) -> int | None:
        """Return its exit code, negative after a signal; None while it is at work."""
        if self._code is None:
            code = self._forks.ask({"poll": self._pid})
            self._code = None if code == "at work" else int(code)
        return self._code

    def kill(self, group: bool = True) -> int:
        """End it at once, with its workers or without; return its exit code when it is gone, its own if it was over."""
        if self.code() is None:
            (os.killpg if group else os.kill)(self._pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Return its exit code when it has ended.

        Raises:
            TimeoutError: It hangs.
        """
        deadline = time.monotonic() + _LIMIT_S
        while (code := self.code()) is None:
            if time.monotonic() > deadline:
                os.killpg(self._pid, signal.SIGKILL)
                raise TimeoutError(f"it hangs, having said: {self.log.read_text()}")
            time.sleep(0.005)
        return code


class Forks:
    """The server, as tests see it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, words: Sequence[str], log: Path) -> Command:
        """Start a command; what it prints is added to the log."""
        return Command(self, int(self.ask({"words": list(words), "log": str(log)})), log)

    def run(self, words: Sequence[str], log: Path) -> int:
        """Return the exit code of a command that nobody disturbs."""
        return self.start(words, log).wait()

    def ask(self, order: dict[str, Any]) -> str:
        """Send one order; return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@contextmanager
def forks(modules: Sequence[str]) -> Iterator[Forks]:
    """Start a server that has imported some modules; end it with the block."""
    command = [sys.executable, "-m", "tests.hardening.forks", *modules]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=_ROOT, text=True, env={**os.environ, **ONE_THREAD}, **pipes) as process:
        yield Forks(process)
        process.stdin.close()  # type: ignore[union-attr]


def _serve(orders: IO[str]) -> None:
    """Answer orders until there are no more."""
    for line in orders:
        order = json.loads(line)
        if "poll" in order:
            pid, status = os.waitpid(order["poll"], os.WNOHANG)
            answer = str(os.waitstatus_to_exitcode(status)) if pid else "at work"
        else:
            pid = _fork(lambda order=order: _command(order))
            os.setpgid(pid, pid)  # a group of its own, whoever comes first
            answer = str(pid)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _fork(become: Callable[[], int]) -> int:
    """Return the process id of a child that does one thing and ends with its exit code."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        _end(become)
    return pid


def _end(become: Callable[[], int]) -> NoReturn:
    code = 70  # which no command has
    try:
        code = become()
    except BaseException:  # noqa: BLE001 - it is printed, as an interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _command(order: dict[str, Any]) -> int:
    from har.__main__ import main

    os.setpgid(0, 0)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    _take({0: os.open(os.devnull, os.O_RDONLY), 1: log, 2: log})
    return main(order["words"])


class _Worker:
    """What `har.study.execute` uses of a `subprocess.Popen`, forked instead of executed."""

    def __init__(self, command: list[str], *, env: dict[str, str], pass_fds: Sequence[int], stderr: Any, **_: Any):
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        self._code: int | None = None

        def become() -> int:
            from har.study import worker

            os.environ.update(env)
            sys.argv = command[command.index("-m") + 1 :]
            _take({0: read, 1: write, 2: stderr.fileno()}, kept=pass_fds)
            worker.main()
            return 0

        self._pid = _fork(become)
        os.close(read)
        os.close(write)
        self.stdin, self.stdout = os.fdopen(self._write, "wb", 0), os.fdopen(self._read, "rb", 0)

    def kill(self) -> None:
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> int:
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code


def _take(places: dict[int, int], kept: Sequence[int] = ()) -> None:
    """Put descriptors in their places and let go of all others, as a program that is executed finds them.

    The others are pointed at nothing instead of being closed: objects that the fork copied, a store's maps say, still
    own their numbers, and would close whatever had been opened under them by then.
    """
    safe = {place: os.dup(descriptor) for place, descriptor in places.items()}
    for place, descriptor in safe.items():
        os.dup2(descriptor, place)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        if descriptor > 2 and descriptor not in {nothing, *kept}:
            os.dup2(nothing, descriptor, inheritable=False)


if __name__ == "__main__":
    import importlib

    for module in sys.argv[1:]:
        importlib.import_module(module)
    execute = sys.modules.get("har.study.execute")
    if execute is not None:
        execute.subprocess = SimpleNamespace(Popen=_Worker, PIPE=subprocess.PIPE)  # type: ignore[attr-defined]
    _serve(sys.stdin)
