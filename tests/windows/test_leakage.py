"""The leakage guard: each kind of leak is planted, and found."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import LeakageError
from har.windows.leakage import guard
from har.windows.segment import WindowIndex, WindowSpec, window_index
from har.windows.splits import Fold
from tests.fakes.stores import memory_store

FOLD = Fold("subject-c", train=("a",), validation=("b",), test=("c",))
PAIRS = [("train", "validation"), ("train", "test"), ("validation", "test")]


@pytest.fixture
def store():
    """Two recordings of each subject, of two windows each."""
    return memory_store([(subject, [0] * 8) for subject in "abcabc"])


def windows(store, *recordings):
    index = window_index(store, WindowSpec(0.4, 0.4))
    kept = np.isin(index.recording, recordings)
    arrays = {key: getattr(index, key)[kept] for key in ("start", "recording", "label", "purity")}
    return dataclasses.replace(index, **arrays)


@pytest.fixture
def sets(store):
    """The first recording of each subject."""
    return {part: windows(store, number) for number, part in enumerate(("train", "validation", "test"))}


def test_clean_folds_pass(store, sets):
    guard(**sets, store=store, fold=FOLD)


def test_an_empty_set_passes(store, sets):
    guard(**{**sets, "test": windows(store)}, store=store, fold=FOLD)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_subject_that_the_fold_does_not_give_a_set_is_found(store, sets, part):
    (subject,) = getattr(FOLD, part)
    fold = dataclasses.replace(FOLD, **{part: ("someone",)})
    with pytest.raises(LeakageError, match=f"subject {subject} is in {part}, but not in its list"):
        guard(**sets, store=store, fold=fold)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_subject_that_the_fold_gives_to_two_sets_is_found(store, sets, one, other):
    (shared,) = getattr(FOLD, other)
    fold = dataclasses.replace(FOLD, **{one: (*getattr(FOLD, one), shared)})
    with pytest.raises(LeakageError, match=f"{one} and {other} share subject {shared}"):
        guard(**sets, store=store, fold=fold)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_shared_subject_is_found_where_no_recording_is_shared(store, sets, one, other):
    parts = list(sets)
    leaking = {**sets, one: windows(store, parts.index(one), parts.index(other) + 3)}
    with pytest.raises(LeakageError, match=f"{one} and {other} share subject {getattr(FOLD, other)[0]}"):
        guard(**leaking, store=store, fold=FOLD)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_shared_recording_is_found_where_no_sample_is_shared(store, sets, one, other):
    number = list(sets).index(other)
    whole = windows(store, number)
    halves = [
        dataclasses.replace(whole, start=whole.start[i : i + 1], recording=whole.recording[i : i + 1]) for i in (0, 1)
    ]
    with pytest.raises(LeakageError, match=f"{one} and {other} share recording {number}"):
        guard(**{**sets, one: halves[0], other: halves[1]}, store=store, fold=FOLD)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_one_shared_sample_is_found(store, sets, one, other):
    last = int(sets[other].start[-1]) + sets[other].samples - 1
    moved = dataclasses.replace(sets[one], start=np.array([sets[one].start[0], last]))
    with pytest.raises(LeakageError, match=f"{one} and {other} share the samples {last} to {last + 1} of the store"):
        guard(**{**sets, one: moved}, store=store, fold=FOLD)


def intervals(starts, recording, samples):
    count = len(starts)
    zeros = np.zeros(count)
    return WindowIndex(
        np.array(starts, np.int64),
        np.full(count, recording, np.int32),
        zeros.astype(np.int16),
        zeros.astype(np.float16),
        samples,
        ["walk"],
        {},
    )


starts = st.lists(st.integers(0, 40), max_size=5)


@settings(max_examples=200)
@given(starts, starts, st.integers(1, 6), st.integers(1, 6))
def test_samples_are_shared_exactly_when_a_sample_is_in_both(one, other, samples_one, samples_other):
    store = memory_store([("a", [0]), ("b", [0]), ("c", [0])])
    train, test = intervals(one, 0, samples_one), intervals(other, 2, samples_other)
    covered = [
        {row for start in group for row in range(start, start + samples)}
        for group, samples in ((one, samples_one), (other, samples_other))
    ]
    validation = intervals([], 1, 1)
    if covered[0] & covered[1]:
        with pytest.raises(LeakageError) as caught:
            guard(train, validation, test, store, FOLD)
        low, high = (int(word) for word in caught.value.what.split("samples ")[1].split(" of")[0].split(" to "))
        assert set(range(low, high)) <= covered[0] & covered[1]
        assert low < high
    else:
        guard(train, validation, test, store, FOLD)
