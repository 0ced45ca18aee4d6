"""What no run can work with is refused before any run is started; what single folds lack is said and stops no other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from har.errors import UsageError
from har.files import write_json
from har.study.conduct import Survey
from har.study.definition import load_study
from har.study.plan import Options, make_plan
from har.study.record import record
from har.study.rehearsal import Rehearsed, rehearse
from har.study.states import State
from tests.study.small import fold, write_study


def survey_of(
    folder: Path,
    data_root: Path,
    folds: list[dict[str, Any]] | None = None,
    overrides: dict | None = None,
    **changes: Any,
) -> Survey:
    """Return a study of which nothing has been run yet."""
    plan = make_plan(load_study(write_study(folder, folds, **changes)), Options(root=data_root, overrides=overrides))
    return Survey(plan, (State.MISSING,) * len(plan.runs), 1.0, "")


def test_a_study_that_can_be_run_is_passed_over_without_a_word(tmp_path, data_root):
    assert rehearse(survey_of(tmp_path, data_root)) == Rehearsed((), ())


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"data.window_s": 400.0}, "400"),
        ({"data.window_s": 0.2, "data.step_s": 0.1}, "too short"),
        ({"data.activities": ["pendulum", "sitting_still"]}, "'sitting_still' is not known"),
        ({"data.batch_size": 100000}, "a batch of 100000 is larger than the"),
        ({"data.label_rule": "mode"}, "label rule 'mode' is not known"),
        ({"trainer.max_steps": 3}, "trainer.max_steps 3"),
        ({"trainer.accelerator": "tpu"}, "trainer settings cannot be used"),
        ({"data.window_s": 2.001}, "samples"),
    ],
)
def test_a_setting_that_no_run_can_work_with_is_refused_for_the_whole_variant(tmp_path, data_root, overrides, words):
    found = survey_of(tmp_path, data_root, overrides=overrides)
    with pytest.raises(UsageError) as refusal:
        rehearse(found)
    assert words in str(refusal.value)
    assert "all runs of variant 'none' would fail; nothing was started" in str(refusal.value)


@pytest.mark.parametrize(
    ("inference", "words"), [("without-magnetometer", "'magnetometer'"), ("personal-20s", "data.set_aside_s is 0")]
)
def test_an_inference_that_no_run_can_make_refuses_the_study(tmp_path, data_root, inference, words):
    with pytest.raises(UsageError) as refusal:
        rehearse(survey_of(tmp_path, data_root, inferences=["running", inference]))
    assert words in str(refusal.value)


def test_one_impossible_variant_refuses_the_study_by_its_name(tmp_path, data_root):
    variants = {"every": {"model.norm.placement": "every"}, "deep": {"model.norm.placement": [1, 7]}}
    found = survey_of(tmp_path, data_root, variants=variants, contrasts=[{"a": "deep", "b": "every", "primary": True}])
    with pytest.raises(UsageError, match="7") as refusal:
        rehearse(found)
    assert "variant 'deep'" in str(refusal.value)


def without_pendulum(data_root: Path, place: Path) -> Path:
    """Return a data root whose subjects 4 and 5 never show the activity pendulum."""
    import shutil

    import numpy as np

    from har.windows.store import Store

    shutil.copytree(data_root / "prepared", place / "prepared")
    store = Store.open(place / "prepared" / "spar")
    label_T = np.lib.format.open_memmap(place / "prepared" / "spar" / "label.npy", mode="r+")
    pendulum = store.activities.index("pendulum")
    for row in store.recordings.itertuples():
        if row.subject in ("4", "5"):
            stretch_T = label_T[row.start : row.stop]
            stretch_T[stretch_T == pendulum] = -1
    label_T.flush()
    return place


def test_a_fold_that_lacks_an_activity_is_said_and_stops_no_other(tmp_path, data_root):
    root = without_pendulum(data_root, tmp_path / "data")
    found = survey_of(tmp_path / "study", root, [fold("1"), fold("2", train=("4", "5")), fold("3")])
    warnings = rehearse(found).failing
    assert len(warnings) == 1
    assert warnings[0] == (
        "none/subject-2, every/subject-2 will fail: no training subject of fold subject-2 of spar shows the activity "
        "pendulum. The other runs go on."
    )


def test_an_activity_that_every_fold_lacks_refuses_the_study(tmp_path, data_root):
    root = without_pendulum(data_root, tmp_path / "data")
    folds = [fold("1", train=("4", "5")), fold("2", train=("4", "5"))]
    with pytest.raises(UsageError, match="shows the activity pendulum"):
        rehearse(survey_of(tmp_path / "study", root, folds))


def test_a_fold_that_fails_refuses_no_study_of_which_other_folds_are_done(tmp_path, data_root):
    """Else the runs that there are could not be judged again."""
    root = without_pendulum(data_root, tmp_path / "data")
    found = survey_of(tmp_path / "study", root, [fold("1"), fold("2", train=("4", "5")), fold("3")])
    states = tuple(State.FAILED if run.fold.name == "subject-2" else State.DONE for run in found.plan.runs)
    assert len(rehearse(replace(found, states=states)).failing) == 1


def test_a_finished_study_is_not_rehearsed(tmp_path, data_root, monkeypatch):
    found = survey_of(tmp_path, data_root)
    monkeypatch.setattr("har.training.datamodule.HarDataModule.setup", lambda self: pytest.fail("was set up"))
    assert rehearse(replace(found, states=(State.DONE,) * len(found.states))) == Rehearsed((), ())


def test_data_are_set_up_once_for_each_fold_and_a_network_built_once_for_each_variant(tmp_path, data_root, monkeypatch):
    from har.training.datamodule import HarDataModule
    from har.training.module import HarModule

    made: list[str] = []
    for owner, method in ((HarDataModule, "setup"), (HarModule, "build")):
        original = getattr(owner, method)
        monkeypatch.setattr(owner, method, lambda *a, o=original, m=method: (made.append(m), o(*a))[1])
    rehearse(survey_of(tmp_path, data_root, repeats=2))
    assert (made.count("setup"), made.count("build")) == (3, 2)


def test_what_is_doubtful_of_a_network_is_said_once_with_its_variants(tmp_path, data_root):
    """Before a run is made, from the network; when all are made, from what every record of the variant holds."""
    raw = {"model.norm.placement": "input", "model.norm.kind": "instance"}
    variants = {"none": {"model.norm.placement": "none"}, "raw": raw, "slow": {**raw, "model.learning_rate": 0.001}}
    contrasts = [{"a": "raw", "b": "none", "primary": True}]
    plan = make_plan(
        load_study(write_study(tmp_path, variants=variants, contrasts=contrasts)),
        Options(root=data_root, runs=tmp_path / "runs"),
    )
    found = Survey(plan, (State.MISSING,) * len(plan.runs), 1.0, "")
    (doubt,) = rehearse(found).doubts
    assert doubt.startswith("Variants raw, slow: ")
    assert "normalises each window by itself with no activation in front" in doubt
    sentence = doubt.removeprefix("Variants raw, slow: ")
    for number, run in enumerate(plan.runs):
        own = [] if run.variant == "none" else [sentence, f"{number} steps were left out."]
        write_json(run.folder / "run.json", {"status": "done", "warnings": own})
    assert rehearse(replace(found, states=(State.DONE,) * len(found.states))).doubts == (doubt,)
    assert doubt in record(replace(plan, doubts=(doubt,)))["notes"]


def test_a_rehearsal_writes_nothing(tmp_path, data_root, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = survey_of(tmp_path / "study", data_root)
    before = sorted(tmp_path.rglob("*"))
    rehearse(found)
    assert sorted(tmp_path.rglob("*")) == before
    assert json.dumps(found.plan.runs[0].config["trainer"])  # settings are not used up
    assert found.plan.runs[0].config["trainer"]["max_steps"] == 30
