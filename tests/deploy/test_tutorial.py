"""The tutorial docs/deploying.md: its commands and its Python run as they stand, on a real run of the command line."""

import contextlib
import io
import json
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import har
from har.__main__ import main

_PROJECT = Path(__file__).parents[2]
# The tutorial's own training, made small: the test is about the way, not about the scores.
_SMALL = ["--trainer.max_steps", "10", "--trainer.val_check_interval", "5"]


def test_the_tutorial_leads_from_training_to_a_stream(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(_PROJECT / "configs")
    text = (_PROJECT / "docs" / "deploying.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(sh|python)\n(.*?)```", text, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["sh", "python", "python", "sh", "python"]
    names: dict[str, object] = {}
    said: list[str] = []
    for kind, block in blocks:
        if kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(block, "deploying.md", "exec"), names)  # noqa: S102
            said.append(out.getvalue())
            continue
        for command in block.splitlines():
            said.append(run(command, monkeypatch, capsys))
    assert "Model of 7 activities" in said[3]
    plain, smoothed, finer = said[5:8]
    model = har.load("wrist-model/model.onnx")
    expected = model.predict(names["signal"], 100, streaming=True)
    assert [line.split()[2] for line in plain.splitlines()] == expected["activity"].tolist()
    decisions = [json.loads(line) for line in smoothed.splitlines()]
    assert len(decisions) == len(expected)
    assert len(finer.splitlines()) >= 2 * len(expected) - 1
    assert har.load("runs/wrist").facts == model.facts  # of a run that the command line has trained


def run(command, monkeypatch, capsys):
    """Run one command line; return what it printed."""
    words = shlex.split(command)
    assert words.pop(0) == "har"
    if "<" in words:
        content = Path(words.pop()).read_bytes()
        words.pop()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(content))))
    capsys.readouterr()
    assert main(words + (_SMALL if words[0] == "fit" else [])) == 0
    return capsys.readouterr().out
