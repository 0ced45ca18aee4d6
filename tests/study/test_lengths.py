"""The longest runs are started first, by what they were measured to take or by what their networks compute."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from har.errors import UsageError
from har.files import write_json
from har.study.conduct import survey
from har.study.definition import load_study
from har.study.lengths import Lengths, longest_first, seconds_by_variant, usual_s
from har.study.plan import Options, Plan, make_plan
from har.study.rehearsal import rehearse
from har.study.runs import PlannedRun
from har.study.states import State
from har.training.module import HarModule
from tests.study.small import write_study

LEARNER = "har.learners.cnn.CNN"
STUDY: dict[str, Any] = {
    "variants": {
        "none": {"model.norm.placement": "none"},
        "every": {"model.norm.placement": "every"},
        "wide": {"model.learner.init_args.filters": [512, 512]},
    },
    "contrasts": [{"a": "every", "b": "none", "primary": True}],
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Plan:
    return make_plan(load_study(write_study(tmp_path_factory.mktemp("study"), **STUDY)), Options(root=data_root))


def order(plan: Plan, known: dict[str, float], variants: Sequence[str], state: State = State.MISSING) -> list[str]:
    runs = [run for run in plan.runs if run.variant in variants]
    found = longest_first([(run, state) for run in runs], known, Lengths())
    assert sorted(run.folder for run, _ in found) == sorted(run.folder for run in runs)
    return [run.variant for run, _ in found]


def test_a_network_that_computes_much_more_is_started_first_and_others_stay_paired(plan: Plan) -> None:
    assert order(plan, {}, ["none", "every", "wide"]) == ["wide"] * 3 + ["none", "every"] * 3


def test_what_was_measured_counts_more_than_what_is_computed(plan: Plan) -> None:
    assert order(plan, {"every": 9.0, "none": 2.0, "wide": 1.0}, ["none", "every", "wide"]) == [
        *["every"] * 3,
        *["none"] * 3,
        *["wide"] * 3,
    ]
    assert order(plan, {"every": 1.9, "none": 1.0}, ["none", "every"]) == ["none", "every"] * 3


def test_networks_are_expected_to_take_as_long_as_they_compute_and_what_is_fitted_at_once_as_usual(plan: Plan) -> None:
    run = plan.runs[0]
    learners = {"narrow": [8, 8], "wide": [8, 512]}
    runs = [_with(run, name, learner=_cnn(filters)) for name, filters in learners.items()]
    runs.append(_with(run, "features", learner="har.learners.handcrafted.HandCrafted", head={"kind": "ridge"}))
    lengths = Lengths()
    found = {run.folder.name: lengths.usual_s(run) for run in runs}
    for name, (_, filters) in learners.items():
        multiply_adds = 96 * 8 * 6 * 5 + 20 * filters * 8 * 5 + filters * 2
        assert found[name] == pytest.approx(usual_s(run, multiply_adds))
    assert found["features"] == usual_s(run)


def test_every_distinct_network_is_built_once_from_the_survey_to_the_last_start(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, build = [], HarModule.build

    def counted(module: HarModule, *given: Any) -> None:
        built.append(module)
        build(module, *given)

    monkeypatch.setattr(HarModule, "build", counted)
    found = survey(plan)
    longest_first(found.to_do(), {"none": 1.0}, found.lengths)
    survey(plan, found.lengths)
    assert len(built) == 2


def test_a_network_that_cannot_be_built_is_refused_by_its_rehearsal_with_the_name_of_its_variant(
    tmp_path: Path, data_root: Path
) -> None:
    study = STUDY | {"variants": {**STUDY["variants"], "deep": {"model.norm.placement": [9]}}}
    found = survey(make_plan(load_study(write_study(tmp_path, **study)), Options(root=data_root)))
    with pytest.raises(UsageError, match="norm position 9") as refusal:
        rehearse(found)
    assert "all runs of variant 'deep' would fail" in str(refusal.value)


def _cnn(filters: list[int]) -> dict[str, Any]:
    return {"class_path": LEARNER, "init_args": {"filters": filters, "kernel": 5, "pool": [4, 2]}}


def _with(run: PlannedRun, name: str, **model: Any) -> PlannedRun:
    norm = {**run.config["model"]["norm"], "placement": "none"}
    config = {**run.config, "model": {**run.config["model"], "norm": norm, **model}}
    return dataclasses.replace(run, folder=run.folder.parent / name, config=config)


def test_runs_that_only_lack_predictions_come_last(plan: Plan) -> None:
    runs = [run for run in plan.runs if run.variant != "wide"]
    states = [State.LACKING, *[State.MISSING] * 5]
    known = {"none": 60.0, "every": 60.0}
    assert longest_first(list(zip(runs, states, strict=True)), known, Lengths())[-1] == (runs[0], State.LACKING)
    assert longest_first([], known, Lengths()) == []


def test_seconds_are_the_mean_over_what_is_finished(tmp_path: Path, plan: Plan) -> None:
    def at(run: PlannedRun, name: str, **record: Any) -> PlannedRun:
        write_json(tmp_path / name / "run.json", {"status": "done", **record})
        return PlannedRun(run.variant, run.fold, run.repeat, tmp_path / name, run.config)

    runs = [at(plan.runs[0], "a", seconds=2.0), at(plan.runs[0], "b", seconds=4.0), at(plan.runs[1], "c")]
    assert seconds_by_variant(runs) == {plan.runs[0].variant: 3.0}


def test_a_usual_run_takes_what_was_measured(plan: Plan) -> None:
    run = plan.runs[0]
    assert usual_s(run) == pytest.approx(0.4 + 30 * (0.004 + 0.00022 * 32))
    assert usual_s(run, 2 * 1.67e6) == pytest.approx(0.4 + 30 * (0.004 + 0.00044 * 32))
