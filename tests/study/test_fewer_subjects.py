"""Studies over the number of training subjects: every fold is had with each number, the same for all variants."""

from __future__ import annotations

import pytest

from har.errors import UsageError
from har.study.definition import load_study
from har.study.plan import Options, make_plan
from har.study.record import record
from tests.study.small import write_study

PROTOCOL = {"folds": "loso", "validation_subjects": 1, "train_subjects": [2, 4]}


def _plan(tmp_path, data_root, **changes):
    study = load_study(write_study(tmp_path, **{"protocol": PROTOCOL, **changes}))
    return make_plan(study, Options(root=data_root, runs=tmp_path / "runs"))


def test_every_variant_has_every_fold_with_every_number(data_root, tmp_path):
    plan = _plan(tmp_path, data_root)
    subjects = len({fold.test for fold in plan.folds})
    assert len(plan.runs) == 2 * 2 * subjects
    by_variant = {name: [run.fold for run in plan.runs if run.variant == name] for name in ("none", "every")}
    assert by_variant["none"] == by_variant["every"]
    assert {len(fold.train) for fold in plan.folds if fold.name.endswith("_train-2")} == {2}
    assert plan.runs[0].folder.parts[-2] == "subject-1_train-4"


def test_the_configuration_of_a_run_finds_its_own_fold(data_root, tmp_path):
    from har.training.datamodule import HarDataModule

    run = next(run for run in _plan(tmp_path, data_root).runs if run.fold.name == "subject-3_train-2")
    data = HarDataModule(**run.config["data"])
    data.setup()
    assert data.fold == run.fold
    assert set(data.store.recordings["subject"].iloc[data.train.recording]) == set(run.fold.train)


def test_trials_are_of_the_subjects_that_the_fold_has(data_root, tmp_path):
    tune = {"key": "model.learning_rate", "grid": [0.001, 0.003], "inner_folds": 2}
    plan = _plan(tmp_path, data_root, tune=tune, protocol={**PROTOCOL, "train_subjects": [4, 6]})
    for trial in plan.tuning.trials:
        everybody = {*trial.fold.train, *trial.fold.validation, *trial.fold.test}
        assert everybody == {*trial.outer.train, *trial.outer.validation}
        assert trial.config["data"]["train_subjects"] is None  # inner folds are those of their file


def test_the_study_file_says_how_many_train(data_root, tmp_path):
    found = record(_plan(tmp_path, data_root))
    assert list(found["protocol"]["train_subjects"]) == [2, 4]
    assert (
        "train_subjects"
        not in record(_plan(tmp_path / "all", data_root, protocol={**PROTOCOL, "train_subjects": None}))["protocol"]
    )


@pytest.mark.parametrize("given", [[], [2, 2], [0], [1.5], "all", 4, [True]])
def test_impossible_numbers_are_refused_with_the_file(tmp_path, given):
    with pytest.raises(UsageError) as caught:
        load_study(write_study(tmp_path, protocol={**PROTOCOL, "train_subjects": given}))
    assert f"train_subjects is {given!r}; it must be different numbers" in caught.value.hint


def test_more_than_a_fold_has_is_refused_before_anything_runs(data_root, tmp_path):
    with pytest.raises(UsageError, match="training subjects, not 99"):
        _plan(tmp_path, data_root, protocol={**PROTOCOL, "train_subjects": [2, 99]})


def test_no_variant_may_have_its_own_number(tmp_path):
    variants = {"none": {"model.norm.placement": "none"}, "every": {"data.train_subjects": [2]}}
    with pytest.raises(UsageError) as caught:
        load_study(write_study(tmp_path, variants=variants))
    assert "data.train_subjects is set by the study itself" in caught.value.hint
