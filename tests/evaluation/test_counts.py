"""What is counted adds up: the scores of several runs together are those of all their windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from har.evaluation.counts import count, natural, sum_counts
from har.evaluation.predictions import read_predictions, read_truth
from har.evaluation.scores import PREDICTIONS, summary
from tests.fakes.study import FakeStudy, write_study


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Predictions and truth of the runs of one variant; two repeats of three subjects."""
    folder = write_study(tmp_path_factory.mktemp("counts"), FakeStudy(subjects=3, repeats=2))
    places = [folder / "v0" / f"subject-{s}" / f"repeat-{r}" for s in (1, 2, 3) for r in (0, 1)]
    return [(read_predictions(place / PREDICTIONS), read_truth(place / "truth.parquet")) for place in places]


def test_the_counts_of_subjects_apart_sum_to_those_of_their_windows_together(tables):
    firsts = tables[::2]  # one repeat: every subject once
    apart = sum_counts(["walk", "sit", "stairs"], [count(*both) for both in firsts])
    whole = count(*(pd.concat(frames) for frames in zip(*firsts, strict=True)))
    first, second = summary(apart), summary(whole)
    assert first.pop("calibration")["ece"] == pytest.approx(second.pop("calibration")["ece"])
    for key, value in first.pop("events").items():
        other = second["events"][key]
        assert value == (pytest.approx(other) if isinstance(value, float) else other), key
    second.pop("events")
    assert first == second


def test_repeats_of_a_subject_add_up(tables):
    both = sum_counts(["walk", "sit", "stairs"], [count(*pair) for pair in tables])
    assert list(both.confusions) == ["1", "2", "3"]
    assert both.pooled.sum() == sum(len(predictions) for predictions, _ in tables)
    assert both.reliability_B3[:, 0].sum() == both.pooled.sum()


def test_nothing_counted_is_nothing_and_not_an_error():
    nothing = sum_counts(["walk", "sit"], [])
    assert (nothing.confusions, nothing.events) == ({}, None)
    assert (nothing.pooled == np.zeros((2, 2))).all()


def test_numbers_in_names_sort_as_numbers():
    assert sorted(["s10", "s2", "10", "9", "s1"], key=natural) == ["9", "10", "s1", "s2", "s10"]
