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
        assert (row["steps"], row["best step, mean"], row["runs"]) == (400, 300, 8)


def _export(run, content):
    (run / "export").mkdir(exist_ok=True)
    (run / "export" / "deploy.json").write_text(content)


def test_latency_is_of_the_runs_that_were_exported_and_a_file_that_does_not_tell_it_is_named(folder, tmp_path):
    study = Path(shutil.copytree(folder, tmp_path / "s" / "d"))
    assert "har export" in study_page(study).markdown()
    for subject, content in ((1, {"single_ms": 0.5}), (2, {"single_ms": 0.8}), (3, {"single_ms": float("nan")})):
        cost = {"best.ckpt": {"single_ms": 7.0}, "model.onnx": content}
        _export(study / "v0" / f"subject-{subject}" / "repeat-0", json.dumps({"cost": cost}))
    _export(study / "v0" / "subject-4" / "repeat-0", "{")
    gathered = gather(study)
    result = judge(study, gathered, "present")
    first, second = _records(study_tables(result, gathered)["cost"])
    assert (first["latency of a window, ms"], first["runs exported"]) == (pytest.approx(0.65), 2)
    assert (second["latency of a window, ms"], second["runs exported"]) == (None, 0)
    for subject in (3, 4):
        assert (
            sum(f"latency of run v0/subject-{subject}/repeat-0 is left out" in said for said in result["problems"]) == 1
        )
    assert "no run was exported" not in study_page(study).markdown()


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
