"""Contrasts over several data sets: what they rest on, what they say, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from har.errors import DataError, UsageError
from har.evaluation.across import evaluate_across, forest_table, studies_in
from har.evaluation.forest_page import PAGE, forest_page, write_forest_page
from har.evaluation.gathering import gather
from har.evaluation.mixed_model import fit
from har.evaluation.paired import pair_up
from tests.fakes.study import FakeStudy, write_study

SUBJECTS = {"one": 7, "two": 6, "three": 8}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """One study on three data sets; not to be changed."""
    root = tmp_path_factory.mktemp("across") / "placement"
    for number, (name, subjects) in enumerate(SUBJECTS.items()):
        write_study(root / name, FakeStudy(subjects=subjects, data_set=name, seed=number, repeats=2, windows=6))
    return root


@pytest.fixture(scope="module")
def judged(built):
    """That study, judged."""
    return evaluate_across(_folders(built), built)


@pytest.fixture
def root(built, tmp_path):
    return Path(shutil.copytree(built, tmp_path / "placement"))


def _folders(root):
    return [root / name for name in SUBJECTS]


def test_a_contrast_over_data_sets_is_the_mixed_model_of_their_differences(built, judged):
    root, result = built, judged
    assert json.loads((root / "across.json").read_text(), parse_constant=pytest.fail) == result
    assert [(found["a"], found["b"]) for found in result["contrasts"]] == [("every", "input"), ("input", "none")]
    for found, number in zip(result["contrasts"], (0, 1), strict=True):
        alone = [json.loads((root / name / "contrasts.json").read_text())["contrasts"][number] for name in SUBJECTS]
        for row, by_itself in zip(found["data_sets"], alone, strict=True):
            for key in ("mean", "interval", "p", "subjects", "repeats", "verdict"):
                assert row[key] == by_itself[key]
        assert found["subjects"] == sum(SUBJECTS.values())
        assert sum(row["weight"] for row in found["data_sets"]) == pytest.approx(1)
        assert found["mean"] == pytest.approx(sum(row["weight"] * row["mean"] for row in found["data_sets"]), abs=2e-3)
    first, second = result["contrasts"]
    assert first["verdict"] == "better"
    assert first["sentence"].startswith("every is better than input: +")
    assert "over 3 data sets" in first["sentence"]
    assert "21 subjects" in first["sentence"]
    assert first["p_holm"] == pytest.approx(2 * first["p"])
    assert second["verdict"] == "undecided"
    assert result["problems"] == []


def test_the_model_is_given_subjects_and_repeats(built, judged):
    found = judged["contrasts"][0]
    pairs = [pair_up(gather(folder), "every", "input", "present") for folder in _folders(built)]
    assert [found.difference_SR.shape for found in pairs] == [(S, 2) for S in SUBJECTS.values()]
    fitted = fit([found.difference_SR for found in pairs])
    assert (found["mean"], found["error"], found["p"]) == (fitted.mean, fitted.error, fitted.p)
    assert found["sd_repeats"] == fitted.sd_repeats
    assert found["error"] > 0
    assert np.mean(found["interval"]) == pytest.approx(found["mean"])


def test_the_forest_has_a_row_for_each_data_set_and_one_for_all(built, judged):
    table = forest_table(judged)
    rows = list(csv.DictReader(io.StringIO((built / "tables" / "forest.csv").read_text())))
    assert len(rows) == len(table.rows) == 2 * 4
    assert [row["data set"] for row in rows] == [*SUBJECTS, "(all)"] * 2
    assert rows[0]["weight"]
    assert not rows[3]["weight"]


def test_a_data_set_without_the_contrast_is_named_and_two_are_not_enough(root):
    study = json.loads((root / "two" / "study.json").read_text())
    study["contrasts"] = study["contrasts"][:1]
    (root / "two" / "study.json").write_text(json.dumps(study))
    result = evaluate_across(_folders(root), root)
    assert "input against none is not there in two; nothing was filled in." in result["problems"]
    second = result["contrasts"][1]
    assert (second["verdict"], second["mean"], second["p_holm"]) == ("not judged", None, None)
    assert "2 data sets, and 3 are needed" in second["sentence"]
    assert [row["data_set"] for row in second["data_sets"]] == ["one", "three"]
    assert result["contrasts"][0]["p_holm"] == pytest.approx(
        2 * result["contrasts"][0]["p"]
    )  # the family keeps its size


def test_what_a_study_lacks_is_said_under_its_data_set(root):
    for run in (root / "two").glob("v2/*/*/run.json"):
        run.unlink()
    result = evaluate_across(_folders(root), root)
    assert any(problem.startswith("two: Run v2/subject-1/repeat-0 does not count") for problem in result["problems"])
    assert "every against input is not there in two; nothing was filled in." in result["problems"]


def test_variants_with_other_settings_and_studies_of_other_names_are_said(root):
    study = json.loads((root / "three" / "study.json").read_text())
    study["variants"]["input"] = {"model.norm.placement": "first"}
    (root / "three" / "study.json").write_text(json.dumps(study | {"name": "other"}))
    problems = evaluate_across(_folders(root), root)["problems"]
    assert problems[0] == "The studies have different names: other, placement."
    assert problems.count("Variant input has other settings on three than on one.") == 1  # of two contrasts


def test_the_same_data_set_twice_and_one_alone_are_refused(root):
    (root / "across.json").unlink()
    shutil.copytree(root / "one", root / "again")
    with pytest.raises(UsageError, match="'one' is there twice"):
        evaluate_across([*_folders(root), root / "again"], root)
    with pytest.raises(UsageError, match="there is one data set, one"):
        evaluate_across([root / "one"], root)
    assert not (root / "across.json").exists()
    with pytest.raises(UsageError, match="'pooled' gives one number"):
        evaluate_across(_folders(root), root, "pooled")


def test_a_path_means_its_study_or_those_below_it(root, tmp_path):
    assert studies_in(root) == sorted(_folders(root))
    assert studies_in(root / "one") == [root / "one"]
    with pytest.raises(DataError, match="is no study"):
        studies_in(root / "one" / "v0")


def test_the_same_files_give_the_same_result(built, judged):
    assert evaluate_across(_folders(built), built) == judged


def test_the_page_shows_every_data_set_and_all_of_them_with_the_numbers_of_the_table(judged, tmp_path):
    page = forest_page(judged, tmp_path)
    (section,) = page.sections
    assert [figure.name for figure in section.figures] == ["forest-0", "forest-1"]
    for name in (*SUBJECTS, "all"):
        assert f">{name}, S = " in section.figures[0].svg
    assert section.tables[0].cells() == forest_table(judged).cells()
    assert page.answer == [judged["contrasts"][0]["sentence"]]
    path = write_forest_page(tmp_path, judged)
    assert path == tmp_path / PAGE
    text = path.read_text()
    assert text.count("<svg") == 2
    assert all(cell.replace("-", "−", 1) in text for row in forest_table(judged).cells() for cell in row[3:6])


def test_data_sets_that_are_too_few_are_drawn_without_a_mean_over_all(root, tmp_path):
    result = evaluate_across(_folders(root)[:2], tmp_path)
    (figure, _) = forest_page(result, tmp_path).sections[0].figures
    assert ">one, S = 7</text>" in figure.svg
    assert ">all, S" not in figure.svg
    assert forest_page({**result, "contrasts": []}, tmp_path).sections[0].figures == []
