"""The short form of a study and what it overrides on single data sets."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from har.commands.study import main
from har.errors import UsageError
from har.study.conduct import survey
from har.study.declared import short_form
from har.study.definition import load_study
from har.study.listing import listing
from har.study.plan import Options, make_plan
from har.study.record import caveats, command_line, of_data_set, record
from tests.study.small import fold, write_study

VARIANTS = {name: {"model.norm.placement": name} for name in ("none", "input", "every")}
CONTRASTS = [
    {"a": "every", "b": "none", "primary": True},
    {"a": "every", "b": "input"},
    {"a": "every@population", "b": "none"},
]
WHOLE = {
    "variants": VARIANTS,
    "contrasts": CONTRASTS,
    "short": ["every", "none"],
    "inferences": ["running", "population"],
}


def test_the_short_form_has_its_variants_in_the_files_order_and_the_contrasts_among_them(tmp_path):
    whole = load_study(write_study(tmp_path, **WHOLE))
    short = short_form(whole)
    assert list(short.variants) == ["none", "every"]
    assert [(found.a, found.b) for found in short.contrasts] == [("every", "none"), ("every@population", "none")]
    assert (whole.is_short, short.is_short) == (False, True)
    assert replace(short, variants=whole.variants, contrasts=whole.contrasts, is_short=False) == whole


def test_a_study_without_a_short_form_says_how_to_get_one(tmp_path):
    with pytest.raises(UsageError, match="has no short form") as refusal:
        short_form(load_study(write_study(tmp_path)))
    assert "short: [VARIANT" in refusal.value.hint


def test_runs_of_the_short_form_are_runs_of_the_whole_study(tmp_path, data_root):
    whole = load_study(write_study(tmp_path, **WHOLE))
    options = Options(root=data_root, runs=tmp_path / "runs")
    short, all_of_it = (make_plan(study, options) for study in (short_form(whole), whole))
    assert (len(short.runs), len(all_of_it.runs)) == (6, 9)
    assert [run for run in all_of_it.runs if run.variant != "input"] == list(short.runs)


def test_the_record_says_which_form_it_is_and_how_the_whole_study_goes_on(tmp_path, data_root):
    whole = load_study(write_study(tmp_path, **WHOLE))
    short, all_of_it = (make_plan(study, Options(root=data_root)) for study in (short_form(whole), whole))
    assert (record(short)["form"], record(all_of_it)["form"]) == ("short", "whole")
    assert " --short " in command_line(short)
    assert command_line(short, whole=True) == command_line(all_of_it)
    assert "short form of the study: none, every and" in caveats(short)[0]
    assert command_line(all_of_it) in caveats(short)[0]
    assert not any("form" in note for note in caveats(all_of_it))
    plain = make_plan(load_study(write_study(tmp_path / "plain")), Options(root=data_root))
    assert record(plain)["form"] == "whole"
    assert "form" not in record(plain)["protocol"]


def test_the_whole_study_goes_on_from_the_runs_of_its_short_form(tmp_path, data_root, capsys):
    path = write_study(tmp_path, [fold("1"), fold("2")], **WHOLE)
    words = [str(path), "--root", str(data_root), "--runs", str(tmp_path / "runs"), "--jobs", "1"]
    folder = tmp_path / "runs" / "small" / "spar"
    assert main([*words, "--short"]) == 0
    made = {run: run.read_text() for run in folder.rglob("run.json")}
    assert len(made) == 4
    assert "- form: short, 2 variants" in (folder / "report.md").read_text()
    assert json.loads((folder / "contrasts.json").read_text())["runs"] == {"declared": 4, "counted": 4}
    capsys.readouterr()
    assert main(words) == 0
    assert "4 done, 2 to run" in capsys.readouterr().err
    assert {run: run.read_text() for run in made} == made
    assert len(json.loads((folder / "contrasts.json").read_text())["contrasts"]) == 3
    assert "- form: whole, 3 variants" in (folder / "report.md").read_text()
    assert main([*words, "--short"]) == 0
    assert "this report takes the place of the whole study's" in capsys.readouterr().err
    assert len(json.loads((folder / "contrasts.json").read_text())["contrasts"]) == 2


def test_a_data_set_has_its_own_overrides_and_the_command_line_wins(tmp_path, data_root):
    shutil.copytree(data_root, tmp_path / "data")
    sets = {"spar": {"data.window_s": 1.0, "data.step_s": 1.0}, "hapt": {"data.window_s": 2.56}}
    study = load_study(write_study(tmp_path, data_sets=sets))
    options = Options(root=tmp_path / "data", overrides={"data.step_s": 0.25}, runs=tmp_path / "runs")
    plan = make_plan(study, options)
    assert {(run.config["data"]["window_s"], run.config["data"]["step_s"]) for run in plan.runs} == {(1.0, 0.25)}
    assert record(plan)["overrides"] == {"data.window_s": 1.0, "data.step_s": 0.25}
    assert of_data_set(plan) == ["on spar the study sets data.window_s=1.0."]
    assert of_data_set(plan)[0] in listing(survey(plan), 1)
    assert make_plan(study, replace(options, data="spar")).runs == plan.runs
    shutil.copytree(tmp_path / "data" / "prepared" / "spar", tmp_path / "data" / "prepared" / "other")
    other = make_plan(study, replace(options, data="other"))
    assert {run.config["data"]["window_s"] for run in other.runs} == {2.0}
    assert of_data_set(other) == []


def test_overrides_of_data_sets_may_lie_in_a_file_beside_the_study(tmp_path):
    (tmp_path / "sets.yaml").write_text("hapt: {data.window_s: 2.56}")
    assert load_study(write_study(tmp_path, data_sets="sets.yaml")).data_sets == {"hapt": {"data.window_s": 2.56}}
