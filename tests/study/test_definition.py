"""Study files: what they say is kept as it is, and every mistake is found in one reading."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import UsageError
from har.study.declared import GOVERNED, is_safe_name, override_problem, short_form
from har.study.definition import load_study

SHIPPED = Path(__file__).parents[2] / "configs" / "studies" / "bn-placement.yaml"

GOOD = {
    "name": "placement",
    "question": "Is every better than input?",
    "base": "base.yaml",
    "variants": {"input": {"model.norm.placement": "input"}, "every": {"model.norm.placement": "every"}},
    "protocol": {"folds": "loso", "validation_subjects": 2},
    "contrasts": [{"a": "every", "b": "input", "primary": True}],
}


def load(folder: Path, value):
    (folder / "base.yaml").touch()
    (folder / "folds.json").touch()
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(value, sort_keys=False))
    return load_study(path)


def changed(**changes):
    return {**copy.deepcopy(GOOD), **changes}


def problems(folder: Path, value) -> str:
    with pytest.raises(UsageError) as refusal:
        load(folder, value)
    return str(refusal.value)


def test_a_study_file_is_read_as_it_stands(tmp_path):
    study = load(tmp_path, changed(repeats=3, seed=7, notes=["a note"]))
    assert (study.name, study.repeats, study.seed, study.notes) == ("placement", 3, 7, ("a note",))
    assert list(study.variants) == ["input", "every"]
    assert study.variants["every"] == {"model.norm.placement": "every"}
    assert (study.protocol.folds, study.protocol.validation_subjects) == ("loso", 2)
    assert [(c.a, c.b, c.primary) for c in study.contrasts] == [("every", "input", True)]


def test_the_base_is_taken_from_the_folder_of_the_study_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    assert load(tmp_path, GOOD).base == tmp_path / "base.yaml"


def test_one_repeat_and_seed_0_are_the_defaults(tmp_path):
    study = load(tmp_path, GOOD)
    assert (study.repeats, study.seed, study.notes) == (1, 0, ())


def test_the_short_form_of_the_shipped_study_asks_the_projects_question():
    study = short_form(load_study(SHIPPED))
    assert study.question == "Does batch normalisation after every convolution beat a single early one?"
    assert list(study.variants) == ["none", "input", "first", "every"]
    assert all(own["model.scaling"] == "channel" for own in study.variants.values())
    pairs = [("every", "input"), ("every", "first"), ("every", "none"), ("input", "none")]
    assert [(c.a, c.b) for c in study.contrasts] == pairs
    assert [c.primary for c in study.contrasts] == [True, False, False, False]
    assert study.protocol.folds == "loso"
    assert study.repeats == 1


@pytest.mark.parametrize("key", ["name", "question", "base", "variants", "protocol", "contrasts"])
def test_a_missing_key_is_named(tmp_path, key):
    value = changed()
    del value[key]
    assert f"'{key}' is missing" in problems(tmp_path, value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"repeat": 3}, "Did you mean 'repeats'?"),
        ({"name": "a/b"}, "name 'a/b' cannot be a folder's name"),
        ({"question": " "}, "question is ' '"),
        ({"base": "bse.yaml"}, "base 'bse.yaml' is not there"),
        ({"repeats": 0}, "repeats is 0; it must be a whole number of at least 1"),
        ({"repeats": True}, "repeats is True"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"notes": "one"}, "notes must be a list"),
        ({"variants": {}}, "variants is empty"),
        ({"variants": {**GOOD["variants"], "../up": {"a.b": 1}}}, "variant name '../up'"),
        ({"variants": {**GOOD["variants"], False: {"a.b": 1}}}, "variant name False"),
        ({"variants": {**GOOD["variants"], "empty": {}}}, "variant 'empty' overrides nothing"),
        ({"variants": {**GOOD["variants"], "same": GOOD["variants"]["every"]}}, "variants 'every' and 'same' are"),
        ({"variants": {**GOOD["variants"], "nested": {"model": {"norm": 1}}}}, "model holds a mapping"),
        ({"variants": {**GOOD["variants"], "seeded": {"seed_everything": 1}}}, "seed_everything is set by the study"),
        ({"variants": {**GOOD["variants"], "other": {"data.name": "x"}}}, "data.name is set by the study"),
        ({"protocol": "loso"}, "protocol must be a mapping"),
        ({"protocol": {"folds": "loso", "validation_subject": 2}}, "Did you mean 'validation_subjects'"),
        ({"protocol": {"folds": "loso"}}, "validation_subjects is missing; folds: loso needs it"),
        ({"protocol": {"folds": "loso", "validation_subjects": 0}}, "validation_subjects is 0"),
        ({"protocol": {"folds": "kfold", "validation_subjects": 2}}, "fold_count is missing"),
        ({"protocol": {"folds": "kfold", "fold_count": 1, "validation_subjects": 2}}, "fold_count is 1"),
        ({"protocol": {"folds": "loso", "fold_count": 5, "validation_subjects": 2}}, "fold_count has no meaning"),
        ({"protocol": {"folds": "folds.json", "validation_subjects": 2}}, "validation_subjects has no meaning"),
        ({"protocol": {"folds": "./loso"}}, "Did you mean 'loso'?"),
        ({"protocol": {"folds": 5}}, "folds is 5"),
        ({"contrasts": []}, "contrasts is empty"),
        ({"contrasts": ["every"]}, "contrast 1 is 'every'"),
        ({"contrasts": [{"a": "evry", "b": "input", "primary": True}]}, "Did you mean 'every'?"),
        ({"contrasts": [{"a": "every", "primary": True}]}, "b is None, which is no variant"),
        ({"contrasts": [{"a": "every", "b": "every", "primary": True}]}, "with itself"),
        ({"inferences": "population"}, "inferences is 'population'"),
        ({"inferences": ["running", "poplation"]}, "Did you mean 'population'"),
        ({"inferences": ["population"]}, "lack 'running'"),
        ({"inferences": ["running", "target+hmm"]}, "smooths 'target', which must be in the list"),
        ({"inferences": ["running", "running+majority4"]}, "odd number"),
        ({"inferences": ["running", "running+hmm", "running+hmm"]}, "stands there twice"),
        ({"contrasts": [{"a": "every@population", "b": "input", "primary": True}]}, "'every@population', which is no"),
        ({"variants": {**GOOD["variants"], "a@b": {"a.b": 1}}}, "variant name 'a@b'"),
        ({"contrasts": [{"a": "every", "b": "input"}]}, "0 contrasts are primary"),
        ({"contrasts": [{"a": "every", "b": "input", "primary": "yes"}]}, "primary is 'yes'"),
        ({"contrasts": [{"a": "every", "b": "input", "primry": True}]}, "Did you mean 'primary'?"),
        ({"contrasts": [*GOOD["contrasts"], {"a": "input", "b": "every"}]}, "a second time"),
        ({"short": []}, "short is []"),
        ({"short": "every"}, "short is 'every'"),
        ({"short": ["input", "evry"]}, "no variant is named 'evry'. Did you mean 'every'?"),
        ({"short": [{"input": 1}, "every"]}, "no variant is named {'input': 1}"),
        ({"short": ["input", "every", "every"]}, "names a variant twice"),
        ({"short": ["every"]}, "both variants of the primary contrast"),
        ({"data_sets": ["hapt"]}, "data_sets must hold data sets"),
        ({"data_sets": {"hapt": 2.56}}, "data_sets must hold data sets"),
        ({"data_sets": {"a/b": {"data.window_s": 2.56}}}, "data_sets must hold data sets"),
        ({"data_sets": {"hapt": {"data.fold": "subject-1"}}}, "data_sets: hapt: data.fold is set by the study"),
        ({"data_sets": {"hapt": {"model.norm.placement": "last"}}}, "is what variant 'input' sets"),
        ({"data_sets": "windows.yaml"}, "data_sets 'windows.yaml' is not there"),
        ({"contrasts": [*GOOD["contrasts"], {"a": "input", "b": "every", "primary": True}]}, "2 contrasts are primary"),
    ],
)
def test_a_mistake_is_named_with_its_value(tmp_path, changes, words):
    assert words in problems(tmp_path, changed(**changes))


def test_all_mistakes_are_listed_at_once(tmp_path):
    text = problems(tmp_path, changed(name="", repeats=0, seed="x", contrasts=[], colour="red"))
    assert "has 5 mistakes; nothing was run" in text
    for word in ("name ''", "repeats is 0", "seed is 'x'", "contrasts is empty", "'colour'"):
        assert word in text


@pytest.mark.parametrize("value", [None, "text", ["a"], 5])
def test_a_file_without_a_mapping_is_no_study(tmp_path, value):
    assert "is not a study" in problems(tmp_path, value)


@pytest.mark.parametrize(
    "folds", [{"folds": "folds.json"}, {"folds": "kfold", "fold_count": 3, "validation_subjects": 1}]
)
def test_every_kind_of_folds_is_possible(tmp_path, folds):
    study = load(tmp_path, changed(protocol=folds))
    assert study.protocol.fold_count == folds.get("fold_count")
    if folds["folds"] == "folds.json":
        assert Path(study.protocol.folds) == tmp_path / "folds.json"


@given(st.text(max_size=8))
@settings(max_examples=300)
def test_a_safe_name_is_one_plain_part_of_a_path(name):
    if is_safe_name(name):
        assert Path(name).parts == (name,)
        assert name not in {".", ".."}
        assert name == name.strip()
        assert not name.startswith(".")


@pytest.mark.parametrize("name", [None, 3, "", ".", "..", "a.", "-a", "a b", "a/b", "a\n", "é", "x" * 65])
def test_an_unsafe_name_is_refused(name):
    assert not is_safe_name(name)


@pytest.mark.parametrize("key", GOVERNED)
def test_what_the_study_sets_cannot_be_overridden(key):
    assert "is set by the study itself" in override_problem(key, 1)


def test_a_section_that_holds_what_the_study_sets_cannot_be_overridden():
    assert "is set by the study itself" in override_problem("data", None)


@pytest.mark.parametrize("key", ["", ".", "a..b", "a.", 3, None])
def test_a_key_that_is_not_dotted_is_refused(key):
    assert "is not a dotted key" in override_problem(key, 1)


@pytest.mark.parametrize("value", [1, 1e-3, "every", None, [0, 2], False])
def test_plain_values_can_be_overridden(value):
    assert override_problem("model.norm.placement", value) is None


def test_contrasts_may_name_variants_under_the_inferences_of_the_study(tmp_path):
    contrasts = [
        {"a": "every@population", "b": "every", "primary": True},
        {"a": "every@population", "b": "input@target-0.5"},
    ]
    study = load(tmp_path, changed(inferences=["running", "population", "target-0.5"], contrasts=contrasts))
    assert [(contrast.a, contrast.b) for contrast in study.contrasts] == [
        ("every@population", "every"),
        ("every@population", "input@target-0.5"),
    ]
    assert load(tmp_path, GOOD).inferences == ("running",)


def test_running_has_no_second_name(tmp_path):
    contrasts = [{"a": "every@running", "b": "input", "primary": True}]
    text = problems(tmp_path, changed(inferences=["running", "population"], contrasts=contrasts))
    assert "'every@running', which is no variant" in text
