"""Which label follows which: neighbours in a recording, no others."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from har.windows.segment import WindowSpec, window_index
from har.windows.transitions import transition_record
from tests.fakes.stores import memory_store

labels = st.lists(st.integers(-1, 1), min_size=10, max_size=80)


@example([[0] * 20, [1] * 20], 10)  # the last window of one recording is a step before the first of the next
@settings(max_examples=50)
@given(st.lists(labels, min_size=1, max_size=3), st.integers(1, 12))
def test_transitions_are_those_of_windows_one_step_apart_in_one_recording(parts: list[list[int]], step: int) -> None:
    store = memory_store([*(("1", part) for part in parts), ("1", [0, 1] * 10)])
    index = window_index(store, WindowSpec(1.0, step / 10))
    record = transition_record(index, step / 10, store.rate_hz)
    at = {
        int(start): (number, int(label))
        for start, number, label in zip(index.start, index.recording, index.label, strict=True)
    }
    expected = np.zeros((2, 2), int)
    for start, (number, label) in at.items():
        later = at.get(start + step)
        if later is not None and later[0] == number:
            expected[label, later[1]] += 1
    assert record["transitions"] == expected.tolist()
    assert record["windows"] == [int((index.label == k).sum()) for k in (0, 1)]
    assert record["activities"] == index.activities
