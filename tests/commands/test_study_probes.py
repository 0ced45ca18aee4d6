"""`har study --probes`: the same results with probes beside them, and no finished run made again unasked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from har.__main__ import main
from har.evaluation.probes import read_probes
from har.study.definition import load_study
from har.study.plan import Options, make_plan
from har.study.states import State, states
from har.training.record import identity
from tests.study.small import fold, write_root, write_study

PROBES = ["--set", "probes.batches=1", "--set", "probes.windows=20"]


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> list[str]:
    """The command of a study of two runs, but for its runs' folder."""
    folder = tmp_path_factory.mktemp("study")
    root = write_root(folder / "data")
    return ["study", str(write_study(folder, [fold("1")])), "--root", str(root), "--jobs", "1", "--runs"]


@pytest.fixture(scope="module")
def plain(words, tmp_path_factory) -> Path:
    """The runs' folder of the study without probes."""
    runs = tmp_path_factory.mktemp("plain")
    assert main([*words, str(runs)]) == 0
    return runs


@pytest.fixture(scope="module")
def probed(words, tmp_path_factory) -> Path:
    """The same with probes."""
    runs = tmp_path_factory.mktemp("probed")
    assert main([*words, str(runs), "--probes", *PROBES]) == 0
    return runs


def made(runs: Path) -> dict[str, int]:
    """When each run was finished."""
    return {path.parent.parent.parent.name: path.stat().st_mtime_ns for path in runs.rglob("run.json")}


def test_every_run_has_probes_and_the_results_that_it_has_without(plain, probed):
    for scores in sorted(plain.rglob("scores.json")):
        folder = probed / scores.parent.relative_to(plain)
        assert (folder / "scores.json").read_bytes() == scores.read_bytes()
        assert read_probes(folder / "probes.parquet").num_rows > 100
        assert not (scores.parent / "probes.parquet").exists()
    study = json.loads((probed / "small" / "spar" / "study.json").read_text())
    assert "--set probes=true" in study["command"]


def test_finished_runs_without_probes_are_kept_and_the_way_to_probes_is_named(words, plain, capsys):
    before = made(plain)
    assert main([*words, str(plain), "--probes"]) == 2
    err = capsys.readouterr().err
    assert "was made without probes, which are measured while a run trains" in err
    assert "--runs FOLDER" in err
    assert made(plain) == before


def test_finished_runs_with_probes_count_without_asking_for_them(words, probed, capsys):
    before = made(probed)
    assert main([*words, str(probed)]) == 0
    assert "there is nothing to run" in capsys.readouterr().err
    assert main([*words, str(probed), "--probes", *PROBES]) == 0
    assert made(probed) == before
    assert main([*words, str(probed), "--probes"]) == 2
    assert "was made with other probes" in capsys.readouterr().err


def test_a_finished_run_that_has_lost_its_probes_is_made_again(words, probed, capsys):
    lost = next(probed.rglob("every/*/*/probes.parquet"))
    before, content = made(probed), lost.read_bytes()
    lost.write_bytes(content[:-7])
    assert main([*words, str(probed)]) == 0
    assert made(probed) == before  # nobody asked for them
    assert main([*words, str(probed), "--probes", *PROBES]) == 0
    assert "(probes.parquet missing or cut off)" in capsys.readouterr().err
    after = made(probed)
    assert [name for name in before if after[name] != before[name]] == ["every"]
    assert read_probes(lost).num_rows > 100


@pytest.mark.parametrize(("begun", "wanted"), [("plain", "probed"), ("probed", "plain")])
def test_an_unfinished_run_goes_on_only_with_the_probes_that_it_was_begun_with(
    words, plain, probed, tmp_path, begun, wanted
):
    shutil.copytree({"plain": plain, "probed": probed}[begun], tmp_path / "runs")
    for path in (tmp_path / "runs").rglob("run.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "status": "running"}))
    settings = {"plain": {}, "probed": {"probes": True, "probes.batches": 1, "probes.windows": 20}}
    for how, state in ((begun, State.CUT_OFF), (wanted, State.MISSING)):
        plan = make_plan(load_study(Path(words[1])), Options(None, tmp_path / "runs", words[3], settings[how]))
        assert states(plan.runs, identity) == [state, state]
