"""Commands that the documentation of norms, probes and other people states: each is accepted as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from har.__main__ import main
from tests.study.small import write_root

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"^    (har (?:fit|study) .+)$|`(har (?:fit|study) [^`]+)`", re.M)  # in code blocks and spans


def stated() -> list[str]:
    """Return the commands that train, without those that only show a form."""
    texts = [
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("norms.md", "probes.md", "other-people.md")
    ]
    found = [block or span for text in texts for block, span in COMMAND.findall(text)]
    return [command for command in dict.fromkeys(found) if not re.search(r"…|\b[A-Z]{3,}\b", command)]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("command", stated())
def test_a_stated_command_is_accepted(
    command: str, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the point where something would be made. That shipped studies can be planned is tested with them."""
    begun: list[Any] = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HAR_DATA", str(data_root))
    monkeypatch.setenv("HAR_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("har.training.run.run", lambda config, folder: begun.append(config) or folder)
    monkeypatch.setattr("har.study.plan.make_plan", lambda study, options: begun.append(study))
    monkeypatch.setattr("har.commands.study._executor", lambda options, plan: None)
    monkeypatch.setattr("har.commands.study._run", lambda plan, executor: 0)
    monkeypatch.setattr("har.commands.evaluate.main", lambda args: 0)
    assert main(shlex.split(command)[1:]) == 0
    assert len(begun) == 1


def test_the_commands_of_every_question_of_the_norms_are_found() -> None:
    named = {name for command in stated() for name in re.findall(r"studies/([\w-]+)\.yaml", command)}
    assert named >= {"bn-placement", "bn-statistics", "norm-kind", "small-batch", "convergence", "bn-recipe"}
