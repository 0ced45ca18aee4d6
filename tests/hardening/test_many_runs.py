"""A study of a thousand runs is planned, looked through, listed, gathered and reported in bounded time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from har.evaluation.comparison import judge
from har.evaluation.gathering import gather
from har.evaluation.report import write_report
from har.files import write_json
from har.study.conduct import survey
from har.study.definition import load_study
from har.study.listing import listing
from har.study.plan import Options, make_plan
from har.study.states import State
from har.training.record import identity
from tests.fakes.study import FakeStudy
from tests.fakes.study import write_study as write_fake_study
from tests.study.runners import write_results
from tests.study.small import write_root, write_study


@contextmanager
def timed(what: str, limit_s: float) -> Iterator[None]:
    began = time.process_time()
    yield
    spent_s = time.process_time() - began
    sys.stdout.write(f"1,000 runs: {what} {spent_s:.1f} s of a processor\n")
    assert spent_s < limit_s


@pytest.mark.slow
def test_a_thousand_runs_are_planned_and_looked_through(tmp_path):
    study = write_study(tmp_path, protocol={"folds": "loso", "validation_subjects": 2}, repeats=50)
    with timed("planned in", 60):
        plan = make_plan(load_study(study), Options(root=write_root(tmp_path / "data"), runs=tmp_path / "runs"))
    assert len(plan.runs) == 1000
    for run in plan.runs[:-1]:
        record = {"status": "done", "hashes": identity(run.config, run.fold), "inferences": ["running"], "seconds": 2.0}
        run.folder.mkdir(parents=True)
        write_results(run.folder)
        write_json(run.folder / "run.json", record)
    with timed("looked through in", 60):
        found = survey(plan)
    assert [state for state in found.states if state is not State.DONE] == [State.MISSING]
    with timed("listed in", 10):
        text = listing(found, jobs=2)
    assert "999 of 1000 runs are done" in text
    assert text.count("repeat-") == 1000


@pytest.mark.slow
def test_a_thousand_runs_are_gathered_and_reported(tmp_path):
    hit = {f"variant-{number}": 0.5 + 0.04 * number for number in range(10)}
    contrasts = [("variant-9", "variant-0"), ("variant-5", "variant-4")]
    study = write_fake_study(
        tmp_path / "study", FakeStudy(hit=hit, contrasts=contrasts, subjects=20, repeats=5, windows=6)
    )
    with timed("gathered in", 60):
        gathered = gather(study)
    assert len(gathered.runs) == 1000
    with timed("judged in", 60):
        judge(study, gathered, "present")
    with timed("gathered again, judged and reported in", 120):
        page = write_report(study)
    size_mb = page.stat().st_size / 1e6
    sys.stdout.write(f"1,000 runs: a page of {size_mb:.1f} MB\n")
    assert size_mb < 10
