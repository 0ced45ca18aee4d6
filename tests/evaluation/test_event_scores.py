"""Event scores: rates that sum to one, categories, segmental F1, boundary errors, and what is said of their limits."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from har.evaluation.event_scores import event_notes, event_scores
from har.evaluation.events import count_events
from har.evaluation.scores import PREDICTIONS, score_run
from tests.evaluation.test_events import timeline_of
from tests.fakes.study import FakeStudy, write_study

#       0         10        20        30
TRUTH = [0] * 10 + [2] * 2 + [0] * 8 + [2] * 4 + [1] * 6
GIVEN = [2] * 2 + [0] * 16 + [2] * 2 + [1] * 2 + [2] * 2 + [1] * 6


@pytest.fixture
def scores():
    return event_scores(count_events(timeline_of((np.array(TRUTH), np.array(GIVEN)))), ["walk", "sit"])


def test_rates_are_of_the_seconds_of_the_activity_and_of_the_others(scores):
    walk = scores["per_activity"][0]
    assert (walk["true_s"], walk["other_s"]) == (18, 12)
    assert walk["rates"]["tpr"] == pytest.approx(14 / 18)
    assert walk["rates"]["Ua"] == walk["rates"]["Uo"] == pytest.approx(2 / 18)
    assert walk["rates"]["M"] == walk["rates"]["fpr"] == pytest.approx(2 / 12)
    for row in (*scores["per_activity"], scores["null"]):
        missed = [row["rates"][name] for name in ("tpr", "D", "F", "Ua", "Uo")]
        assert sum(missed) == pytest.approx(1)
        assert sum(row["frames_s"][name] for name in ("TP", "D", "F", "Ua", "Uo")) == pytest.approx(row["true_s"])
        assert row["true_s"] + row["other_s"] == scores["seconds"] == 30


def test_events_and_segmental_f1_are_per_activity_and_macro_over_the_true_ones(scores):
    walk, sit = scores["per_activity"]
    assert walk["true_events"] == {"D": 0, "F": 0, "FM": 0, "M": 2, "C": 0}
    assert walk["returned_events"] == {"I": 0, "F": 0, "FM": 0, "M": 1, "C": 0}
    assert walk["segmental_f1"] == {"0.1": 2 / 3, "0.25": 2 / 3, "0.5": 0.0, "0.75": 0.0}  # 8 of 18 seconds shared
    assert sit["returned_events"] == {"I": 1, "F": 0, "FM": 0, "M": 0, "C": 1}
    assert sit["segmental_f1"]["0.75"] == pytest.approx(2 / 3)
    assert scores["segmental_f1"]["0.75"] == pytest.approx(1 / 3)
    assert sit["boundary_s"] == {"begin": 0.0, "begin_off": 0.0, "end": 0.0, "end_off": 0.0}
    assert walk["boundary_s"]["begin"] is None  # no correct event


def test_boundary_errors_are_late_where_positive():
    truth, given = [2] * 5 + [0] * 10 + [2] * 5, [2] * 8 + [0] * 6 + [2] * 6
    row = event_scores(count_events(timeline_of((np.array(truth), np.array(given)))), ["walk", "sit"])["per_activity"][
        0
    ]
    assert row["boundary_s"] == {"begin": 3.0, "begin_off": 3.0, "end": -1.0, "end_off": 1.0}


def test_an_activity_that_does_not_occur_has_no_rates_and_no_part_in_the_macro_f1():
    found = event_scores(count_events(timeline_of((np.array([0] * 6), np.array([0] * 4 + [1] * 2)))), ["walk", "sit"])
    walk, sit = found["per_activity"]
    assert sit["rates"]["tpr"] is None
    assert sit["segmental_f1"]["0.5"] == 0.0  # an insertion
    assert found["segmental_f1"] == walk["segmental_f1"]
    assert found["null"]["segmental_f1"]["0.5"] is None


def test_what_limits_event_scores_is_said():
    steady = count_events(timeline_of((np.array([0] * 6), np.array([0] * 6))))
    assert "No recording has a change of activity" in event_notes(steady)[0]
    unseen = count_events(timeline_of((np.array([0] * 4 + [2] * 8), np.array([0] * 6 + [2] * 6))))
    assert event_notes(unseen) == ["75 % of the null time has no window, so insertions there cannot show."]
    seen = count_events(timeline_of((np.array([0] * 4 + [2] * 8), np.array([0] * 6 + [1] * 6))))
    assert event_notes(seen) == []


@pytest.fixture
def run(tmp_path):
    return write_study(tmp_path, FakeStudy(subjects=1, windows=6)) / "v2" / "subject-1" / "repeat-0"


def test_a_run_writes_its_event_scores_and_they_are_json(run):
    events = score_run(run)["events"]
    assert json.loads((run / "scores.json").read_text(), parse_constant=pytest.fail)["events"] == events
    assert events["recordings"] == events["recordings_with_changes"] == 3
    assert events["seconds"] == pytest.approx(3 * (4 + 5 * 2 + 1.5))
    assert events["unpredicted_s"] == events["unpredicted_null_s"] == pytest.approx(3 * 1.5)
    assert "whose centre is nearest" in events["rule"]


def test_windows_cut_out_beforehand_have_no_event_scores_and_that_is_said(run):
    frame = pd.read_parquet(run / PREDICTIONS)
    frame = frame[frame["start_s"] == 0]
    truth = pd.read_parquet(run / "truth.parquet")
    truth = truth[truth["activity"].notna()].assign(end_s=4.0)
    frame.to_parquet(run / PREDICTIONS)
    truth.to_parquet(run / "truth.parquet")
    scores = score_run(run)
    assert scores["events"] is None
    assert any("none is continuous" in note for note in scores["notes"])
