"""A study goes on from what is there: nothing done is lost or mixed, nothing missing is forgotten."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest
import yaml

from har.errors import DataError, UsageError
from har.study.conduct import Survey, additions, damages, finished, survey
from har.study.lengths import REST_S, STEP_S, WINDOW_S
from har.study.listing import listing
from har.study.plan import Plan
from har.study.states import State
from tests.study.conducting import calls, checkpoint, everything, go, name, order
from tests.study.runners import fake_identity


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_run_is_made_once_in_the_order_of_the_plan(plan, jobs):
    assert go(plan, jobs)[0] == []
    assert sorted(calls(plan)) == sorted(everything(plan))
    assert finished(plan) == (6, 6)


def test_what_is_done_is_not_run_again(plan):
    go(plan)
    calls(plan)
    assert go(plan) == ([], "")
    assert calls(plan) == []


def test_a_deleted_run_is_the_only_one_made_again(plan):
    go(plan)
    calls(plan)
    shutil.rmtree(plan.runs[2].folder)
    go(plan)
    assert calls(plan) == [f"{name(plan, plan.runs[2])} begun"]


def test_more_repeats_keep_the_runs_that_are_done(plan):
    go(plan)
    calls(plan)
    second = [
        replace(run, repeat=1, folder=run.folder.with_name("repeat-1"), config={**run.config, "seed_everything": 9})
        for run in plan.runs
    ]
    more = replace(plan, runs=(*plan.runs, *second))
    assert go(more)[0] == []
    assert calls(more) == [f"{name(more, run)} begun" for run in second]


def test_a_failed_run_stops_no_other_and_is_made_again_at_the_next_start(plan):
    order(plan, **{"every__subject-1__repeat-0": "refuse"})
    failed, text = go(plan)
    assert failed == ["every/subject-1/repeat-0"]
    assert "every  subject-1  repeat-0  failed: activity walk is missing from the training subjects." in text
    assert finished(plan) == (5, 6)
    calls(plan)
    order(plan)
    assert go(plan)[0] == []
    assert calls(plan) == ["every/subject-1/repeat-0 begun"]


def test_a_run_that_diverged_is_reported_at_every_start_and_made_again_when_its_folder_is_deleted(plan):
    order(plan, **{"every__subject-1__repeat-0": "diverge"})
    failed, _ = go(plan)
    assert failed == ["every/subject-1/repeat-0"]
    calls(plan)
    order(plan)
    assert go(plan)[0] == failed
    assert (calls(plan), survey(plan).left) == ([], 0)
    run = next(run for run in plan.runs if name(plan, run) == failed[0])
    other = replace(plan, runs=tuple(replace(r, config={**r.config, "more": 1}) if r is run else r for r in plan.runs))
    assert survey(other).left == 1  # other settings may not diverge
    shutil.rmtree(run.folder)
    assert go(plan)[0] == []
    assert calls(plan) == [f"{failed[0]} begun"]


def test_a_killed_worker_loses_its_run_alone(plan):
    order(plan, **{"none__subject-2__repeat-0": "die"})
    assert go(plan)[0] == ["none/subject-2/repeat-0"]
    assert finished(plan) == (5, 6)
    order(plan)
    assert go(plan)[0] == []
    assert finished(plan) == (6, 6)


def test_every_inference_of_a_run_has_predictions_of_its_own(plan):
    more = replace(
        plan, runs=tuple(replace(r, config={**r.config, "inferences": ["running", "target"]}) for r in plan.runs)
    )
    go(more)
    assert set(survey(more).states) == {State.DONE}
    (more.runs[0].folder / "predictions" / "target.parquet").unlink()
    assert "predictions/target.parquet" in damages(survey(more))[0]


def test_a_finished_run_that_lacks_inferences_keeps_what_it_has_and_gets_them(plan):
    go(plan)
    calls(plan)
    runs = [replace(r, config={**r.config, "inferences": ["running", "population"]}) for r in plan.runs]
    more = replace(plan, runs=tuple(runs))
    best = plan.runs[0].folder / "checkpoints" / "best.ckpt"
    best.parent.mkdir()
    best.touch()
    (plan.runs[5].folder / "predictions" / "running.parquet").unlink()
    found = survey(more)
    assert [str(state) for state in found.states] == ["lacks predictions"] * 5 + ["damaged"]
    sentence = "5 finished runs lack predictions (population), which are made with the weights that there are; "
    assert additions(found) == [sentence + "nothing is trained for it."]
    assert additions(found)[0] in listing(found, 1)
    assert go(more)[0] == []
    assert calls(more) == [f"{name(more, run)} resumed" for run in more.runs[:5]] + [
        f"{name(more, more.runs[5])} begun"
    ]
    assert best.exists()
    assert set(survey(more).states) == {State.DONE}
    assert set(survey(plan).states) == {State.DONE}
    assert additions(survey(plan)) == []


def test_a_damaged_run_of_other_settings_is_refused_and_not_deleted(plan):
    go(plan)
    (plan.runs[0].folder / "truth.parquet").unlink()
    with pytest.raises(UsageError, match="its settings are not the ones asked for"):
        go(changed(plan, "trainer", "max_steps", 60))
    assert finished(plan) == (6, 6)


def test_a_damaged_record_is_named(plan):
    path = plan.runs[3].folder / "run.json"
    path.parent.mkdir(parents=True)
    for text in ("", "[]", '{"status": "odd"}'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"every/subject-2/repeat-0/run\.json is damaged"):
            go(plan)
    assert calls(plan) == []


def changed(plan: Plan, section: str, key: str, value) -> Plan:
    runs = [replace(run, config={**run.config, section: {**run.config[section], key: value}}) for run in plan.runs]
    return replace(plan, runs=tuple(runs))


def test_runs_of_another_configuration_are_refused_before_anything_is_run_with_the_keys_that_differ(plan):
    order(plan, **{"every__subject-3__repeat-0": "refuse"})
    go(plan)
    calls(plan)
    other = changed(changed(plan, "trainer", "max_steps", 60), "model", "learning_rate", 0.1)
    with pytest.raises(UsageError) as refusal:
        go(other)
    text = str(refusal.value)
    assert str(plan.runs[0].folder) in text
    assert "its settings are not the ones asked for now" in text
    assert "model.learning_rate was 0.003 and is 0.1 now; trainer.max_steps was 30 and is 60 now" in text
    assert "--runs FOLDER" in text
    assert calls(plan) == []


@pytest.mark.parametrize(("part", "words"), [("data", "was prepared anew"), ("split", "divided in another way")])
def test_runs_on_other_data_or_another_split_are_refused(plan, part, words):
    go(plan)
    path = plan.runs[4].folder / "run.json"
    record = json.loads(path.read_text())
    record["hashes"][part] = "another"
    path.write_text(json.dumps(record))
    with pytest.raises(UsageError, match=words) as refusal:
        survey(plan)
    assert "none/subject-3/repeat-0" in refusal.value.what
    assert "settings" not in refusal.value.what


def test_a_finished_run_without_its_configuration_is_refused_all_the_same(plan):
    go(plan)
    (plan.runs[0].folder / "config.yaml").write_text("a: [")
    with pytest.raises(UsageError, match="cannot be counted"):
        survey(changed(plan, "trainer", "max_steps", 60))


def test_the_results_do_not_depend_on_the_number_of_workers(plan, tmp_path):
    def results() -> dict[str, str]:
        return {name(plan, run): (run.folder / "run.json").read_text() for run in plan.runs}

    go(plan, jobs=1)
    one = results()
    for run in plan.runs:
        (run.folder / "run.json").write_text('{"status": "failed"}')
    go(plan, jobs=3)
    assert results() == one


def test_the_record_of_a_run_names_study_variant_repeat_and_command(plan):
    go(plan)
    record = json.loads((plan.runs[1].folder / "run.json").read_text())
    assert (record["study"], record["variant"], record["repeat"]) == ("small", "every", 0)
    assert record["command"].startswith("har study ")


def test_progress_is_one_plain_line_per_run_with_score_time_and_time_left(plan):
    lines = go(plan)[1].splitlines()
    assert len(lines) == 6
    assert re.match(r"1/6  none  subject-1  repeat-0  macro F1 0\.871  \d+\.\d s  left ", lines[0])
    assert lines[5].startswith("6/6  every  subject-3  repeat-0")


def test_a_survey_estimates_from_steps_until_a_run_has_ended_and_says_so(plan):
    found = survey(plan)
    multiply_adds = 96 * 8 * 6 * 5 + 20 * 8 * 8 * 5 + 8 * 2  # where the constants were measured 1.67 million
    assert found.expected_s == pytest.approx(REST_S + 30 * (STEP_S + 32 * WINDOW_S * multiply_adds / 1.67e6))
    assert "another machine" in found.basis
    assert found.left_s(jobs=2) == pytest.approx(3 * found.expected_s)
    order(plan, **{"every__subject-3__repeat-0": "refuse"})
    go(plan)
    found = survey(plan)
    assert (found.expected_s, found.left_s(jobs=2)) == pytest.approx((2.0, 2.0))
    assert found.basis == "this study's 5 finished runs, by steps, windows and multiply-adds"


def test_runs_of_more_steps_or_larger_batches_are_expected_to_take_as_much_longer(plan):
    def longer(run, **changes):
        config = {**run.config, "trainer": {**run.config["trainer"], **changes}}
        return replace(run, config=config) if run.variant == "every" else run

    usual = survey(plan).expected_s
    mixed = replace(plan, runs=tuple(longer(run, max_steps=3000) for run in plan.runs))
    expected = (usual + REST_S + 100 * (usual - REST_S)) / 2
    assert survey(mixed).expected_s == pytest.approx(expected)
    go(plan)
    for run in mixed.runs[1::2]:
        shutil.rmtree(run.folder)
    slower = 2.0 / usual  # every finished run took two seconds
    assert survey(mixed).expected_s == pytest.approx(slower * (REST_S + 100 * (usual - REST_S)))


def test_a_dry_run_lists_every_run_with_its_state_and_the_time(plan):
    order(plan, **{"every__subject-3__repeat-0": "refuse"})
    go(plan)
    for path in (plan.runs[0].folder / "run.json", plan.runs[2].folder / "run.json"):
        path.unlink()
    folder = plan.runs[0].folder
    (folder / "run.json").write_text(json.dumps({"status": "running", "hashes": fake_identity(plan.runs[0].config)}))
    checkpoint(folder)
    lines = listing(survey(plan), 2).splitlines()
    assert lines[0] == "none   subject-1  repeat-0  cut off"
    assert lines[1] == "every  subject-1  repeat-0  done"
    assert lines[2] == "none   subject-2  repeat-0  missing"
    assert lines[5] == "every  subject-3  repeat-0  failed"
    assert lines[-2] == "3 of 6 runs are done: about 3.0 s with 2 at a time."
    assert lines[-1] == "Estimate: this study's 3 finished runs, by steps, windows and multiply-adds."


def test_a_dry_run_of_a_finished_study_has_nothing_to_do(plan):
    go(plan)
    assert listing(survey(plan), 2).splitlines()[-1] == "6 of 6 runs are done: nothing to do."


def test_a_survey_counts_what_is_left(plan):
    states = [State.DONE, State.MISSING, State.FAILED, State.CUT_OFF, State.DONE, State.DONE]
    found = Survey(plan, tuple(states), 10.0, "")
    assert [run.label for run, _ in found.to_do()] == [plan.runs[i].label for i in (1, 2, 3)]
    assert found.left_s(jobs=8) == 10.0


def test_the_configuration_in_a_run_folder_is_the_planned_one(plan):
    go(plan)
    assert yaml.safe_load((plan.runs[5].folder / "config.yaml").read_text()) == plan.runs[5].config
