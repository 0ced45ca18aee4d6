"""Intervals of an activity's scores, against a bootstrap written out and against the theory of proportions."""

from __future__ import annotations

import numpy as np
import pytest

from har.evaluation.measures import f1, precision, recall
from har.evaluation.resampling import DRAWS, activity_intervals


def _confusions(seed, S, K=3):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 30, (K, K)) + np.diag(generator.integers(10, 60, K)) for _ in range(S)]


def test_intervals_equal_a_bootstrap_of_subjects_written_out():
    confusions = _confusions(1, 12)
    generator = np.random.default_rng(2)
    drawn = []
    for _ in range(4000):
        pooled_KK = sum(confusions[s] for s in generator.integers(0, 12, 12))
        drawn.append([precision(pooled_KK), recall(pooled_KK), f1(pooled_KK)])
    expected = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    found = activity_intervals(confusions)
    for position, name in enumerate(("precision", "recall", "f1")):
        for k in range(3):
            length = np.diff(expected[:, position, k])[0]
            assert found[name][k] == pytest.approx(tuple(expected[:, position, k]), abs=0.15 * length)


def test_an_interval_holds_the_true_recall_about_as_often_as_it_says():
    generator = np.random.default_rng(3)
    S, inside = 30, 0
    for _ in range(300):
        recall_S = np.clip(generator.normal(0.7, 0.1, S), 0, 1)
        hits_S = generator.binomial(40, recall_S)
        confusions = [np.array([[hits, 40 - hits], [10, 30]]) for hits in hits_S]
        low, high = activity_intervals(confusions)["recall"][0]
        inside += low <= 0.7 <= high
    assert inside / 300 == pytest.approx(0.94, abs=0.04)


def test_an_activity_of_one_subject_has_no_interval_and_one_subject_has_none_at_all():
    confusions = _confusions(4, 5)
    for counts_KK in confusions[1:]:
        counts_KK[2] = 0
    found = activity_intervals(confusions)
    assert [interval is None for interval in found["f1"]] == [False, False, True]
    assert activity_intervals(confusions[:1]) == {name: [None] * 3 for name in ("precision", "recall", "f1")}


def test_draws_without_the_activity_are_left_out_and_the_interval_stays_within_its_scale():
    rare = np.array([[1, 0], [0, 40]])
    confusions = [rare, np.array([[0, 1], [2, 40]]), *[np.array([[0, 0], [0, 40]])] * 6]
    low, high = activity_intervals(confusions)["recall"][0]
    assert (low, high) == (0.0, 1.0)


def test_the_same_confusions_give_the_same_intervals():
    assert activity_intervals(_confusions(5, 7)) == activity_intervals(_confusions(5, 7))
    assert DRAWS >= 1000
