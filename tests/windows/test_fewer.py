"""Folds with fewer training subjects: nested, equal for all who ask, and with nobody on two sides."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import UsageError
from har.windows.fewer import with_fewer
from har.windows.splits import leave_one_subject_out

SUBJECTS = [str(number) for number in range(1, 13)]


@settings(max_examples=40)
@given(st.sets(st.integers(1, 10), min_size=1, max_size=4))
def test_smaller_sets_lie_within_larger_ones_and_nobody_else_changes(numbers):
    folds = leave_one_subject_out(SUBJECTS, 1)
    found = {fold.name: fold for fold in with_fewer(folds, sorted(numbers))}
    assert len(found) == len(folds) * len(numbers)
    for fold in folds:
        nested = [found[f"{fold.name}_train-{number}"] for number in sorted(numbers)]
        for smaller, larger in zip(nested, [*nested[1:], fold], strict=True):
            assert set(smaller.train) <= set(larger.train)
        for number, own in zip(sorted(numbers), nested, strict=True):
            assert len(own.train) == number
            assert (own.validation, own.test) == (fold.validation, fold.test)
            assert list(own.train) == sorted(own.train, key=int)


def test_the_largest_number_comes_first_and_every_fold_draws_by_its_name():
    folds = leave_one_subject_out(SUBJECTS, 1)
    found = with_fewer(folds, [2, 6])
    assert [fold.name for fold in found[:2]] == ["subject-1_train-6", "subject-2_train-6"]
    assert found == with_fewer(folds, [6, 2])
    first = {fold.name: set(fold.train) for fold in with_fewer(folds, [2])}
    assert len({frozenset(train) for train in first.values()}) > 6  # not the same two subjects everywhere
    assert [fold.train for fold in with_fewer(folds[3:4], [2])] == [found[12 + 3].train]  # whoever else is asked for


def test_the_draw_is_the_same_on_every_machine():
    fold = leave_one_subject_out(SUBJECTS, 1)[0]
    assert with_fewer([fold], [4])[0].train == ("3", "4", "5", "8")


def test_more_subjects_than_a_fold_has_are_refused_with_what_it_has():
    with pytest.raises(UsageError, match="fold subject-1 has 10 training subjects, not 11") as caught:
        with_fewer(leave_one_subject_out(SUBJECTS, 1), [2, 11])
    assert "up to 10" in caught.value.hint


@pytest.mark.parametrize("numbers", [[], [2, 2], [0, 3]])
def test_numbers_that_are_no_different_counts_are_refused(numbers):
    with pytest.raises(UsageError, match="not different numbers"):
        with_fewer(leave_one_subject_out(SUBJECTS, 1), numbers)
