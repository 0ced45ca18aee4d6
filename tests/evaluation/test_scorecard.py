"""What a run's scores look like to a person and to a spreadsheet."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from har.evaluation.scorecard import scorecard, scores_csv
from har.evaluation.scores import PREDICTIONS, score_file, score_run
from tests.fakes.study import FakeStudy, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("card"), FakeStudy(subjects=3, windows=8))


@pytest.fixture(scope="module")
def run(study):
    """The scores of one run."""
    return score_run(study / "v0" / "subject-1" / "repeat-0")


@pytest.fixture(scope="module")
def several(study, tmp_path_factory):
    """The scores of three subjects together, without the truth of their recordings."""
    path = tmp_path_factory.mktemp("several") / "all.parquet"
    pd.concat([pd.read_parquet(place) for place in sorted(study.glob(f"v0/*/*/{PREDICTIONS}"))]).to_parquet(path)
    return score_file(path)


def test_the_card_shows_agreement_calibration_the_worst_and_what_to_know(run, several):
    text = scorecard(several)
    for name in ("balanced_accuracy", "kappa", "mcc"):
        assert f"{several[name]:.3f}" in text
    assert f"calibration error   {several['calibration']['ece']:.3f}  15 bins" in text
    assert (
        f"worst subject       {several['worst_subject']['macro_f1']:.3f}  {several['worst_subject']['subject']}" in text
    )
    assert several["worst_activity"]["activity"] in text
    assert "F1, 95 % from" in text
    assert "note: No event scores: a predictions file alone" in text
    assert "F1, 95 % from" not in scorecard(run)  # of one subject


def test_the_card_of_continuous_recordings_shows_their_events_and_the_rule(run):
    text = scorecard(run)
    assert "Events on the time axis:" in text
    assert "whose centre is nearest" in " ".join(text.split())
    assert "Without a window: 8 % of the time." in " ".join(text.split())  # 1.5 of 19.5 s in each recording
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    by_name = {row[0]: row[1:] for row in rows[-6:]}  # below those of precision, recall and F1
    assert list(by_name)[-5:] == ["walk", "sit", "stairs", "(null)", "(macro)"]
    walk = run["events"]["per_activity"][0]
    assert by_name["walk"][0] == f"{walk['rates']['tpr']:.3f}"
    assert by_name["walk"][2:5] == [
        str(sum(walk["true_events"].values())),
        str(sum(walk["returned_events"].values())),
        str(walk["true_events"]["C"]),
    ]
    assert by_name["(macro)"][5] == f"{run['events']['segmental_f1']['0.5']:.3f}"


def test_the_card_fits_a_terminal_of_100_columns(run, several):
    for scores in (run, several):
        assert max(map(len, scorecard(scores).splitlines())) <= 100


def _values(scores):
    rows = list(csv.DictReader(io.StringIO(scores_csv(scores))))
    return {
        (row["subject"], row["score"], row["policy"], row["activity"], row["predicted"]): row["value"] for row in rows
    }


def test_the_csv_holds_every_score_once_at_full_precision(run, several):
    for scores in (run, several):
        text = scores_csv(scores)
        values = _values(scores)
        assert len(values) == len(text.splitlines()) - 1
        assert float(values["", "Cohen's kappa", "", "", ""]) == scores["kappa"]
        assert float(values["", "calibration error", "", "", ""]) == scores["calibration"]["ece"]
        assert (
            float(values["2" if scores is several else "1", "MCC", "", "", ""])
            == (scores["subjects"]["2" if scores is several else "1"]["mcc"])
        )
        share = scores["confusion_shares"][0][1]
        assert float(values["", "confusion share", "", "walk", "sit"]) == share
    low, high = several["per_activity"][1]["f1_interval"]
    assert float(_values(several)["", "f1, 95 % from", "", "sit", ""]) == low
    assert float(_values(several)["", "f1, 95 % to", "", "sit", ""]) == high
    assert _values(run)["", "f1, 95 % to", "", "sit", ""] == ""


def test_the_csv_holds_the_event_scores(run, several):
    values, walk = _values(run), run["events"]["per_activity"][0]
    assert float(values["", "segmental F1 at IoU 0.75", "present", "", ""]) == run["events"]["segmental_f1"]["0.75"]
    assert float(values["", "frames, s: TP", "", "walk", ""]) == walk["frames_s"]["TP"]
    assert int(values["", "true events: F", "", "walk", ""]) == walk["true_events"]["F"]
    assert int(values["", "returned events: I", "", "walk", ""]) == walk["returned_events"]["I"]
    assert not [key for key in _values(several) if "events" in key[1]]
