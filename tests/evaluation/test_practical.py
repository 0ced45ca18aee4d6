"""P(a > b) and the Bayesian signed-rank test, against brute force, baycomp and closed forms."""

from __future__ import annotations

import baycomp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.evaluation.practical import decision, signed_rank, superiority


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=1, max_size=8))
def test_superiority_is_the_share_of_pairs_that_a_wins(hundredths):
    difference_SR = np.array(hundredths) / 100
    expected = np.mean([[1.0 if d > 0 else 0.5 if d == 0 else 0.0 for d in row] for row in hundredths])
    share, interval = superiority(difference_SR)
    assert share == pytest.approx(expected)
    assert (interval is None) == (len(hundredths) == 1)
    if interval is not None:
        assert 0 <= interval[0] <= share + 1e-12
        assert share - 1e-12 <= interval[1] <= 1


def test_missing_pairs_count_for_nothing_and_rounding_is_a_tie():
    difference_SR = np.array([[0.1, np.nan], [-0.1, -0.1], [1e-17, np.nan]])
    assert superiority(difference_SR)[0] == pytest.approx((1 + 0 + 0.5) / 3)


def test_the_interval_of_superiority_resamples_subjects():
    generator = np.random.default_rng(1)
    difference_SR = generator.normal(0.01, 0.02, (24, 1))
    wins_S = (difference_SR[:, 0] > 0).astype(float)
    drawn = [wins_S[generator.integers(0, 24, 24)].mean() for _ in range(4000)]
    assert superiority(difference_SR)[1] == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.03)
    assert superiority(np.full((9, 2), 0.1)) == (1.0, (1.0, 1.0))


@pytest.mark.parametrize("case", range(8))
def test_signed_rank_equals_baycomp(case):
    generator = np.random.default_rng([7, case])
    S = int(generator.integers(4, 16))
    difference_S = generator.normal(generator.choice([-0.02, 0.0, 0.01, 0.03]), generator.choice([0.005, 0.02]), S)
    expected = baycomp.SignedRankTest.probs(np.zeros(S), difference_S, rope=0.01, nsamples=20_000, random_state=case)
    assert signed_rank(difference_S) == pytest.approx(expected, abs=0.02)  # five standard errors of the sparser draws


def test_ties_at_the_edge_of_the_region_are_counted_as_baycomp_counts_them():
    difference_S = np.array([0.5, 0.5, -0.25, 0.0, 0.25, 0.5])  # pairs whose mean is ±0.25, exactly
    expected = baycomp.SignedRankTest.probs(np.zeros(6), difference_S, rope=0.25, nsamples=20_000, random_state=1)
    assert signed_rank(difference_S, rope=0.25) == pytest.approx(expected, abs=0.02)


def test_one_subject_has_a_closed_form():
    # the weight of the pseudo-observation is Beta(1/2, 1), whose distribution function is √x
    assert signed_rank(np.array([0.5]))[2] == pytest.approx(0.5**0.25, abs=0.01)  # a pair with it lies above, too
    assert signed_rank(np.array([0.015]))[2] == pytest.approx((1 - 0.5**0.5) ** 0.5, abs=0.01)  # only d with d does


def test_limits_and_symmetry():
    far_S = np.full(12, 0.2)
    assert signed_rank(far_S)[2] > 0.999
    assert signed_rank(np.zeros(12)) == (0.0, 1.0, 0.0)
    generator = np.random.default_rng(3)
    difference_S = generator.normal(0.01, 0.02, 15)
    worse, equivalent, better = signed_rank(difference_S)
    assert worse + equivalent + better == pytest.approx(1)
    assert signed_rank(-difference_S) == pytest.approx((better, equivalent, worse), abs=0.01)
    assert signed_rank(difference_S) == (worse, equivalent, better)  # the same files, the same numbers


def test_a_wider_region_is_more_equivalent():
    difference_S = np.random.default_rng(4).normal(0.004, 0.01, 20)
    shares = [signed_rank(difference_S, rope)[1] for rope in (0.001, 0.005, 0.01, 0.03)]
    assert shares == sorted(shares)


@pytest.mark.parametrize(
    ("probabilities", "word"),
    [
        ((0.96, 0.03, 0.01), "worse"),
        ((0.01, 0.95, 0.04), "equivalent"),
        ((0.0, 0.0, 1.0), "better"),
        ((0.1, 0.8, 0.1), "none"),
    ],
)
def test_the_decision_needs_95_of_100(probabilities, word):
    assert decision(*probabilities) == word
