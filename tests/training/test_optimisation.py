"""Optimiser, schedule, loss and averaged weights, each against its definition."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from har.errors import UsageError
from har.training.averaging import WeightAveraging
from har.training.callbacks import read_metrics
from har.training.checkpoint import load_checkpoint
from har.training.cli import resolve
from har.training.datamodule import HarDataModule
from har.training.evaluations import MONITOR
from har.training.module import HarModule
from har.training.optimisation import Optimisation
from har.training.record import identity
from har.training.run import run
from har.training.trained import Trained
from tests.conftest import fresh
from tests.training.test_run import stop_at, trace

OPTIONS = {
    "model.optimisation.schedule": "warm_up_cosine",
    "model.optimisation.weight_averaging": 0.9,
    "model.optimisation.label_smoothing": 0.1,
    "model.optimisation.class_weights": "balanced",
    "model.augmentation.rotation_deg": 10,
    "data.shift_s": 0.2,
}


def test_the_rate_rises_in_a_line_and_falls_along_half_a_cosine() -> None:
    factor = Optimisation(schedule="warm_up_cosine", warm_up=0.25).factor(100)
    assert [factor(step) for step in (0, 11, 24)] == pytest.approx([1 / 25, 12 / 25, 1.0])
    assert [factor(step) for step in (25, 50, 75, 100)] == pytest.approx(
        [(1 + math.cos(math.pi * share)) / 2 for share in (0, 1 / 3, 2 / 3, 1)]
    )
    assert Optimisation(schedule="warm_up_cosine", warm_up=0.0).factor(10)(0) == 1.0
    assert Optimisation().factor(10)(7) == 1.0


def test_a_run_follows_its_schedule(small: dict[str, Any], tmp_path: Path) -> None:
    folder = run(resolve([], {**small, "model.optimisation.schedule": "warm_up_cosine"}), tmp_path / "run")
    factor = Optimisation(schedule="warm_up_cosine").factor(30)
    rates = [line["learning_rate"] for line in read_metrics(folder / "metrics.jsonl")]
    assert rates == pytest.approx([0.003 * factor(step) for step in (10, 20, 30)])


def test_weights_of_activities_are_those_of_scikit_learn_and_the_loss_follows_its_formula() -> None:
    label_N = np.concatenate([np.arange(4), fresh().integers(0, 4, 60)]).astype(np.int16)
    weight_K = Optimisation(class_weights="balanced").weights_of(label_N, 4)
    assert weight_K is not None
    np.testing.assert_allclose(weight_K, compute_class_weight("balanced", classes=np.arange(4), y=label_N), rtol=1e-6)
    assert Optimisation().weights_of(label_N, 4) is None
    module = HarModule(optimisation=Optimisation(label_smoothing=0.2))
    logits_NK, labels_N = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    target_NK = 0.8 * functional.one_hot(labels_N, 4) + 0.2 / 4
    expected = -(target_NK * logits_NK.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(module.loss(logits_NK, labels_N), expected)


def test_adadelta_has_the_constants_of_keras_and_decays_no_bias() -> None:
    parameters = [torch.nn.Parameter(torch.randn(3, 2)), torch.nn.Parameter(torch.randn(3))]
    optimiser = Optimisation(optimiser="adadelta").make(parameters, 1.0, 0.1)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.1, 0.0]
    before, slope = parameters[1].detach().double().clone(), torch.randn(3, dtype=torch.float64)
    square = moved = torch.zeros(3, dtype=torch.float64)
    for _ in range(4):  # Zeiler 2012, algorithm 1, with ρ = 0.95 and ε = 1e-7
        square = 0.95 * square + 0.05 * slope**2
        change = -((moved + 1e-7) / (square + 1e-7)).sqrt() * slope
        moved, before = 0.95 * moved + 0.05 * change**2, before + change
        parameters[1].grad = slope.float()
        optimiser.step()
    torch.testing.assert_close(parameters[1].detach().double(), before, rtol=1e-5, atol=1e-7)


class Clock:
    global_step = 0


def test_the_average_is_that_of_its_recursion_and_lends_itself_for_a_while() -> None:
    network = torch.nn.BatchNorm1d(3)
    averaging, clock, expected = WeightAveraging(network, 0.5), Clock(), None
    for step in range(1, 6):
        clock.global_step = step
        with torch.no_grad():
            network.weight.copy_(torch.randn(3))
        network(torch.randn(8, 3))
        averaging.on_train_batch_end(clock)
        decay = min(0.5, (1 + step) / (10 + step))
        own = network.weight.detach().clone()
        expected = own if expected is None else decay * expected + (1 - decay) * own
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with averaging.in_place():
        torch.testing.assert_close(network.weight.detach(), expected)
        assert not torch.equal(network.running_mean, state["running_mean"])
        assert network.num_batches_tracked == 5
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("precise", [False, True])
def test_a_run_is_judged_by_its_averaged_weights_and_trains_as_without(
    precise: bool, small: dict[str, Any], tmp_path: Path
) -> None:
    small = {**small, "model.precise_validation": precise}
    plain = run(resolve([], small), tmp_path / "plain")
    averaged = run(resolve([], {**small, "model.optimisation.weight_averaging": 0.9}), tmp_path / "averaged")
    before, after = trace(plain), trace(averaged)
    assert [line["train_loss"] for line in before] == [line["train_loss"] for line in after]
    assert [line["validation_loss"] for line in before] != [line["validation_loss"] for line in after]
    last = [load_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (plain, averaged)]
    kept = last[1]["weights_in_training"]
    assert all(torch.equal(value, kept[name.removeprefix("network.")]) for name, value in last[0]["state_dict"].items())
    trained = Trained(resolve([averaged / "config.yaml"], {}), averaged / "checkpoints" / "best.ckpt")
    assert trained.validate()[MONITOR] == pytest.approx(max(line[MONITOR] for line in after))


def test_a_run_with_every_option_resumes_to_the_same_numbers(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve([], {**small, **OPTIONS})
    whole = run(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, 20)
        with pytest.raises(RuntimeError, match="power"):
            run(config, tmp_path / "broken")
    assert trace(run(config, tmp_path / "broken", resume=True)) == trace(whole)


def test_shifted_windows_stay_in_their_recording_and_near_their_place(small: dict[str, Any]) -> None:
    config = resolve([], {**small, "data.shift_s": 0.3})
    data, still = HarDataModule(**config["data"]), HarDataModule(**{**config["data"], "shift_s": 0.0})
    loaders = []
    for module in (data, still):
        module.setup()
        module.trainer = type("Steps", (), {"max_steps": 40})()
        loaders.append(module.train_dataloader())
    shift, recordings = loaders[0]._shift, data.store.recordings.set_index("recording")
    assert loaders[1]._shift is None
    everything = np.arange(len(data.train))
    moved = np.stack([shift(everything, step) - data.train.start for step in range(200)])
    most = int(0.3 * data.store.rate_hz)
    own = recordings.loc[data.train.recording]
    assert (moved.min(axis=0) == np.maximum(own["start"] - data.train.start, -most)).mean() > 0.9
    assert (data.train.start + moved >= own["start"].to_numpy()).all()
    assert (data.train.start + moved + data.train.samples <= own["stop"].to_numpy()).all()
    assert np.abs(moved).max() == most
    assert np.array_equal(shift(everything, 3), shift(everything, 3))
    batches = [next(iter(loader)) for loader in loaders]
    assert torch.equal(batches[0][1], batches[1][1])  # the labels stay
    assert not torch.equal(batches[0][0], batches[1][0])


@pytest.mark.parametrize(("key", "value"), OPTIONS.items())
def test_options_change_the_identity_of_a_run_and_their_defaults_do_not(
    key: str, value: Any, small: dict[str, Any]
) -> None:
    config = resolve([], small)
    assert identity(resolve([], {**small, key: value})) != identity(config)
    del config["model"]["optimisation"], config["model"]["augmentation"], config["data"]["shift_s"]
    assert identity(config) == identity(resolve([], small))  # runs from before the options were there still count


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optimiser": "adamv"}, "adamw"),
        ({"schedule": "cosine"}, "warm_up_cosine"),
        ({"class_weights": "balance"}, "balanced"),
        ({"label_smoothing": 1.0}, "label_smoothing 1.0"),
        ({"warm_up": -0.1}, "warm_up -0.1"),
        ({"weight_averaging": 1.0}, "weight_averaging 1.0"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Optimisation(**values)


def test_a_shift_of_a_whole_window_is_refused() -> None:
    with pytest.raises(UsageError, match=r"shift_s 4\.0"):
        HarDataModule(shift_s=4.0)
