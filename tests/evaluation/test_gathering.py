"""Which runs of a study count, and when two of them predicted the same windows of the same subjects."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from har.errors import DataError
from har.evaluation.comparison import evaluate_study
from har.evaluation.scores import PREDICTIONS
from tests.fakes.study import FakeStudy, write_study


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Three variants, eight subjects; not to be changed."""
    return write_study(tmp_path_factory.mktemp("gathered"), FakeStudy())


@pytest.fixture
def study(built, tmp_path):
    """A copy of that study."""
    return Path(shutil.copytree(built, tmp_path / "fake"))


def _change(path, **entries):
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def _run(study, variant, subject):
    return study / f"v{['none', 'input', 'every'].index(variant)}" / f"subject-{subject}" / "repeat-0"


def test_windows_of_two_subjects_that_one_variant_has_the_other_way_round_are_refused(study):
    content = json.loads((study / "study.json").read_text())
    fold = {"name": "pair", "train": ["3", "4"], "validation": ["5"], "test": ["1", "2"]}
    content |= {
        "folds": [fold],
        "runs": [run | {"fold": "pair"} for run in content["runs"] if run["fold"] == "subject-1"],
    }
    (study / "study.json").write_text(json.dumps(content))
    for variant in ("none", "input", "every"):
        ours, other = (_run(study, variant, subject) for subject in (1, 2))
        for name in (PREDICTIONS, Path("truth.parquet")):
            both = pd.concat([pd.read_parquet(run / name) for run in (ours, other)], ignore_index=True)
            if variant == "none":
                both["subject"] = both["subject"].map({"1": "2", "2": "1"})
            both.to_parquet(ours / name)
        _change(ours / "run.json", test_windows=len(pd.read_parquet(ours / PREDICTIONS)))
    first, second = evaluate_study(study)["contrasts"]
    assert list(first["differences"]) == ["1", "2"]
    assert second["verdict"] == "not judged"
    assert "refused: its runs predicted different windows or subjects" in second["problems"][0]


def test_windows_that_begin_together_are_the_same_in_any_order(study):
    for variant in ("input", "every"):
        path = _run(study, variant, 2) / PREDICTIONS
        frame = pd.read_parquet(path)
        longer = frame.iloc[[0]].assign(end_s=frame["end_s"].iloc[0] - 0.5)
        parts = [frame, longer] if variant == "input" else [longer, frame]
        pd.concat(parts, ignore_index=True).to_parquet(path)
        _change(path.parents[1] / "run.json", test_windows=len(frame) + 1)
    result = evaluate_study(study)
    assert (result["runs"]["counted"], result["contrasts"][0]["subjects"]) == (24, 8)


def test_windows_that_both_variants_have_lost_are_missed(study):
    """Paired runs agree about them, and yet they are gone: the runs were made with more."""
    for variant in ("input", "every"):
        path = _run(study, variant, 2) / PREDICTIONS
        pd.read_parquet(path).iloc[:-4].to_parquet(path)
    result = evaluate_study(study)
    assert any("32 windows, where run.json counts 36" in problem for problem in result["problems"])
    assert result["runs"]["counted"] == 22


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda content: content["runs"][3].pop("fold"), r"runs\[3\] lacks 'fold'"),
        (lambda content: content["contrasts"].append("a - b"), r"contrasts\[2\] lacks 'a'"),
        (lambda content: content.update(folds={}), "folds is '{}', not a list"),
        (lambda content: content.update(variants=None), "'variants' is empty"),
        (
            lambda content: content["folds"][0].update(test=[1]),
            r"folds\[0\] is damaged: test is .* of names",
        ),
        (lambda content: content["runs"][0].update(folder=3), r"runs\[0\] is damaged: folder is '3', not text"),
        (lambda content: content["folds"].pop(1), r"runs\[\d+\] is of fold 'subject-2'"),
        (lambda content: content["variants"].pop("every"), r"runs\[\d+\] is of variant 'every'"),
        (lambda content: content["variants"].update(every=None), "variant 'every' is 'None', not a mapping"),
        (lambda content: content["contrasts"][0].update(b="x@target"), r"contrasts\[0\] is of variant 'x'"),
        (lambda content: content.update(target={"share": 0.9}), "target lacks 'reference'"),
        (lambda content: content.update(inferences=[1]), "inferences is .* of names"),
        (lambda content: content.update(notes=[1]), "notes is .* of names"),
        (lambda content: content["protocol"].update(train_subjects=[1, "x"]), "train_subjects is .* whole numbers"),
        (lambda content: content["protocol"].update(batch_size=0), "batch_size is '0', not a whole number above 0"),
    ],
)
def test_a_study_file_with_half_of_an_entry_is_refused_with_its_place(study, harm, says):
    content = json.loads((study / "study.json").read_text())
    harm(content)
    (study / "study.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=says):
        evaluate_study(study)


HEAD = {"kind": "svm", "chosen": {"c": 1.0}, "tried": [{"c": 1.0, "validation_loss": 0.5}]}


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"seconds": "nine"}, "(seconds is 'nine', not a number)"),
        ({"status": True}, "(its status is 'True')"),
        ({"warnings": 3}, "(warnings is '3', not a list of names)"),
        ({"classes_missing": {"validation": True}}, "(validation is 'True', not a list of names)"),
        ({"classes_missing": {"test": [], "odd": 3}}, "(odd is '3', not a list of names)"),
        ({"fold": {"name": "1", "test": [1]}}, "(test is '[1]', not a list of names)"),
        ({"head": {"kind": "svm", "chosen": {}}}, "(head lacks 'tried')"),
        ({"head": {**HEAD, "kind": 1}}, "(head is damaged: kind is '1', not text)"),
        ({"head": {**HEAD, "tried": ["c"]}}, "(head tried 'c', not settings with a number each)"),
        ({"head": {**HEAD, "chosen": {"c": "x"}}}, "(head tried \"{'c': 'x'}\", not settings with a number each)"),
    ],
)
def test_a_damaged_record_makes_its_run_not_count(study, entries, says):
    path = _run(study, "every", 2) / "run.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, **entries}))
    result = evaluate_study(study)
    assert any(f"its run.json is damaged {says}" in problem for problem in result["problems"])
    assert result["runs"]["counted"] == 23


def test_a_record_with_a_number_beyond_64_bits_makes_its_run_not_count(study):
    path = _run(study, "every", 2) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 10**400}))
    result = evaluate_study(study)
    says = "run.json is damaged (the number 100000… of 401 digits is more than 64 bits hold)"
    assert any(says in problem for problem in result["problems"])
    assert result["runs"]["counted"] == 23


def test_a_record_of_a_head_that_is_whole_counts(study):
    path = _run(study, "every", 2) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "head": HEAD}))
    assert evaluate_study(study)["runs"]["counted"] == 24
