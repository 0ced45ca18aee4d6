"""What the module in training does for its norms: the budget they must know, and clipping in their place."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from har.errors import UsageError
from har.learners.autoencoder import Autoencoder
from har.learners.cnn import CNN
from har.learners.recurrent import LSTM
from har.norms.plan import NormPlan
from har.training.checkpoint import load_checkpoint
from har.training.cli import resolve
from har.training.module import HarModule
from har.training.record import identity, read_run
from har.training.run import run
from tests.training.test_run import stop_at, trace


@pytest.mark.parametrize("kind", ["mabn", "batch_renorm"])
def test_a_run_tells_scheduled_norms_its_steps_and_its_checkpoint_keeps_them(
    kind: str, small: dict[str, Any], tmp_path: Path
) -> None:
    folder = run(resolve([], {**small, "model.norm.kind": kind}), tmp_path / "run")
    state = load_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]
    for block in (1, 2):
        assert state[f"network.features.block{block}.norm.total_steps"] == small["trainer.max_steps"]
        assert state[f"network.features.block{block}.norm.steps"] == small["trainer.max_steps"]
    assert read_run(folder)["status"] == "done"


def test_a_run_with_moving_averages_resumes_to_the_same_numbers(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Histories, average and step are in the checkpoint: without them the averages would start anew."""
    config = resolve([], {**small, "model.norm.kind": "mabn", "model.norm.options.memory": 4})
    whole = run(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, 20)
        with pytest.raises(RuntimeError, match="power"):
            run(config, tmp_path / "broken")
    assert trace(run(config, tmp_path / "broken", resume=True)) == trace(whole)


def test_a_run_without_norms_trains_scaled_weights_with_clipping(small: dict[str, Any], tmp_path: Path) -> None:
    settings = {**small, "model.norm.kind": "scaled_weights", "model.adaptive_clipping": 0.01}
    assert read_run(run(resolve([], settings), tmp_path / "run"))["best_validation_macro_f1"] > 0


def test_a_step_adds_the_loss_of_features_that_are_learnt_without_labels() -> None:
    recipe = {"channels": ["x", "y"], "samples": 30, "activities": ["a", "b", "c"]}
    module = HarModule(Autoencoder(6), NormPlan(placement="none"))
    module.build(recipe, torch.zeros(2), torch.ones(2))
    x_NTC, label_N = torch.randn(5, 30, 2), torch.arange(5) % 3
    logits_NK, own_loss = module.network.learn(x_NTC)
    expected = torch.nn.functional.cross_entropy(logits_NK, label_N) + own_loss
    module._trainer = SimpleNamespace(global_step=0)  # type: ignore[assignment]
    torch.testing.assert_close(module.training_step((x_NTC, label_N), 0), expected)


def test_a_long_recurrence_is_doubted_before_training() -> None:
    """10 s at 200 Hz."""
    recipe = {"channels": ["x"], "samples": 2000, "activities": ["a", "b"], "preparation": {"channels": []}}
    data = SimpleNamespace(
        recipe=lambda: recipe,
        training_moments=lambda: (torch.zeros(1), torch.ones(1)),
        train=SimpleNamespace(label=[0, 1]),
        activities=["a", "b"],
        batch_size=64,
    )
    (doubt,) = HarModule(LSTM([4], []), NormPlan(placement="none")).doubts(data)  # type: ignore[arg-type]
    assert "2000 samples" in doubt


def test_clipping_bounds_the_features_gradients_and_leaves_the_heads() -> None:
    recipe = {"channels": ["x", "y"], "samples": 30, "activities": ["a", "b", "c"]}
    module = HarModule(CNN([4], 3, [1]), NormPlan("scaled_weights"), adaptive_clipping=0.01)
    module.build(recipe, torch.zeros(2), torch.ones(2))
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    module.on_before_optimizer_step(module.configure_optimizers())
    weight, head = module.network.features.get_parameter("block1.conv.weight"), module.network.head.weight
    ratio = weight.grad.flatten(1).norm(dim=1) / weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(ratio, torch.full((4,), 0.01))
    assert (head.grad == 100).all()


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_clipping_everything_away_is_refused(limit: float) -> None:
    with pytest.raises(UsageError, match="leaves no gradient"):
        HarModule(adaptive_clipping=limit)


def test_moving_averages_at_an_unscaled_input_are_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="subtracts no mean"):
        HarModule(norm=NormPlan("mabn", "input"), scaling="none")


def test_options_of_a_kind_are_dotted_settings() -> None:
    config = resolve([], {"model.norm.kind": "group", "model.norm.options.groups": 4})
    assert config["model"]["norm"]["options"] == {"groups": 4}
    with pytest.raises(UsageError) as error:
        resolve([], {"model.norm.kind": "group", "model.norm.options.group": 4})
    assert "'groups'" in error.value.hint


def test_an_old_configuration_without_the_new_settings_is_the_same_run(small: dict[str, Any]) -> None:
    config = resolve([], small)
    earlier = copy.deepcopy(config)
    del earlier["model"]["adaptive_clipping"], earlier["model"]["norm"]["options"]
    assert identity(earlier) == identity(config)
    ghosts = [{"model.norm.kind": "ghost_batch", "model.norm.options.size": size} for size in (8, 16)]
    assert identity(resolve([], {**small, **ghosts[0]})) != identity(resolve([], {**small, **ghosts[1]}))


def test_what_is_doubtful_is_said_when_a_run_starts_and_stands_in_its_record(
    small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {**small, "model.norm.kind": "instance", "model.norm.placement": "input"}
    (warning,) = read_run(run(resolve([], settings), tmp_path / "doubtful"))["warnings"]
    assert "gravity" in warning
    assert capsys.readouterr().err == f"warning: {warning}\n"
    assert read_run(run(resolve([], small), tmp_path / "sound"))["warnings"] == []
    assert capsys.readouterr().err == ""


def test_what_is_doubtful_stands_in_the_record_before_the_first_step(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a run that is cut off, or fails, has said it too."""
    monkeypatch.setattr(pl.Trainer, "fit", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    config = resolve([], {**small, "model.norm.kind": "mabn", "model.norm.order": "post"})
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "run")
    record = read_run(tmp_path / "run")
    assert record["status"] == "running"
    assert any("subtracts no mean" in warning for warning in record["warnings"])


def test_updates_of_statistics_that_were_left_out_are_recorded_and_told(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = HarModule.on_train_start

    def spoilt(module: HarModule) -> None:
        done(module)
        module.network.features.block2.norm.skipped.fill_(3)

    monkeypatch.setattr(HarModule, "on_train_start", spoilt)
    (warning,) = read_run(run(resolve([], small), tmp_path / "run"))["warnings"]
    assert warning.startswith("features.block2.norm left its statistics as they were in 3 training steps")
    assert warning in capsys.readouterr().err
