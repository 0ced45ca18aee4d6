"""Tables of a study's scores: the numbers of `contrasts.json`, which are those of all runs together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from har.evaluation.comparison import judge
from har.evaluation.event_tables import event_tables
from har.evaluation.gathering import gather
from har.evaluation.measures import POLICIES
from har.evaluation.scores import PREDICTIONS
from har.evaluation.tables import study_tables
from tests.fakes.study import FakeStudy, write_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three variants, five subjects, two repeats; one subject lacks an activity."""
    return write_study(tmp_path_factory.mktemp("tables"), FakeStudy(subjects=5, repeats=2, absent={"2": ["stairs"]}))


@pytest.fixture(scope="module")
def judged(folder):
    gathered = gather(folder)
    result = judge(folder, gathered, "present")
    return result, study_tables(result, gathered)


def _records(table):
    heads = [column.head for column in table.columns]
    return [dict(zip(heads, row, strict=True)) for row in table.rows]


def _all(folder, variant):
    """The predictions of every run of a variant."""
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob(f"{variant}/*/*/{PREDICTIONS}"))])


def test_every_variant_has_its_macro_f1_under_every_policy_as_scikit_learn_has_it(folder, judged):
    table = judged[1]["policies"]
    assert [column.head for column in table.columns[1:]] == [f"macro F1 ({name})" for name in POLICIES]
    names = ["walk", "sit", "stairs"]
    given = {"present": lambda frame: sorted(set(frame["truth"])), "union": lambda _: None, "all": lambda _: names}
    for place, row in enumerate(table.rows):
        frames = [pd.read_parquet(path) for path in folder.glob(f"v{place}/*/*/{PREDICTIONS}")]
        scores = [[_f1_score(frame, labels(frame)) for frame in frames] for labels in given.values()]
        assert row[1:] == pytest.approx([*np.mean(scores, axis=1), _f1_score(pd.concat(frames), names)])
    columns = list(zip(*(row[1:] for row in table.rows), strict=True))
    assert len(set(columns)) == 4


def _f1_score(frame, labels):
    return f1_score(frame["truth"], frame["prediction"], labels=labels, average="macro", zero_division=0)


def test_confusions_per_subject_sum_to_those_of_the_variant_and_stand_in_their_file_alone(folder, judged):
    table = judged[1]["confusion-subjects"]
    rows = pd.DataFrame(_records(table))
    frame = _all(folder, "v2")
    for (subject, true, predicted), part in frame.groupby(["subject", "truth", "prediction"]):
        named = {"variant": "every", "subject": subject, "true": true, "predicted": predicted}
        row = rows[(rows[list(named)] == list(named.values())).all(axis=1)]
        assert row["windows"].item() == len(part)
        of_true = ((frame["subject"] == subject) & (frame["truth"] == true)).sum()
        assert row["share of the true activity"].item() == pytest.approx(len(part) / of_true)
    assert rows.query("variant == 'every'")["windows"].sum() == len(frame)


def test_shares_of_the_confusion_are_of_its_rows(judged):
    result, tables = judged
    for record in _records(tables["confusion-shares"]):
        found = result["variants"][record["variant"]]
        counts = np.array(found["confusion"])[found["activities"].index(record["true"])]
        assert [record[name] for name in found["activities"]] == pytest.approx(counts / counts.sum())


def test_agreement_calibration_and_the_worst_are_those_of_the_result(judged):
    result, tables = judged
    for record in _records(tables["measures"]):
        found = result["variants"][record["variant"]]
        assert (record["Cohen's kappa"], record["MCC"]) == (found["kappa"], found["mcc"])
        assert record["calibration error"] == found["calibration"]["ece"]
        worst = min(found["per_subject"], key=found["per_subject"].get)
        assert (record["worst subject"], record["its macro F1 (present)"]) == (worst, found["per_subject"][worst])
        lowest = min(found["per_activity"], key=lambda row: row["f1"])
        assert (record["worst activity"], record["its F1 (pooled)"]) == (lowest["activity"], lowest["f1"])


def test_the_reliability_curve_holds_every_window_once(folder, judged):
    result, tables = judged
    rows = [record for record in _records(tables["calibration"]) if record["variant"] == "every"]
    assert sum(row["windows"] for row in rows) == result["variants"]["every"]["windows"]
    assert all(row["probability from"] < row["mean probability"] <= row["to"] for row in rows)


def test_intervals_of_activities_hold_their_scores(judged):
    for record in _records(judged[1]["precision-recall"]):
        assert record["F1, 95 % from"] <= record["F1"] <= 1
        assert record["precision, 95 % from"] <= record["precision"]
        assert record["support, windows"] > 0


def test_event_tables_have_a_row_for_each_activity_and_null(judged):
    result, tables = judged
    for name in ("frames", "events"):
        rows = _records(tables[name])
        assert [row["activity"] for row in rows if row["variant"] == "every"] == ["walk", "sit", "stairs", "(null)"]
    for row in _records(tables["frames"]):
        missed = [row[name] for name in ("found", "deleted", "fragmenting", "underfill, start", "underfill, end")]
        assert sum(missed) == pytest.approx(1)
    counted = _records(tables["events"])[0]
    assert counted["true events"] == sum(
        counted[name] for name in ("correct", "deleted", "fragmented", "merged", "both")
    )
    assert counted["true events"] == 5 * 2
    macro = _records(tables["segments"])[-1]
    assert macro["F1 at IoU 0.5"] == result["variants"]["every"]["events"]["segmental_f1"]["0.5"]
    assert "Without a window:" in tables["frames"].note


def test_without_event_scores_the_tables_are_empty():
    assert [table.rows for table in event_tables({"a": None, "b": None})] == [[], [], []]
