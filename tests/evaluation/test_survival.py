"""Times with censoring: the product-limit estimate equals scipy's, and what follows from it equals closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from har.evaluation.survival import kaplan_meier

OBSERVATIONS = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=25)


def arrays(observations) -> tuple[np.ndarray, np.ndarray]:
    return np.array([float(t) for t, _ in observations]), np.array([happened for _, happened in observations])


@given(OBSERVATIONS)
@settings(max_examples=200)
def test_the_estimate_equals_scipys_with_ties_and_censoring(observations):
    time_N, happened_N = arrays(observations)
    found = kaplan_meier(time_N, happened_N)
    data = stats.CensoredData(uncensored=time_N[happened_N], right=time_N[~happened_N])
    expected = stats.ecdf(data).sf
    assert list(found.time) == sorted(set(time_N[happened_N]))
    np.testing.assert_allclose(found.share, expected.evaluate(found.time), atol=1e-12)


@given(OBSERVATIONS, st.integers(1, 12))
@settings(max_examples=200)
def test_the_restricted_mean_is_the_area_under_scipys_curve(observations, limit):
    time_N, happened_N = arrays(observations)
    data = stats.CensoredData(uncensored=time_N[happened_N], right=time_N[~happened_N])
    starts = np.arange(limit, dtype=float)  # times are whole, so the curve is flat from one to the next
    area = sum(1.0 if start == 0 else float(stats.ecdf(data).sf.evaluate(start)) for start in starts)
    assert kaplan_meier(time_N, happened_N).restricted_mean(limit) == pytest.approx(area)


@given(OBSERVATIONS)
@settings(max_examples=100)
def test_followed_to_the_limit_the_restricted_mean_is_the_mean_of_the_cut_times(observations):
    time_N, _ = arrays(observations)
    limit = 8.0
    happened_N = time_N < limit
    found = kaplan_meier(np.minimum(time_N, limit), happened_N)
    assert found.restricted_mean(limit) == pytest.approx(np.minimum(time_N, limit).mean())


@given(OBSERVATIONS)
@settings(max_examples=100)
def test_without_censoring_the_median_is_the_lower_middle_value(observations):
    time_N, _ = arrays(observations)
    found = kaplan_meier(time_N, np.ones(len(time_N), dtype=bool))
    assert found.median() == np.sort(time_N)[(len(time_N) - 1) // 2]


@given(OBSERVATIONS, st.integers(2, 4))
@settings(max_examples=100)
def test_a_weight_counts_like_so_many_observations(observations, times):
    time_N, happened_N = arrays(observations)
    weight_N = 1.0 + (np.arange(len(time_N)) % times)
    weighted = kaplan_meier(time_N, happened_N, weight_N)
    repeated = kaplan_meier(*(np.repeat(value, weight_N.astype(int)) for value in (time_N, happened_N)))
    np.testing.assert_allclose(weighted.share, repeated.share, atol=1e-12)
    alike = kaplan_meier(time_N, happened_N, np.full(len(time_N), 1 / times))
    np.testing.assert_allclose(alike.share, kaplan_meier(time_N, happened_N).share, atol=1e-12)


def test_what_leaves_when_something_happens_was_still_followed():
    found = kaplan_meier(np.array([2.0, 2.0, 3.0]), np.array([True, False, True]))
    np.testing.assert_allclose(found.share, [2 / 3, 0.0])


def test_nothing_that_happens_leaves_everything_and_no_median():
    found = kaplan_meier(np.array([5.0, 5.0]), np.array([False, False]))
    assert (len(found.time), found.median(), found.restricted_mean(5.0)) == (0, None, 5.0)


def test_exactly_half_is_the_median_whatever_rounding_makes_of_it():
    weight_N = np.array([0.1] * 3 + [0.3])
    found = kaplan_meier(np.array([1.0, 2.0, 3.0, 9.0]), np.array([True, True, True, False]), weight_N)
    assert found.median() == 3.0


def test_no_observation_is_refused():
    with pytest.raises(ValueError, match="no observation"):
        kaplan_meier(np.zeros(0), np.zeros(0, dtype=bool))
