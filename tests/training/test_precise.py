"""Validation with exact statistics: another judge of the same training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from har.errors import DivergenceError
from har.norms.statistics import replaced
from har.training import precise
from har.training.callbacks import read_metrics
from har.training.cli import resolve
from har.training.evaluations import MONITOR
from har.training.run import run
from har.training.statistics import training_statistics
from har.training.trained import Trained


def state(folder: Path, name: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)[
        "state_dict"
    ]
    return found


def values(folder: Path, key: str) -> list[Any]:
    return [line[key] for line in read_metrics(folder / "metrics.jsonl")]


@pytest.fixture
def settings(small: dict[str, Any]) -> dict[str, Any]:
    """A run with dropout, whose random state would tell of any disturbance."""
    return {**small, "model.learner.init_args.dropout": 0.3}


def test_training_does_not_notice_and_validation_does(settings: dict[str, Any], tmp_path: Path) -> None:
    plain = run(resolve([], settings), tmp_path / "plain")
    exact = run(resolve([], {**settings, "model.precise_validation": True}), tmp_path / "exact")
    assert values(exact, "train_loss") == values(plain, "train_loss")
    one, other = state(plain, "last"), state(exact, "last")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)  # running statistics among them
    assert values(exact, "validation_loss") != values(plain, "validation_loss")


def test_the_score_is_that_of_exact_statistics_and_can_be_repeated(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = run(resolve([], {**settings, "model.precise_validation": True}), tmp_path / "run")
    config = resolve([folder / "config.yaml"], {})
    trained = Trained(config, folder / "checkpoints" / "best.ckpt")
    again = trained.validate()
    assert again[MONITOR] == pytest.approx(max(values(folder, MONITOR)))
    config["model"]["precise_validation"] = False
    plain = Trained(config, folder / "checkpoints" / "best.ckpt")
    data = plain.set_up()
    running = plain.validate()
    assert running["validation_loss"] != again["validation_loss"]
    with replaced(plain.module.network, training_statistics("population", plain.module, data, 0)):
        assert plain.validate()["validation_loss"] == pytest.approx(again["validation_loss"], rel=1e-6)


def test_divergence_is_said_as_such_and_the_network_keeps_its_statistics(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    wild = {**settings, "model.precise_validation": True, "model.learning_rate": 1e30}
    with pytest.raises(DivergenceError, match="training diverged at step 10"):
        run(resolve([], wild), tmp_path / "run")


def test_statistics_are_put_back_where_validation_breaks_off(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = []
    original = precise.PreciseValidation.__init__

    def watched(self: precise.PreciseValidation, states: list[precise.State]) -> None:
        original(self, states)
        stacks.append(self._stack)

    monkeypatch.setattr(precise.PreciseValidation, "__init__", watched)
    monkeypatch.setattr("har.training.module.HarModule.validation_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(resolve([], {**settings, "model.precise_validation": True}), tmp_path / "run")
    assert stacks
    assert not any(stack._exit_callbacks for stack in stacks)
