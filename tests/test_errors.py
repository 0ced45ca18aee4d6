"""Errors say what and what to do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from har.errors import HarError, candidates, unknown


def test_text_is_what_then_hint_then_context() -> None:
    error = HarError("it broke at 3.", "Mend it.")
    error.add_note("fold subject-1")
    assert str(error) == "it broke at 3.\n  Mend it.\n  (fold subject-1)"
    assert str(HarError("it broke.")) == "it broke."


def test_candidates_put_the_nearest_first_and_list_all() -> None:
    assert candidates("evry", ["none", "every"]) == "Did you mean 'every'? Known: every, none."
    assert candidates("zzz", ["none"]) == "Known: none."
    assert candidates("zzz", []) == "There are none."
    assert candidates("G", ["g", "mg"]) == "Did you mean 'g'? Known: g, mg."


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=60), st.text(max_size=8))
def test_candidates_stay_readable_for_any_names(names: list[str], value: str) -> None:
    assert candidates(value, names).count(", ") <= 20 + sum(name.count(", ") for name in names) * 2


def test_unknown_names_value_and_place() -> None:
    error = unknown("norm", "bach", ["batch"], "in x.yaml")
    assert error.what == "norm 'bach' is not known (in x.yaml)."
    assert "'batch'" in error.hint
