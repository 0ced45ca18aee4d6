"""`har evaluate` and `har report`, through the one entry of the command line."""

from __future__ import annotations

import csv
import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest

from har.__main__ import main
from tests.fakes.study import FakeStudy, write_study


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A study folder, not to be changed."""
    return write_study(tmp_path_factory.mktemp("built"), FakeStudy(subjects=8, absent={"2": ["stairs"]}))


@pytest.fixture
def study(built, tmp_path):
    """A copy of that folder."""
    return Path(shutil.copytree(built, tmp_path / "runs" / "placement" / "fake"))


@pytest.fixture
def run(study):
    """A run whose subject lacks an activity."""
    return study / "v2" / "subject-2" / "repeat-0"


def test_a_run_is_printed_as_a_table_and_written_as_json_and_csv(run, capsys):
    assert main(["evaluate", str(run)]) == 0
    text = capsys.readouterr().out
    scores = json.loads((run / "scores.json").read_text())
    assert "| activity | precision | recall |" in text
    assert "| stairs   |" in text
    assert f"macro F1 (present)  {scores['macro_f1']:.3f}" in text
    assert f"accuracy            {scores['accuracy']:.3f}  24 windows" in text
    assert "not in the truth:   stairs" in text
    rows = list(csv.DictReader((run / "scores.csv").read_text().splitlines()))
    macro = {row["policy"]: float(row["value"]) for row in rows if row["score"] == "macro F1" and not row["subject"]}
    assert macro == scores["macro_f1_by_policy"]
    f1 = {row["activity"]: row["value"] for row in rows if row["score"] == "f1"}
    assert {name: float(value) for name, value in f1.items() if value} == {
        row["activity"]: row["f1"] for row in scores["per_activity"] if row["f1"] is not None
    }
    counts = [int(row["value"]) for row in rows if row["score"] == "confusion" and not row["subject"]]
    assert sum(counts) == 24


def test_the_policy_of_the_headline_can_be_chosen(run, capsys):
    assert main(["evaluate", str(run), "--policy", "all", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["policy"] == "all"
    assert scores["macro_f1"] == scores["macro_f1_by_policy"]["all"] < scores["macro_f1_by_policy"]["present"]


def test_a_predictions_file_alone_is_scored_beside_it_or_in_a_folder(run, tmp_path, capsys):
    alone = tmp_path / "alone" / "mine.parquet"
    alone.parent.mkdir()
    shutil.copy(run / "predictions" / "running.parquet", alone)
    assert main(["evaluate", str(alone)]) == 0
    assert main(["evaluate", str(alone), "--out", str(tmp_path / "out")]) == 0
    assert main(["evaluate", str(run)]) == 0
    capsys.readouterr()
    expected = json.loads((run / "scores.json").read_text())
    for folder in (alone.parent, tmp_path / "out"):
        scores = json.loads((folder / "scores.json").read_text())
        of_events = {"events", "notes"}  # without the truth of the recordings there are none, which is said
        assert {key for key in expected if scores[key] != expected[key]} == of_events
        assert scores["events"] is None
        assert "No event scores: a predictions file alone has no truth at sample resolution." in scores["notes"]
        assert (folder / "scores.csv").is_file()


def test_with_out_a_run_folder_stays_as_it_was(run, tmp_path, capsys):
    assert main(["evaluate", str(run), "--out", str(tmp_path / "out")]) == 0
    assert not (run / "scores.json").exists()
    assert (tmp_path / "out" / "scores.json").is_file()


def test_a_study_is_printed_with_its_verdicts(study, capsys):
    assert main(["evaluate", str(study)]) == 0
    text = capsys.readouterr().out
    assert "macro F1 (present), mean over subjects" in text
    assert "every is better than input: +" in text
    assert (study / "contrasts.json").is_file()
    assert len(list(study.glob("v*/*/*/scores.json"))) == 24
    assert main(["evaluate", str(study), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((study / "contrasts.json").read_text())


def test_a_report_is_made_again_from_the_files(study, capsys):
    assert main(["report", str(study)]) == 0
    text = capsys.readouterr().out
    assert "every is better than input" in text
    assert str(study / "report.html") in text
    assert (study / "report.html").is_file()
    assert (study / "report.md").is_file()


def test_a_failed_run_is_said_first(study, capsys):
    (study / "v2/subject-1/repeat-0/run.json").unlink()
    assert main(["report", str(study)]) == 0
    assert capsys.readouterr().out.startswith("problem: Run v2/subject-1/repeat-0 does not count")


@pytest.mark.parametrize("command", ["evaluate", "report"])
@pytest.mark.parametrize("place", ["runs/placement", "runs/placement/faek", "runs/placement/fake/v0"])
def test_a_folder_that_is_nothing_names_the_studies_near_it(study, tmp_path, capsys, command, place):
    assert main([command, str(tmp_path / place)]) == 3
    error = capsys.readouterr().err
    assert str(study) in error
    assert "Traceback" not in error


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_a_folder_that_is_nothing_names_no_study_that_it_has_nothing_to_do_with(study, tmp_path, capsys, command):
    empty = tmp_path / "runs" / "notes"
    empty.mkdir()
    for place in (empty, tmp_path / "other", tmp_path / "runs" / "placement" / "other" / "x" / "y"):
        place.mkdir(parents=True, exist_ok=True)
        assert main([command, str(place)]) == 3
        assert str(study) not in capsys.readouterr().err
    for missing in ("runs/notes-2/fake", "nowhere"):
        assert main([command, str(tmp_path / missing)]) == 3
        assert str(study) not in capsys.readouterr().err


@pytest.mark.parametrize("place", ["runs", "runs/placment/fake", "runs/placement/spar", "runs/placement/fake/v9/x"])
def test_a_mistyped_folder_names_the_studies_that_may_be_meant(study, tmp_path, capsys, place):
    assert main(["evaluate", str(tmp_path / place)]) == 3
    assert str(study) in capsys.readouterr().err


def test_near_names_come_before_all_others(study, tmp_path, capsys):
    for name in ("near-1", "near-2", "another"):
        shutil.copytree(study, tmp_path / "many" / name)
    assert main(["evaluate", str(tmp_path / "many" / "near-3")]) == 3
    error = capsys.readouterr().err
    assert [name in error for name in ("near-1", "near-2", "another")] == [True, True, False]


@pytest.mark.parametrize(("out", "says"), [("taken", "is a file"), ("taken/a/b", "would lie in")])
def test_a_file_in_place_of_the_out_folder_is_one_clear_error(run, tmp_path, capsys, out, says):
    (tmp_path / "taken").write_text("mine")
    assert main(["evaluate", str(run), "--out", str(tmp_path / out)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
    assert (tmp_path / "taken").read_text() == "mine"
    assert not (run / "scores.csv").exists()


def test_the_card_of_a_run_says_which_activities_its_data_lack(run, capsys):
    record = json.loads((run / "run.json").read_text())
    record["classes_missing"]["validation"] = ["sit", "walk"]
    (run / "run.json").write_text(json.dumps(record))
    assert main(["evaluate", str(run)]) == 0
    text = capsys.readouterr().out
    assert "missing from validation: sit, walk\n" in text
    assert "missing from test: stairs\n" in text
    (run / "run.json").unlink()
    assert main(["evaluate", str(run)]) == 0
    assert "missing from" not in capsys.readouterr().out


def test_help_says_that_studies_refuse_pooled(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "studies refuse it" in " ".join(capsys.readouterr().out.split())


def test_a_run_without_predictions_says_what_to_do(run, capsys):
    (run / "predictions" / "running.parquet").unlink()
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"status": "failed", "error": "killed"}))
    assert main(["evaluate", str(run)]) == 3
    error = capsys.readouterr().err
    assert "has no predictions; its status is failed: killed" in error
    assert "--resume" in error


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--policy", "presnt"], 2, "Did you mean 'present'"),
        (["--polcy", "all"], 2, "--policy"),
        (["--policy", "pooled"], 2, "cannot be contrasted"),
        (["--out", "x"], 2, "Leave --out away"),
    ],
)
def test_wrong_options_are_one_clear_error(study, capsys, options, code, says):
    assert main(["evaluate", str(study), *options]) == code
    assert says in capsys.readouterr().err


def test_a_file_that_is_no_parquet_is_one_clear_error(tmp_path, capsys):
    (tmp_path / "x.parquet").write_text("no parquet")
    assert main(["evaluate", str(tmp_path / "x.parquet")]) == 3
    assert "x.parquet: the predictions file is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[1]", "{}", "{"])
def test_a_damaged_record_is_one_clear_error_with_predictions_and_without(run, tmp_path, capsys, content):
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "run.json").write_text(content)
    assert main(["evaluate", str(folder)]) == 3
    (folder / "predictions" / "running.parquet").unlink()
    assert main(["evaluate", str(folder)]) == 3
    assert capsys.readouterr().err.count("run.json is damaged") == 2


def test_a_wrong_row_of_a_file_is_named(run, tmp_path, capsys):
    frame = pd.read_parquet(run / "predictions" / "running.parquet")
    frame.loc[7, "prediction"] = "wlak"
    frame.to_parquet(tmp_path / "x.parquet")
    assert main(["evaluate", str(tmp_path / "x.parquet")]) == 3
    assert "x.parquet, row 7: prediction 'wlak'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def inferred(tmp_path_factory):
    """A study whose runs have other inferences."""
    plan = FakeStudy(subjects=6, inferences={"target": 0.05, "population": 0.1}, contrasts=[("none@target", "none")])
    return write_study(tmp_path_factory.mktemp("inferred"), plan)


def test_a_run_is_shown_under_each_of_its_inferences_with_the_transductive_ones_last(inferred, capsys):
    run = inferred / "v0" / "subject-1" / "repeat-0"
    assert main(["evaluate", str(run)]) == 0
    text = capsys.readouterr().out
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "| " in line]
    rows = [cells for cells in table if cells[0] in {"running", "population", "target"}]
    assert [cells[:2] for cells in rows] == [["running", "none"], ["population", "none"], ["target", "unlabelled"]]
    for name, cells in zip(("", "-population", "-target"), rows, strict=True):
        scores = json.loads((run / f"scores{name}.json").read_text())
        assert cells[2] == f"{scores['macro_f1']:.3f}"
    assert "The same weights" in text
    for page in ("norms.md", "other-people.md", "smoothing.md"):  # whatever an inference may be
        assert f"docs/{page}" in text


def test_json_holds_the_other_inferences_beside_the_scores(inferred, tmp_path, capsys):
    run = inferred / "v1" / "subject-1" / "repeat-0"
    assert main(["evaluate", str(run), "--json", "--out", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    others = printed.pop("inferences")
    assert printed == json.loads((tmp_path / "scores.json").read_text())
    assert others == {
        name: json.loads((tmp_path / f"scores-{name}.json").read_text()) for name in ("population", "target")
    }
    assert not list(run.glob("scores*"))


def test_a_study_prints_transductive_arms_apart(inferred, capsys):
    assert main(["evaluate", str(inferred)]) == 0
    text = capsys.readouterr().out
    plain, apart = text.split("Adapted to the test subject (transductive)")
    assert "none@population" in plain
    assert "none@target" not in plain
    assert "none@target" in apart


@pytest.fixture
def several(tmp_path):
    """The folder of a study on three data sets."""
    root = tmp_path / "runs" / "placement"
    for number, name in enumerate(("one", "two", "three")):
        write_study(root / name, FakeStudy(subjects=6, data_set=name, seed=number, windows=4))
    return root


def test_a_folder_of_studies_is_judged_over_its_data_sets(several, capsys):
    assert main(["evaluate", str(several)]) == 0
    text = capsys.readouterr().out
    assert "Contrasts over data sets, macro F1 (present)" in text
    assert "over 3 data sets" in text
    assert (several / "across.json").is_file()
    assert (several / "tables" / "forest.csv").is_file()
    assert len(list(several.glob("*/contrasts.json"))) == 3
    assert main(["evaluate", str(several), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((several / "across.json").read_text())


def test_studies_can_be_named_one_by_one_and_their_result_put_elsewhere(several, tmp_path, capsys):
    (several / "three").rename(tmp_path / "three")
    paths = [str(several / "one"), str(several / "two"), str(tmp_path / "three")]
    assert main(["evaluate", *paths]) == 2
    assert "--out FOLDER" in capsys.readouterr().err
    assert main(["evaluate", *paths, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "across.json").is_file()


def test_among_several_paths_one_that_is_no_study_is_named(several, capsys):
    assert main(["evaluate", str(several / "one"), str(several / "twoo")]) == 3
    error = capsys.readouterr().err
    assert "twoo does not exist" in error
    assert str(several / "two") in error
    assert "Traceback" not in error


def test_a_run_has_a_page_of_its_own_with_the_numbers_of_its_scores(run, capsys):
    (run / "metrics.jsonl").write_text('{"step": 50, "train_loss": 1.5, "validation_macro_f1": 0.5}\n')
    assert main(["evaluate", str(run), "--html", "--policy", "union"]) == 0
    assert f"{run / 'scores.html'}" in capsys.readouterr().out
    scores, page = json.loads((run / "scores.json").read_text()), (run / "scores.html").read_text()
    assert f"Macro F1 (union) is {scores['macro_f1']:.3f}" in page
    assert f'<td class="number">{scores["kappa"]:.3f}</td>' in page
    for name in ("activities", "confusion", "calibration", "curve-macro-f1", "curve-loss"):
        assert f'<figure id="figure-{name}">' in page
    assert f"har evaluate {run} --policy union --html" in page
    for text in ("seed", "2000", "commit", "0123456789abcdef", "Events of continuous recordings"):
        assert text in page


def test_predictions_that_stand_alone_have_a_page_with_their_subjects(study, tmp_path, capsys):
    runs = [study / f"v0/subject-{number}/repeat-0/predictions/running.parquet" for number in (1, 2, 3)]
    pd.concat([pd.read_parquet(path) for path in runs]).to_parquet(tmp_path / "all <b>.parquet")
    assert main(["evaluate", str(tmp_path / "all <b>.parquet"), "--html", "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "scores.html").read_text()
    assert "all &lt;b&gt;.parquet: subjects 1, 2, 3" in page
    assert "<b>" not in page
    assert '<figure id="figure-subjects">' in page
    assert "Provenance" not in page
    assert "figure-curve" not in page


def test_a_study_has_no_page_of_a_run(study, capsys):
    assert main(["evaluate", str(study), "--html"]) == 2
    assert "har report STUDY" in capsys.readouterr().err


def test_one_figure_of_a_report_is_drawn_alone(study, capsys):
    assert main(["report", str(study), "--figure", "differences"]) == 0
    path = study / "figures" / "differences.svg"
    assert str(path) in capsys.readouterr().out
    assert "var(" not in path.read_text()
    assert ET.fromstring(path.read_text()).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 (our own figure)
    assert not (study / "report.html").exists()
    assert main(["report", str(study), "--figure", "diferences"]) == 2
    assert "differences" in capsys.readouterr().err
