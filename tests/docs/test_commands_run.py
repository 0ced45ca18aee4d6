"""README and docs: each command line that can run on this machine is run, with a small budget, and ends with 0.

Which ones those are is said by `reason_not_to`: a line is left to its parser (`test_commands`) where it is no command
of `har`, waits for somebody, needs data, files or devices that are not here, or is of another place. Studies of more
than `MOST_RUNS` runs are rehearsed (`--dry-run`): every fold is set up and every variant's network built.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from docs.reference.commands import parser_of
from har.__main__ import main
from har.commands.settings import split
from har.datasets.fetch import rung
from har.datasets.registry import card_names, get_card
from har.study.declared import short_form
from har.study.definition import load_study
from har.study.plan import Options, make_plan
from har.training.cli import complete
from har.training.record import default_folder
from har.windows.prepare import store_folder
from tests.docs.checks import MAKEFILE, SETTINGS
from tests.docs.pages import PAGES, ROOT, Command, commands

MOST_RUNS = 40
BUDGET = {"trainer.max_steps": "4", "trainer.val_check_interval": "2"}
RUN = "runs/spar-cnn/spar/every/subject-1/seed-0"  # what RUN stands for, once a page's begin has made it
_BEGIN = (
    "har prepare spar",
    "har fit --config configs/experiments/spar-cnn.yaml",
    "har study configs/studies/bn-placement.yaml --short",
)
_INPUTS = ("run", "study", "model", "file", "source", "ckpt")  # options that name what must be there


def words_of(command: Command) -> list[str]:
    """Return the words to run: those of a study for `make study`, and a run for RUN."""
    words = command.words
    if words[:2] == ["make", "study"]:
        default = re.search(r"^STUDY \?= (.+)$", MAKEFILE, re.M)
        given = dict(word.split("=", 1) for word in words[2:])
        words = ["har", "study", *given.get("STUDY", str(default and default[1])).split()]
    return [RUN if word == "RUN" else word for word in words]


def reason_not_to(command: Command, words: list[str]) -> str:
    """Return why a line is not run, by the rules above; empty where it is."""
    if words[0] != "har":
        return "no command of har"
    is_fed = command.read or "--from" in words
    if words[1] == "serve" or (words[1] == "stream" and not is_fed):
        return "waits for somebody"
    if re.search(r"\$|~/|…|(?:^|[ =])/", command.text) or command.text.startswith("RAY_"):
        return "is of another place"
    if "--help=all" in words or "--help" in words:
        return ""
    parser = parser_of(words[1])
    options = split(parser, words[2:])[0] if words[1] in SETTINGS else parser.parse_args(words[2:])
    missing = [path for path in (*inputs(options), command.read) if path and not Path(path).exists()]
    if missing:
        return f"needs {missing[0]}"
    if "download" in options and options.download:
        return "downloads"
    if getattr(options, "resume", None):
        return "needs a run that was cut off"
    if words[1] == "evaluate" and not all(map(is_result, options.paths)):
        return "needs studies of several data sets"
    lacking = [name for name in data_of(words, options) if not is_here(name)]
    if lacking:
        return f"needs data of {lacking[0]}"
    return "needs a GPU" if "accelerator=cuda" in command.text else ""


def is_result(path: Path) -> bool:
    """Return whether a path is a predictions file, a run, a study, or the folder of several studies."""
    own = path.is_file() or any((path / name).is_file() for name in ("run.json", "study.json"))
    return own or len(list(path.glob("*/study.json"))) > 1


def inputs(options: Any) -> list[str]:
    """Return the files and folders that a line reads."""
    named = [getattr(options, name, None) for name in _INPUTS]
    named += [*getattr(options, "paths", ()), *(getattr(options, "config", None) or ())]
    named += [getattr(options, "resume", None), getattr(options, "new", None)]
    data_set = getattr(options, "data_set", None)
    return [str(path) for path in [*named, data_set if str(data_set).endswith(".yaml") else None] if path is not None]


def data_of(words: list[str], options: Any) -> list[str]:
    """Return the data sets whose recordings a line needs."""
    if words[1] == "study":
        study = load_study(options.file)
        return [options.data or complete(["--config", str(study.base)])["data"]["name"]]
    if words[1] == "prepare" and Path(options.data_set).is_file() and "stores" in Path(options.data_set).read_text():
        return re.findall(r"[\w-]+", re.search(r"^stores: \[(.*)\]", Path(options.data_set).read_text(), re.M)[1])
    if words[1] == "prepare" and not options.source and not options.data_set.endswith(".yaml"):
        return [options.data_set]
    if words[1] == "datasets" and (options.window_s or options.picture):
        return [options.data_set.removesuffix(".yaml")]
    if words[1] in SETTINGS and "--data.name" in words:
        return [words[words.index("--data.name") + 1]]
    return []


def is_here(name: str) -> bool:
    """Return whether a data set is prepared, or comes with the installation."""
    return store_folder(name).exists() or (name in card_names() and rung(get_card(name)) == "installed")


def small(words: list[str]) -> list[str]:
    """Return the words with a small budget; those of a large study to rehearse it."""
    if words[1] == "fit" and "--resume" not in words and "--help=all" not in words:
        return [*words, *(word for key, value in BUDGET.items() for word in (f"--{key}", value))]
    if words[1] != "study":
        return words
    options = parser_of("study").parse_args(words[2:])
    study = load_study(options.file)
    study = short_form(study) if options.short else study
    plan = make_plan(study, Options(options.data, "rehearsed", options.root, {}))
    if options.dry_run or len(plan.work) * (options.repeats or 1) > MOST_RUNS or study.tune is not None:
        return [*words, "--dry-run", "--runs", "rehearsed"]  # where no runs of a smaller budget lie
    smaller = [re.sub(r"^(trainer\.max_steps)=.*", rf"\1={BUDGET['trainer.max_steps']}", word) for word in words]
    left = [(key, value) for key, value in BUDGET.items() if f"{key}={value}" not in smaller]
    return [*smaller, *(word for key, value in left for word in ("--set", f"{key}={value}"))]


def run(command: Command, words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a line; what it writes and reads goes where the line says."""
    if words[1] == "fit" and not {"--out", "--resume", "--help=all"} & set(words):
        options, settings = split(parser_of("fit"), words[2:])
        files = [word for file in options.config or () for word in ("--config", file)]
        folder = default_folder(complete([*files, *settings]), Path(options.runs or "runs"))
        shutil.rmtree(folder, ignore_errors=True)  # each line is one of its own, whatever another has trained there
    if command.read:
        content = io.BufferedReader(io.BytesIO(Path(command.read).read_bytes()))
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main(words[1:])
    if command.written:
        Path(command.written).write_text(said.getvalue(), encoding="utf-8")
    return code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder that has the project's configurations."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    return tmp_path


@pytest.mark.slow
def test_every_command_line_that_can_run_here_ends_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [Command("before any page", 0, text) for text in _BEGIN]
    lines += [command for page in PAGES for command in commands(page)]
    account: dict[str, list[str]] = {"run": [], "rehearsed": []}
    wrong = []
    done = set()
    for command in lines:
        words = words_of(command)
        if (tuple(words), command.read) in done:
            continue
        reason = reason_not_to(command, words)
        if reason:
            account.setdefault(reason, []).append(str(command))
            continue
        done.add((tuple(words), command.read))
        given = small(words)
        account["rehearsed" if "--dry-run" in given else "run"].append(str(command))
        try:
            ended: object = run(command, given, monkeypatch)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (how the other lines end is to be known too)
            ended = repr(error)
        if ended != 0:
            wrong.append(f"{command}: {ended}")
    for reason, listed in account.items():
        print(f"\n{reason}, {len(listed)}:", *listed, sep="\n  ")  # noqa: T201  (what -rP shows)
    assert "\n".join(wrong) == ""
    assert len(account["run"]) > 30
