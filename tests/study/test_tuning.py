"""A study that tunes: trials, then a choice per variant and fold, then own runs; interrupted anywhere, it goes on."""

from __future__ import annotations

import functools
import io
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from har.errors import DataError, LeakageError, UsageError
from har.study.conduct import conduct, finished, survey
from har.study.definition import load_study
from har.study.executors import LocalExecutor
from har.study.listing import listing
from har.study.lock import study_lock
from har.study.plan import Options, Plan, make_plan
from har.study.record import caveats, record, save_plan
from har.study.rehearsal import rehearse
from har.study.states import State
from har.training.cli import resolve
from tests.study.runners import fake_identity, pretend
from tests.study.small import fold, write_study
from tests.study.test_conduct import checkpoint
from tests.study.test_trials import CONTRASTS, TUNE

RUNS, TRIALS, OWN = 6, 36, 6


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return load_study(write_study(tmp_path_factory.mktemp("study"), tune=TUNE, contrasts=CONTRASTS))


@functools.cache
def _resolved(file: Path, overrides: str) -> dict[str, Any]:
    return resolve([file], json.loads(overrides))


def remembered(files: list[Path], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return what the parser returns, but ask it once: it takes a tenth of a second."""
    return _resolved(files[0], json.dumps(overrides))


@pytest.fixture
def plan(study, data_root, tmp_path, monkeypatch) -> Plan:
    monkeypatch.setattr("har.training.cli.resolve", remembered)
    monkeypatch.setattr("har.training.record.identity", fake_identity)
    return make_plan(study, Options(root=data_root, runs=tmp_path / "runs"))


def go(plan: Plan, jobs: int = 1, stream: io.StringIO | None = None) -> tuple[Plan, list[str]]:
    """Conduct the plan; return it as it ended and the failed runs."""
    with study_lock(plan.folder) as lock:
        executor = LocalExecutor(jobs, "tests.study.runners:pretend")
        plan, failures = conduct(survey(plan), executor=executor, stream=stream or io.StringIO(), locked=lock)
    return plan, [run.folder.relative_to(plan.folder).as_posix() for run, _ in failures]


def order(plan: Plan, acts: dict[str, str]) -> None:
    plan.folder.mkdir(parents=True, exist_ok=True)
    (plan.folder / "orders.json").write_text(json.dumps(acts))


def mark(plan: Plan, marks: dict[str, float]) -> None:
    plan.folder.mkdir(parents=True, exist_ok=True)
    (plan.folder / "marks.json").write_text(json.dumps(marks))


def calls(plan: Plan) -> list[str]:
    path = plan.folder / "calls.txt"
    made = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return made


def values(plan: Plan) -> dict[tuple[str, str], float | None]:
    return {(choice.variant, choice.fold): choice.value for choice in plan.tuning.choices}


def own_rates(plan: Plan) -> dict[tuple[str, str], float]:
    runs = [run for run in plan.runs if run.variant.endswith("-own")]
    return {(run.variant, run.fold.name): run.config["model"]["learning_rate"] for run in runs}


def test_runs_come_first_then_trials_then_own_runs_at_the_chosen_values(plan):
    mark(plan, {"trials/every/0.03/subject-2": 0.95, "trials/every/0.0003": 0.9})
    ended, failures = go(plan)
    assert failures == []
    made = [line.split("/")[0] for line in calls(plan)]
    assert made == [*["none", "every"] * 3, *["trials"] * TRIALS, *["every-own"] * 3]
    assert values(ended) == {
        **{("none", f"subject-{n}"): 0.003 for n in (1, 2, 3)},  # all alike: the matched one
        ("every", "subject-1"): 0.0003,
        ("every", "subject-2"): 0.03,
        ("every", "subject-3"): 0.0003,
    }
    assert own_rates(ended)["every-own", "subject-2"] == 0.03
    assert own_rates(ended)["none-own", "subject-2"] == 0.003
    assert finished(ended) == (RUNS + TRIALS + 3, RUNS + TRIALS + 3)


def test_an_own_run_at_the_matched_value_is_the_matched_run_and_is_made_once(plan):
    mark(plan, {"trials/every/0.03/subject-2": 0.95})
    stream = io.StringIO()
    ended, _ = go(plan, stream=stream)
    assert [line for line in calls(plan) if "-own" in line] == ["every-own/subject-2/repeat-0 begun"]
    folders = {(run["variant"], run["fold"]): run["folder"] for run in record(ended)["runs"]}
    assert len(folders) == 12
    assert folders["every-own", "subject-1"] == folders["every", "subject-1"] == "every/subject-1/repeat-0"
    assert folders["every-own", "subject-2"] == "every-own/subject-2/repeat-0"
    same = (
        "The value tuned is the matched one, and the own run the matched run itself: none in 3 of 3 folds, every in 2"
    )
    assert any(note.startswith(same) for note in caveats(ended))
    assert stream.getvalue().splitlines()[-1].startswith(f"{RUNS + TRIALS + 1}/{RUNS + TRIALS + 1}  every-own")
    found = survey(ended)
    assert (found.left, found.total, len(found.plan.runs)) == (0, RUNS + TRIALS + 1, RUNS + OWN)
    text = listing(found, 2)
    assert "every-own  subject-1  repeat-0  is the run of every" in text
    assert "every-own  subject-2  repeat-0  done" in text


def test_a_matched_run_that_is_lost_is_made_again_once_for_both(plan):
    go(plan)
    calls(plan)
    shutil.rmtree(plan.folder / "none" / "subject-3")
    assert survey(plan).left == 1
    go(plan)
    assert calls(plan) == ["none/subject-3/repeat-0 begun"]


def test_an_own_run_is_its_matched_run_at_another_value(plan):
    from har.study.states import differences

    mark(plan, {"trials/every/0.03": 0.95})
    ended, _ = go(plan)
    by_name = {(run.variant, run.fold.name): run.config for run in ended.runs}
    for name in ("subject-1", "subject-2", "subject-3"):
        assert list(differences(by_name["every", name], by_name["every-own", name])) == [
            "model.learning_rate was 0.003 and is 0.03 now"
        ]
        assert by_name["none", name] == by_name["none-own", name]


def test_the_choice_uses_one_policy_whatever_a_trial_was_last_evaluated_under(plan):
    mark(plan, {"trials/every/0.03": 0.95})
    go(plan)
    for path in plan.folder.glob("trials/every/0.0003/*/scores.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"macro_f1": 0.99}))
    assert set(values(survey(plan).plan).values()) == {0.003, 0.03}


def test_what_is_done_is_not_made_again(plan):
    go(plan)
    calls(plan)
    ended, failures = go(plan)
    assert (calls(plan), failures, survey(ended).left) == ([], [], 0)


def test_tuning_json_holds_every_score_and_every_choice(plan):
    mark(plan, {"trials/every/0.03/subject-2": 0.95})
    go(plan)
    saved = json.loads((plan.folder / "tuning.json").read_text())
    assert (saved["key"], saved["matched"], saved["grid"]) == ("model.learning_rate", 0.003, [0.0003, 0.003, 0.03])
    assert (saved["inner_folds"], saved["trials_per_variant_and_fold"]) == (2, 6)
    assert len(saved["choices"]) == 6
    choice = next(one for one in saved["choices"] if (one["variant"], one["fold"]) == ("every", "subject-2"))
    assert choice == {
        "variant": "every",
        "own": "every-own",
        "fold": "subject-2",
        "ended": True,
        "value": 0.03,
        "edge": "highest",
        "values": [
            {"value": 0.0003, "scores": [0.8714, 0.8714], "mean": 0.8714},
            {"value": 0.003, "scores": [0.8714, 0.8714], "mean": 0.8714},
            {"value": 0.03, "scores": [0.95, 0.95], "mean": 0.95},
        ],
    }
    inner = json.loads((plan.folder / "inner-folds.json").read_text())["folds"]
    assert [one["name"] for one in inner] == [f"subject-{n}.{i}" for n in (1, 2, 3) for i in (0, 1)]


def test_study_json_declares_own_variants_and_says_what_is_tuned(plan):
    save_plan(plan)
    saved = json.loads((plan.folder / "study.json").read_text())
    assert list(saved["variants"]) == ["none", "every", "none-own", "every-own"]
    assert saved["tuning"] == {
        "key": "model.learning_rate",
        "matched": 0.003,
        "own": {"none": "none-own", "every": "every-own"},
    }
    assert Counter(run["variant"] for run in saved["runs"]) == dict.fromkeys(saved["variants"], 3)
    assert "learning_rate" not in saved["protocol"]
    assert saved["protocol"]["tuned"] == "model.learning_rate, 6 trials per variant and fold (tuning.json)"


def test_notes_say_which_results_are_matched_and_which_own_and_how_many_trials_each_had(plan):
    ended, _ = go(plan)
    text = " ".join(caveats(ended))
    assert "under a variant's name at the matched model.learning_rate of 0.003, and with -own put to it" in text
    assert "in each fold 6 trials (3 values from 0.0003 to 0.03, 2 inner folds)" in text
    assert "tuned for none of them" not in text
    assert "too narrow" not in text
    assert record(ended)["notes"] == caveats(ended)


def test_a_value_at_an_edge_of_the_grid_is_said(plan):
    mark(plan, {"trials/every/0.03/subject-2": 0.95, "trials/none/0.0003": 0.95})
    ended, _ = go(plan)
    notes = [note for note in caveats(ended) if "too narrow" in note]
    narrow = "The grid may be too narrow for {}: its {} value, model.learning_rate {}, was the best in {} of 3 folds."
    assert notes == [narrow.format("none", "lowest", 0.0003, 3), narrow.format("every", "highest", 0.03, 1)]


@pytest.mark.parametrize("act", ["refuse", "die"])
def test_a_failed_trial_holds_back_the_own_runs_of_its_fold_and_variant_alone(plan, act):
    mark(plan, {"trials/every/0.0003": 0.9})
    order(plan, {"trials/every/0.03/subject-2.1": act})
    ended, failures = go(plan)
    assert failures == ["trials/every/0.03/subject-2.1"]
    assert [place.folder.relative_to(plan.folder).as_posix() for place in ended.awaiting] == [
        "every-own/subject-2/repeat-0"
    ]
    assert values(ended)["every", "subject-2"] is None
    assert "Trials are missing, so no value is chosen yet: every/subject-2." in caveats(ended)
    entry = {"variant": "every-own", "fold": "subject-2", "repeat": 0, "folder": "every-own/subject-2/repeat-0"}
    assert entry in record(ended)["runs"]
    calls(plan)
    order(plan, {})
    ended, failures = go(plan)
    assert failures == []
    assert calls(plan) == ["trials/every/0.03/subject-2.1 begun", "every-own/subject-2/repeat-0 begun"]
    assert ended.awaiting == ()


def test_a_trial_that_diverged_has_ended_and_rules_its_value_out(plan):
    mark(plan, {"trials/every/0.03": 0.95})
    order(plan, {"trials/every/0.03/subject-2.1": "diverge"})
    ended, failures = go(plan)
    assert failures == []
    assert (values(ended)["every", "subject-2"], values(ended)["every", "subject-1"]) == (0.003, 0.03)
    assert "Trials in which training diverged, which rules their value out: 1 of every." in caveats(ended)
    assert Counter(survey(plan).states)[State.DIVERGED] == 1
    calls(plan)
    go(plan)
    assert calls(plan) == []


def test_a_run_that_diverged_is_a_failure_and_no_trial(plan):
    order(plan, {"every/subject-2/repeat-0": "diverge"})
    _, failures = go(plan)
    assert failures == ["every/subject-2/repeat-0"]
    assert Counter(survey(plan).states)[State.DIVERGED] == 1


def test_where_every_value_diverged_there_is_no_own_run_and_it_is_said(plan):
    trials = [f"trials/none/{value}/subject-1.{inner}" for value in ("0.0003", "0.003", "0.03") for inner in (0, 1)]
    order(plan, dict.fromkeys(trials, "diverge"))
    ended, failures = go(plan)
    assert failures == []
    assert "No value of the grid is left, so there is no own run: none/subject-1." in caveats(ended)
    assert [place.variant for place in ended.awaiting] == ["none-own"]


def test_interrupted_anywhere_the_study_ends_as_if_it_had_not_been(plan):
    marks = {"trials/every/0.03/subject-2": 0.95, "trials/none/0.0003/subject-3": 0.9}
    mark(plan, marks)
    whole, _ = go(plan)
    expected = (plan.folder / "tuning.json").read_text(), (plan.folder / "study.json").read_text()
    shutil.rmtree(plan.folder)
    mark(plan, marks)
    save_plan(plan)
    everything = [*plan.work, *[run for run in whole.distinct if run.variant.endswith("-own")]]
    begun = 0
    for made in (0, 1, RUNS, RUNS + 20, RUNS + TRIALS, RUNS + TRIALS + 1):
        for run in everything[begun:made]:  # what an interrupted study has left behind
            pretend(run.config, run.folder, resume=False, facts={})
        begun, found = made, survey(plan)
        assert found.total - found.left == made
    go(plan)
    assert ((plan.folder / "tuning.json").read_text(), (plan.folder / "study.json").read_text()) == expected


def test_a_lost_trial_is_made_again_before_its_own_run_counts(plan):
    go(plan)
    shutil.rmtree(plan.folder / "trials" / "every" / "0.003" / "subject-1.0")
    found = survey(plan)
    assert found.left == 2
    assert [place.folder.relative_to(plan.folder).as_posix() for place in found.plan.awaiting] == [
        "every-own/subject-1/repeat-0"
    ]
    calls(plan)
    go(plan)
    assert calls(plan) == ["trials/every/0.003/subject-1.0 begun"]


def test_a_trial_that_was_cut_off_goes_on_and_keeps_no_weights_in_the_end(plan):
    trial = plan.tuning.trials[0]
    checkpoint(trial.folder)
    (trial.folder / "run.json").write_text(json.dumps({"status": "running", "hashes": fake_identity(trial.config)}))
    go(plan)
    assert f"{trial.folder.relative_to(plan.folder)} resumed" in calls(plan)
    assert not (trial.folder / "checkpoints").exists()
    assert survey(plan).left == 0


def test_a_choice_that_has_changed_refuses_the_own_run_made_before(plan):
    mark(plan, {"trials/every/0.0003": 0.9})
    go(plan)
    mark(plan, {"trials/every/0.03": 0.95})
    shutil.rmtree(plan.folder / "trials" / "every" / "0.03")
    with pytest.raises(UsageError, match=r"every-own/subject-1/repeat-0 cannot be counted"):
        go(plan)


def test_a_test_subject_in_a_finished_trial_fails_the_study(plan):
    go(plan)
    path = plan.folder / "trials" / "every" / "0.003" / "subject-1.0" / "run.json"
    saved = json.loads(path.read_text())
    saved["fold"]["train"].append("1")
    path.write_text(json.dumps(saved))
    with pytest.raises(LeakageError, match=r"test subject 1 of fold subject-1 is in its trial .*subject-1\.0"):
        survey(plan)


def test_no_trial_reads_a_test_subject(plan):
    go(plan)
    for trial in plan.tuning.trials:
        saved = json.loads((trial.folder / "run.json").read_text())["fold"]
        assert not {*saved["train"], *saved["validation"], *saved["test"]} & set(trial.outer.test)


@pytest.mark.parametrize("text", ["", "{}", '{"macro_f1_by_policy": {"present": null}}'])
def test_a_trial_whose_score_cannot_be_read_is_named(plan, text):
    go(plan)
    path = plan.folder / "trials" / "every" / "0.003" / "subject-1.0" / "scores.json"
    path.write_text(text or "{")
    with pytest.raises(DataError, match=r"subject-1\.0/scores\.json"):
        survey(plan)


def test_other_inner_folds_than_before_are_refused(plan, study, data_root):
    save_plan(plan)
    other = replace(study, tune=replace(study.tune, inner_folds=3))
    again = make_plan(other, plan.options)
    with pytest.raises(UsageError, match=r"inner-folds\.json has other folds"):
        survey(again)


def test_a_wider_grid_goes_on_from_the_trials_that_are_there(plan, study):
    go(plan)
    calls(plan)
    wider = make_plan(replace(study, tune=replace(study.tune, grid=(*study.tune.grid, 0.1))), plan.options)
    go(wider)
    assert len(calls(wider)) == 12
    assert all(line.startswith("trials/") for line in calls(wider))


def test_a_dry_run_counts_trials_and_own_runs_and_writes_nothing(plan, tmp_path):
    text = listing(survey(plan), 2)
    assert "every-own  subject-3  repeat-0  waits for its trials" in text
    assert "every  model.learning_rate=0.0003  6 trials  6 missing" in text
    assert f"0 of {RUNS + TRIALS + OWN} runs and trials are done" in text
    assert rehearse(survey(plan)).failing == ()
    assert not (tmp_path / "runs").exists()
    order(plan, {"trials/every/0.03/subject-2.1": "refuse", "trials/every/0.03/subject-2.0": "diverge"})
    go(plan)
    text = listing(survey(plan), 2)
    assert "every  model.learning_rate=0.03    6 trials  4 done, 1 diverged, 1 failed" in text
    assert "every-own  subject-2  repeat-0  waits for its trials" in text
    assert survey(plan).left == 2


def test_trials_that_could_not_begin_are_said_before_anything_is_run(tmp_path, data_root):
    path = write_study(tmp_path, [fold("1"), fold("2", train=("4", "5", "6"))], tune=TUNE, contrasts=CONTRASTS)
    plan = make_plan(load_study(path), Options(root=data_root, overrides={"data.batch_size": 100}))
    text = " ".join(rehearse(survey(plan)).failing)  # inner folds that train on one subject have fewer windows
    assert "will fail: a batch of 100 is larger than the" in text
    assert "none/subject-2.0" in text
    assert "every/subject-2.1" in text
    assert ("none/subject-1.0" in text) != ("none/subject-1.1" in text)
    assert "none/subject-1," not in text


def test_a_study_whose_trials_all_could_not_begin_is_refused(tmp_path, data_root):
    path = write_study(tmp_path, [fold("1", train=("4", "5", "6")), fold("2", train=("4", "5", "6"))], tune=TUNE)
    plan = make_plan(load_study(path), Options(root=data_root, overrides={"data.batch_size": 100}))
    with pytest.raises(UsageError, match="a batch of 100") as refusal:
        rehearse(survey(plan))
    assert "all trials of variant 'none' would fail; nothing was started" in str(refusal.value)


def test_a_study_that_tunes_nothing_has_no_trace_of_it(data_root, tmp_path):
    plan = make_plan(load_study(write_study(tmp_path)), Options(root=data_root, runs=tmp_path / "runs"))
    save_plan(plan)
    assert sorted(path.name for path in plan.folder.iterdir()) == ["folds.json", "study.json"]
    assert "tuning" not in record(plan)
    assert Path(plan.folder / "study.json").is_file()
