"""Who may read whose rows of a signal."""

from __future__ import annotations

import numpy as np
import pytest

from har.errors import LeakageError
from har.windows.leakage import sealed
from har.windows.moments import moments
from har.windows.permit import check_permit, permitted
from har.windows.segment import WindowSpec, gather, window_index
from har.windows.splits import Fold
from tests.fakes.stores import memory_store

FOLD = Fold("f", train=("a",), validation=("b",), test=("c",))


@pytest.fixture
def store():
    """One recording of each of four subjects, one of whom is in no part of the fold; eight rows each."""
    return memory_store([(subject, [0] * 8) for subject in "abcd"])


def _start(number):
    return np.array([8 * number], np.int64)


@pytest.mark.parametrize(("number", "who"), [(2, "subject c, who tests"), (3, "subject d, who is not in the fold")])
def test_before_the_test_only_training_and_validation_subjects_are_read(store, number, who):
    guarded, _ = sealed(store, FOLD)
    for own in (0, 1):
        np.testing.assert_array_equal(
            gather(guarded.signal_TC, _start(own), 4), gather(store.signal_TC, _start(own), 4)
        )
    with pytest.raises(LeakageError, match=f"fold f: what is done before the test would read the signal of {who}"):
        gather(guarded.signal_TC, _start(number), 4)


def test_opening_the_test_opens_the_test_subjects_and_nobody_else(store):
    guarded, permit = sealed(store, FOLD)
    permit.open("test")
    gather(guarded.signal_TC, _start(2), 4)
    with pytest.raises(LeakageError, match="subject d"):
        gather(guarded.signal_TC, _start(3), 4)


def test_what_is_fitted_reads_training_subjects_even_when_the_test_is_open(store):
    guarded, permit = sealed(store, FOLD)
    permit.open("test")
    signal_TC = permitted(guarded.signal_TC, permit.only("train", "the codebook"))
    everybody = window_index(store, WindowSpec(0.4, 0.4))
    with pytest.raises(LeakageError, match="the codebook would read the signal of subject b, who validates"):
        moments(signal_TC, everybody)
    own = moments(signal_TC, window_index(store, WindowSpec(0.4, 0.4), ["a"]))
    np.testing.assert_array_equal(own, moments(store.signal_TC, window_index(store, WindowSpec(0.4, 0.4), ["a"])))


def test_a_window_ends_where_its_recording_ends(store):
    guarded, _ = sealed(store, FOLD)
    gather(guarded.signal_TC, np.array([4]), 4)
    with pytest.raises(LeakageError, match="the window at row 5 reaches over the end of its recording"):
        gather(guarded.signal_TC, np.array([0, 5]), 4)


def test_signals_without_a_permit_and_parts_of_one_are_read_by_anybody(store):
    guarded, _ = sealed(store, FOLD)
    check_permit(store.signal_TC, _start(3), 4)
    check_permit(guarded.signal_TC[16:], _start(0), 4)  # its rows count anew
    check_permit(guarded.signal_TC, np.empty(0, np.int64), 4)
