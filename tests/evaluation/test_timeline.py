"""Truth and decisions on one time axis, against the rule written out sample by sample."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.evaluation.timeline import BETWEEN, lay, obstacle

ACTIVITIES = ["walk", "sit", "stairs"]


def predictions_of(rows):
    """A predictions table from (recording, start_s, end_s, prediction)."""
    frame = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "prediction"])
    frame["recording"] = frame["recording"].astype(np.int32)
    frame = frame.assign(subject="1", truth="walk")
    return frame.assign(**{f"probability:{name}": np.float32(1 / 3) for name in ACTIVITIES})


def truth_of(rows):
    """A truth table from (recording, start_s, end_s, activity)."""
    frame = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "activity"])
    return frame.assign(subject="1", recording=frame["recording"].astype(np.int32))


def _stretches(timeline):
    """(length, truth, decision) of each stretch."""
    return list(
        zip(timeline.length_M.round(6).tolist(), timeline.truth_M.tolist(), timeline.decision_M.tolist(), strict=True)
    )


def test_the_decision_changes_midway_between_centres_and_reaches_to_the_ends():
    predictions = predictions_of([(0, 0.0, 4.0, "walk"), (0, 2.0, 6.0, "sit"), (0, 4.0, 8.0, "sit")])
    timeline = lay(predictions, truth_of([(0, 0.0, 10.0, "walk")]))
    # centres 2, 4 and 6: walk until 3, sit until the last window ends at 8, nothing until 10
    assert _stretches(timeline) == [(3.0, 0, 0), (5.0, 0, 1), (2.0, 0, 3)]


def test_a_gap_between_windows_is_unpredicted():
    predictions = predictions_of([(0, 0.0, 2.0, "walk"), (0, 5.0, 7.0, "walk")])
    timeline = lay(predictions, truth_of([(0, 0.0, 4.0, "walk"), (0, 4.0, 7.0, None)]))
    assert _stretches(timeline) == [(2.0, 0, 0), (2.0, 0, 3), (1.0, 3, 3), (2.0, 3, 0)]


def test_labels_that_the_model_does_not_know_are_null_like_unlabelled_time():
    timeline = lay(
        predictions_of([(0, 0.0, 6.0, "sit")]),
        truth_of([(0, 0.0, 2.0, "run"), (0, 2.0, 4.0, None), (0, 4.0, 6.0, "sit")]),
    )
    assert _stretches(timeline) == [(4.0, 3, 1), (2.0, 1, 1)]


def test_recordings_lie_apart_and_one_without_windows_is_unpredicted():
    predictions = predictions_of([(7, 0.0, 2.0, "walk"), (2, 0.0, 2.0, "walk")])
    truth = truth_of([(2, 0.0, 2.0, "walk"), (5, 0.0, 3.0, "walk"), (7, 0.0, 2.0, "walk")])
    between = (1.0, BETWEEN, BETWEEN)
    timeline = lay(predictions, truth)
    assert _stretches(timeline) == [(2.0, 0, 0), between, (3.0, 0, 3), between, (2.0, 0, 0)]
    assert timeline.recordings == 3


def _by_half_sample(predictions, truth, rate, samples):
    """The rule at the middle of every half of a sample (decisions change between halves): which window is nearest?"""
    found = []
    for n in range(2 * samples):
        now = (n + 0.5) / (2 * rate)
        covering = predictions[(predictions["start_s"] < now) & (predictions["end_s"] > now)]
        decision = 3
        if len(covering):
            centre = (covering["start_s"] + covering["end_s"]) / 2
            decision = ACTIVITIES.index(covering["prediction"].loc[(centre - now).abs().idxmin()])
        activity = truth[(truth["start_s"] < now) & (truth["end_s"] > now)]["activity"].iloc[0]
        found.append((ACTIVITIES.index(activity) if activity in ACTIVITIES else 3, decision))
    return found


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 7, 16]), st.sampled_from([30.0, 50.0, 31.25, 640.0]))
def test_every_sample_has_the_decision_of_the_nearest_covering_window(seed, length, rate):
    generator = np.random.default_rng(seed)
    samples = int(generator.integers(length, 40))
    starts = np.sort(generator.permutation(samples - length + 1)[: int(generator.integers(1, 12))])
    starts = starts[
        np.append(True, np.diff(starts) % 2 == 0)
    ]  # midway is then between samples for steps of even length
    decided = [ACTIVITIES[k] for k in generator.integers(0, 3, len(starts))]
    rows = [(4, s / rate, s / rate + length / rate, name) for s, name in zip(starts, decided, strict=True)]
    predictions = predictions_of(rows).sample(frac=1, random_state=int(seed % 1000))
    cuts = np.unique(np.append(generator.integers(1, samples, 3) if samples > 1 else [], [0, samples])).astype(int)
    labels = [[*ACTIVITIES, None, "null"][k] for k in generator.integers(0, 5, len(cuts) - 1)]
    bounds = zip(cuts[:-1] / rate, cuts[1:] / rate, labels, strict=True)
    truth = truth_of([(4, start, end, label) for start, end, label in bounds])
    timeline = lay(predictions, truth)
    halves = np.rint(timeline.length_M * rate * 2).astype(int)
    np.testing.assert_allclose(timeline.length_M * rate * 2, halves, atol=1e-6)
    laid = zip(np.repeat(timeline.truth_M, halves), np.repeat(timeline.decision_M, halves), strict=True)
    assert list(laid) == _by_half_sample(predictions, truth, rate, samples)
    pairs = list(zip(timeline.truth_M, timeline.decision_M, strict=True))
    assert all(one != other for one, other in pairwise(pairs))  # stretches are maximal


def test_single_windows_and_windows_of_several_lengths_have_no_time_axis():
    whole = truth_of([(0, 0.0, 3.0, "walk"), (1, 0.0, 3.0, "sit")])
    single = predictions_of([(0, 0.0, 3.0, "walk"), (1, 0.0, 3.0, "sit")])
    assert "none is continuous" in obstacle(single, whole)
    several = predictions_of([(0, 0.0, 1.0, "walk"), (0, 1.0, 2.0, "sit")])
    assert obstacle(several, whole) is None
    assert obstacle(single, truth_of([(0, 0.0, 1.0, "walk"), (0, 1.0, 3.0, "sit"), (1, 0.0, 3.0, "sit")])) is None
    assert "differ in length" in obstacle(predictions_of([(0, 0.0, 1.0, "walk"), (0, 1.0, 3.0, "sit")]), whole)


def test_rounding_of_times_tears_no_stretch_apart():
    rate, rows = 640.0, []
    for start in range(0, 6400, 64):
        rows.append((0, start / rate, start / rate + 128 / rate, "walk"))
    last = rows[-1][2]
    cuts = [0.0, *(n / rate for n in range(65, 6400, 65)), last]
    truth = truth_of([(0, a, b, ("walk", "sit")[i % 2]) for i, (a, b) in enumerate(pairwise(cuts))])
    timeline = lay(predictions_of(rows), truth)
    assert len(timeline.length_M) == len(truth)
    assert timeline.length_M.sum() == pytest.approx(last)
