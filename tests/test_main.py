"""The command table: quick, helpful, and errors become exit codes."""

from __future__ import annotations

import errno
import importlib
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from har import __main__ as table
from har.__main__ import help_text, main
from har.errors import DataError, HarError, LeakageError, RunError, UsageError

HEAVY = {
    "torch",
    "pandas",
    "numpy",
    "scipy",
    "sklearn",
    "matplotlib",
    "pyarrow",
    "pytorch_lightning",
    "jsonargparse",
    "yaml",
}


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from har.__main__ import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in result.stderr.split()}
    assert not loaded & HEAVY
    assert "har study configs/studies/bn-placement.yaml --short" in result.stdout


def test_help_fits_one_screen_and_names_every_command() -> None:
    text = help_text()
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 120
    modules = Path(table.__file__).parent.joinpath("commands").glob("*.py")
    commands = {path.stem for path in modules if "\ndef main(" in path.read_text(encoding="utf-8")}
    assert set(re.findall(r"^  ([a-z]+) +\w", text, re.MULTILINE)) - {"har"} == commands


@pytest.mark.parametrize("name", sorted(table._COMMANDS))
def test_every_command_has_help_made_of_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"har {name}" in text.split("examples:")[1]
    assert len(text.splitlines()) <= 50


@pytest.mark.parametrize("name", sorted(table._COMMANDS))
def test_every_command_refuses_an_unknown_option_with_exit_code_2(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--definitely-not", "x"]) == 2
    assert "definitely-not" in capsys.readouterr().err


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stdy"]) == 2
    assert "'study'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("a", "b"), 2),
        (DataError("a", "b"), 3),
        (RunError("a", "b"), 1),
        (LeakageError("a", "b"), 1),
        (HarError("a"), 1),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "x.npy"), 1),
        (OSError(errno.EROFS, "Read-only file system", "x.npy"), 1),
        (PermissionError(errno.EACCES, "Permission denied", "x.npy"), 1),
    ],
)
def test_errors_become_exit_codes_without_a_traceback(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr(importlib.import_module("har.commands.doctor"), "main", fail)
    assert main(["doctor"]) == code
    text = capsys.readouterr().err
    assert text.startswith("har: ")
    assert "Traceback" not in text


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(importlib.import_module("har.commands.doctor"), "main", fail)
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def test_version_names_the_project_python_and_torch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("har ", "python ", "torch "))


def test_a_closed_pipe_is_no_error() -> None:
    shell = f"{sys.executable} -m har datasets | head -c 1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr


def test_help_answers_fast_enough_to_be_typed() -> None:
    """The stated 0.1 s is measured in benchmarks; here only that nobody adds seconds."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "har", "--help"], check=True, capture_output=True)
    assert time.monotonic() - start < 5
