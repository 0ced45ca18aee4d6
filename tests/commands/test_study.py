"""`har study` from end to end: real runs of a second on a small fake of SPAR."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from har.__main__ import main
from har.commands import study as command
from har.errors import UsageError
from har.evaluation import gathering
from tests.study.small import fold, write_root, write_study


@pytest.fixture(scope="module")
def data_root(tmp_path_factory) -> Path:
    return write_root(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def two_folds(tmp_path_factory) -> Path:
    """A study of two variants and two folds."""
    return write_study(tmp_path_factory.mktemp("study"), [fold("1"), fold("2")])


@pytest.fixture(scope="module")
def arguments(two_folds, data_root, tmp_path_factory) -> list[str]:
    runs = tmp_path_factory.mktemp("runs")
    return ["study", str(two_folds), "--root", str(data_root), "--runs", str(runs), "--jobs", "2"]


@pytest.fixture(scope="module")
def finished(arguments) -> Path:
    """The study folder after the study has been run once."""
    assert main(arguments) == 0
    return Path(arguments[5]) / "small" / "spar"


def test_a_study_ends_with_table_verdict_caveats_and_the_path_of_the_report(arguments, finished, capsys):
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("| variant | macro F1 (present) |")
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["none", "every"]
    assert any(line.startswith("Primary: ") and "every" in line and "none" in line for line in lines)
    assert "One repeat per fold was used" in out
    assert f"har study {arguments[1]} --runs {arguments[5]} --root {arguments[3]} --repeats 3" in out
    assert "The learning rate was matched: 0.003 for every variant" in out
    assert lines[-1] == f"Report: {finished / 'report.html'}"
    assert (finished / "report.html").is_file()
    assert "small on spar: 2 variants x 2 folds = 4 runs" in err
    assert "there is nothing to run" in err


def test_a_finished_study_makes_no_run_again_and_reads_each_once_for_verdicts_and_report(
    arguments, finished, monkeypatch
):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("run.json")}
    assert len(before) == 4
    read, read_run = [], gathering.read_run
    monkeypatch.setattr(gathering, "read_run", lambda *asked: read.append(asked) or read_run(*asked))
    assert main(arguments) == 0
    assert len(read) == 4
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("run.json")} == before


def test_variants_of_a_fold_have_one_seed_and_run_on_one_thread(finished):
    records = {path.parent: json.loads(path.read_text()) for path in finished.rglob("run.json")}
    seeds = {record["fold"]["name"]: set() for record in records.values()}
    for record in records.values():
        assert record["status"] == "done"
        assert record["threads"] == 1
        seeds[record["fold"]["name"]].add(record["seed"])
    assert all(len(values) == 1 for values in seeds.values())
    assert len(set.union(*seeds.values())) == 2


def test_a_run_of_a_study_is_repeated_by_its_own_configuration(finished, tmp_path):
    import yaml

    from har.training.run import run

    folder = finished / "every" / "subject-2" / "repeat-0"
    run(yaml.safe_load((folder / "config.yaml").read_text()), tmp_path / "again")
    for file in ("scores.json", "predictions/running.parquet"):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()


def test_the_scores_do_not_depend_on_the_number_of_workers(arguments, finished, tmp_path):
    assert main([*arguments[:5], str(tmp_path), "--jobs", "1"]) == 0
    for scores in finished.rglob("scores.json"):
        again = tmp_path / "small" / "spar" / scores.relative_to(finished)
        assert again.read_bytes() == scores.read_bytes()


def test_a_dry_run_lists_the_runs_and_writes_nothing(arguments, tmp_path, capsys):
    assert main([*arguments[:5], str(tmp_path / "runs"), "--dry-run", "--repeats", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("missing") == 8
    assert "0 of 8 runs are done: about " in out
    assert not (tmp_path / "runs").exists()


def test_what_is_doubtful_about_a_network_is_said_apart_from_the_list_of_runs(arguments, tmp_path, capsys):
    words = [*arguments[:5], str(tmp_path / "runs"), "--dry-run"]
    assert main([*words, "--set", "model.norm.kind=instance"]) == 0
    out, err = capsys.readouterr()
    (doubt,) = err.splitlines()
    assert doubt.startswith("har: Variant every: block1.norm normalises each window by itself")
    assert out.count("missing") == 4
    assert "normalises" not in out
    assert main(words) == 0
    assert capsys.readouterr().err == ""


def test_runs_of_other_settings_are_refused_with_exit_code_2(arguments, finished, capsys):
    assert main([*arguments, "--set", "trainer.max_steps=10"]) == 2
    err = capsys.readouterr().err
    assert "(trainer.max_steps was 30 and is 10 now)" in err
    assert "Traceback" not in err
    saved = json.loads((finished / "study.json").read_text())
    assert saved["overrides"] == {}


def test_a_run_that_diverged_is_named_at_every_start_and_not_made_again(data_root, tmp_path, capsys):
    path = write_study(tmp_path, [fold("1"), fold("2")])
    quick = ("model.learning_rate=1.0e+30", "data.step_s=1.0", "trainer.max_steps=4", "trainer.val_check_interval=2")
    words = ["study", str(path), "--root", str(data_root), "--runs", str(tmp_path / "runs"), "--jobs", "1"]
    words += [word for setting in quick for word in ("--set", setting)]
    assert main(words) == 1
    first = capsys.readouterr().err
    assert "har: 4 of 4 runs failed; they are not tried again (4 diverged, as they would again" in first
    records = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    assert main(words) == 1
    again = capsys.readouterr().err
    assert "there is nothing to run" in again
    assert first[first.index("har: 4 of 4") :] == again[again.index("har: 4 of 4") :]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")} == records


def test_a_failed_run_is_named_with_its_reason_and_exit_code_1(data_root, tmp_path, capsys):
    # Windows of one training subject do not fill a batch of 96; those of four subjects do.
    path = write_study(tmp_path, [fold("1"), fold("2", train=("4",))])
    quick = ("data.batch_size=96", "data.step_s=1.0", "trainer.max_steps=2", "trainer.val_check_interval=2")
    arguments = [str(path), "--root", str(data_root), "--runs", str(tmp_path / "runs"), "--jobs", "1"]
    words = ["study", *arguments, *(word for setting in quick for word in ("--set", setting))]
    said = "none/subject-2, every/subject-2 will fail: a batch of 96 is larger than the"
    assert main([*words, "--dry-run"]) == 0
    assert said in capsys.readouterr().out
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert f"har: {said}" in err
    assert "these finished runs do not count" not in err
    assert "har: 2 of 4 runs failed; the same command tries them again." in err
    assert "none/subject-2/repeat-0, every/subject-2/repeat-0:" in err
    assert "a batch of 96 is larger than the" in err
    assert "Run every/subject-2/repeat-0 does not count" in out
    assert "Report: " in out


@pytest.fixture
def copied(arguments, finished, tmp_path) -> tuple[list[str], Path]:
    """The finished study in a folder of its own: its command line, and one of its runs."""
    shutil.copytree(finished.parents[1], tmp_path / "runs")
    run = tmp_path / "runs" / "small" / "spar" / "every" / "subject-2" / "repeat-0"
    return [*arguments[:5], str(tmp_path / "runs"), *arguments[6:]], run


def test_a_run_whose_predictions_are_lost_is_named_and_made_again(copied, finished, capsys):
    words, run = copied
    (run / "predictions" / "running.parquet").unlink()
    assert main([*words, "--dry-run"]) == 0
    assert f"{run} is finished but damaged (predictions/running.parquet missing or cut off)" in capsys.readouterr().out
    assert main(words) == 0
    err = capsys.readouterr().err
    assert "3 done, 1 to run" in err
    assert f"har: {run} is finished but damaged (predictions/running.parquet missing or cut off)" in err
    first = finished / "every" / "subject-2" / "repeat-0" / "predictions" / "running.parquet"
    assert (run / "predictions" / "running.parquet").read_bytes() == first.read_bytes()


def test_a_finished_run_whose_predictions_cannot_be_read_is_named_with_exit_code_1(copied, capsys):
    words, run = copied
    path = run / "predictions" / "running.parquet"
    path.write_bytes(b"PAR1" + bytes(1000) + b"PAR1")
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert "Run every/subject-2/repeat-0 does not count" in out
    assert err.splitlines()[-2:] == [
        "har: these finished runs do not count; delete their folders and the same command makes them again:",
        f"  {run}",
    ]


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_a_setting_that_no_run_can_work_with_is_refused_before_anything_is_run(arguments, tmp_path, dry, capsys):
    words = [*arguments[:5], str(tmp_path / "runs"), "--set", "data.window_s=400", *dry]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert "400" in err
    assert "all runs of variant 'none' would fail; nothing was started" in err
    assert out == ""
    assert not list(tmp_path.rglob("run.json"))


def test_ctrl_c_is_exit_code_130_and_one_line_that_says_what_is_kept(two_folds, data_root, tmp_path):
    words = ["study", str(two_folds), "--root", str(data_root), "--runs", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "har", *words, "--set", "trainer.max_steps=100000", "--jobs", "1"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    deadline = time.monotonic() + 180
    while not list(tmp_path.rglob("last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, err = process.communicate(timeout=60)
    finally:  # where the signal is ignored, as below a job in the background, nothing else would end it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert err.splitlines()[-1] == (
        "har: interrupted; 0 of 4 runs are done and kept, the same command goes on from there."
    )
    assert "Traceback" not in err


def test_termination_is_answered_like_ctrl_c_and_only_while_a_study_runs():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), command.termination_as_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--jobs", "0"], "--jobs 0 is not possible"),
        (["--repeats", "0"], "--repeats 0 is not possible"),
        (["--repeats", "1000000000"], "1000000000 repeats of 2 variants on"),
        (["--set", "trainer.max_steps"], "is not KEY=VALUE"),
        (["--folds", "kfold"], "kfold lacks a number"),
        (["--fold-count", "3"], "--fold-count 3 has no meaning"),
        (["--folds", "kfold", "--fold-count", "1"], "--fold-count 1 is not possible"),
        (["--folds", "lose/o"], "Did you mean 'loso'"),
        (["--folds", "loso"], "does not say how many subjects validate"),
        (["--set", "a=1", "--set", "a=2"], "--set a is given twice"),
        (["--set", "a=[1"], "--set a=[1, line 1"),
        (["--job", "2"], "Did you mean '--jobs'"),
        (["--data", "spr"], "Did you mean 'spar'?"),
        (["--set", "trainer.max_step=60"], "trainer.max_steps"),
    ],
)
def test_a_wrong_option_is_exit_code_2_with_the_nearest(arguments, words, said, capsys):
    assert main([*arguments[:6], *words]) == 2
    assert said in capsys.readouterr().err


def test_a_missing_study_file_is_exit_code_2(tmp_path, capsys):
    assert main(["study", str(tmp_path / "no.yaml")]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_overrides_are_yaml_values():
    assert command._overrides(["a.b=1e-3", "c=true", "d=[0, 2]", "e=every", "f=x=y"]) == {
        "a.b": 1e-3,
        "c": True,
        "d": [0, 2],
        "e": "every",
        "f": "x=y",
    }
    with pytest.raises(UsageError):
        command._overrides(["=1"])


def test_one_job_per_core_is_the_default():
    assert command.cores() == len(os.sched_getaffinity(0))


def test_a_study_of_inferences_trains_once_and_shows_what_uses_the_test_subject_apart(data_root, tmp_path, capsys):
    contrasts = [{"a": "every@population", "b": "every", "primary": True}, {"a": "every@target", "b": "every"}]
    inferences = ["running", "running+hmm", "population", "target"]
    study = write_study(tmp_path / "study", [fold("1")], inferences=inferences, contrasts=contrasts)
    assert main(["study", str(study), "--root", str(data_root), "--runs", str(tmp_path / "runs"), "--jobs", "1"]) == 0
    out, _ = capsys.readouterr()
    plain, apart = out.split("(transductive):\n")
    assert "| every@population" in plain
    assert "| every@running+hmm" in plain  # beside what it smooths
    assert "| every@target" in apart
    assert "| every@target" not in plain
    assert "every@target" in apart.split("Primary: ")[1]  # its verdict too
    folder = tmp_path / "runs" / "small" / "spar"
    assert len(list(folder.glob("*/*/*/run.json"))) == 2
    assert len(list(folder.glob("*/*/*/predictions/*.parquet"))) == 6
