"""Runs that were cut off, damaged or are no runs: resumed, made anew, or refused, and never mixed."""

from __future__ import annotations

import json

import pytest

from har.errors import UsageError
from har.study.conduct import damages, finished, survey
from har.study.listing import listing
from har.study.states import State, clear
from tests.study.conducting import calls, cut_off, everything, go, name
from tests.study.runners import fake_identity


def test_a_run_that_was_cut_off_goes_on_from_its_checkpoint(plan):
    folder = cut_off(plan, 1)
    go(plan)
    assert f"{name(plan, plan.runs[1])} resumed" in calls(plan)
    assert (folder / "checkpoints" / "last.ckpt").exists()


@pytest.mark.parametrize("size", [0, 20, 400])
def test_a_checkpoint_that_was_cut_off_itself_is_not_resumed_from(plan, size):
    folder = cut_off(plan, 1, size)
    go(plan)
    assert calls(plan) == everything(plan)
    assert not (folder / "checkpoints").exists()


def test_a_checkpoint_with_a_wrong_byte_is_not_resumed_from(plan):
    path = cut_off(plan, 1) / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes().replace(b"weights", b"weighty", 1))
    go(plan)
    assert calls(plan) == everything(plan)


def test_a_cut_off_run_of_another_configuration_is_made_anew(plan):
    folder = cut_off(plan, 1)
    (folder / "run.json").write_text(json.dumps({"status": "running", "hashes": {"config": "another"}}))
    go(plan)
    assert calls(plan) == everything(plan)


def test_a_failed_run_is_not_resumed(plan):
    folder = cut_off(plan, 1)
    record = {"status": "failed", "hashes": fake_identity(plan.runs[1].config)}
    (folder / "run.json").write_text(json.dumps(record))
    go(plan)
    assert calls(plan) == everything(plan)
    assert not (folder / "checkpoints").exists()


@pytest.mark.parametrize("left", [["config.yaml"], ["config.yaml", "fold.json", ".lock"], [".run.json.x1.part"]])
def test_a_run_that_was_cut_off_before_its_record_is_made_anew(plan, left):
    plan.runs[0].folder.mkdir(parents=True)
    for file in left:
        (plan.runs[0].folder / file).touch()
    assert go(plan)[0] == []
    assert calls(plan) == everything(plan)


def test_a_folder_that_is_no_run_is_not_touched(plan):
    mine = plan.runs[0].folder / "thesis.tex"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(UsageError, match=r"has files, but no run\.json"):
        go(plan)
    assert mine.exists()
    assert calls(plan) == []


def test_a_finished_run_is_never_cleared(plan):
    go(plan)
    with pytest.raises(UsageError, match="never overwritten"):
        clear(plan.runs[0], State.DONE)
    assert finished(plan) == (6, 6)


@pytest.mark.parametrize("file", ["predictions/running.parquet", "truth.parquet", "scores.json"])
@pytest.mark.parametrize("size", [None, 0, 6])
def test_a_finished_run_that_has_lost_a_result_is_named_and_made_again(plan, file, size):
    go(plan)
    calls(plan)
    path = plan.runs[2].folder / file
    if size is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:size])
    found = survey(plan)
    if (file, size) == ("scores.json", 6):  # written whole and derived from the others, so its content is not looked at
        assert found.states[2] is State.DONE
        return
    assert [str(state) for state in found.states] == ["done"] * 2 + ["damaged"] + ["done"] * 3
    assert damages(found) == [
        f"{plan.runs[2].folder} is finished but damaged ({file} missing or cut off); "
        "it is deleted and made again from the start."
    ]
    assert damages(found)[0] in listing(found, 1)
    go(plan)
    assert calls(plan) == [f"{name(plan, plan.runs[2])} begun"]
    assert damages(survey(plan)) == []


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1PAR1", b"XXXX a table PAR1", b"PAR1 a table XXXX"])
def test_a_table_that_is_no_whole_parquet_file_is_damage(plan, content):
    go(plan)
    (plan.runs[0].folder / "truth.parquet").write_bytes(content)
    assert survey(plan).states[0] is State.DAMAGED
