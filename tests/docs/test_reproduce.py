"""reproduce.sh calls what it says, for the data sets that are asked for, and ends with 1 when something fell short."""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from docs.findings import tables
from docs.findings.__main__ import DOCS
from har.commands.study import _parser
from har.datasets.registry import get_card
from har.study.definition import load_study

SCRIPT = DOCS.parent / "reproduce.sh"
STAND_IN = """#!/usr/bin/env bash
echo "$*" >>"{log}"
[[ $* != *"{fails}"* ]]
"""


def _run(tmp_path: Path, *arguments: str, fails: str = "nothing") -> tuple[int, list[str], str]:
    """Run the script with a stand-in for Python; return its exit code, what it called, and what it said."""
    log, python = tmp_path / "log", tmp_path / "python"
    log.write_text("")
    python.write_text(STAND_IN.format(log=log, fails=fails))
    python.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(python)}
    done = subprocess.run(
        [SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, log.read_text().splitlines(), done.stdout + done.stderr


def _collected_as(options: argparse.Namespace) -> str:
    """The name that a study's data set has in docs/results: with the number of its activities where they are chosen."""
    chosen = yaml.safe_load("\n".join(text.replace("=", ": ", 1) for text in options.set)) or {}
    activities = len(chosen.get("data.activities", get_card(options.data).activities))
    return f"{options.data}-{activities + ('data.null' in chosen)}" if chosen else str(options.data)


def test_it_prepares_runs_checks_and_makes_the_findings_of_all_that_is_published(tmp_path):
    code, called, _ = _run(tmp_path, "--sources", "/raw files", "--runs", str(tmp_path / "runs"), "--jobs", "2")
    assert code == 0
    assert called[:4] == [
        "-m docs.findings times",
        "-m har prepare spar",
        "-m har prepare hapt --source /raw files/HAPT.zip",
        "-m har prepare usc-had --source /raw files/USC-HAD.zip",
    ]
    commands = [line.split()[3:] for line in called if line.startswith("-m har study ")]
    options = [_parser().parse_args(words) for words in commands]
    of_study = [((load_study(Path(one.file)).name, _collected_as(one)), one) for one in options]
    collected = [str(tmp_path / "runs"), str(tmp_path / "runs" / "six")]
    made = {key: one for key, one in of_study if one.runs in collected}  # of several the last, the largest
    probed = {key for key, one in of_study if one.probes}
    assert [one.runs for one in options if one.probes][-1] == str(tmp_path / "runs" / "probed")
    published = tables.read(DOCS / "results", tables.STUDIES)
    for row in published:
        one = made[row["study"], row["data_set"]]
        form = "short" if one.short else "whole"
        assert (form, one.folds or "loso") == (row["form"], row["division"])
        assert (one.repeats or 1) >= row["repeats"]
        assert not row["probed"] or (row["study"], row["data_set"]) in probed
    assert [line.split()[-2:] for line in called[1:] if "docs.findings" in line] == [
        collected,
        [str(tmp_path / "runs" / "probed"), collected[1]],
        [str(tmp_path / "runs" / "docs"), "insert"],
    ]


def test_one_data_set_alone_needs_nothing_of_the_others(tmp_path):
    code, called, _ = _run(tmp_path, "--only", "spar", "--runs", str(tmp_path))
    assert code == 0
    assert not [line for line in called if "hapt" in line or "usc-had" in line]
    code, quick, _ = _run(tmp_path, "--quick", "--runs", str(tmp_path))
    assert code == 0
    assert len([line for line in quick if "har study" in line]) == 1


@pytest.mark.parametrize(("fails", "said"), [("har study configs/studies/bn-statistics", "Not whole"), ("check", "")])
def test_a_study_or_a_score_that_falls_short_is_said_in_the_end_and_stops_nothing(tmp_path, fails, said):
    code, called, printed = _run(tmp_path, "--only", "spar", "--runs", str(tmp_path), fails=fails)
    assert code == 1
    assert called[-1].endswith("insert")
    assert said in printed


def test_what_it_does_not_know_it_says(tmp_path):
    for arguments in (["--only", "hpat"], ["--fast"], ["--runs"]):
        code, called, printed = _run(tmp_path, *arguments)
        assert (code, called) == (2, [])
        assert arguments[0] in printed
