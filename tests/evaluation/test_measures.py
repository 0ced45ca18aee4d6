"""Measures of a confusion against scikit-learn, and the policies of absent activities."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from har.errors import UsageError
from har.evaluation.measures import (
    accuracy,
    balanced_accuracy,
    confusion,
    f1,
    kappa,
    macro_f1,
    matthews,
    precision,
    recall,
    row_shares,
    weighted_f1,
)


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


@settings(max_examples=80)
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


@settings(max_examples=120)
@given(labels())
def test_balanced_accuracy_kappa_and_matthews_equal_scikit_learn(case):
    truth, prediction, K = case
    counts = confusion(truth, prediction, K)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of activities that are predicted and not true
        expected = balanced_accuracy_score(truth, prediction)
    assert balanced_accuracy(counts) == pytest.approx(expected)
    constant = {len(set(truth.tolist())), len(set(prediction.tolist()))}
    if constant == {1} and truth[0] == prediction[0]:
        assert math.isnan(kappa(counts))  # chance alone would agree everywhere
    else:
        assert kappa(counts) == pytest.approx(cohen_kappa_score(truth, prediction), abs=1e-12)
    if 1 in constant:
        assert math.isnan(matthews(counts))  # scikit-learn says 0
    else:
        assert matthews(counts) == pytest.approx(matthews_corrcoef(truth, prediction), abs=1e-12)


def test_many_windows_do_not_overflow():
    counts = np.random.default_rng(1).integers(0, 2**40, (5, 5))
    assert kappa(counts) == pytest.approx(kappa(counts / 2**40), rel=1e-9)
    assert matthews(counts) == pytest.approx(matthews(counts / 2**40), rel=1e-9)


def test_shares_of_a_row_sum_to_one_or_are_undefined():
    counts = np.array([[3, 1, 0], [0, 0, 0], [1, 1, 2]])
    shares = row_shares(counts)
    assert shares[0].tolist() == [0.75, 0.25, 0.0]
    assert np.isnan(shares[1]).all()
    assert shares[2].sum() == pytest.approx(1)


def test_without_windows_agreement_is_undefined():
    nothing = np.zeros((3, 3), dtype=np.int64)
    assert all(math.isnan(measure(nothing)) for measure in (balanced_accuracy, kappa, matthews))
