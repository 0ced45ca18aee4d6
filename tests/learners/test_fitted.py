"""What holds for every learner that is fitted at once, before every head that can stand behind it."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import pkgutil

import numpy as np
import pytest
import torch
from torch import Tensor

import har.learners
from har.errors import UsageError
from har.learners import fitted
from har.learners.classifier import Classifier, InputScaling
from har.learners.codebook import Codebook
from har.learners.cost import describe
from har.learners.fitted import FittedFeatures, FittedLearner, require_no_norm
from har.learners.folding import fold
from har.learners.handcrafted import HandCrafted
from har.learners.heads import Head, Material
from har.learners.initialise import initialise
from har.learners.minirocket import MiniRocket
from har.learners.registry import FITTED_LEARNERS
from har.norms.plan import NormPlan
from tests.learners.small import ACTIVITIES, CHANNELS, SAMPLES, Few, named

NONE = NormPlan(placement="none")
SETTINGS: dict[type[FittedLearner], dict[str, int]] = {
    Codebook: {"words": 8, "length": 6},
    MiniRocket: {"features": 168},
}
HEADS = [
    Head("linear_svm", {"c": [0.5]}),
    Head("ridge", {"alpha": [1.0]}),
    Head("boosted_trees", {"iterations": [3, 6], "leaves": 4, "least_windows": 3}),
]
every_pair = pytest.mark.parametrize(
    ("learner", "head"), [(learner, head) for learner in FITTED_LEARNERS for head in HEADS], ids=lambda one: (
        named(one) if isinstance(one, type) else one.kind
    )
)  # fmt: skip
every_learner = pytest.mark.parametrize("learner", FITTED_LEARNERS, ids=named)


def windows(number: int, seed: int = 0) -> Tensor:
    """Windows whose tempo grows with their place modulo the number of activities."""
    generator = torch.Generator().manual_seed(seed)
    tempo_N11 = (torch.arange(number) % ACTIVITIES + 1).view(-1, 1, 1) * 0.4
    waves = torch.sin(
        torch.arange(SAMPLES).view(1, -1, 1) * tempo_N11 + torch.rand(number, 1, CHANNELS, generator=generator) * 6
    )
    return waves + 0.3 * torch.randn(number, SAMPLES, CHANNELS, generator=generator) + 9


def empty(learner: type[FittedLearner], head: Head) -> Classifier:
    scaling = InputScaling("channel", torch.full((3,), 9.0), torch.full((3,), 0.5), ["x", "y", "z"])
    features = learner(**SETTINGS.get(learner, {})).build(CHANNELS, SAMPLES, NONE)
    network = Classifier(scaling, features, ACTIVITIES, head)
    initialise(network, 0)
    return network.eval()


def whole(learner: type[FittedLearner], head: Head) -> Classifier:
    network = empty(learner, head)
    x_NTC = network.scaling(windows(120))
    assert isinstance(network.features, FittedFeatures)
    network.features.fit(Few(x_NTC), 0)
    material = Material(network.features(x_NTC).numpy(), np.arange(120) % ACTIVITIES, ACTIVITIES)
    network.head.load_state_dict(list(head.candidates(material, 0))[-1].state)
    return network


def test_every_learner_that_is_fitted_at_once_is_in_the_list() -> None:
    found = set()
    for module in pkgutil.iter_modules(har.learners.__path__, "har.learners."):
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(value, FittedLearner) and not inspect.isabstract(value):
                found.add(value)
    assert found == set(FITTED_LEARNERS)
    assert all(learner.at_once for learner in found)


@every_pair
@torch.no_grad()
def test_what_is_fitted_recognises_fresh_windows_and_travels_as_tensors_alone(
    learner: type[FittedLearner], head: Head
) -> None:
    network, other = whole(learner, head), empty(learner, head)
    fresh_NTC = windows(40, seed=1)
    logits_NK = network(fresh_NTC)
    assert logits_NK.shape == (40, ACTIVITIES)
    assert (logits_NK.argmax(1) == torch.arange(40) % ACTIVITIES).float().mean() > 0.7
    stored = io.BytesIO()
    torch.save(network.state_dict(), stored)
    stored.seek(0)
    other.load_state_dict(torch.load(stored, weights_only=True))
    assert torch.equal(other(fresh_NTC), logits_NK)
    assert torch.equal(copy.deepcopy(network)(fresh_NTC), logits_NK)
    folded, left = fold(network)
    assert torch.equal(folded(fresh_NTC), logits_NK)
    assert left == []


@every_pair
@torch.no_grad()
def test_it_can_be_exported_for_any_number_of_windows(learner: type[FittedLearner], head: Head) -> None:
    network = whole(learner, head)
    program = torch.export.export(
        network, (windows(2),), dynamic_shapes=({0: torch.export.Dim("windows", min=1)},)
    )  # fmt: skip
    torch.testing.assert_close(program.module()(windows(5, 1)), network(windows(5, 1)))


@every_pair
def test_its_cost_is_described(learner: type[FittedLearner], head: Head) -> None:
    network = empty(learner, head)
    cost = describe(network, CHANNELS, SAMPLES, 25.0)
    behind = 0 if head.kind == "boosted_trees" else network.features.features * ACTIVITIES
    assert cost.multiply_adds >= network.features.multiply_adds + behind > 0
    assert cost.parameters >= behind
    assert cost.receptive_field_s == SAMPLES / 25


@every_learner
@torch.no_grad()
def test_windows_in_parts_give_what_they_give_together(
    learner: type[FittedLearner], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = whole(learner, HEADS[0])
    together_ND = network.features(windows(7))
    monkeypatch.setattr(fitted, "_MOST_VALUES", 3 * network.features.values)
    torch.testing.assert_close(network.features(windows(7)), together_ND)


@every_learner
@torch.no_grad()
def test_windows_channels_and_samples_are_not_confused(learner: type[FittedLearner]) -> None:
    network = whole(learner, HEADS[0])
    features, x_NTC = network.features, network.scaling(windows(3))
    features_ND = features(x_NTC)
    torch.testing.assert_close(features(x_NTC.flip(0)), features_ND.flip(0))
    assert not torch.allclose(features(x_NTC.flip(2)), features_ND, atol=1e-3)
    if learner is not HandCrafted:  # no number of his tells where time goes
        assert not torch.allclose(features(x_NTC.flip(1)), features_ND, atol=1e-3)


@every_learner
def test_a_norm_is_refused(learner: type[FittedLearner]) -> None:
    with pytest.raises(UsageError, match=f"{learner.__name__} is fitted at once .*placement is every") as error:
        require_no_norm(learner(), NormPlan())
    assert "none" in error.value.hint
    require_no_norm(learner(), NONE)
