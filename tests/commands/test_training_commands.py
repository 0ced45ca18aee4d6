"""`fit`, `validate`, `test` and `predict` as a person types them."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from har.__main__ import main
from har.training.callbacks import MetricsLog
from har.windows.prepare import prepare
from tests.fakes.stores import faked

EXPERIMENT = """
name: small
data: {window_s: 2.0, step_s: 0.5, batch_size: 32}
model:
  learner: {class_path: har.learners.cnn.CNN, init_args: {filters: [8, 8], pool: [4, 2]}}
trainer: {max_steps: 20, val_check_interval: 10}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root, an experiment and one finished run made by the command line, in one folder."""
    folder = tmp_path_factory.mktemp("a person's folder, with spaces and ä")
    card, written = faked("spar", folder / "raw")
    prepare(card, source=written["source"], root=folder / "data")
    (folder / "small.yaml").write_text(EXPERIMENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert (
            main(["fit", "--config", "small.yaml", "--model.norm.placement", "first", "--data.fold", "subject-2"]) == 0
        )
    return folder


@pytest.fixture
def run(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run, from within its person's folder."""
    monkeypatch.chdir(finished)
    return Path("runs/small/spar/first/subject-2/seed-0")


@pytest.fixture
def har(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call a command; return exit code, standard output and standard error."""

    def call(*args: object) -> tuple[int, str, str]:
        code = main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


Har = Callable[..., tuple[int, str, str]]


def test_fit_makes_a_run_where_help_says(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "done"
    assert record["fold"]["test"] == ["2"]


def test_fit_again_is_refused_in_one_error(run: Path, har: Har) -> None:
    code, _, text = har("fit", "--config", "small.yaml", "--model.norm.placement", "first", "--data.fold", "subject-2")
    assert code == 2
    assert "never overwritten" in text
    assert "--out" in text


def test_fit_prints_one_plain_line_per_evaluation_when_redirected(run: Path, har: Har, tmp_path: Path) -> None:
    code, out, text = har("fit", "--config", run / "config.yaml", "--out", tmp_path / "again")
    assert code == 0
    lines = text.splitlines()
    assert [line.split("  ")[1] for line in lines] == ["step 10/20", "step 20/20"]
    assert all("left" in line and "\x1b" not in line and "\r" not in line for line in lines)
    assert "| pendulum" in out
    files = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (run, tmp_path / "again")]
    metrics = [[json.loads(line)["train_loss"] for line in lines] for lines in files]
    assert metrics[0] == metrics[1]


def test_fit_says_what_is_doubtful_about_the_network_before_the_first_step(run: Path, har: Har, tmp_path: Path) -> None:
    folder = tmp_path / "doubtful"
    code, out, text = har("fit", "--config", run / "config.yaml", "--model.norm.kind", "instance", "--out", folder)
    assert code == 0
    first, *progress = text.splitlines()
    (doubt,) = json.loads((folder / "run.json").read_text())["warnings"]
    assert first == f"warning: {doubt}"
    assert doubt.startswith("block1.norm normalises each window by itself")
    assert all("step" in line for line in progress)
    assert doubt not in out


def test_resume_takes_no_settings(run: Path, har: Har) -> None:
    code, _, text = har("fit", "--resume", run, "--model.learning_rate", 1)
    assert code == 2
    assert "--model.learning_rate cannot be given" in text
    assert har("fit", "--resume", "runs/none")[0] == 2


def test_validate_repeats_the_score_that_chose_the_weights(run: Path, har: Har) -> None:
    code, out, _ = har("validate", run)
    assert code == 0
    assert f"macro F1 {json.loads((run / 'run.json').read_text())['best_validation_macro_f1']:.4f}" in out


def test_command_line_beats_checkpoint(run: Path, har: Har) -> None:
    """Lightning would let the checkpoint's settings win ; here the network asked for is not the one stored."""
    for setting, value in (("model.norm.placement", "none"), ("model.scaling", "none"), ("model.norm.epsilon", 0.1)):
        code, _, text = har("validate", run, f"--{setting}", value)
        assert code == 2
        assert f"{setting.rsplit('.', 1)[0] if 'norm' in setting else setting} is " in text
    code, out, _ = har("validate", run, "--data.fold", "subject-5", "--data.batch_size", 7)
    assert code == 0
    assert "fold subject-5" in out


def test_command_line_beats_file_beats_checkpoint_without_a_run(run: Path, har: Har) -> None:
    ckpt = run / "checkpoints" / "best.ckpt"
    code, out, _ = har("validate", "--config", "small.yaml", "--ckpt", ckpt, "--model.norm.placement", "first")
    assert code == 0
    assert "fold subject-1" in out
    assert har("validate", "--config", "small.yaml", "--ckpt", ckpt)[0] == 2  # the file's placement is every


def test_data_that_the_network_was_not_trained_for_are_refused(run: Path, har: Har) -> None:
    code, _, text = har("validate", run, "--data.window_s", 3)
    assert code == 2
    assert "samples of spar (150)" in text


def test_test_writes_the_same_files_again(run: Path, har: Har) -> None:
    names = ("predictions/running.parquet", "truth.parquet", "scores.json")
    before = {name: (run / name).read_bytes() for name in names}
    (run / "predictions" / "running.parquet").unlink()
    code, out, _ = har("test", run)
    assert code == 0
    assert "| pendulum" in out
    assert {name: (run / name).read_bytes() for name in names} == before


def test_test_with_settings_needs_a_folder_of_its_own(run: Path, har: Har, tmp_path: Path) -> None:
    before = (run / "scores.json").read_bytes()
    assert har("test", run, "--data.step_s", 0.25)[0] == 2
    assert har("test", run, "--data.step_s", 0.25, "--out", run)[0] == 2
    assert (run / "scores.json").read_bytes() == before
    code, out, text = har("test", "--data.step_s", 0.24, run, "--out", tmp_path / "finer")  # the order does not matter
    assert code == 0, text
    assert "| pendulum" in out
    assert len(pd.read_parquet(tmp_path / "finer" / "predictions" / "running.parquet")) > 60


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_predict_names_an_activity_for_every_window(run: Path, har: Har, tmp_path: Path, name: str) -> None:
    code, out, _ = har("predict", run, "--out", tmp_path / name)
    assert code == 0
    frame = (pd.read_csv if name.endswith("csv") else pd.read_parquet)(tmp_path / name)
    assert list(frame.columns) == ["subject", "trial", "start_s", "end_s", "activity", "probability"]
    assert frame["subject"].nunique() == 10
    assert ((frame["end_s"] - frame["start_s"]).round(6) == 2.0).all()
    assert f"{len(frame)} windows of 10 subjects" in out
    tested = pd.read_parquet(run / "predictions" / "running.parquet")
    assert frame.loc[frame["subject"].astype(str) == "2", "activity"].tolist() == tested["prediction"].tolist()


@pytest.mark.parametrize(
    ("args", "code", "what"),
    [
        (("validate",), 2, "no run is named"),
        (("predict", "{run}"), 2, "--out"),
        (("predict", "{run}", "--out", "a.xlsx"), 2, "neither .csv nor .parquet"),
        (("predict", "{run}", "--out", "a.csv", "--data.name", "spr"), 2, "spr"),
        (("test", "runs/none"), 2, "holds no run"),
        (("validate", "{run}", "--ckpt", "none.ckpt"), 3, "no checkpoint"),
        (("fit", "--config", "none.yaml"), 2, "none.yaml"),
        (("fit", "--config", "small.yaml", "--data.root", "nowhere"), 3, "nowhere"),
        (("fit", "--config", "small.yaml", "--out", "small.yaml/x"), 1, "a file stands where a folder is needed"),
        (("predict", "{run}", "--out", "small.yaml/x.csv"), 1, "a file stands where a folder is needed"),
        (("fit", "--config", "."), 2, "is a folder"),
        (("fit", "--config", "small.yaml", "--out", "x1", "--threads", "0"), 2, "threads 0"),
        (("fit", "--config", "small.yaml", "--out", "x1", "--data.batch_size", "0"), 2, "batch_size 0"),
        (("fit", "--config", "small.yaml", "--out", "x1", "--trainer.accelerator", "gpu"), 2, "gpu backend"),
        (("fit", "--config", "small.yaml", "--out", "x1", "--trainer.accelerator", "cudaa"), 2, "cudaa"),
        (("fit", "--config", "small.yaml", "--out", "x1", "--trainer.devices", "0"), 2, "trainer settings"),
        (
            ("fit", "--config", "small.yaml", "--out", "x1", "--trainer.accumulate_grad_batches", "2"),
            2,
            "data.batch_size",
        ),
        (("fit", "--config", "small.yaml", "--out", "x1", "--trainer.max_steps", "25"), 2, "no multiple"),
        (
            ("fit", "--config", "small.yaml", "--out", "x1", "--data.activities", "[pendulum]"),
            2,
            "nothing to tell apart",
        ),
    ],
)
def test_wrong_calls_are_one_clear_error(run: Path, har: Har, args: tuple[str, ...], code: int, what: str) -> None:
    got, _, text = har(*(arg.format(run=run) for arg in args))
    assert got == code, text
    assert what in text
    assert text.startswith("har: ")


def test_a_finished_runs_files_are_not_replaced_from_other_data(run: Path, har: Har, tmp_path: Path) -> None:
    card, written = faked("spar", tmp_path / "raw", seed=1)
    prepare(card, source=written["source"], root=tmp_path / "data")
    shutil.copytree(run, tmp_path / "run")
    config = (tmp_path / "run" / "config.yaml").read_text().replace("root: null", f"root: '{tmp_path / 'data'}'")
    (tmp_path / "run" / "config.yaml").write_text(config)
    before = (tmp_path / "run" / "scores.json").read_bytes()
    code, _, text = har("test", tmp_path / "run")
    assert code == 2
    assert "made with another data" in text
    assert (tmp_path / "run" / "scores.json").read_bytes() == before


def test_values_that_are_no_numbers_are_damage_and_never_a_prediction(run: Path, har: Har, tmp_path: Path) -> None:
    shutil.copytree("data/prepared", tmp_path / "prepared")
    signal_TC = np.load(tmp_path / "prepared" / "spar" / "signal.npy", mmap_mode="r+")
    signal_TC[-5, 2] = np.nan
    signal_TC.flush()
    settings = ("--data.root", tmp_path)
    for args in (
        ("fit", "--config", "small.yaml", "--out", tmp_path / "x"),
        ("predict", run, "--out", tmp_path / "a.csv"),
    ):
        code, _, text = har(*args, *settings)
        assert code == 3
        assert "the store is damaged" in text
        assert "signal.npy" in text
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("content", ["a: [1", "- 1", "\xff"])
def test_a_damaged_configuration_is_exit_code_3(run: Path, har: Har, tmp_path: Path, content: str) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "config.yaml").write_text(content, encoding="latin-1")
    for args in (("validate", tmp_path / "run"), ("fit", "--resume", tmp_path / "run")):
        code, _, text = har(*args)
        assert code == 3
        assert "config.yaml is damaged" in text


