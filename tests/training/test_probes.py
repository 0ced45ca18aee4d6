"""Probes of a run: training does not notice them, a resumed run has the same ones, and what they cost is said."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import DataError, UsageError
from har.evaluation.probes import SCHEMA, read_probes
from har.training import probes as probes_module
from har.training.callbacks import MetricsLog, read_metrics
from har.training.cli import resolve
from har.training.probes import Probes, is_due
from har.training.record import identity, read_run
from har.training.run import run

PROBES = {"times": 3, "batches": 1, "windows": 20}


@pytest.fixture
def quick(small: dict[str, Any]) -> dict[str, Any]:
    """A run with dropout, whose random state would tell of any disturbance."""
    return {**small, "model.learner.init_args.dropout": 0.3}


@pytest.fixture(scope="module")
def whole(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with probes, of the settings of `quick`. Not to be changed."""
    settings = {
        "data.root": str(data_root),
        "data.window_s": 2.0,
        "data.step_s": 0.5,
        "data.batch_size": 32,
        "model.learner.init_args.filters": [8, 8],
        "model.learner.init_args.pool": [4, 2],
        "model.learner.init_args.dropout": 0.3,
        "model.learning_rate": 0.003,
        "trainer.max_steps": 30,
        "trainer.val_check_interval": 10,
        "trainer.enable_progress_bar": False,
        "probes": PROBES,
    }
    return run(resolve([], settings), tmp_path_factory.mktemp("runs") / "whole")


def probed(folder: Path) -> pd.DataFrame:
    """The probes of a run without what a clock says."""
    frame = read_probes(folder / "probes.parquet").to_pandas()
    return frame[~frame["probe"].str.startswith("cost.")].reset_index(drop=True)


def metrics(folder: Path) -> list[dict[str, Any]]:
    lines = read_metrics(folder / "metrics.jsonl")
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def states(folder: Path) -> list[Any]:
    """Weights, buffers, the optimiser's state and the loader's place, as last and best checkpoint hold them."""
    keys = ("state_dict", "optimizer_states", "loops", "global_step")
    found = [torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("last", "best")]
    return [{key: checkpoint[key] for key in keys} for checkpoint in found]


@pytest.mark.parametrize("kind", ["batch", "batch_renorm", "mabn"])
def test_training_does_not_notice(quick: dict[str, Any], tmp_path: Path, kind: str) -> None:
    quick["model.norm.kind"] = kind
    plain = run(resolve([], quick), tmp_path / "plain")
    looked_at = run(resolve([], {**quick, "probes": PROBES}), tmp_path / "looked_at")
    assert metrics(looked_at) == metrics(plain)
    assert same(states(looked_at), states(plain))
    for name in ("predictions/running.parquet", "truth.parquet", "scores.json"):
        assert (looked_at / name).read_bytes() == (plain / name).read_bytes()
    assert not (plain / "probes.parquet").exists()
    assert "probe_seconds" not in read_run(plain)
    assert set(probed(looked_at)["step"]) == {10, 20, 30}


def test_steps_are_measured_at_the_rate_that_they_were_made_with(quick: dict[str, Any], tmp_path: Path) -> None:
    """Behind its last step a falling schedule stands at 0, at which no step would be a unit of length."""
    quick["model.optimisation.schedule"] = "warm_up_cosine"
    frame = probed(run(resolve([], {**quick, "probes": PROBES}), tmp_path / "run"))
    effective = frame[(frame["probe"] == "lr.effective") & (frame["depth"] == 1)].set_index("step")["value"]
    rate = {step: 0.003 * 0.5 * (1 + math.cos(math.pi * (step - 1 - 3) / 27)) for step in (10, 20, 30)}
    assert effective[30] / effective[10] == pytest.approx(rate[30] / rate[10], rel=0.2)  # weights grow a little
    for probe in ("upd.ratio", "lr.angle", "loss.range"):
        assert (frame.loc[frame["probe"] == probe, "value"] > 0).all()
    assert set(frame.loc[frame["probe"] == "loss.smoothness", "step"]) == {10, 20, 30}


def test_validation_with_exact_statistics_is_over_when_probes_look(
    quick: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    exact = run(resolve([], {**quick, "probes": PROBES, "model.precise_validation": True}), tmp_path / "exact")
    of_chosen = ("equi.", "batch.")  # once, under weights that may be of another step
    frames = [probed(folder) for folder in (whole, exact)]
    frames = [f[(f["group"] != "test") & ~f["probe"].str.startswith(of_chosen)] for f in frames]
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in frames))


