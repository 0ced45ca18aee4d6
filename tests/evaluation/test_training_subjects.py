"""The learning curve over the number of training subjects; all else is of the largest number."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from har.evaluation.comparison import evaluate_study
from har.evaluation.contrast import t_interval
from har.evaluation.report import write_report
from tests.fakes.study import FakeStudy, write_study

PLAN = FakeStudy(
    subjects=7, train_subjects=[4, 2], windows=8, hit={"input": 0.6, "every": 0.9}, contrasts=[("every", "input")]
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two variants, each fold with two and with four training subjects; evaluated."""
    folder = write_study(tmp_path_factory.mktemp("fewer"), PLAN)
    write_report(folder)
    return folder


@pytest.fixture
def study(built, tmp_path):
    return Path(shutil.copytree(built, tmp_path / "study"))


def _alone(folder, number, tmp_path):
    """The same study as if it had one number of training subjects only."""
    other = Path(shutil.copytree(folder, tmp_path / f"alone-{number}"))
    study = json.loads((other / "study.json").read_text())
    study["folds"] = [fold for fold in study["folds"] if len(fold["train"]) == number]
    study["runs"] = [run for run in study["runs"] if run["fold"].endswith(f"_train-{number}")]
    del study["protocol"]["train_subjects"]
    (other / "study.json").write_text(json.dumps(study))
    return evaluate_study(other)


def test_all_but_the_curve_is_of_the_largest_number(built, tmp_path):
    result = json.loads((built / "contrasts.json").read_text())
    alone = _alone(built, 4, tmp_path)
    assert result.pop("training_subjects")["numbers"] == [2, 4]
    assert result["notes"].pop(0) == "All scores and verdicts are of the runs with 4 training subjects."
    assert result == alone


def test_each_point_of_the_curve_is_what_its_number_says_alone(built, tmp_path):
    found = json.loads((built / "contrasts.json").read_text())["training_subjects"]
    for position, number in enumerate((2, 4)):
        alone = _alone(built, number, tmp_path)
        for name, points in found["variants"].items():
            own = alone["variants"][name]
            for key in ("macro_f1", "macro_f1_sd", "subjects", "runs"):
                assert points[position][key] == own[key]
        point = found["contrasts"][0]["points"][position]
        differences = np.array(list(alone["contrasts"][0]["differences"].values()))
        assert (point["train_subjects"], point["subjects"]) == (number, 7)
        assert point["mean"] == pytest.approx(differences.mean())
        assert point["interval"] == pytest.approx(t_interval(differences))
    fewer, all_of_them = found["variants"]["every"]
    assert fewer["macro_f1"] < all_of_them["macro_f1"]


def test_tables_of_the_curve_stand_in_the_report(built):
    text = (built / "report.md").read_text()
    assert "## Number of training subjects, macro F1 (present)" in text
    assert "## Contrasts by number of training subjects" in text
    assert "- train subjects: 4 2" in text
    assert "Nested training sets" in (built / "report.html").read_text()
    assert len((built / "tables" / "training-subjects.csv").read_text().splitlines()) == 1 + 2 * 2


def test_what_a_smaller_number_lacks_is_said_with_the_number(study):
    for run in study.glob("v1/subject-3_train-2/*/run.json"):
        run.unlink()
    result = evaluate_study(study)
    assert result["problems"] == [
        "Run v1/subject-3_train-2/repeat-0 does not count: it was never finished (there is no run.json).",
        "With 2 training subjects: Contrast every against input rests on 6 of 7 pairs of runs, without subject 3;"
        " nothing was filled in.",
    ]
    points = result["training_subjects"]["contrasts"][0]["points"]
    assert [point["subjects"] for point in points] == [6, 7]
    assert result["contrasts"][0]["subjects"] == 7


def test_what_the_largest_number_lacks_is_said_once(study):
    for run in study.glob("v1/subject-3_train-4/*/run.json"):
        run.unlink()
    assert evaluate_study(study)["problems"] == [
        "Run v1/subject-3_train-4/repeat-0 does not count: it was never finished (there is no run.json).",
        "Contrast every against input rests on 6 of 7 pairs of runs, without subject 3; nothing was filled in.",
    ]


def test_a_number_without_any_run_leaves_its_points_empty(study):
    for run in study.glob("v*/*_train-2/*/run.json"):
        run.unlink()
    points = evaluate_study(study)["training_subjects"]["contrasts"][0]["points"]
    assert points[0] == {"train_subjects": 2, "mean": None, "interval": None, "subjects": 0}


def test_one_number_alone_is_a_study_like_any_other(tmp_path):
    plan = FakeStudy(subjects=6, train_subjects=[3], windows=4)
    result = evaluate_study(write_study(tmp_path, plan))
    assert "training_subjects" not in result
    assert result["contrasts"][0]["subjects"] == 6
