"""Confusions that change: counted over paired runs, against a count window by window."""

from __future__ import annotations

import itertools
import json

import pandas as pd
import pytest

from har.evaluation.confusion_changes import MOST, changes, changes_table
from har.evaluation.gathering import gather
from har.evaluation.scores import PREDICTIONS
from tests.fakes.study import FakeStudy, write_study

ACTIVITIES = ["walk", "sit", "stand", "stairs", "lie"]


@pytest.fixture
def folder(tmp_path):
    plan = FakeStudy({"a": 0.8, "b": 0.6}, [("a", "b")], subjects=4, repeats=2, activities=ACTIVITIES, windows=6)
    plan.absent["2"] = ["lie"]
    return write_study(tmp_path / "s" / "d", plan)


def _windows(folder, variant, without=()):
    paths = [path for path in folder.glob(f"{variant}/*/*/{PREDICTIONS}") if path.parents[1] not in without]
    return pd.concat([pd.read_parquet(path) for path in paths])


def _expected(folder, without=()):
    """Pair of activities to its shares under a and b, the subjects with fewer and with more, and the windows."""
    a, b = _windows(folder, "v0", without), _windows(folder, "v1", without)
    found = {}
    for true, predicted in itertools.permutations(ACTIVITIES, 2):
        hits = [frame[(frame["truth"] == true) & (frame["prediction"] == predicted)] for frame in (a, b)]
        windows = [int((frame["truth"] == true).sum()) for frame in (a, b)]
        assert windows[0] == windows[1]
        of_subject = [hit["subject"].value_counts().reindex(a["subject"].unique(), fill_value=0) for hit in hits]
        change = of_subject[0] - of_subject[1]
        shares = [len(hit) / windows[0] for hit in hits]
        found[true, predicted] = [*shares, int((change < 0).sum()), int((change > 0).sum()), windows[0]]
    return found


def _values(row):
    return [row[key] for key in ("share_a", "share_b", "subjects_fewer", "subjects_more", "windows")]


def test_the_pairs_that_change_most_are_those_of_a_count_window_by_window(folder):
    rows, expected = changes(gather(folder), "a", "b"), _expected(folder)
    assert len(rows) == MOST < len(expected)
    for row in rows:
        assert _values(row) == pytest.approx(expected[row["true"], row["predicted"]])
    sizes = [abs(row["share_a"] - row["share_b"]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    rest = set(expected) - {(row["true"], row["predicted"]) for row in rows}
    assert max(abs(expected[pair][0] - expected[pair][1]) for pair in rest) <= sizes[-1] + 1e-12


def test_a_run_without_its_pair_is_left_out_on_both_sides(folder):
    lost = folder / "v0" / "subject-3" / "repeat-1"
    (lost / "run.json").unlink()
    expected = _expected(folder, without=(lost, folder / "v1" / "subject-3" / "repeat-1"))
    for row in changes(gather(folder), "a", "b"):
        assert _values(row) == pytest.approx(expected[row["true"], row["predicted"]])


def test_nothing_is_said_of_different_windows_of_no_pair_and_of_no_change(folder):
    gathered = gather(folder)
    assert changes(gathered, "a", "a") == []
    for path in folder.glob("v0/*/*/run.json"):
        path.unlink()
    assert changes(gather(folder), "a", "b") == []


def test_runs_that_predicted_different_windows_are_not_compared(folder):
    path = folder / "v0" / "subject-1" / "repeat-0" / PREDICTIONS
    frame = pd.read_parquet(path)
    frame.iloc[1:].to_parquet(path, index=False)
    record = path.parents[1] / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"test_windows": len(frame) - 1}))
    gathered = gather(folder)
    assert gathered.problems == []
    assert changes(gathered, "a", "b") == []


def test_the_table_has_the_difference_in_points(folder):
    rows = changes(gather(folder), "a", "b")
    table = changes_table(rows)
    place = [column.head for column in table.columns].index("a - b, points")
    assert [row[place] for row in table.rows] == [row["share_a"] - row["share_b"] for row in rows]
    assert table.columns[place].kind == "points"
