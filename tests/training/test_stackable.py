"""Who can be trained in a stack is found by trying, and who cannot is told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from har.learners.base import Features
from har.learners.cnn import CNN, CNNFeatures
from har.norms.plan import NormPlan
from har.training import stackable
from har.training.cli import resolve
from har.training.module import HarModule
from har.training.stackable import likeness, obstacle


@pytest.fixture
def config(data_root: Path) -> dict[str, Any]:
    return resolve(
        [], {"data.root": str(data_root), "data.window_s": 2.0, "model.learner.init_args.filters": [4, 4, 4]}
    )


def with_learner(monkeypatch: pytest.MonkeyPatch, learner: CNN) -> None:
    """Give every module that is built for a trial another learner."""
    original = stackable.parts

    def other(config: dict[str, Any]) -> tuple[HarModule, Any, Any]:
        module, data, settings = original(config)
        module.learner = learner
        return module, data, settings

    monkeypatch.setattr(stackable, "parts", other)


class _Custom(CNN):
    """A CNN whose features pass through a layer of one's own."""

    def __init__(self, layer: type[nn.Module]) -> None:
        super().__init__([4, 4, 4])
        self.layer = layer

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        features = super().build(channels, samples, norm)
        assert isinstance(features, CNNFeatures)
        features.dropout = self.layer()  # type: ignore[assignment]
        return features


class _OwnLoss(CNNFeatures):
    """Features that no label reaches."""

    def learn(self, x_NTC: Tensor) -> tuple[Tensor, Tensor | None]:
        features_ND = self(x_NTC)
        return features_ND.detach(), (features_ND - 1).square().mean()


class _Apart(CNN):
    """A CNN with a loss of its own."""

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        return _OwnLoss(self, channels, samples, norm)


class _Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rand_like(x)


class _Watchful(nn.Module):
    """Behaves otherwise inside of vmap, which no rule of torch would notice."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x if torch._C._functorch.maybe_current_level() is not None else x


def test_the_usual_network_can_be_stacked(config: dict[str, Any]) -> None:
    assert obstacle(config) is None


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("probes", {"evaluations": 1}, "probes look at one network"),
        ("model.precise_validation", True, "exact statistics"),
        ("model.optimisation.optimiser", "adadelta", "no stacked adadelta"),
        ("model.optimisation.weight_averaging", 0.9, "averaged weights"),
        ("model.optimisation.class_weights", "balanced", "weighed fold by fold"),
        ("trainer.precision", "bf16-true", "trainer.precision is set"),
    ],
)
def test_settings_that_a_stack_does_not_know_are_named(
    config: dict[str, Any], path: str, value: Any, reason: str
) -> None:
    section = config
    *parents, last = path.split(".")
    for name in parents:
        section = section[name]
    section[last] = value
    assert reason in str(obstacle(config))


@pytest.mark.parametrize(
    ("layer", "reason"), [(_Noisy, "cannot be stacked"), (_Watchful, "differs"), (nn.Identity, None)]
)
def test_a_learner_that_would_train_otherwise_is_found_by_a_step(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, layer: type[nn.Module], reason: str | None
) -> None:
    with_learner(monkeypatch, _Custom(layer))
    found = obstacle(config)
    assert (reason in str(found)) if reason else found is None


def test_a_loss_of_the_features_own_is_trained_in_a_stack_too(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_learner(monkeypatch, _Apart([4, 4, 4]))
    assert obstacle(config) is None


@pytest.mark.parametrize(
    ("path", "value", "alike"),
    [
        ("seed_everything", 7, True),
        ("data.fold", "subject-3", True),
        ("model.learning_rate", 0.1, True),
        ("model.scaling", "none", True),
        ("model.norm.placement", "none", False),
        ("data.batch_size", 16, False),
        ("trainer.max_steps", 100, False),
    ],
)
def test_runs_of_a_stack_differ_in_values_alone(config: dict[str, Any], path: str, value: Any, alike: bool) -> None:
    other = resolve([], {"data.root": config["data"]["root"], "data.window_s": 2.0, path: value})
    same = resolve([], {"data.root": config["data"]["root"], "data.window_s": 2.0})
    assert (likeness(other) == likeness(same)) is alike
