"""Drafts of intervals: which table lists them, whose they are, and what they count."""

import re

import numpy as np
import pytest

from har.datasets.draft import draft
from tests.datasets.drafting import drafted, table, without_labels
from tests.datasets.own import write


@pytest.mark.parametrize(
    ("start", "intervals", "counting"),
    [
        (0, ["anna,0,1.1,walk", "ben,0.2,2.3,sit"], "seconds"),
        (5000, ["anna,5.0,6.1,walk", "ben,5.2,7.3,sit"], "seconds"),
        (1.7e12, ["anna,0,1.1,walk", "ben,0.2,2.3,sit"], "seconds-from-start"),
        (1.7e12, ["anna,1700000000,1700000001,walk", "ben,1700000001,1700000002,sit"], "seconds"),
        (0, ["anna,0,1,walk", "ben,1,2,sit"], "seconds"),
        (0, ["anna,1,60,walk", "ben,61,120,sit"], "samples-from-1"),
        (0, ["anna,0,60,walk", "ben,60,120,sit"], "samples-from-0"),
    ],
)
def test_a_table_of_intervals_is_proposed(start, intervals, counting, tmp_path):
    files = {f"rec/{who}.csv": without_labels(start=start) for who in ("anna", "ben")}
    listed = "\n".join(["name,begin,end,what,activity", *(re.sub(r",(\w+)$", r",x,\1", row) for row in intervals)])
    card, found, text = drafted(tmp_path, {**files, "labels.csv": listed})
    proposed = card.files.label.intervals
    assert (proposed.path, proposed.counting) == ("labels.csv", counting)
    assert proposed.columns == {"subject": "name", "activity": "activity", "start": "begin", "stop": "end"}
    assert [activity.code for activity in card.activities] == ["sit", "walk"]
    assert {label for r in found for label in r.label_T.tolist()} == {-1, 0, 1}
    assert "Passed over" not in text


def test_intervals_in_a_file_for_each_recording_are_proposed(tmp_path):
    files = {f"data/subj{i}_run{j}.csv": without_labels() for i in (1, 2) for j in (1, 2)}
    listed = {name.replace("data", "marks"): "start;stop;label\n5,0;6,5;1\n6,6;7,0;2\n" for name in files}
    card, found, text = drafted(tmp_path, {**files, **listed})
    proposed = card.files.label.intervals
    assert (proposed.path, proposed.format.delimiter) == ("marks/subj{subject:d}_run{trial:d}.csv", ";")
    assert proposed.columns == {"activity": "label", "start": "start", "stop": "stop"}
    assert [np.bincount(r.label_T + 1).tolist() for r in found] == [[25, 75, 20]] * 4
    assert "Passed over" not in text


def test_whose_the_intervals_are_is_found_by_the_values(tmp_path):
    files = {f"e{i:02}_u{i % 2 + 7}.csv": without_labels(start=0) for i in range(1, 6)}
    rows = [f"{i:02},{i % 2 + 7},{i % 3},0,{i / 10}" for i in range(1, 6)]
    card, found, _ = drafted(tmp_path, {**files, "marks.csv": "exp,person,activity,start,end\n" + "\n".join(rows)})
    assert card.files.label.intervals.columns == {
        "trial": "exp",
        "subject": "person",
        "activity": "activity",
        "start": "start",
        "stop": "end",
    }
    assert sum((r.label_T >= 0).sum() for r in found) == 5 + 10 + 15 + 20 + 25


def test_intervals_of_unknown_recordings_are_proposed_with_a_doubt(tmp_path):
    files = {f"rec/{who}.csv": without_labels(start=0) for who in ("anna", "ben")}
    listed = "start,end,activity,rater\n0,1,walk,anna\n1,2,sit,eva\n0,1,sit,ida\n1,2,sit,uwe\n"
    text = draft(write(tmp_path / "raw", {**files, "labels.csv": listed}))
    assert 'columns: {activity: "activity", start: "start", stop: "end"}' in text
    assert "no column says which subject an interval is of. CHECK" in text
    late = draft(write(tmp_path / "raw", {"labels.csv": "name,start,end,activity\nanna,0,1100,walk\nben,2,2300,sit\n"}))
    assert "too large for seconds: divide them in the file. CHECK" in late
    assert "counting: seconds " in late


@pytest.mark.parametrize(
    "listed",
    [
        {"labels.csv": "name,start,end,activity\nanna,2,1,walk\n"},
        {f"labels/{who}_{i}.csv": "start,end,activity\n0,1,walk\n" for who in ("anna", "ben") for i in (1, 2)},
        {"labels.csv": "name,start,end,activity\nanna,0,1,walk\nben,0,x,walk\n"},
    ],
)
def test_what_is_no_table_of_intervals_of_these_recordings_is_passed_over(listed, tmp_path):
    files = {f"rec/{who}.csv": without_labels(start=0) for who in ("anna", "ben", "cora", "dora", "emil")}
    text = draft(write(tmp_path, {**files, **listed}))
    assert "intervals:" not in text
    assert "label: {column: COLUMN}" in text
    assert all(name in re.search(r"# Passed over: (.*)", text)[1] for name in listed)


def test_intervals_are_passed_over_where_a_column_has_the_activities(tmp_path):
    files = {f"rec/{who}.csv": table() for who in ("anna", "ben")}
    card, _, text = drafted(tmp_path, {**files, "labels.csv": "name,start,end,activity\nanna,0,1,walk\n"})
    assert card.files.label.column == "activity"
    assert "# Passed over: labels.csv: intervals, but the activities stand elsewhere" in text
