"""A clock that is set while the project works, and files from the future, decide nothing."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

from har.__main__ import main
from tests.datasets.own import card_with, lines, write
from tests.fakes.study import FakeStudy, write_study

HAR = Path(__file__).parents[2] / "har"
WALL_CLOCK = {"time", "now", "today", "utcnow", "st_mtime", "st_mtime_ns", "st_ctime", "getmtime", "time_ns"}
MODULES = {"time", "datetime", "date", "os", "path"}


def readings(path: Path) -> list[str]:
    """Return where a module reads the time of day, or the time of a file."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    texts = [ast.unparse(node) for node in found if node.attr in WALL_CLOCK]
    names = [text for text in texts if ".st_" in text or text.split(".")[-2] in MODULES]
    return [f"{path.relative_to(HAR)}: {name}" for name in names]


def test_durations_and_decisions_rest_on_no_clock_that_people_set():
    """The time of day is written into records, for people to read, and compared with nothing."""
    found = [reading for path in sorted(HAR.rglob("*.py")) for reading in readings(path)]
    assert found == ["training/provenance.py: datetime.datetime.now"]


def of_the_year(folder: Path, seconds: float) -> None:
    for path in sorted(folder.rglob("*")):
        os.utime(path, (seconds, seconds))


def test_stores_and_reports_are_the_same_whatever_time_their_files_have(tmp_path, capsys):
    card_with(tmp_path)
    source = write(tmp_path / "raw", {"anna/1.csv": lines(*["1,2,9.81,walk"] * 50, *["1,2,9.81,sit"] * 50)})
    command = ["prepare", str(tmp_path / "mine.yaml"), "--source", str(source), "--root", str(tmp_path)]
    assert main(command) == 0
    study = write_study(tmp_path / "study", FakeStudy(subjects=2, windows=2))
    for number, path in enumerate(sorted(study.rglob("run.json"))):  # set back between begin and end, and in the future
        record = json.loads(path.read_text())
        times = {"started": f"20{98 - number}-01-01T00:00:00+00:00", "finished": "1971-01-01T00:00:00+00:00"}
        path.write_text(json.dumps({**record, **times}))
    pages = []
    for seconds in (4e9, 1e6):  # of the years 2096 and 1970
        of_the_year(tmp_path, seconds)
        capsys.readouterr()
        assert main(command) == 0
        assert "already prepared" in capsys.readouterr().out
        assert main(["report", str(study)]) == 0
        pages.append((study / "report.html").read_bytes())
    assert pages[0] == pages[1]
