"""What a new subject labels beforehand: the first seconds of each activity, and nothing scored that touches them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import UsageError
from har.windows.segment import WindowSpec, window_index
from har.windows.set_aside import set_aside, subject_of_each
from tests.fakes.stores import memory_store

stretches = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 60)), min_size=1, max_size=5)
people = st.lists(st.tuples(st.sampled_from(["1", "2"]), stretches), min_size=1, max_size=4)


@settings(max_examples=60)
@given(people, st.integers(1, 12), st.integers(10, 40))
def test_what_is_labelled_and_what_is_scored_share_no_sample_and_the_first_seconds_are_what_is_labelled(
    given_people: list[tuple[str, list[tuple[int, int]]]], step: int, seconds: int
) -> None:
    recordings = [(subject, [label for label, n in parts for _ in range(n)]) for subject, parts in given_people]
    store = memory_store(sorted([*recordings, ("1", [0, 1] * 200), ("2", [1] * 400)], key=lambda each: each[0]))
    index = window_index(store, WindowSpec(1.0, step / 10))
    aside, rest = set_aside(store, index, seconds / 10)
    covered = {start + t for start in aside.start for t in range(10)}
    assert all(covered.isdisjoint(range(start, start + 10)) for start in rest.start)
    left_out = set(index.start) - set(aside.start) - set(rest.start)
    assert all(not covered.isdisjoint(range(start, start + 10)) for start in left_out)
    subject_N = subject_of_each(store, index)
    for subject in set(subject_N):
        for label in (0, 1):
            rows = index.start[(subject_N == subject) & (index.label == label)]  # in order of time
            own = [start for start in rows if start in set(aside.start)]
            assert own == list(rows[: len(own)])
            seen: set[int] = set()
            for start in rows:  # counted sample by sample
                seen |= set(range(start, start + 10))
                assert (start in own) == (len(seen) <= seconds)


@pytest.mark.parametrize(("seconds", "says"), [(0.5, "nothing to set aside"), (30.0, "left to score of subject 1")])
def test_too_few_and_too_many_seconds_are_refused(seconds: float, says: str) -> None:
    store = memory_store([("1", [0] * 100), ("1", [1] * 100)])
    index = window_index(store, WindowSpec(1.0, 0.5))
    with pytest.raises(UsageError, match=says) as caught:
        set_aside(store, index, seconds)
    assert "subject 1" in caught.value.what
    assert np.all(index.label[:19] == 0)
