"""Cost and learning curves of variants: plain means and quantiles of what the runs' own files say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from har.evaluation.comparison import judge
from har.evaluation.gathering import gather
from har.evaluation.report import study_page
from har.evaluation.run_page import SECTIONS, RunMaterial
from har.evaluation.tables import study_tables
from tests.fakes.study import FakeStudy, write_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two variants and two inferences; every run took another time, and one says nothing of its memory."""
    plan = FakeStudy({"a": 0.8, "b": 0.6}, [("a", "b")], subjects=4, repeats=2, inferences={"population": 0.1})
    folder = write_study(tmp_path_factory.mktemp("cost") / "s" / "d", plan)
    for number, path in enumerate(sorted(folder.glob("v*/*/*/run.json"))):
        record = json.loads(path.read_text()) | {"seconds": 10.0 + number**2, "peak_memory_mib": 500.0 + number}
        if number == 3:
            del record["peak_memory_mib"]
        path.write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def tables(folder):
    gathered = gather(folder)
    return study_tables(judge(folder, gathered, "present"), gathered)


def _records(table):
    return [dict(zip([column.head for column in table.columns], row, strict=True)) for row in table.rows]


def test_every_variant_has_its_cost_once_whatever_its_inferences(folder, tables):
    rows = _records(tables["cost"])
    assert [row["variant"] for row in rows] == ["a", "b"]
    for row, place in zip(rows, ("v0", "v1"), strict=True):
        records = [json.loads(path.read_text()) for path in folder.glob(f"{place}/*/*/run.json")]
        seconds = [record["seconds"] for record in records]
        memory = [record["peak_memory_mib"] for record in records if "peak_memory_mib" in record]
        assert row["seconds per run"] == pytest.approx(np.mean(seconds))
        assert row["SD over runs"] == pytest.approx(np.std(seconds, ddof=1))
        assert row["peak memory, MiB"] == pytest.approx(np.mean(memory))
        assert (row["optimiser steps"], row["best step, mean"], row["runs"]) == (400, 300, 8)


def _export(run, single_ms=0.5, *, int8_f1=None):
    """Write what `har export` leaves: of each form ten times the latency of the one before, and F1 of 0.9."""
    forms = ["model.onnx", "model.pt2", "best.ckpt", *(["model-int8.onnx"] if int8_f1 is not None else [])]
    cost = {
        name: {"bytes": 2000, "single_ms": 10**n * single_ms, "single_ms_p90": 2.0, "batch_ms_per_window": 0.1}
        for n, name in enumerate(forms)
    }
    score = dict.fromkeys(forms, 0.9) | ({"model-int8.onnx": int8_f1} if int8_f1 is not None else {})
    int8 = {"why": "it has a strange layer."} if int8_f1 is None else {"method": "static"}
    content = {"cost": cost, "macro_f1": score, "int8": int8, "machine": "a machine"}
    (run / "export").mkdir(exist_ok=True)
    (run / "export" / "deploy.json").write_text(json.dumps(content))


def test_cost_of_use_is_of_the_runs_that_were_exported_and_a_file_that_does_not_tell_it_is_named(folder, tmp_path):
    study = Path(shutil.copytree(folder, tmp_path / "s" / "d"))
    assert "har export" in study_page(study).markdown()
    assert "Cost of use" not in study_page(study).markdown()
    _export(study / "v0" / "subject-1" / "repeat-0", 0.5, int8_f1=0.88)
    _export(study / "v0" / "subject-2" / "repeat-0", 0.8)
    _export(study / "v0" / "subject-3" / "repeat-0", float("nan"))
    _export(study / "v0" / "subject-4" / "repeat-0")
    (study / "v0" / "subject-4" / "repeat-0" / "export" / "deploy.json").write_text("{")
    gathered = gather(study)
    result = judge(study, gathered, "present")
    tables = study_tables(result, gathered)
    first, second = _records(tables["cost"])
    assert (first["latency of a window, ms"], first["runs exported"]) == (pytest.approx(0.65), 2)
    assert (second["latency of a window, ms"], second["runs exported"]) == (None, 0)
    rows = _records(tables["cost-of-use"])
    assert [(row["variant"], row["form"], row["runs exported"]) for row in rows] == [
        ("a", "checkpoint, torch eager", 2),
        ("a", "torch.export", 2),
        ("a", "ONNX", 2),
        ("a", "ONNX, 8 bits (static)", 1),
    ]
    assert [row["one window, ms"] for row in rows] == pytest.approx([65, 6.5, 0.65, 500])
    assert [row["lost, F1 points"] for row in rows] == pytest.approx([0, 0, 0, 0.02])
    assert (rows[3]["macro F1"], rows[3]["kB"], rows[3]["in a batch of 64, ms per window"]) == (0.88, 2.0, 0.1)
    for subject in (3, 4):
        said = f"cost of use of run v0/subject-{subject}/repeat-0 is left out"
        assert sum(said in problem for problem in result["problems"]) == 1
    page = study_page(study).markdown()
    assert "no run was exported" not in page
    assert "a has no form in 8 bits: it has a strange layer." in page
    assert "on a machine" in page


