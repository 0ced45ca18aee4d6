"""Recordings: what no store may hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from har.datasets.recording import check, natural_order
from har.errors import DataError
from tests.fakes.stores import plain_card, plain_recording


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_with_its_place(value):
    recording = plain_recording("7", [0, 0, 1])
    recording.signal_TC[2, 1] = value
    with pytest.raises(DataError, match=f"subject 7, trial a: {value} in row 2, channel gyro_x"):
        check(plain_card(), recording)


@pytest.mark.parametrize("label", [-2, 2])
def test_a_label_that_the_card_does_not_have_is_refused(label):
    with pytest.raises(DataError, match=f"label {label}, but the card has 2 activities"):
        check(plain_card(), plain_recording("1", [0, label, -1]))


def test_every_sample_needs_a_label_and_every_recording_a_sample():
    with pytest.raises(DataError, match=r"3 samples with labels of shape \(2,\)"):
        check(plain_card(), plain_recording("1", [0, 0], signal_TC=np.zeros((3, 2), np.float32)))
    with pytest.raises(DataError, match="0 samples"):
        check(plain_card(), plain_recording("1", []))


@pytest.mark.parametrize("subject", ["", "a/b", "..", "a b"])
def test_a_subject_must_be_able_to_name_a_folder(subject):
    with pytest.raises(DataError, match="the subject's name is"):
        check(plain_card(), plain_recording(subject, [0]))


def test_extras_are_those_of_the_card():
    card = plain_card(extras=("side",))
    check(card, plain_recording("1", [0], extra={"side": "left"}))
    with pytest.raises(DataError, match="extra values"):
        check(card, plain_recording("1", [0]))


def test_natural_order_counts():
    assert natural_order(["10", "2", "1", "2", "s10", "s9"]) == ["1", "2", "10", "s9", "s10"]


@given(st.lists(st.text(alphabet="01a9é²", max_size=4)))
def test_natural_order_depends_on_the_names_alone(names):
    assert natural_order(names) == natural_order(reversed(names))
    assert set(natural_order(names)) == set(names)
