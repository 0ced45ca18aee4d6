"""Rank correlations over subjects: against scipy, against resampling written out, and at their nominal level."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import spearmanr

from har.evaluation import association
from har.evaluation.association import associate, smallest_p
from tests.conftest import fresh


def _numbers(subjects):
    """Two numbers of each subject, with ties."""
    generator = fresh()
    while True:
        x_S, y_S = generator.integers(0, 6, (2, subjects)).astype(float)
        y_S += x_S * generator.integers(0, 2)
        if np.ptp(x_S) and np.ptp(y_S):  # of three subjects, all may be equal, and of their sums too
            return x_S, y_S


@pytest.mark.parametrize("subjects", [3, 5, 12, 30])
def test_the_correlation_equals_scipys_with_ties(subjects):
    x_S, y_S = _numbers(subjects)
    assert associate(x_S, y_S).rho == pytest.approx(spearmanr(x_S, y_S).statistic)


def test_p_is_the_share_of_orders_that_are_as_far_from_nothing():
    x_S, y_S = _numbers(6)
    rho = abs(spearmanr(x_S, y_S).statistic)
    all_of_them = [abs(spearmanr(order, y_S).statistic) for order in itertools.permutations(x_S)]
    assert associate(x_S, y_S).p == pytest.approx(np.mean(np.array(all_of_them) >= rho - 1e-9))


def test_each_draw_is_the_correlation_of_the_subjects_drawn():
    x_S, y_S = _numbers(9)
    below_SS, low_SS = association._ranking(x_S), association._ranking(y_S)
    times_BS = fresh().multinomial(9, np.full(9, 1 / 9), size=20)
    found_B = association._correlations(times_BS.astype(float), below_SS, low_SS)
    for times_S, found in zip(times_BS, found_B, strict=True):
        drawn = np.repeat(np.arange(9), times_S)
        if np.ptp(x_S[drawn]) and np.ptp(y_S[drawn]):
            assert found == pytest.approx(spearmanr(x_S[drawn], y_S[drawn]).statistic)
        else:
            assert np.isnan(found)


@pytest.mark.parametrize("subjects", [6, 10, 24])
def test_without_an_association_one_is_claimed_at_the_nominal_rate(subjects):
    generator, studies = fresh(), 300
    claims = 0
    for _ in range(studies):
        found = associate(generator.normal(size=subjects), generator.normal(size=subjects))
        claims += found.p < 0.05 and not found.interval[0] <= 0 <= found.interval[1]
    assert claims / studies <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / studies)


def test_a_planted_association_is_found_with_its_sign():
    generator = fresh()
    x_S = generator.normal(size=14)
    for sign in (1, -1):
        found = associate(x_S, sign * x_S + generator.normal(0, 0.1, 14))
        assert found.p < 0.01
        assert sign * found.interval[0] > 0
        assert sign * found.interval[1] > 0


@pytest.mark.parametrize(
    ("x_S", "y_S"),
    [
        ([], []),
        ([1.0], [2.0]),
        ([1.0, 2.0], [2.0, 1.0]),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [0.1, 0.1 + 1e-17, 0.1]),
        ([0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_where_there_is_nothing_to_relate_there_is_no_number(x_S, y_S):
    assert associate(np.array(x_S), np.array(y_S)) is None


@pytest.mark.parametrize("subjects", [3, 5, 7])
def test_the_smallest_p_is_that_of_one_order_and_its_reverse(subjects):
    x_S = np.arange(subjects, dtype=float)
    assert associate(x_S, x_S).p == pytest.approx(smallest_p(subjects))
