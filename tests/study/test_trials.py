"""Trials: inner folds never hold a test subject, every variant has the same trials, and the choice follows one rule."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import LeakageError, UsageError
from har.study.declared import names_of, own_name
from har.study.definition import load_study
from har.study.plan import Options, Plan, make_plan
from har.study.trials import choose, inner_folds, mean_score, require_apart
from har.windows.splits import Fold
from tests.study.small import fold, write_study

TUNE = {"key": "model.learning_rate", "grid": [0.03, 0.0003, 0.003], "inner_folds": 2}
CONTRASTS = [{"a": "every", "b": "none", "primary": True}, {"a": "every-own", "b": "none-own"}]


@pytest.fixture(scope="module")
def plan(tmp_path_factory, data_root) -> Plan:
    path = write_study(tmp_path_factory.mktemp("study"), tune=TUNE, contrasts=CONTRASTS, repeats=2)
    return make_plan(load_study(path), Options(root=data_root, runs=tmp_path_factory.mktemp("runs")))


@given(st.integers(4, 12), st.integers(1, 3), st.integers(1, 3), st.integers(2, 5), st.integers(0, 99))
@settings(max_examples=200)
def test_inner_folds_deal_everybody_but_the_test_subjects(subjects, tested, validating, count, seed):
    names = [str(number) for number in range(subjects)]
    validating = min(validating, subjects - 2)
    outer = Fold("a", tuple(names[validating:]), tuple(names[:validating]), tuple(f"t{n}" for n in range(tested)))
    try:
        inner = inner_folds(outer, count, seed)
    except UsageError:
        assert count > subjects or -(-subjects // count) + validating >= subjects
        return
    held_out = Counter(subject for one in inner for subject in one.test)
    assert held_out == Counter(names)
    for number, one in enumerate(inner):
        assert one.name == f"a.{number}"
        assert sorted([*one.train, *one.validation, *one.test]) == sorted(names)
        assert len(one.validation) == validating
    assert inner == inner_folds(outer, count, seed)


def test_too_few_subjects_for_inner_folds_are_refused_with_the_folds_name():
    with pytest.raises(UsageError, match="fold a leaves 2 subjects") as refusal:
        inner_folds(Fold("a", ("1",), ("2",), ("3",)), 2, 0)
    assert "No inner folds are possible" in str(refusal.value)


@pytest.mark.parametrize(
    ("trains", "validates", "count", "possible"),
    [(1, 2, 2, (3, 1)), (1, 3, 2, (4, 2)), (3, 2, 1, (3, 2)), (2, 2, 9, (4, 2)), (0, 3, 2, (3, 1))],
)
def test_what_would_be_possible_is_named_and_is_possible(trains, validates, count, possible):
    """Of four subjects, as in OPPORTUNITY, one tests and three are left: the first case."""
    names = [str(number) for number in range(trains + validates)]
    with pytest.raises(UsageError) as refusal:
        inner_folds(Fold("a", tuple(names[validates:]), tuple(names[:validates]), ("t",)), count, 0)
    said = str(refusal.value)
    assert f"tune.inner_folds {count}" in said
    assert f"validates on {validates} (protocol.validation_subjects)" in said
    assert f"tune.inner_folds: {possible[0]} with protocol.validation_subjects: {possible[1]}" in said
    fold = Fold("a", tuple(names[possible[1] :]), tuple(names[: possible[1]]), ("t",))
    assert all(one.train for one in inner_folds(fold, possible[0], 0))


def test_a_test_subject_in_a_trial_fails_the_study():
    outer = Fold("a", ("1", "2", "3"), ("4",), ("5",))
    require_apart(outer, ["1", "2"], "a.0")
    with pytest.raises(LeakageError, match=r"test subject 5 of fold a is in its trial a\.0"):
        require_apart(outer, ["1", "5"], "a.0")


def test_every_variant_has_the_same_trials_with_the_same_seeds_and_folds(plan):
    by_variant = {name: [] for name in plan.study.variants}
    for trial in plan.tuning.trials:
        by_variant[trial.variant].append((trial.outer, trial.fold, trial.value, trial.config["seed_everything"]))
    assert by_variant["none"] == by_variant["every"]
    assert len(by_variant["none"]) == 3 * 3 * 2
    seeds = {(trial.fold.name, trial.config["seed_everything"]) for trial in plan.tuning.trials}
    assert len(seeds) == len({seed for _, seed in seeds}) == 6  # one per inner fold, another one in each
    assert not {seed for _, seed in seeds} & {run.config["seed_everything"] for run in plan.runs}


def test_a_trial_differs_from_its_run_in_value_fold_and_seed_alone(plan):
    from har.study.states import differences

    trial = next(trial for trial in plan.tuning.trials if trial.variant == "every" and trial.value == 0.03)
    run = next(run for run in plan.runs if run.variant == "every" and run.fold == trial.outer)
    keys = {line.split(" was ")[0] for line in differences(run.config, trial.config)}
    assert keys == {"model.learning_rate", "data.fold", "data.folds", "seed_everything"}
    assert trial.config["model"]["learning_rate"] == 0.03
    assert trial.folder == plan.folder / "trials" / "every" / "0.03" / trial.fold.name
    assert trial.config["data"]["folds"] == str(plan.folder / "inner-folds.json")


def test_trials_predict_with_running_statistics_alone(tmp_path, data_root):
    path = write_study(tmp_path, tune=TUNE, inferences=["running", "population"])
    plan = make_plan(load_study(path), Options(root=data_root))
    assert {tuple(trial.config["inferences"]) for trial in plan.tuning.trials} == {("running",)}


def test_own_runs_are_declared_before_their_values_are_known(plan):
    assert [place.variant for place in plan.awaiting[:2]] == ["none-own", "every-own"]
    assert len(plan.awaiting) == len(plan.runs) == 2 * 3 * 2
    assert plan.awaiting[1].folder == plan.folder / "every-own" / "subject-1" / "repeat-0"
    assert len(plan.declared) == 24


def test_a_value_that_no_variant_can_have_is_refused_when_it_is_planned(tmp_path, data_root):
    path = write_study(tmp_path, tune={**TUNE, "grid": [0.0, 0.01]})
    with pytest.raises(UsageError, match="must be positive"):
        make_plan(load_study(path), Options(root=data_root))


@pytest.mark.parametrize(
    ("key", "words"), [("model.learning_rat", "model.learning_rate"), ("model.adaptive_clipping", "no number to match")]
)
def test_a_key_that_cannot_be_tuned_is_refused(tmp_path, data_root, key, words):
    path = write_study(tmp_path, tune={**TUNE, "key": key})
    with pytest.raises(UsageError, match=words):
        make_plan(load_study(path), Options(root=data_root))


def test_the_matched_value_can_be_set_for_all(tmp_path, data_root):
    path = write_study(tmp_path, tune=TUNE)
    plan = make_plan(load_study(path), Options(root=data_root, overrides={"model.learning_rate": 0.01}))
    assert plan.tuning.matched == 0.01
    assert {run.config["model"]["learning_rate"] for run in plan.runs} == {0.01}


def test_the_best_mean_is_chosen():
    assert choose({0.1: (0.9, 0.1), 0.2: (0.6, 0.6), 0.3: (0.5, 0.5)}, 0.1) == 0.2


@pytest.mark.parametrize(
    ("values", "matched", "chosen"),
    [
        ([0.001, 0.01, 0.1], 0.01, 0.01),
        ([0.001, 0.1], 0.03, 0.1),  # by ratio: 0.1 is 3.3 times 0.03, which is 30 times 0.001
        ([0.001, 0.1], 0.003, 0.001),
        ([0.001, 0.1], 0.01, 0.001),  # equally near: the smaller
        ([0.0, 0.1], 0.04, 0.0),  # by distance where one of them is 0
        ([0.0, 0.1], 0.06, 0.1),
    ],
)
def test_of_equally_good_values_the_one_nearest_to_the_matched_is_chosen(values, matched, chosen):
    assert choose(dict.fromkeys(values, (0.5, 0.7)), matched) == chosen


def test_equal_means_are_equal_whatever_rounding_makes_of_them():
    scores = {0.001: (0.1, 0.2, 0.3), 0.01: (0.3, 0.2, 0.1)}
    assert choose(scores, 0.01) == 0.01
    assert choose(scores, 0.001) == 0.001


def test_a_value_at_which_training_diverged_is_ruled_out():
    assert choose({0.001: (0.5, 0.5), 0.1: (0.9, None)}, 0.1) == 0.001
    assert choose({0.001: (None, 0.5), 0.1: (None, None)}, 0.1) is None


@given(st.dictionaries(st.sampled_from([0.001, 0.01, 0.1, 1.0]), st.lists(st.floats(0, 1), min_size=2, max_size=2)))
@settings(max_examples=100)
def test_no_other_value_has_a_better_mean(scores):
    value = choose(scores, 0.01)
    assert (value is None) == (not scores)
    assert all(mean_score(own) <= mean_score(scores[value]) + 1e-9 for own in scores.values())


def test_names_of_variants_at_their_own_values_come_last():
    assert names_of(["none", "every"], None) == ["none", "every"]
    study = ["none", "every"]
    assert [own_name(name) for name in study] == ["none-own", "every-own"]


def test_a_fold_of_few_subjects_is_refused_before_anything_is_run(tmp_path, data_root):
    path = write_study(tmp_path, [fold("1", train=("4",))], tune=TUNE)
    with pytest.raises(UsageError, match=r"fold subject-1 leaves 2 subjects .* too few for tune\.inner_folds 2"):
        make_plan(load_study(path), Options(root=data_root, runs=tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