def test_ctrl_c_names_the_command_that_goes_on(
    run: Path, har: Har, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = MetricsLog.on_validation_end

    def interrupted(self: MetricsLog, trainer: Any, module: Any) -> None:
        original(self, trainer, module)
        if trainer.global_step == 20:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "on_validation_end", interrupted)
        code, _, text = har("fit", "--config", "small.yaml", "--out", tmp_path / "cut")
    assert code == 130
    assert f"har fit --resume {tmp_path / 'cut'}" in text
    seconds = json.loads((tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()[0])["seconds"]
    started = json.loads((tmp_path / "cut" / "run.json").read_text())["started"]
    assert har("fit", "--resume", tmp_path / "cut")[0] == 0
    record = json.loads((tmp_path / "cut" / "run.json").read_text())
    assert record["started"] == started
    assert record["seconds"] > seconds  # what was trained before counts


def test_a_damaged_checkpoint_is_exit_code_3(run: Path, har: Har, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "best.ckpt").write_bytes(b"not a checkpoint")
    code, _, text = har("test", tmp_path / "run")
    assert code == 3
    assert "is damaged" in text


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_the_data_root_is_named_as_in_every_command(
    run: Path, har: Har, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    run, root = run.absolute(), (run.parents[5] / "data").absolute()
    monkeypatch.chdir(tmp_path)
    out = "out.csv" if command == "predict" else "out"
    args = {
        "fit": ["--config", run / "config.yaml", "--out", out],
        "validate": [run],
        "test": [run, "--out", out],
        "predict": [run, "--out", out],
    }[command]
    code, _, text = har(command, *args, "--root", tmp_path / "nowhere")
    assert code == 3, text
    assert f"nowhere{os.sep}prepared" in text
    assert not list(tmp_path.rglob("*.parquet"))
    code, _, text = har(command, *args, "--root", root)
    assert code == 0, text


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
@pytest.mark.parametrize("second", [["--data.root", "b"], ["--data.root=b"]])
def test_two_words_for_the_data_root_are_refused(run: Path, har: Har, command: str, second: list[str]) -> None:
    args = {"fit": [], "validate": [run]}.get(command, [run, "--out", "c.csv"])
    code, _, text = har(command, *args, "--root", "a", *second)
    assert code == 2
    assert "--root a and --data.root are one setting" in text


def test_resume_takes_no_other_data_root(run: Path, har: Har) -> None:
    code, _, text = har("fit", "--resume", run, "--root", "elsewhere")
    assert code == 2
    assert "--data.root=elsewhere cannot be given" in text


@pytest.mark.parametrize(
    ("command", "there", "not_there"),
    [
        ("fit", ["data.step_s", "model.learning_rate", "trainer.max_steps", "threads", "seed_everything"], []),
        ("validate", ["data.step_s", "data.folds", "trainer.accelerator", "threads"], ["inferences"]),
        ("test", ["data.step_s", "data.folds", "trainer.accelerator", "threads", "inferences"], []),
        ("predict", ["data.name", "data.step_s", "trainer.accelerator", "threads"], ["data.folds", "inferences"]),
    ],
)
def test_help_lists_the_settings_that_matter_to_the_command(
    capsys: pytest.CaptureFixture[str], command: str, there: list[str], not_there: list[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert "--root FOLDER" in text
    listed = [line.split()[0] for line in text.splitlines() if line.startswith("    ") and line.split()]
    assert set(there) <= set(listed)
    if command != "fit":
        assert not {*not_there, "model.learning_rate", "trainer.max_steps", "seed_everything", "data.batch_size"} & {
            *listed
        }
