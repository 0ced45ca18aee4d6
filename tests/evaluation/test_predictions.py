"""Rules of the predictions and truth files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from har.errors import DataError
from har.evaluation.predictions import (
    activities_of,
    check_against_truth,
    read_predictions,
    read_truth,
    write_predictions,
    write_truth,
)
from tests.conftest import fresh
from tests.fakes.study import FakeStudy, subject_files

HERE = Path("here.parquet")


@pytest.fixture
def files() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth and predictions of one subject."""
    return subject_files(FakeStudy(), "3", 0.7, [1])


def test_what_is_written_is_read_back_in_the_stated_types(files, tmp_path):
    truth, predictions = files
    write_predictions(tmp_path / "p.parquet", predictions)
    write_truth(tmp_path / "t.parquet", truth)
    read = read_predictions(tmp_path / "p.parquet")
    assert activities_of(read) == ["walk", "sit", "stairs"]
    assert read["recording"].dtype == np.int32
    assert read["start_s"].dtype == read["end_s"].dtype == np.float64
    assert all(read[f"probability:{name}"].dtype == np.float32 for name in activities_of(read))
    assert read.astype(object).to_numpy().tolist() == predictions.astype(object).to_numpy().tolist()
    truth_read = read_truth(tmp_path / "t.parquet")
    assert truth_read["activity"].tolist() == ["walk", None, "sit", None, "stairs", None]
    check_against_truth(read, truth_read, tmp_path / "p.parquet")


def test_an_empty_table_keeps_its_activities(files, tmp_path):
    write_predictions(tmp_path / "p.parquet", files[1].iloc[:0])
    assert activities_of(read_predictions(tmp_path / "p.parquet")) == ["walk", "sit", "stairs"]


def _set(column, value, row=4):
    def change(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame.infer_objects()

    return change


def _double_last(frame):
    frame.iloc[4, :3] = frame.iloc[2, :3]
    return frame


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.drop(columns="truth"), "column 'truth' is missing"),
        (lambda f: f.rename(columns={"start_s": "start"}), "column 'start_s' is missing"),
        (lambda f: f.assign(window=1), "column 'window' is not expected"),
        (lambda f: f[[c for c in f if not c.startswith("prob")]], "no column probability:"),
        (lambda f: f.assign(recording=f["recording"].astype(float)), "'recording' has type float64, not integer"),
        (lambda f: f.assign(start_s=f["start_s"].astype(str)), "'start_s' has type"),
        (lambda f: f.assign(subject=3), "'subject' has type int64, not text"),
        (_set("truth", "wlak"), "row 4: truth 'wlak' is not an activity"),
        (_set("prediction", "run"), "row 4: prediction 'run' is not an activity"),
        (_set("truth", None), "row 4: truth is missing"),
        (_set("end_s", 1.0), "row 4 .*no interval"),
        (_set("start_s", -1.0), "row 4 .*no interval"),
        (_set("probability:walk", 1.5), "row 4 .*not between 0 and 1"),
        (_set("probability:walk", -0.1), "row 4 .*not between 0 and 1"),
        (_set("probability:walk", 0.97), "row 4 .*do not sum to 1"),
        (_double_last, "row 4 .*listed before"),
    ],
)
def test_a_wrong_predictions_table_is_refused_with_file_and_row(files, change, says):
    with pytest.raises(DataError, match=says) as caught:
        write_predictions(HERE, change(files[1].copy()))
    assert "here.parquet" in caught.value.what
    assert not HERE.exists()


def test_probabilities_may_miss_one_by_rounding_only(files, tmp_path):
    frame = files[1]
    frame.loc[0, "probability:walk"] += np.float32(5e-5)
    write_predictions(tmp_path / "p.parquet", frame)
    frame.loc[0, "probability:walk"] += np.float32(2e-4)
    with pytest.raises(DataError, match="do not sum"):
        write_predictions(tmp_path / "p.parquet", frame)


def test_a_misspelt_activity_gets_the_nearest_candidate(files):
    with pytest.raises(DataError) as caught:
        write_predictions(HERE, _set("truth", "wlak")(files[1]))
    assert "Did you mean 'walk'?" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set("recording", 999), "row 4 .*recording is not in truth.parquet"),
        (_set("subject", "4"), "row 4 .*another subject"),
        (_set("end_s", 99.0), "row 4 .*beyond its recording"),
        (_set("truth", "sit"), "row 4 .*does not occur"),
    ],
)
def test_windows_that_the_truth_does_not_bear_out_are_refused(files, change, says):
    truth, predictions = files
    with pytest.raises(DataError, match=says):
        check_against_truth(change(predictions), truth, HERE)


