"""Damaged files given to the command line itself: an exit code of its own, one error in words, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = {
    "a card with a date that is none": (["prepare", "{}"], "x.yaml", b"name: 2024-02-30\n", 2, "is no date"),
    "a card of brackets": (["prepare", "{}"], "x.yaml", b"[" * 3000, 2, "nested too deeply"),
    "predictions of nothing": (
        ["evaluate", "{}"],
        "x.parquet",
        b"PAR1" + bytes(99) + b"PAR1",
        3,
        "damaged or no Parquet",
    ),
    "a study in bytes": (["study", "{}", "--dry-run"], "x.yaml", b"name: \xff\xfe", 2, "is not UTF-8 text"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_file_ends_in_an_exit_code_and_a_sentence(case, tmp_path):
    words, name, content, code, says = CASES[case]
    path = tmp_path / "Größe 测试 dir" / name
    path.parent.mkdir()
    path.write_bytes(content)
    command = [sys.executable, "-m", "har", *(word.format(path) for word in words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
