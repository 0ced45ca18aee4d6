"""Variants with seeds of their own: a null study differs by chance alone, and by nothing else."""

from __future__ import annotations

import copy

import pytest

from har.errors import UsageError
from har.study.definition import load_study
from har.study.plan import Options, make_plan
from har.study.record import record
from tests.study.small import write_study

TWICE = {
    "none": {"model.norm.placement": "none"},
    "again": {"model.norm.placement": "none", "seed_offset": 1},
    "third": {"model.norm.placement": "none", "seed_offset": 2},
}
CONTRAST = {"contrasts": [{"a": "again", "b": "none", "primary": True}]}


def _plan(tmp_path, data_root, **changes):
    study = load_study(write_study(tmp_path, variants=TWICE, **CONTRAST, **changes))
    return make_plan(study, Options(root=data_root, runs=tmp_path / "runs"))


def test_the_same_variant_twice_differs_in_its_seed_and_in_nothing_else(data_root, tmp_path):
    plan = _plan(tmp_path, data_root, repeats=2)
    configs = {(run.variant, run.fold.name, run.repeat): copy.deepcopy(run.config) for run in plan.runs}
    seeds = {place: config.pop("seed_everything") for place, config in configs.items()}
    assert len(set(seeds.values())) == len(seeds) == 3 * 3 * 2
    for (_, fold, repeat), config in configs.items():
        assert config == configs["none", fold, repeat]


def test_variants_without_an_offset_keep_the_seeds_that_they_had(data_root, tmp_path):
    plan = _plan(tmp_path / "with", data_root)
    before = make_plan(load_study(write_study(tmp_path / "without")), Options(root=data_root, runs=tmp_path / "runs"))
    assert [run.config["seed_everything"] for run in plan.runs if run.variant == "none"] == [
        run.config["seed_everything"] for run in before.runs if run.variant == "none"
    ]


def test_the_offset_holds_for_trials_too(data_root, tmp_path):
    plan = _plan(tmp_path, data_root, tune={"key": "model.learning_rate", "grid": [0.001, 0.003], "inner_folds": 2})
    seeds = {(trial.variant, trial.fold.name): trial.config["seed_everything"] for trial in plan.tuning.trials}
    assert len(set(seeds.values())) == len(seeds)


def test_report_and_study_file_say_whose_seeds_are_their_own(data_root, tmp_path):
    found = record(_plan(tmp_path, data_root))
    assert found["variants"] == TWICE
    assert "Variant again has seeds of its own (seed_offset 1)." in found["notes"]
    assert not [note for note in found["notes"] if "Variant none" in note]


def test_the_same_variant_twice_without_an_offset_is_refused(tmp_path):
    variants = {name: {"model.norm.placement": "none"} for name in ("none", "again")}
    with pytest.raises(UsageError) as caught:
        load_study(write_study(tmp_path, variants=variants, **CONTRAST))
    assert "are the same" in caught.value.hint


@pytest.mark.parametrize("offset", [0, -1, 1.5, True, "1", None])
def test_an_offset_is_a_whole_number_from_one(tmp_path, offset):
    variants = {**TWICE, "again": {"model.norm.placement": "none", "seed_offset": offset}}
    with pytest.raises(UsageError) as caught:
        load_study(write_study(tmp_path, variants=variants, **CONTRAST))
    assert f"variant 'again': seed_offset is {offset!r}; it must be a whole number" in caught.value.hint
