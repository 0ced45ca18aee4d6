"""Runs trained together leave behind what each leaves behind by itself, and fail one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from har.errors import DivergenceError, RunError, UsageError
from har.training import fused, judge
from har.training.callbacks import read_metrics
from har.training.cli import parts, resolve
from har.training.fused import run_together
from har.training.record import read_run
from har.training.room import replicas_that_fit, saved_bytes
from har.training.run import run
from har.training.stack import Stack
from tests.training.conftest import small_settings

DIVERGES = 1
REPLICAS: list[dict[str, Any]] = [
    {"seed_everything": 1, "data.fold": "subject-1"},
    {"seed_everything": 2, "data.fold": "subject-2", "model.learning_rate": 1e12},
    {
        "seed_everything": 3,
        "data.fold": "subject-2",
        "model.learning_rate": 0.01,
        "inferences": ["running", "population"],
    },
]
ASIDE = {"started", "finished", "seconds", "peak_memory_mib", "fused"}


def tasks_of(folder: Path, small: dict[str, Any]) -> list[dict[str, Any]]:
    common = {**small, "model.learner.init_args.dropout": 0.2, "model.norm.placement": "none"}
    return [
        {"config": resolve([], {**common, **own}), "folder": str(folder / f"{number}"), "facts": {"variant": "none"}}
        for number, own in enumerate(REPLICAS)
    ]


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def made(tasks: list[dict[str, Any]]) -> dict[int, Exception | None]:
    ended: dict[int, Exception | None] = {}
    run_together(tasks, lambda number, error, seconds: ended.update({number: error}))
    return ended


@pytest.fixture(scope="module")
def both(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[int, Exception | None]]:
    """The runs made together, the same made one by one, and how the former ended."""
    small = small_settings(data_root)
    folder = tmp_path_factory.mktemp("fused")
    ended = made(tasks_of(folder / "together", small))
    for number, task in enumerate(tasks_of(folder / "apart", small)):
        if number != DIVERGES:
            run(task["config"], Path(task["folder"]), facts=task["facts"])
        else:
            with pytest.raises(DivergenceError):
                run(task["config"], Path(task["folder"]), facts=task["facts"])
    return folder / "together", folder / "apart", ended


def test_every_run_leaves_the_files_of_a_run_by_itself(both: tuple[Path, Path, Any]) -> None:
    together, apart, ended = both
    assert [number for number, error in ended.items() if error is None] == [0, 2]
    for number in ended:
        assert files_of(together / str(number)) - files_of(apart / str(number)) <= {"metrics.jsonl"}
        assert files_of(apart / str(number)) <= files_of(together / str(number))
        one, other = read_run(together / str(number)), read_run(apart / str(number))
        score = "best_validation_macro_f1"
        assert one.pop(score, None) == pytest.approx(other.pop(score, None), abs=1e-6)
        assert {key: value for key, value in one.items() if key not in ASIDE} == {
            key: value for key, value in other.items() if key not in ASIDE
        }
        for name in ("config.yaml", "fold.json"):
            ours, theirs = ((place / str(number) / name).read_text() for place in (together, apart))
            assert ours.replace("together", "apart") == theirs
    assert read_run(together / "0")["fused"]["replicas"] == len(ended)


@pytest.mark.parametrize("number", [0, 2])
def test_traces_weights_and_predictions_are_close_to_those_of_a_run_by_itself(
    both: tuple[Path, Path, Any], number: int
) -> None:
    together, apart = (place / str(number) for place in both[:2])
    for one, other in zip(*(read_metrics(place / "metrics.jsonl") for place in (together, apart)), strict=True):
        assert one["seconds"] > 0
        assert one == pytest.approx({**other, "seconds": one["seconds"]}, rel=2e-3)
    for name in ("best", "last"):
        ours, theirs = (
            torch.load(place / "checkpoints" / f"{name}.ckpt", weights_only=True) for place in (together, apart)
        )
        assert ours.keys() == theirs.keys()
        assert (ours["global_step"], ours["epoch"], ours["recipe"]) == (
            theirs["global_step"],
            theirs["epoch"],
            theirs["recipe"],
        )
        torch.testing.assert_close(ours["state_dict"], theirs["state_dict"], rtol=0.02, atol=2e-3)
        moments, others = ours["optimizer_states"][0]["state"], theirs["optimizer_states"][0]["state"]
        assert moments.keys() == others.keys()
        for key in moments:
            torch.testing.assert_close(moments[key]["exp_avg"], others[key]["exp_avg"], rtol=0.05, atol=2e-3)
            assert moments[key]["step"] == others[key]["step"]
    for inference in json.loads((apart / "run.json").read_text())["inferences"]:
        one, other = (pd.read_parquet(place / "predictions" / f"{inference}.parquet") for place in (together, apart))
        pd.testing.assert_frame_equal(one.drop(columns="prediction"), other.drop(columns="prediction"), atol=5e-3)


def test_a_run_that_diverges_says_so_as_it_would_by_itself(both: tuple[Path, Path, Any]) -> None:
    together, apart, ended = both
    assert isinstance(ended[DIVERGES], DivergenceError)
    ours, theirs = (read_run(place / str(DIVERGES)) for place in (together, apart))
    assert (ours["status"], ours["diverged"], ours["error"]) == ("failed", True, theirs["error"])


def test_a_run_cut_off_before_its_record_goes_on_by_itself_to_the_same_predictions(
    both: tuple[Path, Path, Any],
) -> None:
    folder = both[0] / "0"
    record, predictions = read_run(folder), (folder / "predictions" / "running.parquet").read_bytes()
    (folder / "run.json").write_text(json.dumps({**record, "status": "running"}))
    run(resolve([folder / "config.yaml"], {}), folder, resume=True)
    assert read_run(folder)["status"] == "done"
    assert (folder / "predictions" / "running.parquet").read_bytes() == predictions


def test_a_run_that_cannot_begin_or_end_fails_alone(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [task for number, task in enumerate(tasks_of(tmp_path, small)) if number != DIVERGES]
    tasks.append({**tasks[0], "config": {**tasks[0]["config"], "data": {**tasks[0]["config"]["data"], "fold": "s"}}})
    tasks[-1]["folder"] = str(tmp_path / "unknown-fold")
    original = judge.score_run

    def broken(folder: Path, **options: Any) -> Any:
        if folder.name == "0":
            raise RunError("the scores are lost.", "Look for them.")
        return original(folder, **options)

    monkeypatch.setattr(judge, "score_run", broken)
    ended = made(tasks)
    assert [type(ended[number]) for number in range(3)] == [RunError, type(None), UsageError]
    assert "scores are lost" in read_run(tmp_path / "0")["error"]
    assert read_run(tmp_path / "2")["status"] == "done"


def test_runs_that_memory_does_not_hold_at_once_follow_each_other(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "replicas_that_fit", lambda *_: 2)
    tasks = [{**task, "folder": str(tmp_path / str(i))} for i, task in enumerate(tasks_of(tmp_path, small)[:1] * 3)]
    assert list(made(tasks).values()) == [None] * 3
    assert [read_run(tmp_path / str(i))["fused"]["replicas"] for i in range(3)] == [2, 2, 1]
    weights = [
        torch.load(tmp_path / str(i) / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for i in (0, 1)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("instant", ["training_losses", "take"])  # in the midst of training, and with other weights
def test_a_stack_that_memory_does_not_hold_is_trained_in_halves_from_the_beginning(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    original = getattr(Stack, instant)

    def too_large(stack: Stack, *arguments: Any) -> Any:
        if len(stack.replicas) > 1 and (instant == "take" or arguments[1] == 2):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(stack, *arguments)

    ready = [{**task, "folder": str(tmp_path / str(i))} for i, task in enumerate(tasks_of(tmp_path, small)[:1] * 2)]
    run_together([{**ready[0], "folder": str(tmp_path / "undisturbed")}], lambda *_: None)
    monkeypatch.setattr(Stack, instant, too_large)
    assert made(ready) == {0: None, 1: None}
    assert [read_run(tmp_path / str(i))["fused"]["replicas"] for i in range(2)] == [1, 1]
    expected, *found = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("undisturbed", "0", "1")
    )
    for name, value in expected.items():
        assert all(torch.equal(weights[name], value) for weights in found), name


def test_a_single_run_that_memory_does_not_hold_fails_and_says_so(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(stack: Stack, *_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Stack, "training_losses", too_large)
    ended = made(tasks_of(tmp_path, small)[:1])
    assert isinstance(ended[0], RunError)
    assert "more memory than the accelerator has: CUDA out of memory" in read_run(tmp_path / "0")["error"]


def test_what_a_step_keeps_is_counted_without_a_trace(small: dict[str, Any]) -> None:
    module, data, _ = parts(resolve([], small))
    data.setup()
    module.doubts(data)
    before = {name: value.clone() for name, value in module.network.state_dict().items()}
    kept = saved_bytes(module, data)
    first = 32 * (data.train.samples - 4) * 8 * 4  # float32 outputs of the first convolution
    assert 2 * first < kept < 20 * first
    assert all(torch.equal(value, before[name]) for name, value in module.network.state_dict().items())
    room = replicas_that_fit(module, data, "cpu", 1.0)
    assert room == pytest.approx(2 * replicas_that_fit(module, data, "cpu", 0.5), rel=0.1)
    assert replicas_that_fit(module, data, "cpu", 0.0) == 1