def test_a_learner_that_is_fitted_at_once_has_no_steps_and_tells_what_its_head_tried(folder, tmp_path):
    """Its lines of metrics are numbered by what the head tried, which is no time."""
    study = Path(shutil.copytree(folder, tmp_path / "s" / "d"))
    tried = [{"c": c, "validation_loss": 1.0, "validation_macro_f1": 0.5 + c} for c in (0.125, 0.25)]
    for number, path in enumerate(sorted(study.glob("v1/*/*/run.json"))):
        chosen = {"c": 0.125 if number == 0 else 0.25}
        head = {"kind": "linear_svm", "chosen": chosen, "tried": tried}
        record = {"at_once": True, "head": head, "best_step": 2, "best_validation_macro_f1": 0.75}
        path.write_text(json.dumps(json.loads(path.read_text()) | record | {"multiply_adds": 3_000_000}))
    gathered = gather(study)
    tables = study_tables(judge(study, gathered, "present"), gathered)
    trained, fitted = _records(tables["cost"])
    assert (trained["optimiser steps"], fitted["optimiser steps"], fitted["best step, mean"]) == (400, None, None)
    assert (trained["multiply-adds per window, millions"], fitted["multiply-adds per window, millions"]) == (None, 3.0)
    assert {row[0] for row in tables["curves"].rows} == {"a"}
    (row,) = tables["heads"].rows
    assert row == ["b", "linear_svm", "fitted", "c 0.125 to c 0.25, 2 values", "c 0.25 (7), c 0.125 (1)", 0.75, 8]
    page = study_page(study).markdown()
    assert "b: without steps, batches or a learning rate" in page
    assert "heads" not in study_tables(judge(folder, gather(folder), "present"), gather(folder))


def test_the_page_of_a_run_that_is_fitted_at_once_shows_what_its_head_tried_in_place_of_a_curve():
    tried = [{"alpha": a, "validation_loss": 1.5, "validation_macro_f1": 0.5} for a in (10.0, 1.0)]
    record = {"at_once": True, "best_step": 1, "head": {"kind": "ridge", "chosen": {"alpha": 10.0}, "tried": tried}}
    curve = [{"step": place, **each} for place, each in enumerate(tried, start=1)]
    section = SECTIONS[-1](RunMaterial("a", {}, "har evaluate", record=record, curve=curve))
    assert section.title == "What the head tried (ridge)"
    assert section.lead.endswith("alpha 10.")
    assert section.tables[0].rows == [["alpha 10", 1.5, 0.5], ["alpha 1", 1.5, 0.5]]
    assert not section.figures


def test_curves_have_mean_and_the_ends_of_the_middle_runs(folder, tables):
    rows = [row for row in tables["curves"].rows if row[0] == "b"]
    curves = [
        [json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob("v1/*/*/metrics.jsonl")
    ]
    assert [row[1] for row in rows] == [point["step"] for point in curves[0]]
    for place, row in enumerate(rows):
        for at, key in ((3, "train_loss"), (6, "validation_macro_f1")):
            values = [curve[place][key] for curve in curves]
            assert row[at : at + 3] == pytest.approx([np.mean(values), *np.percentile(values, [10, 90])])
