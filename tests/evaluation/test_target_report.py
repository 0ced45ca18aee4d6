"""Steps to the target and tuning on a study's pages: shown where a study has them, with the numbers of its files."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from har.commands.evaluate import main as evaluate
from har.errors import DataError
from har.evaluation.comparison import evaluate_study
from har.evaluation.report import write_report
from tests.fakes.study import FakeStudy, write_study

TUNING = {
    "key": "model.learning_rate",
    "matched": 0.001,
    "grid": [0.0003, 0.001, 0.1],
    "inner_folds": 2,
    "trials_per_variant_and_fold": 6,
    "rule": "best mean",
    "choices": [
        {
            "variant": "none",
            "own": "none-own",
            "fold": f"subject-{number}",
            "ended": True,
            "value": value,
            "edge": None,
            "values": [
                {"value": 0.0003, "scores": [0.5, 0.7], "mean": 0.6},
                {"value": 0.001, "scores": [0.8, 0.8], "mean": 0.8},
                {"value": 0.1, "scores": [0.8, None], "mean": None},
            ],
        }
        for number, value in ((1, 0.001), (2, None))
    ],
}


@pytest.fixture
def study(tmp_path):
    """Four variants, two of them at values of their own; `none` reaches its best late, `every` passes it early."""
    plan = FakeStudy(
        hit={"none": 0.6, "every": 0.9, "none-own": 0.7, "every-own": 0.9},
        contrasts=[("every", "none"), ("every-own", "none-own")],
        subjects=4,
        repeats=2,
    )
    folder = write_study(tmp_path / "runs" / "placement" / "fake", plan)
    change(folder, target={"reference": "none", "share": 0.95})
    return folder


def change(folder, **entries):
    path = folder / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def tuned(folder):
    own = {"none": "none-own", "every": "every-own"}
    change(folder, tuning={"key": "model.learning_rate", "matched": 0.001, "own": own})
    (folder / "tuning.json").write_text(json.dumps(TUNING))


def rows(folder, name):
    return list(csv.reader(io.StringIO((folder / "tables" / f"{name}.csv").read_text())))


def test_a_diverged_run_of_the_disk_is_a_problem_and_never_arrives(study):
    runs = json.loads((study / "study.json").read_text())["runs"]
    name = next(
        run["folder"] for run in runs if (run["variant"], run["fold"], run["repeat"]) == ("every", "subject-2", 1)
    )
    place = study / name
    record = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps(record | {"status": "failed", "diverged": True, "error": "not finite"}))
    (place / "config.yaml").write_text("trainer: {max_steps: 600}\n")
    result = evaluate_study(study, "present")
    ours = [run for run in result["target"]["runs"] if run["variant"] == "every"]
    assert len(ours) == 4 * 2
    (lost,) = [run for run in ours if run["steps"] is None]
    assert (lost["fold"], lost["repeat"], lost["followed"]["steps"]) == ("subject-2", 1, 600)
    assert result["target"]["variants"]["every"]["reached"] == pytest.approx(7 / 8)
    said = " ".join(result["problems"])
    assert f"{name} does not count: its status is failed (not finite)" in said
    assert f"count 1 run that diverged as never arriving ({name})" in said


def test_steps_to_the_target_stand_in_contrasts_tables_and_both_pages(study):
    write_report(study)
    target = json.loads((study / "contrasts.json").read_text())["target"]
    assert target["variants"]["every"]["reached"] == 1.0
    assert target["variants"]["every"]["median"]["steps"] == 100.0
    table = rows(study, "steps-to-target")
    assert [row[0] for row in table[1:]] == ["none", "every", "none-own", "every-own"]
    assert table[2][1:3] == ["1.000", "100"]
    assert len(rows(study, "steps-to-target-runs")) == 1 + 4 * 4 * 2
    curves = [[name, *map(float, numbers)] for name, *numbers in rows(study, "steps-to-target-curves")[1:]]
    stated = [[name, *point] for name, own in target["variants"].items() for point in own["curve"]]
    assert [row[:2] for row in curves] == [row[:2] for row in stated]
    assert [row[2] for row in curves] == pytest.approx([row[2] for row in stated], abs=0.00051)
    assert [row[2] for row in rows(study, "steps-to-target-contrasts")[1:]] == ["steps", "examples", "seconds"] * 2
    for text in ((study / "report.html").read_text(), (study / "report.md").read_text()):
        assert "95 % of the best validation macro F1 of none" in text
        assert target["contrasts"][0]["sentence"] in text
        assert "times the steps" in text


def test_matched_and_own_variants_have_a_figure_each(study):
    def figures():
        write_report(study)
        return re.findall(
            r'<svg[^>]*>(?:(?!</svg>).)*?id="reached-(\d)', (study / "report.html").read_text(), re.DOTALL
        )

    assert len(set(figures())) == 1
    tuned(study)
    assert len(set(figures())) == 2


def test_what_was_tuned_is_shown_with_every_trial(study):
    tuned(study)
    write_report(study)
    assert rows(study, "tuned") == [["fold", "none-own"], ["subject-1", "0.001"], ["subject-2", ""]]
    trials = rows(study, "tuning")
    assert trials[0] == ["variant", "fold", "model.learning_rate", "inner fold 0", "inner fold 1", "mean", "chosen"]
    assert trials[1] == ["none", "subject-1", "0.0003", "0.500", "0.700", "0.600", "no"]
    assert trials[2][-2:] == ["0.800", "yes"]
    assert trials[3][2:] == ["0.1", "0.800", "", "", "no"]
    assert (
        "Chosen from 0.0003, 0.001, 0.1: best mean. 6 trials per variant and fold" in (study / "report.md").read_text()
    )


@pytest.mark.parametrize("content", [None, "{", "[1]", "{}", json.dumps(TUNING | {"choices": [{"own": 1}]})])
def test_a_lost_tuning_file_is_a_problem_and_no_crash(study, content):
    tuned(study)
    (study / "tuning.json").unlink()
    if content is not None:
        (study / "tuning.json").write_text(content)
    write_report(study)
    problems = json.loads((study / "contrasts.json").read_text())["problems"]
    assert any("What was tuned is not shown" in problem for problem in problems)
    assert not (study / "tables" / "tuned.csv").exists()


@pytest.mark.parametrize("tuning", [3, [1], {"own": ["every-own"]}])
def test_a_study_that_says_something_odd_of_its_tuning_is_refused(study, tuning):
    change(study, tuning=tuning)
    with pytest.raises(DataError, match="not a mapping"):
        write_report(study)


def test_a_study_without_target_or_tuning_has_no_trace_of_them(tmp_path):
    folder = write_study(tmp_path / "s" / "d", FakeStudy(subjects=2))
    write_report(folder)
    assert "target" not in json.loads((folder / "contrasts.json").read_text())
    assert "target" not in (folder / "report.md").read_text().replace(str(folder), "")  # named after this test
    assert not list((folder / "tables").glob("steps*"))


def test_runs_that_are_missing_are_left_out_of_the_target_and_said(study):
    (study / "v0" / "subject-2" / "repeat-0" / "run.json").unlink()  # of the reference
    (study / "v1" / "subject-1" / "repeat-0" / "metrics.jsonl").unlink()
    result = evaluate_study(study)
    assert result["target"]["variants"]["every"]["runs"] == 4 * 2 - 2
    assert any(problem.startswith("Steps to the target leave out 4 of 31 runs") for problem in result["problems"])


def test_a_study_of_which_nothing_is_done_gets_a_page(study):
    for path in study.glob("v*/*/*/run.json"):
        path.unlink()
    write_report(study)
    assert "every against none: there are no runs to compare." in (study / "report.md").read_text()


def test_evaluate_prints_table_and_sentences(study, capsys):
    assert evaluate([str(study)]) == 0
    out = capsys.readouterr().out
    assert "Training until 95 % of the best validation macro F1 of none" in out
    assert "| every-own" in out
    assert "every against none: " in out
