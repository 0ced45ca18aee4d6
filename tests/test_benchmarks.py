"""Ratios are kept by their names, each with what its sides did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.timing import RESULTS, compare, keep


def test_a_benchmark_made_again_replaces_its_own_ratios_alone(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    keep({"a": compare([2.0, 4.0, 9.0], [1.0, 1.0, 3.0], "times", one="did this", other="did that")}, file)
    keep({"b": compare([1.0], [2.0], "of it", one="did this", other="did that")}, file)
    keep({"a": compare([5.0], [1.0], "times", one="did more", other="did that")}, file)
    found = json.loads(file.read_text())
    assert [(name, kept["ratio"], kept["low"], kept["high"]) for name, kept in found.items()] == [
        ("a", 5.0, 5.0, 5.0),
        ("b", 0.5, 0.5, 0.5),
    ]
    assert found["a"]["sides"] == {"one": "did more", "other": "did that"}
    assert found["a"]["made_with"].keys() == {"date", "commit", "machine", "versions"}


def test_a_ratio_is_the_median_of_its_turns() -> None:
    comparison = compare([2.0, 4.0, 9.0], [1.0, 1.0, 3.0], "times", one="did this", other="did that")
    assert str(comparison) == "3.00 (2.00 to 4.00)"


def test_a_ratio_without_what_both_sides_did_is_refused() -> None:
    with pytest.raises(ValueError, match="two sides"):
        compare([1.0], [2.0], "of it", har="did this")


def test_every_ratio_that_is_published_says_what_its_sides_did_and_when() -> None:
    for name, kept in json.loads(RESULTS.read_text()).items():
        assert kept.keys() == {"ratio", "low", "high", "unit", "sides", "made_with"}, name
        assert kept["low"] <= kept["ratio"] <= kept["high"], name
        assert len(kept["sides"]) > 1, name
