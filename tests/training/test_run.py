"""One run in one folder: what it leaves behind, what it refuses, and that it resumes to the same numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import f1_score

from har.errors import DataError, DivergenceError, LeakageError, RunError, UsageError
from har.training import judge as judge_module
from har.training.callbacks import MetricsLog, read_metrics
from har.training.checkpoint import WholeFileIO
from har.training.cli import parts, resolve
from har.training.module import HarModule
from har.training.record import default_folder, identity, read_run
from har.training.run import run

RUN_FILES = {
    "run.json",
    "config.yaml",
    "fold.json",
    "transitions.json",
    "metrics.jsonl",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
    "predictions/running.parquet",
    "truth.parquet",
    "scores.json",
}


def trace(folder: Path) -> list[dict[str, Any]]:
    """The evaluations of a run without what a clock says."""
    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in read_metrics(folder / "metrics.jsonl")
    ]


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let a run break after the metrics of an evaluation are written and before its checkpoint is."""
    original = MetricsLog.on_validation_end

    def breaking(self: MetricsLog, trainer: Any, module: Any) -> None:
        original(self, trainer, module)
        if trainer.global_step == step:
            raise RuntimeError("the power went off")

    monkeypatch.setattr(MetricsLog, "on_validation_end", breaking)


@pytest.fixture(scope="module")
def finished(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, for tests that only read it or a copy of it."""
    small = {
        "data.root": str(data_root),
        "data.window_s": 2.0,
        "data.step_s": 0.5,
        "model.learner.init_args.filters": [8, 8],
        "model.learner.init_args.pool": [4, 2],
        "model.learner.init_args.dropout": 0.2,
        "trainer.max_steps": 30,
        "trainer.val_check_interval": 10,
        "trainer.enable_progress_bar": False,
    }
    return run(resolve([], small), tmp_path_factory.mktemp("runs") / "finished", facts={"variant": "every"})


def test_the_folder_holds_what_the_design_says(finished: Path) -> None:
    files = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()} - {".lock"}
    assert files == RUN_FILES
    record = read_run(finished)
    assert record["status"] == "done"
    assert record["error"] is None
    assert record["variant"] == "every"
    assert record["fold"]["name"] == "subject-1"
    assert record["test_windows"] == len(pd.read_parquet(finished / "predictions" / "running.parquet"))


def test_scores_are_those_of_the_predictions_file(finished: Path) -> None:
    frame = pd.read_parquet(finished / "predictions" / "running.parquet")
    scores = json.loads((finished / "scores.json").read_text())
    expected = f1_score(
        frame["truth"], frame["prediction"], average="macro", labels=sorted(frame["truth"].unique()), zero_division=0
    )
    assert scores["macro_f1"] == pytest.approx(expected)


def test_a_finished_run_is_never_overwritten(finished: Path) -> None:
    before = {name: (finished / name).read_bytes() for name in RUN_FILES}
    config = yaml.safe_load((finished / "config.yaml").read_text())
    for resume in (False, True):
        with pytest.raises(UsageError, match="never overwritten"):
            run(config, finished, resume=resume)
    assert {name: (finished / name).read_bytes() for name in RUN_FILES} == before


def test_its_configuration_runs_again_to_the_same_numbers(finished: Path, tmp_path: Path) -> None:
    again = run(resolve([finished / "config.yaml"], {}), tmp_path / "again")
    assert trace(again) == trace(finished)
    for name in ("predictions/running.parquet", "truth.parquet", "scores.json"):
        assert (again / name).read_bytes() == (finished / name).read_bytes()


@pytest.mark.parametrize("step", [20, 30])
def test_a_broken_run_resumes_to_the_same_numbers(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    config = resolve([finished / "config.yaml"], {})
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(RuntimeError, match="power"):
            run(config, tmp_path / "broken")
    record = read_run(tmp_path / "broken")
    assert record["status"] == "failed"
    assert "power" in record["error"]
    with pytest.raises(UsageError, match="unfinished run"):
        run(config, tmp_path / "broken")
    resumed = run(config, tmp_path / "broken", resume=True)
    assert trace(resumed) == trace(finished)
    assert (resumed / "scores.json").read_bytes() == (finished / "scores.json").read_bytes()
    for name in ("best", "last"):
        one, other = (
            torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
            for folder in (resumed, finished)
        )
        assert all(torch.equal(one[key], other[key]) for key in other)


def test_metrics_cut_off_in_mid_line_are_cut_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10}\n{"step": 20}\n{"st')
    assert read_metrics(path) == [{"step": 10}, {"step": 20}]


def test_a_run_is_resumed_only_as_it_was_started(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 20)
        with pytest.raises(RuntimeError):
            run(resolve([], small), tmp_path / "run")
    for change in ({"model.learning_rate": 0.1}, {"data.fold": "subject-2"}):
        with pytest.raises(UsageError, match="has another"):
            run(resolve([], {**small, **change}), tmp_path / "run", resume=True)


def test_a_damaged_checkpoint_is_named(small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 20)
        with pytest.raises(RuntimeError):
            run(resolve([], small), tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:200])
    with pytest.raises(DataError, match=r"last\.ckpt is damaged"):
        run(resolve([], small), tmp_path / "run", resume=True)


def test_nothing_to_resume_and_foreign_files_are_refused(small: dict[str, Any], tmp_path: Path) -> None:
    config = resolve([], small)
    with pytest.raises(UsageError, match="nothing to resume"):
        run(config, tmp_path / "none", resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        run(config, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_the_best_weights_are_those_of_the_best_evaluation(finished: Path) -> None:
    lines = trace(finished)
    best = max(lines, key=lambda line: line["validation_macro_f1"])  # the first of equally good ones
    record = read_run(finished)
    assert record["best_step"] == best["step"]
    assert record["best_validation_macro_f1"] == pytest.approx(best["validation_macro_f1"], abs=1e-6)
    checkpoint = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["global_step"] == best["step"]
    assert checkpoint["recipe"]["channels"] == ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]


def test_a_run_fails_when_other_weights_than_the_chosen_ones_are_restored(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = judge_module.restore

    def spoilt(module: HarModule, path: Path) -> None:
        original(module, path)
        with torch.no_grad():
            module.network.head.weight.zero_()

    monkeypatch.setattr(judge_module, "restore", spoilt)
    with pytest.raises(RunError, match="restored weights"):
        run(resolve([], small), tmp_path / "run")


def test_test_subjects_influence_neither_weights_nor_choice(
    small: dict[str, Any], data_root: Path, tmp_path: Path
) -> None:
    """The same run on data whose test subject is noise: equal traces and weights, other predictions."""
    clean = run(resolve([], small), tmp_path / "clean")
    shutil.copytree(data_root / "prepared", tmp_path / "data" / "prepared")
    store = tmp_path / "data" / "prepared" / "spar"
    table = pd.read_parquet(store / "recordings.parquet")
    signal_TC = np.load(store / "signal.npy", mmap_mode="r+")
    for start, stop in table.loc[table["subject"] == "1", ["start", "stop"]].to_numpy():
        signal_TC[start:stop] = np.random.default_rng(0).normal(size=(stop - start, 6))
    signal_TC.flush()
    spoilt = run(resolve([], {**small, "data.root": str(tmp_path / "data")}), tmp_path / "spoilt")
    assert trace(spoilt) == trace(clean)
    weights = [
        torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"] for folder in (clean, spoilt)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert (clean / "scores.json").read_text() != (spoilt / "scores.json").read_text()


def test_variants_of_a_fold_see_the_same_batches(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[bytes]] = {}
    original = HarModule.training_step
    for placement in ("none", "every"):
        batches = seen.setdefault(placement, [])

        def watching(self: HarModule, batch: Any, batch_idx: int, batches: list[bytes] = batches) -> Any:
            batches.append(batch[0].numpy().tobytes())
            return original(self, batch, batch_idx)

        monkeypatch.setattr(HarModule, "training_step", watching)
        run(resolve([], {**small, "model.norm.placement": placement}), tmp_path / placement)
    assert seen["none"] == seen["every"]
    assert len(seen["none"]) == small["trainer.max_steps"]


def test_divergence_fails_the_run_and_says_what_to_do(small: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match="diverged") as error:
        run(resolve([], {**small, "model.learning_rate": 1e12, "model.norm.placement": "none"}), tmp_path / "run")
    assert "learning_rate" in error.value.hint
    record = read_run(tmp_path / "run")
    assert (record["status"], record["diverged"]) == ("failed", True)


def test_a_run_that_cannot_begin_says_why_in_its_folder(small: dict[str, Any], tmp_path: Path) -> None:
    config = resolve([], {**small, "data.activities": ["pendulum", "abduction"], "data.min_purity": 1.0})
    config["data"]["activities"] = ["pendulm"]
    with pytest.raises(UsageError, match="pendulm"):
        run(config, tmp_path / "run", facts={"variant": "every"})
    record = read_run(tmp_path / "run")
    assert (record["status"], record["variant"], record["diverged"]) == ("failed", "every", False)
    assert "pendulm" in record["error"]
    config["data"]["activities"] = None
    assert read_run(run(config, tmp_path / "run"))["status"] == "done"  # nothing was there to lose


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    WholeFileIO().save_checkpoint({"step": 1}, path)
    with pytest.raises(AttributeError):  # nothing that has no name can be saved
        WholeFileIO().save_checkpoint({"step": lambda: 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_leakage_fails_the_run(small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from har.training import datamodule

    original = datamodule.window_index
    monkeypatch.setattr(datamodule, "window_index", lambda store, spec, subjects: original(store, spec, ["1", "2"]))
    with pytest.raises(LeakageError):
        run(resolve([], small), tmp_path / "run")


@pytest.mark.parametrize("interval", [50, 7])
def test_a_budget_that_ends_without_an_evaluation_is_refused(
    small: dict[str, Any], tmp_path: Path, interval: int
) -> None:
    with pytest.raises(UsageError, match=f"val_check_interval {interval}"):
        run(resolve([], {**small, "trainer.val_check_interval": interval}), tmp_path / "run")


def test_the_checkpoint_scales_by_the_training_subjects_moments(finished: Path) -> None:
    _, data, _ = parts(resolve([finished / "config.yaml"], {}))
    data.setup()
    windows = [data.store.signal_TC[start : start + data.train.samples] for start in data.train.start]
    x_NTC = np.stack(windows).astype(np.float64)
    state = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    np.testing.assert_allclose(state["network.scaling.mean"], x_NTC.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(state["network.scaling.deviation"], x_NTC.std((0, 1)), rtol=1e-5)


def test_identity_changes_with_what_changes_results_and_with_nothing_else(small: dict[str, Any]) -> None:
    base = identity(resolve([], small))

    def differs(**changes: Any) -> set[str]:
        other = identity(resolve([], {**small, **{key.replace("__", "."): value for key, value in changes.items()}}))
        return {name for name in base if base[name] != other[name]}

    assert differs(name="other") == set()
    assert differs(trainer__enable_progress_bar=True) == set()
    assert differs(seed_everything=1) == {"config"}
    assert differs(model__norm__momentum=0.2) == {"config"}
    assert differs(data__fold="subject-2") == {"split"}
    assert differs(data__validation_subjects=3) == {"split"}


def test_default_folder_is_experiment_data_set_placement_fold_seed(small: dict[str, Any], tmp_path: Path) -> None:
    config = resolve([], {**small, "data.fold": "subject-3", "seed_everything": 7, "model.norm.placement": "first"})
    assert default_folder(config, tmp_path) == tmp_path / "small" / "spar" / "first" / "subject-3" / "seed-7"
