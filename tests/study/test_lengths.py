"""The longest runs are started first, by what they were measured to take or by what their networks compute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from har.files import write_json
from har.study.definition import load_study
from har.study.lengths import longest_first, seconds_by_variant, usual_s
from har.study.plan import Options, Plan, make_plan
from har.study.runs import PlannedRun
from har.study.states import State
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
    found = longest_first([(run, state) for run in runs], known)
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


def test_runs_that_only_lack_predictions_come_last(plan: Plan) -> None:
    runs = [run for run in plan.runs if run.variant != "wide"]
    states = [State.LACKING, *[State.MISSING] * 5]
    known = {"none": 60.0, "every": 60.0}
    assert longest_first(list(zip(runs, states, strict=True)), known)[-1] == (runs[0], State.LACKING)
    assert longest_first([], known) == []


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
