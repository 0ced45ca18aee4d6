"""Moments over windows against the windows themselves, stacked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.windows import moments as module
from har.windows.moments import moments
from har.windows.segment import WindowIndex, gather


def index_of(start: list[int], samples: int) -> WindowIndex:
    count = len(start)
    return WindowIndex(
        np.array(start, np.int64),
        np.zeros(count, np.int32),
        np.zeros(count, np.int16),
        np.ones(count, np.float16),
        samples,
        ["a"],
        {},
    )


@settings(max_examples=60)
@given(st.integers(1, 8), st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 64), st.integers(0, 9))
def test_moments_equal_those_of_the_stacked_windows(
    samples: int, start: list[int], rows_at_a_time: int, seed: int
) -> None:
    signal_TC = np.random.default_rng(seed).normal([0, 50, -3], 1, (48, 3)).astype(np.float32)
    index = index_of(start, samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", rows_at_a_time)
        mean_C, variance_C = moments(signal_TC, index)
    stacked = gather(signal_TC, index.start, samples).astype(np.float64).reshape(-1, 3)
    np.testing.assert_allclose(mean_C, stacked.mean(0), rtol=0, atol=1e-9)
    np.testing.assert_allclose(variance_C, stacked.var(0), rtol=1e-9, atol=1e-9)


def test_a_large_offset_costs_no_precision() -> None:
    """Pooling squares in float32 gives 8 instead of 4 at an offset of 10,000."""
    random = np.random.default_rng(0)
    signal_TC = (random.normal(0, 2, (20_000, 1)) + 10_000).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", 777)
        _, variance_C = moments(signal_TC, index_of(list(range(0, 19_900, 50)), 100))
    stacked = gather(signal_TC, np.arange(0, 19_900, 50), 100).astype(np.float64)
    assert variance_C[0] == pytest.approx(stacked.var(), rel=1e-6)