def test_intervals_are_half_open_so_a_touching_stretch_does_not_count():
    truth = pd.DataFrame(
        [(1, "a", 0.0, 4.0, "walk"), (1, "a", 4.0, 8.0, "sit"), (1, "a", 8.0, 12.0, None)],
        columns=["recording", "subject", "start_s", "end_s", "activity"],
    )
    frame = pd.DataFrame({"recording": 1, "start_s": [4.0], "end_s": [8.0], "subject": "a", "truth": ["sit"]})
    check_against_truth(frame, truth, HERE)
    with pytest.raises(DataError, match="does not occur"):
        check_against_truth(frame.assign(truth="walk"), truth, HERE)
    with pytest.raises(DataError, match="does not occur"):
        check_against_truth(frame.assign(start_s=0.0, end_s=4.0), truth, HERE)
    check_against_truth(frame.assign(truth="walk", start_s=3.98), truth, HERE)
    check_against_truth(frame.assign(end_s=12.0), truth, HERE)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set("start_s", 0.5, row=1), "row 1 .*does not begin where"),
        (_set("end_s", 20.0, row=0), "row 1 .*does not begin where"),
        (_set("subject", "4", row=1), "row 1 .*two subjects"),
        (lambda f: f.drop(columns="activity"), "'activity' is missing"),
    ],
)
def test_a_wrong_truth_table_is_refused(files, change, says):
    with pytest.raises(DataError, match=says):
        write_truth(HERE, change(files[0]))


def test_windows_of_many_recordings_are_held_against_the_right_stretches():
    """Every answer equals that of looking at all stretches of a window's recording, one by one."""
    generator = fresh()
    edges = [np.unique(np.append(0.0, generator.integers(1, 20, size=4))) + r for r in range(6)]
    rows = [
        (recording * 7, "a", low, high, generator.choice(["walk", "sit", None]))
        for recording, edge in enumerate(edges)
        for low, high in pairwise(edge)
    ]
    truth = pd.DataFrame(rows, columns=["recording", "subject", "start_s", "end_s", "activity"])
    for recording, start_s in zip(generator.integers(0, 6, 60) * 7, generator.integers(0, 24, 60), strict=True):
        end_s, label = start_s + int(generator.integers(1, 5)), str(generator.choice(["walk", "sit"]))
        own = [row for row in rows if row[0] == recording]
        inside = start_s >= own[0][2] and end_s <= own[-1][3]
        shown = any(row[4] == label and row[2] < end_s and row[3] > start_s for row in own)
        values = {"recording": recording, "start_s": float(start_s), "end_s": float(end_s), "subject": "a"}
        frame = pd.DataFrame([{**values, "truth": label}])
        if inside and shown:
            check_against_truth(frame, truth, HERE)
            continue
        with pytest.raises(DataError, match="does not occur" if inside else "beyond its recording"):
            check_against_truth(frame, truth, HERE)


def test_a_file_of_pandas_with_an_index_is_read_and_one_with_a_column_twice_is_not(files, tmp_path):
    files[1].iloc[3:].to_parquet(tmp_path / "p.parquet")
    assert len(read_predictions(tmp_path / "p.parquet")) == len(files[1]) - 3
    with pytest.raises(DataError, match="'truth' is there twice"):
        write_predictions(HERE, pd.concat([files[1], files[1][["truth"]]], axis=1))


@pytest.mark.parametrize("read", [read_predictions, read_truth])
def test_a_damaged_file_is_an_error_that_names_it_and_no_traceback(files, tmp_path, read):
    path = tmp_path / "broken.parquet"
    write_predictions(path, files[1])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"broken\.parquet.*damaged"):
        read(path)
    with pytest.raises(DataError, match=r"gone\.parquet.*no such"):
        read(tmp_path / "gone.parquet")
    path.write_bytes(b"")
    with pytest.raises(DataError, match="damaged"):
        read(path)


def test_a_probability_beyond_float32_is_refused_without_a_warning(files, tmp_path):
    predictions = files[1].assign(**{"probability:walk": 1e308})
    predictions.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(DataError, match="a probability is not between 0 and 1"):
        read_predictions(tmp_path / "p.parquet")
