"""Runs of a study put into stacks: who goes with whom, and that the study comes to what single runs come to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from har.__main__ import main
from har.study.definition import load_study
from har.study.execute import Outcome, Task, execute
from har.study.fused import FusedExecutor, arrange
from har.study.plan import Options, Plan, make_plan
from har.study.states import State
from har.training.run import run
from tests.kills import kill_when, results, start
from tests.study.small import fold, write_study

STUDY: dict[str, Any] = {
    "variants": {
        "none": {"model.norm.placement": "none"},
        "every": {"model.norm.placement": "every"},
        "unscaled": {"model.norm.placement": "every", "model.scaling": "none"},
        "precise": {"model.norm.placement": "every", "model.precise_validation": True},
    },
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Plan:
    return make_plan(load_study(write_study(tmp_path_factory.mktemp("study"), **STUDY)), Options(root=data_root))


def variants_of(groups: Any) -> list[list[str]]:
    return sorted(sorted({run.variant for run in group}) for group in groups)


def test_runs_that_differ_in_values_alone_are_trained_together(plan: Plan) -> None:
    found = arrange([(run, State.MISSING) for run in plan.runs], largest=64, jobs=4, spread=False)
    stacks = [group for group in found.groups if len(group) > 1]
    assert variants_of(stacks) == [["every", "unscaled"], ["none"]]
    assert sorted(map(len, stacks)) == [3, 6]
    assert found.reasons == {"exact statistics for validation are measured network by network": ("precise",)}
    assert [len(group) for group in found.groups[2:]] == [1, 1, 1]
    assert found.sentences() == [
        "9 runs are trained together, in 2 stacks of 3 to 6; 3 by themselves.",
        "By themselves: precise: exact statistics for validation are measured network by network.",
    ]


def test_a_run_that_goes_on_from_what_there_is_is_made_by_itself(plan: Plan) -> None:
    states = [State.CUT_OFF, State.FAILED, State.LACKING, *[State.MISSING] * 9]
    to_do = list(zip(plan.runs, states, strict=True))
    alone = [group[0].folder for group in arrange(to_do, largest=64, jobs=1, spread=True).groups if len(group) == 1]
    assert {plan.runs[0].folder, plan.runs[2].folder} <= set(alone)


@pytest.mark.parametrize(
    ("largest", "jobs", "spread", "sizes"),
    [(64, 1, True, [6]), (64, 2, True, [3, 3]), (64, 2, False, [6]), (4, 1, True, [3, 3]), (64, 9, True, [2, 2, 2])],
)
def test_stacks_are_of_even_size_and_never_above_the_bound(
    plan: Plan, largest: int, jobs: int, spread: bool, sizes: list[int]
) -> None:
    runs = [run for run in plan.runs if run.variant in ("every", "unscaled")]
    found = arrange([(run, State.MISSING) for run in runs], largest=largest, jobs=jobs, spread=spread)
    assert [len(group) for group in found.groups] == sizes
    assert [run for group in found.groups for run in group] == runs


def test_one_run_needs_no_trial(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("har.training.stackable.obstacle", lambda config: pytest.fail("tried"))
    found = arrange([(plan.runs[0], State.MISSING)], largest=64, jobs=1, spread=True)
    assert (len(found.groups), found.reasons) == (1, {})
    assert arrange([], largest=64, jobs=1, spread=True).sentences() == []


def outcomes_of(folder: Path, parcels: list[Any], jobs: int = 1) -> dict[str, Outcome]:
    outcomes = execute(parcels, jobs=jobs, logs=folder / "logs", runner="tests.study.runners:act")
    return {Path(outcome.task.folder).name: outcome for outcome in outcomes}


def test_runs_made_together_answer_one_by_one_and_die_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("har.study.execute.TOGETHER", "tests.study.runners:act_together")
    stacks = {"a": ["nothing", "refuse", "nothing"], "b": ["nothing", "die", "nothing"], "c": ["nothing", "exit"]}
    parcels: list[Task | tuple[Task, ...]] = [
        tuple(Task(str(tmp_path / f"{name}{i}"), {"do": act}) for i, act in enumerate(acts))
        for name, acts in stacks.items()
    ]
    ended = outcomes_of(tmp_path, [*parcels, Task(str(tmp_path / "d0"), {"do": "nothing"})])
    assert {name for name, outcome in ended.items() if outcome.error is None} == {"a0", "a2", "b0", "c0", "d0"}
    assert "activity walk is missing" in str(ended["a1"].error)
    assert all("was killed by SIGKILL" in str(ended[name].error) for name in ("b1", "b2"))
    assert "the parser gave up" in str(ended["c1"].error)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    """The folder of a study that was made together."""
    folder = tmp_path_factory.mktemp("made")
    study = write_study(folder, [fold("1"), fold("2")])
    words = ["study", str(study), "--root", str(data_root), "--runs", str(folder / "runs"), "--jobs", "1"]
    assert main([*words, "--executor", "fused", "--replicas", "2"]) == 0
    return folder / "runs" / "small" / "spar"


def test_a_study_made_together_comes_to_what_its_single_runs_come_to(made: Path, tmp_path: Path) -> None:
    for place in (path.parent for path in made.rglob("run.json")):
        alone = run(yaml.safe_load((place / "config.yaml").read_text()), tmp_path / place.relative_to(made))
        ours, theirs = (json.loads((folder / "run.json").read_text()) for folder in (place, alone))
        assert ours["hashes"] == theirs["hashes"]
        assert (ours["status"], ours["fused"]["replicas"]) == ("done", 2)
        scores = [json.loads((folder / "scores.json").read_text())["macro_f1"] for folder in (place, alone)]
        assert scores[0] == pytest.approx(scores[1], abs=0.05)
    study = json.loads((made / "study.json").read_text())
    assert len(study["runs"]) == 4
    assert "4 runs are trained together, in 2 stacks of 2; 0 by themselves." in study["notes"]
    assert (made / "contrasts.json").is_file()


def test_finished_runs_of_a_stack_count_for_every_executor(made: Path, data_root: Path, capsys: Any) -> None:
    study = made.parents[2] / "study.yaml"
    words = ["study", str(study), "--root", str(data_root), "--runs", str(made.parents[1]), "--dry-run"]
    assert main(words) == 0
    assert "4 of 4 runs are done" in capsys.readouterr().out


def test_replicas_are_refused_where_nothing_is_stacked(made: Path, data_root: Path, capsys: Any) -> None:
    study = made.parents[2] / "study.yaml"
    assert main(["study", str(study), "--root", str(data_root), "--replicas", "4", "--dry-run"]) == 2
    assert "--executor fused" in capsys.readouterr().err


@pytest.mark.slow
def test_stacks_killed_while_they_train_are_made_again_and_nothing_finished_is_lost(
    tmp_path: Path, data_root: Path
) -> None:
    study = write_study(tmp_path, repeats=2)
    words = ["--executor", "fused", "--replicas", "3"]
    start(study, data_root, tmp_path / "undisturbed", 1, words).communicate()
    runs = tmp_path / "killed"

    def training() -> bool:
        return bool(list(runs.rglob("metrics.jsonl")))

    def partly_done() -> bool:
        return any('"done"' in path.read_text() for path in runs.rglob("run.json"))

    for is_time in (training, partly_done):
        kill_when(is_time, start(study, data_root, runs, 1, words))
    done = {path: path.stat().st_mtime for path in runs.rglob("run.json") if '"done"' in path.read_text()}
    assert 0 < len(done) < 12
    start(study, data_root, runs, 1, words).communicate()
    assert all(path.stat().st_mtime == time for path, time in done.items())
    found, expected = results(runs), results(tmp_path / "undisturbed")
    for name, theirs in expected.items():  # a stack of other runs rounds otherwise, and no more
        if isinstance(theirs, dict) and "chosen" in theirs:
            assert found[name]["chosen"]["hashes"] == theirs["chosen"]["hashes"]
            score = "best_validation_macro_f1"
            assert found[name]["chosen"][score] == pytest.approx(theirs["chosen"][score], abs=0.05)


def test_a_gpu_is_used_by_stacks_unless_another_executor_is_asked_for(plan: Plan) -> None:
    from har.study.executors import uses_gpu

    assert not uses_gpu(plan)
    run = plan.runs[0]
    gpu = replace(run, config={**run.config, "trainer": {**run.config["trainer"], "accelerator": "cuda"}})
    assert uses_gpu(replace(plan, runs=(gpu,)))
    assert FusedExecutor(1).notes([]) == []