@pytest.mark.parametrize("breaking", [MetricsLog, Probes])
def test_a_resumed_run_has_the_same_probes(
    quick: dict[str, Any], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaking: type
) -> None:
    config = resolve([], {**quick, "probes": PROBES})
    original = breaking.on_validation_end

    def stop(self: Any, trainer: Any, module: Any) -> None:
        original(self, trainer, module)
        if trainer.global_step == 20:
            raise RuntimeError("the power went off")

    with monkeypatch.context() as patch:
        patch.setattr(breaking, "on_validation_end", stop)
        with pytest.raises(RuntimeError, match="power"):
            run(config, tmp_path / "broken")
    resumed = run(config, tmp_path / "broken", resume=True)
    pd.testing.assert_frame_equal(probed(resumed), probed(whole))
    assert same(states(resumed), states(whole))


def test_a_run_is_resumed_only_with_the_probes_that_it_was_started_with(
    quick: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Any, trainer: Any, module: Any) -> None:
        if trainer.global_step == 20:
            raise RuntimeError("the power went off")

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "on_validation_end", stop)
        with pytest.raises(RuntimeError):
            run(resolve([], quick), tmp_path / "run")
    with pytest.raises(UsageError, match="has another probes"):
        run(resolve([], {**quick, "probes": PROBES}), tmp_path / "run", resume=True)


def test_probes_that_were_lost_before_a_resume_are_named(
    quick: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve([], {**quick, "probes": PROBES})

    def stop(self: Any, trainer: Any, module: Any) -> None:
        if trainer.global_step == 20:
            raise RuntimeError("the power went off")

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "on_validation_end", stop)
        with pytest.raises(RuntimeError):
            run(config, tmp_path / "run")
    (tmp_path / "run" / "probes.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"probes\.parquet is damaged"):
        run(config, tmp_path / "run", resume=True)


def test_what_they_cost_is_said_and_is_no_part_of_the_time_of_training(
    quick: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, waited_s = probes_module.write_probes, 1.0

    def slow(path: Path, table: Any) -> None:
        time.sleep(waited_s)
        original(path, table)

    monkeypatch.setattr(probes_module, "write_probes", slow)
    folder = run(resolve([], {**quick, "probes": PROBES}), tmp_path / "run")
    record = read_run(folder)
    assert record["probes"] == PROBES
    assert record["probe_seconds"] > 5 * waited_s  # at the start, three times, and at the end
    assert record["seconds"] > record["probe_seconds"]
    assert read_metrics(folder / "metrics.jsonl")[-1]["seconds"] < record["seconds"] - 4 * waited_s
    costs = read_probes(folder / "probes.parquet").to_pandas().query("probe.str.startswith('cost.')")
    assert set(costs.query("step == 20")["probe"]) == {
        f"cost.{part}" for part in ("training_mode", "inference_mode", "recoverable", "landscape")
    }
    assert (costs["value"] > 0).all()


def test_the_identity_of_a_run_does_not_depend_on_them(quick: dict[str, Any]) -> None:
    before = resolve([], quick)
    del before["probes"]  # as in the configuration of a run from before there were any
    assert identity(before) == identity(resolve([], quick)) == identity(resolve([], {**quick, "probes": PROBES}))


def test_test_subjects_are_looked_at_once_and_under_the_chosen_weights(whole: Path) -> None:
    frame = probed(whole)
    test = frame[frame["group"] == "test"]
    assert set(test["step"]) == {read_run(whole)["best_step"]}
    assert set(test["probe"]) == {"bn.esm_mean", "bn.esm_var", "equi.gain", "equi.offset"}
    assert set(frame["group"]) == {"train", "validation", "test"}
    assert pq.read_schema(whole / "probes.parquet").equals(SCHEMA)
    assert not frame.duplicated(["step", "group", "layer", "side", "probe", "at"]).any()


@settings(max_examples=60)
@given(evaluations=st.integers(1, 60), interval=st.integers(1, 7), times=st.integers(1, 70))
def test_measurements_are_spread_evenly_and_the_last_evaluation_is_one(
    evaluations: int, interval: int, times: int
) -> None:
    due = [n for n in range(1, evaluations + 1) if is_due(n * interval, evaluations * interval, interval, times)]
    assert len(due) == min(times, evaluations)
    assert due[-1] == evaluations
    gaps = [after - before for before, after in zip([0, *due], due, strict=False)]
    assert max(gaps) - min(gaps) <= 1
