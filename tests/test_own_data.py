"""The tutorial docs/own-data.md: its commands run as they stand, on data like those it speaks of."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from har.__main__ import main
from har.windows.store import Store

_PROJECT = Path(__file__).parents[1]
_TEXT = (_PROJECT / "docs" / "own-data.md").read_text(encoding="utf-8")
PEOPLE = ("anna", "ben", "carla", "dora", "emil", "finn")
# The tutorial's own study, made small: the test is about the way, not about the scores.
_SMALL = "--set trainer.max_steps=4 --set trainer.val_check_interval=2 --set data.window_s=2.0 --jobs 2"


def commands():
    """Return the command lines of the tutorial, in order."""
    return [line for block in re.findall(r"```sh\n(.*?)```", _TEXT, re.DOTALL) for line in block.splitlines()]


def write_walks(folder):
    """Write the folder of the tutorial: 50 Hz, ten seconds of walking and ten of sitting."""
    random = np.random.default_rng(0)
    for person in PEOPLE:
        (folder / person).mkdir(parents=True)
        for day in (1, 2):
            rows = 1000
            walks = np.arange(rows) < rows // 2
            swing = np.sin(np.arange(rows) / 50 * 2 * np.pi * 2) * walks
            acc = random.normal((0.3, -0.2, 9.8), 0.1, (rows, 3)) + 2 * swing[:, None] * (0, 0.2, 1)
            lines = ["time_ms,acc_x,acc_y,acc_z,activity"]
            lines += [
                f"{1000 + 20 * i},{x:.4f},{y:.4f},{z:.4f},{'walk' if walks[i] else 'sit'}"
                for i, (x, y, z) in enumerate(acc)
            ]
            (folder / person / f"day{day}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Work in an empty folder that has the project's configurations."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(_PROJECT / "configs")
    write_walks(tmp_path / "walks")
    return tmp_path


def run(command, capsys):
    """Run one command line; return what it printed."""
    words = shlex.split(command)
    assert words.pop(0) == "har"
    target = None
    if ">" in words:
        target = Path(words[words.index(">") + 1])
        words = words[: words.index(">")]
    capsys.readouterr()
    assert main(words) == 0
    out = capsys.readouterr().out
    if target is not None:
        target.write_text(out, encoding="utf-8")
    return out


def test_the_commands_of_the_tutorial_lead_from_a_folder_to_a_study(there, capsys):
    draft, prepare, count, study = commands()
    run(draft, capsys)
    shown = re.search(r"```yaml\n(# Drafted.*?)```", _TEXT, re.DOTALL)[1]
    drafted = Path("walks.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(drafted) == yaml.safe_load(shown)
    assert re.sub(r"median length \S+", "", drafted) == re.sub(r"median length \S+", "", shown)

    assert "12 recordings of 6 subjects, 12000 rows" in run(prepare, capsys)
    assert "windows of 2 s every 1 s" in run(count, capsys)

    assert "24 runs" in run(f"{study} --dry-run", capsys)


@pytest.mark.slow
def test_the_study_of_the_tutorial_ends_in_a_report(there, capsys):
    draft, prepare, _, study = commands()
    for command in (draft, prepare, f"{study} {_SMALL}"):
        run(command, capsys)
    report = Path("runs/bn-placement/walks/report.html").read_text(encoding="utf-8")
    assert all(name in report for name in (*PEOPLE, "walk", "sit"))


def test_the_facts_that_the_tutorial_states_hold(there, capsys):
    draft, prepare, *_ = commands()
    run(draft, capsys)
    stated = re.findall(r"```yaml\n(.*?)```", _TEXT, re.DOTALL)[1]
    with Path("walks.yaml").open("a", encoding="utf-8") as card:
        card.write(stated)
    run(prepare, capsys)
    store = Store.open(Path("data/prepared/walks"))
    assert store.subjects == list(PEOPLE)
    (there / "walks" / "finn" / "day2.csv").unlink()
    assert main(["prepare", "walks.yaml", "--source", "walks", "--root", "other"]) == 3
    assert "11 recordings instead of 12" in capsys.readouterr().err
