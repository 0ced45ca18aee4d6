"""Predictions and truth of a run agree about what null is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from har.evaluation.counts import count
from har.evaluation.predictions import check_against_truth
from har.training.inference import predictions_frame, truth_frame
from har.windows.segment import WindowSpec, window_index
from tests.fakes.stores import memory_store

# 10 Hz; windows of 0.5 s: walk, null by unlabelled samples alone, null by both, null by its own label, sit
LABELS = [0] * 5 + [-1] * 5 + [-1] * 2 + [2] * 3 + [2] * 5 + [1] * 5


def _files(policy: str, null: str | None = "rest"):
    store = memory_store([("a", LABELS)], activities=("walk", "sit", "rest"), null=null)
    index = window_index(store, WindowSpec(0.5, 0.5, null=policy))
    probability_NK = np.full((len(index), len(index.activities)), 0.1, np.float32)
    probability_NK[np.arange(len(index)), index.label] = 1 - 0.1 * (len(index.activities) - 1)
    frame = predictions_frame(store, index, probability_NK, index.activities)
    return frame, truth_frame(store, ["a"], policy)


@pytest.mark.parametrize(("policy", "null"), [("keep", "rest"), ("keep", None), ("drop", "rest"), ("unlabelled", None)])
def test_a_run_accepts_its_own_labels_whatever_happens_to_null(policy: str, null: str | None) -> None:
    predictions, truth = _files(policy, null)
    check_against_truth(predictions, truth, Path("running.parquet"))


def test_unlabelled_time_is_null_where_windows_count_it_so() -> None:
    predictions, truth = _files("keep")
    assert predictions["truth"].tolist() == ["walk", "rest", "rest", "rest", "sit"]
    assert truth["activity"].tolist() == ["walk", "rest", "sit"]
    assert truth[["start_s", "end_s"]].to_numpy().tolist() == [[0, 0.5], [0.5, 2], [2, 2.5]]
    events = count(predictions, truth).events
    assert events is not None
    assert (events.true_XC[:, 4] == [1, 1, 1, 0]).all()  # every event, that of null too, is found and nothing added
    assert (events.returned_XC[:, :4] == 0).all()


def test_unlabelled_time_stays_so_where_null_is_dropped() -> None:
    _, truth = _files("drop")
    assert truth["activity"].fillna("").tolist() == ["walk", "", "rest", "sit"]
