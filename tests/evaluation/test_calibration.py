"""Calibration against torchmetrics and brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from har.evaluation.calibration import BINS, NOTHING_B3, calibration, calibration_error, reliability

ACTIVITIES = ["walk", "sit", "stairs", "run"]


def _frame(probability_NK, truth_N, prediction_N=None):
    """A predictions table as far as calibration reads it."""
    decided = probability_NK.argmax(axis=1) if prediction_N is None else prediction_N
    names = np.array(ACTIVITIES, dtype=object)
    columns = {f"probability:{name}": probability_NK[:, k] for k, name in enumerate(ACTIVITIES)}
    return pd.DataFrame({"truth": names[truth_N], "prediction": names[decided], **columns})


def _drawn(seed, N):
    generator = np.random.default_rng(seed)
    probability_NK = generator.dirichlet(np.full(4, 0.4), N).astype(np.float32)
    return probability_NK, generator.integers(0, 4, N), generator


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_the_calibration_error_equals_torchmetrics(seed, N):
    probability_NK, truth_N, _ = _drawn(seed, N)
    expected = multiclass_calibration_error(
        torch.from_numpy(probability_NK).double(), torch.from_numpy(truth_N), num_classes=4, n_bins=BINS
    )
    assert calibration_error(reliability(_frame(probability_NK, truth_N))) == pytest.approx(float(expected), abs=1e-6)


def test_bins_hold_their_upper_end_and_count_what_was_predicted_and_not_the_largest():
    probability_NK, truth_N, generator = _drawn(3, 300)
    probability_NK = np.round(probability_NK * 15) / 15  # many on the border of two bins
    prediction_N = generator.integers(0, 4, 300)
    found = calibration(reliability(_frame(probability_NK, truth_N, prediction_N)))
    stated_N = probability_NK[np.arange(300), prediction_N].astype(float)
    for number, row in enumerate(found["bins"]):
        low, high = number / 15, (number + 1) / 15
        inside_N = (np.ceil(stated_N * 15) == number + 1) | ((number == 0) & (stated_N <= 0))
        assert (row["from"], row["to"], row["windows"]) == (low, high, inside_N.sum())
        if row["windows"]:
            assert row["probability"] == pytest.approx(stated_N[inside_N].mean())
            assert row["accuracy"] == pytest.approx((truth_N == prediction_N)[inside_N].mean())
        else:
            assert (row["probability"], row["accuracy"]) == (None, None)
    one = calibration(reliability(_frame(np.eye(4, dtype=np.float32), np.arange(4))))
    assert (one["ece"], one["bins"][-1]["windows"]) == (0.0, 4)


def test_without_windows_there_is_no_calibration_error():
    assert calibration_error(NOTHING_B3) is None
