"""The keys `tune` and `target` of a study file: every mistake is named with its value."""

from __future__ import annotations

import pytest

from har.study.declared import Target, Tune, short_form
from har.study.tune_keys import read_tune
from tests.study.test_definition import GOOD, changed, load, problems

TUNE = {"key": "model.learning_rate", "grid": [0.01, 0.001], "inner_folds": 3}
OWN = [{"a": "every-own", "b": "input-own", "primary": True}, {"a": "every-own", "b": "every"}]


def test_what_is_tuned_is_read_with_its_grid_in_order(tmp_path):
    study = load(tmp_path, changed(tune=TUNE, target={"reference": "input-own", "share": 0.98}))
    assert study.tune == Tune("model.learning_rate", (0.001, 0.01), 3)
    assert study.tune.trials == 6
    assert study.target == Target("input-own", 0.98)
    assert study.names == ["input", "every", "input-own", "every-own"]


def test_a_study_without_these_keys_tunes_and_times_nothing(tmp_path):
    study = load(tmp_path, GOOD)
    assert (study.tune, study.target, study.names) == (None, None, ["input", "every"])


def test_contrasts_may_name_variants_at_their_own_values_and_inferences_of_them(tmp_path):
    contrasts = [*OWN, {"a": "every-own@population", "b": "every"}]
    study = load(tmp_path, changed(tune=TUNE, contrasts=contrasts, inferences=["running", "population"]))
    assert [contrast.a for contrast in study.contrasts] == ["every-own", "every-own", "every-own@population"]
    assert "a is 'every-own', which is no variant" in problems(tmp_path, changed(contrasts=OWN))


def test_the_short_form_keeps_the_own_variants_of_its_variants(tmp_path):
    variants = {**GOOD["variants"], "none": {"model.norm.placement": "none"}}
    contrasts = [*OWN, {"a": "every-own", "b": "none-own"}]
    study = load(
        tmp_path,
        changed(
            tune=TUNE, variants=variants, contrasts=contrasts, short=["input", "every"], target={"reference": "input"}
        ),
    )
    short = short_form(study)
    assert short.names == ["input", "every", "input-own", "every-own"]
    assert [(contrast.a, contrast.b) for contrast in short.contrasts] == [
        ("every-own", "input-own"),
        ("every-own", "every"),
    ]


def test_the_whole_best_score_is_the_target_unless_a_share_is_named(tmp_path):
    assert load(tmp_path, changed(target={"reference": "input"})).target == Target("input", 1.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tune": "model.learning_rate"}, "tune is 'model.learning_rate'; write {key:"),
        ({"tune": {**TUNE, "folds": 3}}, "tune: key 'folds' is not known. Did you mean 'inner_folds'?"),
        ({"tune": {"key": "model.learning_rate", "grid": [1, 2]}}, "tune: inner_folds is missing"),
        ({"tune": {**TUNE, "key": "learning_rate."}}, "tune: 'learning_rate.' is not a dotted key"),
        ({"tune": {**TUNE, "key": ["a"]}}, "is not a dotted key"),
        ({"tune": {**TUNE, "key": "seed_everything"}}, "tune: seed_everything is set by the study itself"),
        ({"tune": {**TUNE, "key": "model.norm.placement"}}, "is what variant 'input' sets, so it has no matched value"),
        ({"tune": {**TUNE, "grid": 0.1}}, "tune: grid is 0.1; it must be a list of numbers"),
        ({"tune": {**TUNE, "grid": [0.1, "high"]}}, "it must be a list of numbers"),
        ({"tune": {**TUNE, "grid": [0.1, -0.1]}}, "it must be a list of numbers that are not negative"),
        ({"tune": {**TUNE, "grid": [0.1, float("inf")]}}, "it must be a list of numbers"),
        ({"tune": {**TUNE, "grid": [0.1, True]}}, "it must be a list of numbers"),
        ({"tune": {**TUNE, "grid": [0.1]}}, "must have at least two values"),
        ({"tune": {**TUNE, "grid": [0.1, 0.1000000001]}}, "that differ in their first 6 digits"),
        ({"tune": {**TUNE, "inner_folds": 1}}, "tune: inner_folds is 1; it must be a whole number of at least 2"),
        ({"tune": {**TUNE, "inner_folds": True}}, "tune: inner_folds is True"),
        ({"tune": TUNE, "variants": {**GOOD["variants"], "a-own": {"a.b": 1}}}, "names that end in '-own' are those"),
        ({"tune": TUNE, "variants": {**GOOD["variants"], "trials": {"a.b": 1}}}, "this is the folder of the trials"),
        ({"tune": TUNE, "variants": {**GOOD["variants"], "x" * 62: {"a.b": 1}}}, "too long a name to have '-own'"),
        ({"target": "input"}, "target is 'input'; write {reference: VARIANT"),
        ({"target": {"reference": "inpt"}}, "target: reference is 'inpt', which is no variant. Did you mean 'input'?"),
        ({"target": {"reference": "input-own"}}, "target: reference is 'input-own', which is no variant"),
        ({"target": {"reference": "input", "shares": 1}}, "target: key 'shares' is not known. Did you mean 'share'?"),
        ({"target": {"reference": "input", "share": 0}}, "target: share is 0; it must be a number above 0, at most 1"),
        ({"target": {"reference": "input", "share": 1.1}}, "target: share is 1.1"),
        ({"target": {"reference": "input", "share": True}}, "target: share is True"),
    ],
)
def test_a_mistake_is_named_with_its_value(tmp_path, changes, words):
    assert words in problems(tmp_path, changed(**changes))


def test_a_target_that_the_short_form_cannot_reach_is_refused(tmp_path):
    variants = {**GOOD["variants"], "none": {"model.norm.placement": "none"}}
    text = problems(tmp_path, changed(variants=variants, short=["input", "every"], target={"reference": "none"}))
    assert "target: reference 'none' is not in the short form" in text


def test_names_that_tuning_takes_are_free_where_nothing_is_tuned(tmp_path):
    variants = {**GOOD["variants"], "a-own": {"a.b": 1}, "trials": {"a.b": 2}}
    assert "a-own" in load(tmp_path, changed(variants=variants)).names


def test_several_mistakes_are_all_named():
    _, found = read_tune({"key": "a..b", "grid": [], "inner_folds": 0}, {})
    assert len(found) == 3
