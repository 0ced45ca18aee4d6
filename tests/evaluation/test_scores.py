"""Scores against scikit-learn, and the policies of absent activities."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from har.errors import DataError, UsageError
from har.evaluation.counts import natural
from har.evaluation.measures import accuracy, confusion, f1, macro_f1, precision, recall, weighted_f1
from har.evaluation.scores import PREDICTIONS, score_file, score_run
from tests.fakes.study import FakeStudy, write_study


@st.composite
def labels(draw):
    """Truth, prediction and K, with absent activities, single activities and constant predictions among them."""
    K = draw(st.integers(1, 6))
    true_of = draw(st.lists(st.integers(0, K - 1), min_size=1, max_size=K))
    predicted_of = draw(st.lists(st.integers(0, K - 1), min_size=1, max_size=K))
    N = draw(st.integers(1, 40))
    truth = draw(st.lists(st.sampled_from(true_of), min_size=N, max_size=N))
    prediction = draw(st.lists(st.sampled_from(predicted_of), min_size=N, max_size=N))
    return np.array(truth), np.array(prediction), K


@settings(deadline=None, max_examples=80)
@given(labels())
def test_every_score_equals_scikit_learn(case):
    truth, prediction, K = case
    counts = confusion(truth, prediction, K)
    assert counts.dtype == np.int64
    if K > 1:  # scikit-learn warns of a matrix of one cell
        assert (counts == confusion_matrix(truth, prediction, labels=range(K))).all()
    expected = precision_recall_fscore_support(truth, prediction, labels=range(K), zero_division=np.nan)
    for ours, theirs in zip((precision(counts), recall(counts), f1(counts)), expected, strict=False):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert (counts.sum(axis=1) == expected[3]).all()
    present = sorted(set(truth.tolist()))
    by_hand = {
        "present": f1_score(truth, prediction, labels=present, average="macro", zero_division=0),
        "union": f1_score(truth, prediction, average="macro", zero_division=0),
        "all": f1_score(truth, prediction, labels=range(K), average="macro", zero_division=0),
        "pooled": f1_score(truth, prediction, labels=range(K), average="macro", zero_division=0),
    }
    for policy, value in by_hand.items():
        assert macro_f1(counts, policy) == pytest.approx(value, abs=1e-12), policy
    assert weighted_f1(counts) == pytest.approx(f1_score(truth, prediction, average="weighted", zero_division=0))
    assert accuracy(counts) == pytest.approx(accuracy_score(truth, prediction))


def test_the_policies_give_the_published_numbers_of_one_toy_fold():
    truth = np.array([0] * 4 + [1] * 2 + [2] * 2)
    prediction = np.array([0, 0, 0, 3, 1, 1, 2, 2])
    counts = confusion(truth, prediction, 5)
    f1_of_zero = 2 * 3 / (4 + 3)
    assert macro_f1(counts) == pytest.approx((f1_of_zero + 2) / 3)
    assert macro_f1(counts, "union") == pytest.approx((f1_of_zero + 2) / 4)
    assert macro_f1(counts, "all") == pytest.approx((f1_of_zero + 2) / 5)


def test_without_windows_every_mean_is_undefined_and_not_zero():
    nothing = np.zeros((3, 3), dtype=np.int64)
    for policy in ("present", "union", "all", "pooled"):
        assert math.isnan(macro_f1(nothing, policy))
    assert math.isnan(accuracy(nothing))
    assert math.isnan(weighted_f1(nothing))


def test_an_unknown_policy_names_the_nearest():
    with pytest.raises(UsageError, match="'presnt'") as caught:
        macro_f1(np.eye(2, dtype=int), "presnt")
    assert "'present'" in caught.value.hint


@pytest.mark.parametrize("wrong", [[-1, 0], [0, 2]])
def test_an_index_outside_the_activities_is_refused(wrong):
    with pytest.raises(ValueError, match="outside 0 to 1"):
        confusion(np.array(wrong), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="outside 0 to 1"):
        confusion(np.array([0, 1]), np.array(wrong), 2)


def test_numbers_in_names_sort_as_numbers():
    assert sorted(["s10", "s2", "10", "9", "s1"], key=natural) == ["9", "10", "s1", "s2", "s10"]


@pytest.fixture
def run(tmp_path):
    """A run whose subject lacks one activity."""
    plan = FakeStudy(subjects=3, absent={"2": ["stairs"]})
    return write_study(tmp_path, plan) / "v2" / "subject-2" / "repeat-0"


def test_scores_file_holds_every_policy_and_no_nan(run):
    scores = score_run(run)
    text = (run / "scores.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == scores
    assert scores["policy"] == "present"
    assert set(scores["macro_f1_by_policy"]) == {"present", "union", "all", "pooled"}
    assert scores["macro_f1"] == scores["macro_f1_by_policy"]["present"]
    assert scores["absent_from_truth"] == ["stairs"]
    assert scores["windows"] == 24
    stairs = scores["per_activity"][2]
    assert stairs["support"] == 0
    assert stairs["recall"] is None
    assert scores["macro_f1_by_policy"]["all"] < scores["macro_f1_by_policy"]["present"]


def test_subjects_are_averaged_and_confusions_summed(tmp_path, run):
    runs = [run.parents[1] / f"subject-{name}" / "repeat-0" for name in (1, 2)]
    both = pd.concat([pd.read_parquet(folder / PREDICTIONS) for folder in runs])
    both.to_parquet(tmp_path / "both.parquet")
    scores, (one, two) = score_file(tmp_path / "both.parquet"), [score_run(folder) for folder in runs]
    assert scores["macro_f1"] == pytest.approx((one["macro_f1"] + two["macro_f1"]) / 2)
    assert (np.array(scores["confusion"]) == np.array(one["confusion"]) + np.array(two["confusion"])).all()
    assert scores["macro_f1_by_policy"]["pooled"] == pytest.approx(macro_f1(np.array(scores["confusion"]), "pooled"))
    assert list(scores["subjects"]) == ["1", "2"]


def test_a_run_without_predictions_is_a_clear_error(run):
    (run / PREDICTIONS).unlink()
    with pytest.raises(DataError, match=r"running\.parquet") as caught:
        score_run(run)
    assert "har test" in caught.value.hint
    assert not (run / "scores.json").exists()
