"""The statistics of paired differences, against other programs, brute force, published tables and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from har.evaluation.contrast import (
    Estimate,
    bootstrap_interval,
    corrected_t_p,
    estimate,
    holm,
    limit,
    minimum_detectable_effect,
    sentence,
    sign_flip_p,
    smallest_holm,
    smallest_p,
    t_interval,
    verdict,
)

TAU, SIGMA = 0.02, 0.015


def test_holm_equals_an_example_worked_by_hand():
    # sorted .01 .02 .03 .04: 4 x .01 = .04, 3 x .02 = .06, 2 x .03 = .06, 1 x .04 = .04 raised to .06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@settings(max_examples=40)
@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, position in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            if (len(p_values) - rank) * p_values[position] > alpha:
                break
            rejected.add(position)
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected


@settings(max_examples=40)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8))
def test_exact_sign_flip_equals_enumeration_with_ties(tenths):
    whole = np.array(tenths)  # integers: ties are exact in the brute force
    extreme = [
        abs(int(np.dot(signs, whole))) >= abs(int(whole.sum()))
        for signs in itertools.product((1, -1), repeat=len(whole))
    ]
    assert sign_flip_p(whole / 1000) == pytest.approx(np.mean(extreme))


def test_the_smallest_p_is_two_of_all_sign_vectors():
    for S in (4, 5, 6, 8, 10):
        assert sign_flip_p(np.linspace(0.01, 0.03, S)) == pytest.approx(2 / 2**S)
    assert sign_flip_p(np.zeros(7)) == 1.0


def test_monte_carlo_sign_flip_agrees_with_the_exact_one_and_repeats_itself():
    generator = np.random.default_rng(5)
    difference_S = generator.normal(0.4, 1, 21)
    sums = np.zeros(1)
    for size in difference_S:
        sums = np.concatenate([sums + size, sums - size])
    exact = np.mean(np.abs(sums) >= abs(difference_S.sum()) - 1e-9)
    p = sign_flip_p(difference_S)
    assert p == pytest.approx(exact, abs=0.005)
    assert p == sign_flip_p(difference_S)
    assert sign_flip_p(np.ones(30)) == pytest.approx(1 / 100_001)


def test_t_interval_equals_scipy():
    difference_S = np.random.default_rng(1).normal(0.02, 0.03, 9)
    expected = scipy.stats.ttest_1samp(difference_S, 0).confidence_interval(0.95)
    assert t_interval(difference_S) == pytest.approx((expected.low, expected.high))


def test_the_corrected_t_takes_the_overlap_of_training_sets_for_correlation():
    difference_S = np.random.default_rng(8).normal(0.02, 0.03, 11)
    plain = scipy.stats.ttest_1samp(difference_S, 0)
    rho = 1 / 11
    corrected = plain.statistic * np.sqrt((1 / 11) / (1 / 11 + rho / (1 - rho)))
    assert corrected_t_p(difference_S) == pytest.approx(2 * scipy.stats.t.sf(abs(corrected), 10))
    assert corrected_t_p(difference_S) > plain.pvalue
    assert (corrected_t_p(np.zeros(4)), corrected_t_p(np.full(4, 0.1))) == (1.0, 0.0)


def test_repeats_are_averaged_before_inference():
    difference_SR = np.random.default_rng(2).normal(0.02, 0.03, (8, 3))
    difference_SR[2, 1] = np.nan
    means_S = np.array([row[~np.isnan(row)].mean() for row in difference_SR])
    result = estimate(difference_SR)
    assert result.subjects == 8
    assert result.repeats == 3
    assert result.mean == pytest.approx(means_S.mean())
    assert result.sd == pytest.approx(means_S.std(ddof=1))
    assert result.interval == pytest.approx(t_interval(means_S))
    assert result.p == sign_flip_p(means_S)


def test_the_interval_changes_its_method_at_twenty_subjects():
    generator = np.random.default_rng(3)
    assert estimate(generator.normal(0, 1, (19, 1))).method == "t over subjects"
    assert estimate(generator.normal(0, 1, (20, 1))).method == "bootstrap over subjects"
    assert "repeats" in estimate(generator.normal(0, 1, (20, 2)), shared_repeats=True).method


def test_bootstrap_interval_is_that_of_the_mean():
    difference_SR = np.random.default_rng(4).normal(0.02, 0.03, (40, 1))
    mean, error = difference_SR.mean(), difference_SR.std() / np.sqrt(40)
    assert bootstrap_interval(difference_SR) == pytest.approx(
        (mean - 1.96 * error, mean + 1.96 * error), abs=0.1 * error
    )


def test_crossed_bootstrap_is_wider_where_repeats_are_shared():
    generator = np.random.default_rng(6)
    difference_SR = generator.normal(0, 0.01, (24, 5)) + generator.normal(0, 0.03, (1, 5))
    nested = np.diff(bootstrap_interval(difference_SR))[0]
    crossed = np.diff(bootstrap_interval(difference_SR, shared_repeats=True))[0]
    assert crossed > 3 * nested


def test_one_subject_gives_a_difference_and_nothing_else():
    result = estimate(np.array([[0.1, 0.2]]))
    assert (result.mean, result.sd, result.interval) == (pytest.approx(0.15), None, None)
    with pytest.raises(ValueError, match="at least one paired"):
        estimate(np.array([[0.1], [np.nan]]))
    with pytest.raises(ValueError, match="must be a subject"):
        estimate(np.empty((0, 1)))


@pytest.mark.parametrize(
    ("S", "by_repeats"),
    [
        (4, (0.053, 0.046, 0.045, 0.044)),
        (8, (0.029, 0.025, 0.024, 0.024)),
        (10, (0.025, 0.022, 0.021, 0.021)),
        (14, (0.020, 0.018, 0.017, 0.017)),
        (24, (0.015, 0.013, 0.013, 0.012)),
        (30, (0.013, 0.012, 0.011, 0.011)),
        (51, (0.010, 0.009, 0.008, 0.008)),
    ],
)
def test_minimum_detectable_effect_equals_the_published_table(S, by_repeats):
    for repeats, expected in zip((1, 3, 5, 10), by_repeats, strict=True):
        sd = np.sqrt(TAU**2 + SIGMA**2 / repeats)
        assert minimum_detectable_effect(sd, S, 1) == pytest.approx(expected, abs=0.0006)


def test_a_design_without_spread_detects_everything():
    assert minimum_detectable_effect(0.0, 8, 3) == 0.0


@pytest.mark.parametrize(("S", "m"), [(8, 1), (10, 4), (24, 6)])
def test_the_detectable_effect_is_found_four_times_in_five_at_the_adjusted_level(S, m):
    effect = minimum_detectable_effect(0.02, S, m)
    power = scipy.stats.nct.sf(scipy.stats.t.isf(0.05 / m / 2, S - 1), S - 1, effect / 0.02 * np.sqrt(S))
    assert power == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("S", [0, 1, 2, 5, 6, 11])
def test_the_smallest_p_is_what_equal_differences_give(S):
    assert smallest_p(S) == (sign_flip_p(np.ones(S)) if S else 1.0)
    assert smallest_p(30) == pytest.approx(sign_flip_p(np.ones(30)))


def test_the_smallest_holm_p_is_that_of_the_family():
    assert smallest_holm([8] * 4) == pytest.approx([4 * 2 / 2**8] * 4)
    fewest = [next(S for S in range(2, 20) if smallest_holm([S] * m)[0] < 0.05) for m in range(1, 14)]
    assert fewest == [6, 7, 7, 8, 8, 8, *[9] * 6, 10]  # the table of docs/statistics.md
    assert smallest_holm([8, 6]) == pytest.approx([2 * 2 / 2**8, 2 / 2**6])  # the second of two is not doubled
    assert smallest_holm([6, 0]) == pytest.approx([2 * 2 / 2**6, 1.0])  # one that cannot be computed still counts


@settings(max_examples=40)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_no_data_come_below_the_smallest_holm_p(subjects, seed):
    generator = np.random.default_rng(seed)
    adjusted = holm([sign_flip_p(generator.normal(1, 0.6, S)) for S in subjects])
    assert all(p >= least - 1e-12 for p, least in zip(adjusted, smallest_holm(subjects), strict=True))


@pytest.mark.parametrize(
    ("mean", "interval", "p_holm", "smallest", "expected"),
    [
        (0.03, (0.01, 0.05), 0.01, 0.002, "better"),
        (-0.03, (-0.05, -0.01), 0.01, 0.002, "worse"),
        (0.008, (0.002, 0.014), 0.01, 0.002, "better but negligible"),
        (-0.01, (-0.012, -0.002), 0.049, 0.002, "worse but negligible"),
        (0.0101, (0.002, 0.02), 0.049, 0.002, "better"),
        (0.03, (0.01, 0.05), 0.05, 0.002, "undecided"),
        (0.001, (-0.01, 0.01), 0.6, 0.002, "equivalent"),
        (0.001, (-0.0101, 0.009), 0.6, 0.002, "undecided"),
        (0.001, (-0.009, 0.0101), 0.6, 0.002, "undecided"),
        (0.0, (-0.001, 0.001), 1.0, 0.05, "undecided"),
        (0.0, (-0.001, 0.001), 1.0, 0.049, "equivalent"),
        (0.03, (0.01, 0.05), 0.04, 0.031, "better"),
        (0.03, None, 1.0, 1.0, "undecided"),
    ],
)
def test_the_verdict_follows_its_written_rule(mean, interval, p_holm, smallest, expected):
    assert verdict(mean, interval, p_holm, smallest) == expected


def _result(mean, interval, S=10):
    return Estimate(S, 1, mean, 0.02, interval, "t over subjects", 0.01)


def test_the_sentence_has_names_points_interval_p_and_counts():
    text = sentence("every", "input", _result(0.0312, (0.0095, 0.0529)), 0.012, 0.002, 1)
    assert text == (
        "every is better than input: +3.1 F1 points "
        "(95 % interval +0.9 to +5.3, Holm p = 0.012, S = 10 subjects, K = 1 repeat)."
    )
    uneven = estimate(np.array([[0.001]] * 5 + [[0.1]]))  # all agree, one by far the most
    assert uneven.p == pytest.approx(2 / 2**6)
    said = sentence("a", "b", uneven, uneven.p, uneven.p, 1)
    assert said.startswith("a is better than b: +1.8 F1 points (95 % interval −2.")
    assert ", which contains 0 and so does not confirm the test, Holm p = 0.0312" in said
    for mean, interval, p in ((0.03, (0.001, 0.06), 0.01), (0.03, (-0.01, 0.07), 0.2)):
        said = sentence("a", "b", _result(mean, interval), p, 0.002, 4)
        assert not any(words in said for words in ("contains 0", "confirm", "adjusted"))
    alone, several = (sentence("a", "b", _result(0.023, (0.005, 0.041)), 0.1, 0.002, m) for m in (1, 4))
    assert "(95 % interval +0.5 to +4.1 by itself, not adjusted as p is, Holm p = 0.1," in several
    assert "(95 % interval +0.5 to +4.1, which the test does not confirm, Holm p = 0.1," in alone
    equal, slight = _result(0.001, (-0.002, 0.004)), _result(0.004, (0.002, 0.006))
    assert sentence("a", "b", equal, 0.6, 0.002, 1).startswith("a and b are equivalent within ±1 F1")
    assert sentence("a", "b", slight, 0.01, 0.002, 1).startswith("a is better than b, but negligibly so")


@pytest.mark.parametrize(("S", "m"), [(5, 1), (6, 2), (7, 4)])
def test_a_design_that_can_show_nothing_is_described_and_not_tested(S, m):
    smallest = smallest_holm([S] * m)[0]
    text = sentence("a", "b", _result(0.05, (0.04, 0.06), S=S), smallest, smallest, m)
    assert f"(descriptive only: {limit(S, m, smallest)})" in text
    assert "no test" in text
    assert "p =" not in text
    assert limit(5, 1, 0.0625) == "with 5 subjects and 1 contrast the smallest possible Holm p is 0.0625"


def test_a_null_study_is_seldom_called_different():
    generator = np.random.default_rng(11)
    by_t = by_flip = 0
    for _ in range(600):
        means_S = (generator.normal(0, TAU, (10, 1)) + generator.normal(0, SIGMA, (10, 5))).mean(axis=1)
        low, high = t_interval(means_S)
        by_t += not low <= 0 <= high
        by_flip += sign_flip_p(means_S) < 0.05
    assert by_t / 600 == pytest.approx(0.05, abs=0.03)
    assert by_flip / 600 == pytest.approx(0.047, abs=0.03)
