"""What runs and studies leave behind, and models, with damage in them: scored and used, or refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from hypothesis import strategies as st

import har
from har.commands import evaluate
from har.deploy.facts import PROPERTY
from har.deploy.formats import exported, save_onnx, save_program
from har.deploy.model import Model
from har.deploy.networks import classifier_of
from har.evaluation.comparison import judge
from har.evaluation.gathering import gather
from har.evaluation.report import write_report
from har.evaluation.scores import score_run
from har.windows.prepare import open_store
from tests.deploy.made import made_run
from tests.fakes.study import FakeStudy
from tests.fakes.study import write_study as write_fake_study
from tests.hardening.fuzz import cases, damaged, fuzz, rewritten
from tests.study.small import write_root

Case = tuple[Path, bytes]


def damage_to(path: Path) -> st.SearchStrategy[Case]:
    """Draw a file with other bytes, or with other values where it is JSON or YAML."""
    whole = path.read_bytes()
    ways = damaged(whole)
    if path.suffix == ".json":
        ways |= rewritten(json.loads(whole)).map(lambda value: json.dumps(value).encode())
    if path.suffix == ".yaml":
        ways |= rewritten(yaml.safe_load(whole)).map(lambda value: yaml.safe_dump(value).encode())
    return ways.map(lambda content: (path, content))


def with_damage(case: Case, call: Any) -> None:
    """Call with one file damaged for that time."""
    path, content = case
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        call()
    finally:
        path.write_bytes(whole)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    plan = FakeStudy(subjects=2, windows=4, hit={"none": 0.6, "every": 0.9}, contrasts=[("every", "none")])
    return write_fake_study(tmp_path_factory.mktemp("runs") / "study", plan)


@cases(20, 400)
def test_predictions(count, study):
    run = study / "v0" / "subject-1" / "repeat-0"
    files = [run / "predictions" / "running.parquet", run / "truth.parquet"]
    each = st.sampled_from(files).flatmap(damage_to)
    fuzz(count, each, lambda case: with_damage(case, lambda: score_run(run, write=False)))


@cases(10, 300)
def test_records_of_studies_and_runs(count, study):
    run = study / "v1" / "subject-2" / "repeat-0"
    files = [study / "study.json", run / "run.json", run / "metrics.jsonl", run / "fold.json"]
    each = st.sampled_from(files).flatmap(damage_to)
    fuzz(count, each, lambda case: with_damage(case, lambda: judge(study, gather(study), "present")))


@cases(1, 60)
def test_reports(count, study):
    files = [study / "study.json", study / "v1" / "subject-2" / "repeat-0" / "run.json"]
    fuzz(count, st.sampled_from(files).flatmap(damage_to), lambda case: with_damage(case, lambda: write_report(study)))


@cases(1, 60)
def test_pages_of_runs(count, study):
    run = study / "v0" / "subject-2" / "repeat-0"
    arguments = [str(run), "--html"]
    fuzz(count, damage_to(run / "run.json"), lambda case: with_damage(case, lambda: evaluate.main(arguments)))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    root = write_root(tmp_path_factory.mktemp("data"))
    return made_run(tmp_path_factory.mktemp("models") / "run", open_store("spar", root), root=root)


def used(path: Path) -> Model:
    model = har.load(path)
    model.predict(np.random.default_rng(0).normal(0, 3, (150, 6)), rate_hz=50)
    return model


@cases(12, 250)
def test_runs_in_use(count, run):
    files = [run / "checkpoints" / "best.ckpt", run / "run.json", run / "config.yaml"]
    fuzz(count, st.sampled_from(files).flatmap(damage_to), lambda case: with_damage(case, lambda: used(run)))


@cases(4, 60)
def test_what_a_model_says_of_itself(count, run):
    facts, path = used(run).facts, run.parent / "facts.onnx"
    save_onnx(exported(classifier_of(run), facts.samples, len(facts.channels.made)), facts, path)
    model = onnx.load(path)
    (said,) = (entry for entry in model.metadata_props if entry.key == PROPERTY)

    def call(value: Any) -> None:
        said.value = json.dumps(value)
        onnx.save(model, path)
        used(path)

    fuzz(count, rewritten(json.loads(said.value)), call)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "save", "count"), [("model.onnx", save_onnx, 250), ("model.pt2", save_program, 40)])
def test_exported_models(name, save, count, run):
    facts = used(run).facts
    path = run.parent / name
    save(exported(classifier_of(run), facts.samples, len(facts.channels.made)), facts, path)
    fuzz(count, damage_to(path), lambda case: with_damage(case, lambda: used(path)))
