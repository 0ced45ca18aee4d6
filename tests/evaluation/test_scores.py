"""The content of `scores.json`: what it holds, what it leaves out, and that it says so."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from har.errors import DataError
from har.evaluation.measures import macro_f1
from har.evaluation.predictions import PROBABILITY
from har.evaluation.scores import PREDICTIONS, score_file, score_run
from tests.fakes.study import FakeStudy, write_study


@pytest.fixture
def run(tmp_path):
    """A run whose subject lacks one activity."""
    plan = FakeStudy(subjects=3, absent={"2": ["stairs"]})
    return write_study(tmp_path, plan) / "v2" / "subject-2" / "repeat-0"


def test_scores_file_holds_every_policy_and_no_nan(run):
    scores = score_run(run)
    text = (run / "scores.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == scores
    assert scores["policy"] == "present"
    assert set(scores["macro_f1_by_policy"]) == {"present", "union", "all", "pooled"}
    assert scores["macro_f1"] == scores["macro_f1_by_policy"]["present"]
    assert scores["absent_from_truth"] == ["stairs"]
    assert scores["windows"] == 24
    stairs = scores["per_activity"][2]
    assert stairs["support"] == 0
    assert stairs["recall"] is None
    assert scores["macro_f1_by_policy"]["all"] < scores["macro_f1_by_policy"]["present"]


def test_subjects_are_averaged_and_confusions_summed(tmp_path, run):
    runs = [run.parents[1] / f"subject-{name}" / "repeat-0" for name in (1, 2)]
    both = pd.concat([pd.read_parquet(folder / PREDICTIONS) for folder in runs])
    both.to_parquet(tmp_path / "both.parquet")
    scores, (one, two) = score_file(tmp_path / "both.parquet"), [score_run(folder) for folder in runs]
    assert scores["macro_f1"] == pytest.approx((one["macro_f1"] + two["macro_f1"]) / 2)
    assert (np.array(scores["confusion"]) == np.array(one["confusion"]) + np.array(two["confusion"])).all()
    assert scores["macro_f1_by_policy"]["pooled"] == pytest.approx(macro_f1(np.array(scores["confusion"]), "pooled"))
    assert list(scores["subjects"]) == ["1", "2"]


def test_a_run_without_predictions_is_a_clear_error(run):
    (run / PREDICTIONS).unlink()
    with pytest.raises(DataError, match=r"running\.parquet") as caught:
        score_run(run)
    assert "har test" in caught.value.hint
    assert not (run / "scores.json").exists()


def _alone(run, tmp_path, change):
    """Score the run's predictions after a change, as a file of their own."""
    frame = change(pd.read_parquet(run / PREDICTIONS))
    frame.to_parquet(tmp_path / "alone.parquet")
    return score_file(tmp_path / "alone.parquet")


def test_confusions_are_given_as_shares_of_each_true_activity_too(run):
    scores = score_run(run)
    for found in (scores, *scores["subjects"].values()):
        for counts, shares in zip(found["confusion"], found["confusion_shares"], strict=True):
            assert shares is None if sum(counts) == 0 else shares == pytest.approx(np.array(counts) / sum(counts))
    assert scores["confusion_shares"][2] is None


def test_the_worst_subject_and_the_worst_activity_are_named(tmp_path):
    folder = write_study(tmp_path / "study", FakeStudy(subjects=4, windows=20, wobble=0.2))
    runs = [folder / "v0" / f"subject-{name}" / "repeat-0" for name in range(1, 5)]
    pd.concat([pd.read_parquet(run / PREDICTIONS) for run in runs]).to_parquet(tmp_path / "all.parquet")
    scores = score_file(tmp_path / "all.parquet")
    by_subject = {name: found["macro_f1"]["present"] for name, found in scores["subjects"].items()}
    assert scores["worst_subject"] == {
        "subject": min(by_subject, key=by_subject.get),
        "macro_f1": min(by_subject.values()),
    }
    assert scores["worst_activity"]["f1"] == min(row["f1"] for row in scores["per_activity"])
    assert score_run(runs[0])["worst_subject"] is None  # of one


def test_the_worst_activity_is_one_that_is_performed(run):
    scores = score_run(run)
    assert scores["per_activity"][2]["f1"] in (None, 0.0)
    assert scores["worst_activity"]["activity"] in ("walk", "sit")


def test_predictions_of_one_activity_throughout_are_said_and_their_agreement_is_undefined(run, tmp_path):
    def constant(frame):
        for name in ("walk", "sit", "stairs"):
            frame[PROBABILITY + name] = np.float32(name == "sit")
        return frame.assign(prediction="sit")

    scores = _alone(run, tmp_path, constant)
    assert "Every window is predicted as sit, so kappa and MCC say nothing." in scores["notes"]
    assert (scores["kappa"], scores["mcc"]) == (0.0, None)
    assert scores["balanced_accuracy"] == 0.5
    assert not [note for note in score_run(run)["notes"] if "predicted as" in note]


def test_one_activity_that_is_predicted_rightly_throughout_is_no_suspicion(run, tmp_path):
    scores = _alone(run, tmp_path, lambda frame: frame[(frame["truth"] == "walk") & (frame["prediction"] == "walk")])
    assert not [note for note in scores["notes"] if "predicted as" in note]
    assert scores["worst_activity"] is None


def test_one_subject_has_no_intervals_and_the_notes_say_so(run, tmp_path):
    scores = score_run(run)
    assert {row[f"{name}_interval"] for row in scores["per_activity"] for name in ("precision", "recall", "f1")} == {
        None
    }
    assert "One subject: there are no intervals over subjects." in scores["notes"]
    other = pd.read_parquet(run.parents[1] / "subject-1" / "repeat-0" / PREDICTIONS)
    two = _alone(run, tmp_path, lambda frame: pd.concat([frame, other]))
    assert not [note for note in two["notes"] if "One subject" in note]
    by_name = {row["activity"]: row["f1_interval"] for row in two["per_activity"]}
    assert by_name["walk"] is not None
    assert by_name["stairs"] is None  # performed by one subject alone


def test_scores_derive_from_predictions_and_truth_alone(run):
    before = score_run(run)
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.suffix != ".parquet":
            path.unlink()
    assert score_run(run) == before
