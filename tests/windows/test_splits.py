"""Folds: who trains, validates and tests, and that it can be saved and trusted again."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import DataError, UsageError
from har.windows.splits import Fold, grouped_k_fold, leave_one_subject_out, load_folds, named_split, save_folds

SUBJECTS = [str(i) for i in range(1, 11)]


def check_folds(folds, subjects, validation_subjects):
    """Assert what holds for every set of folds."""
    for fold in folds:
        everyone = [*fold.train, *fold.validation, *fold.test]
        assert sorted(everyone) == sorted(subjects)
        assert fold.train
        assert len(fold.validation) == validation_subjects
    assert Counter(subject for fold in folds for subject in fold.test) == Counter(subjects)
    validates = Counter(dict.fromkeys(subjects, 0))
    validates.update(subject for fold in folds for subject in fold.validation)
    return validates


@settings(max_examples=60)
@given(st.integers(3, 30), st.data())
def test_leaving_one_out_tests_and_validates_everyone_equally(count, data):
    subjects = [f"s{i}" for i in range(count)]
    validation_subjects = data.draw(st.integers(1, count - 2))
    folds = leave_one_subject_out(subjects, validation_subjects)
    validates = check_folds(folds, subjects, validation_subjects)
    assert set(validates.values()) == {validation_subjects}


@settings(max_examples=150)
@given(st.integers(3, 30), st.data())
def test_k_folds_test_everyone_once_and_validate_evenly(count, data):
    subjects = [f"s{i}" for i in range(count)]
    k = data.draw(st.integers(2, count))
    most = count - -(-count // k) - 1
    if most < 1:
        return
    validation_subjects = data.draw(st.integers(1, most))
    folds = grouped_k_fold(subjects, k, validation_subjects, seed=data.draw(st.integers(0, 9)))
    assert [fold.name for fold in folds] == [f"fold-{i}" for i in range(k)]
    validates = check_folds(folds, subjects, validation_subjects)
    assert max(validates.values()) - min(validates.values()) <= 1
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_folds_depend_on_subjects_and_seed_alone():
    assert leave_one_subject_out(SUBJECTS[::-1], 2) == leave_one_subject_out(SUBJECTS, 2)
    assert grouped_k_fold(SUBJECTS[::-1], 3, 1, seed=5) == grouped_k_fold(SUBJECTS, 3, 1, seed=5)
    assert grouped_k_fold(SUBJECTS, 3, 1, seed=6) != grouped_k_fold(SUBJECTS, 3, 1, seed=5)


def test_leaving_one_out_names_its_folds_by_subject():
    folds = leave_one_subject_out(["10", "2", "1", "3"], 1)
    assert folds[0] == Fold("subject-1", train=("3", "10"), validation=("2",), test=("1",))
    assert [fold.name for fold in folds] == ["subject-1", "subject-2", "subject-3", "subject-10"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: leave_one_subject_out(["1", "2"], 1),
        lambda: leave_one_subject_out(SUBJECTS, 9),
        lambda: leave_one_subject_out(SUBJECTS, 0),
        lambda: leave_one_subject_out([], 1),
        lambda: grouped_k_fold(SUBJECTS, 2, 5, seed=0),
        lambda: grouped_k_fold(SUBJECTS, 11, 1, seed=0),
        lambda: grouped_k_fold(SUBJECTS, 1, 1, seed=0),
    ],
)
def test_too_few_subjects_are_an_error(make):
    with pytest.raises(UsageError, match="subjects"):
        make()


def test_saved_folds_are_read_back(tmp_path):
    folds = grouped_k_fold(SUBJECTS, 4, 2, seed=1)
    save_folds(tmp_path / "folds.json", folds)
    assert load_folds(tmp_path / "folds.json", SUBJECTS) == folds
    assert set(json.loads((tmp_path / "folds.json").read_text())) == {"folds", "sha256"}


def written(folder, folds, **more):
    path = folder / "folds.json"
    path.write_text(json.dumps({"folds": folds, **more}))
    return path


GOOD = {"name": "a", "train": ["1"], "validation": ["2"], "test": ["3"]}


def test_folds_written_by_hand_need_no_hash(tmp_path):
    assert load_folds(written(tmp_path, [GOOD]), ["1", "2", "3"]) == [Fold("a", ("1",), ("2",), ("3",))]


def test_several_folds_may_test_one_subject(tmp_path):
    again = {"name": "b", "train": ["2"], "validation": ["1"], "test": ["3"]}
    assert [fold.test for fold in load_folds(written(tmp_path, [GOOD, again]), ["1", "2", "3"])] == [("3",), ("3",)]


def test_changed_folds_are_refused(tmp_path):
    with pytest.raises(DataError, match="was changed after it was written"):
        load_folds(written(tmp_path, [GOOD], sha256="0" * 64))


BAD_FOLDS = {
    "subject '1' stands more than once in fold 'a'": [{**GOOD, "test": ["1"]}],
    "subject '4' of fold 'a' is not in the data set": [{**GOOD, "train": ["4"]}],
    "fold 'a' has no validation subject": [{**GOOD, "validation": []}],
    "two folds of one name": [GOOD, GOOD],
    "no folds": [],
    "test must be a list of text, not '12'": [{**GOOD, "test": "12"}],
    "train must be a list of text, not [1]": [{**GOOD, "train": [1]}],
    "name must be text, not 1": [{**GOOD, "name": 1}],
    "KeyError: 'test'": [{key: value for key, value in GOOD.items() if key != "test"}],
}


@pytest.mark.parametrize("message", BAD_FOLDS)
def test_impossible_folds_are_refused(tmp_path, message):
    with pytest.raises(UsageError) as caught:
        load_folds(written(tmp_path, BAD_FOLDS[message]), ["1", "2", "3"])
    assert message in str(caught.value)
    assert "folds.json" in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"folds": 3}'])
def test_a_file_that_holds_no_folds_is_refused(tmp_path, content):
    (tmp_path / "folds.json").write_bytes(content)
    with pytest.raises(UsageError, match="is not a folds file"):
        load_folds(tmp_path / "folds.json")


def test_a_missing_folds_file_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        load_folds(tmp_path / "none.json")


@given(st.integers(2, 12), st.data())
def test_a_split_without_validation_takes_it_from_training_once_and_for_all(count, data):
    train = [str(number) for number in range(count)]
    validation = data.draw(st.integers(1, count - 1))
    split = {"train": train, "validation": [], "test": ["x", "y"]}
    fold = named_split("official", split, validation)
    assert fold == named_split("official", split, validation)
    assert sorted(fold.train + fold.validation) == sorted(train)
    assert len(fold.validation) == validation
    assert set(fold.test) == {"x", "y"}


def test_a_split_keeps_the_validation_that_it_names():
    split = {"train": ["3", "1"], "validation": ["10", "2"], "test": ["4"]}
    assert named_split("customary", split, 0) == Fold("customary", ("1", "3"), ("2", "10"), ("4",))


@pytest.mark.parametrize(
    ("split", "validation", "match"),
    [
        ({"train": ["1", "2/ADL1"], "validation": [], "test": ["2/ADL4"]}, 1, "divides subjects"),
        ({"train": ["1"], "validation": [], "test": ["2"]}, 1, "1 training subjects"),
        ({"train": ["1", "2"], "validation": [], "test": ["3"]}, 0, "cannot give 0"),
    ],
)
def test_a_split_that_cannot_judge_new_people_is_refused(split, validation, match):
    with pytest.raises(UsageError, match=match):
        named_split("challenge", split, validation)
