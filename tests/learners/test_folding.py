"""Folding a classifier: the same logits with fewer layers, for every kind, placement and order."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from har.learners.base import Features
from har.learners.classifier import Classifier, InputScaling
from har.learners.folding import fold
from har.norms.batch import BatchNorm
from har.norms.layers import AllSensors
from har.norms.per_window import LayerNorm
from har.norms.plan import ORDERS, PLACEMENTS, NormPlan
from tests.learners.test_cnn import PLANS, built

AFFINE = ("batch", "ghost_batch", "batch_renorm", "mabn")


def classifier(plan: NormPlan, positive: bool = True) -> Classifier:
    """A classifier whose norms have statistics and parameters of their own, in training mode."""
    channels = ["a", "b", "c", "d", "e", "f"]
    network = Classifier(InputScaling("channel", torch.randn(6), torch.rand(6) + 0.5, channels), built(plan), 4)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.uniform_(0.5, 2) if positive else parameter.normal_()
            elif parameter.ndim == 1:
                parameter.normal_(0, 0.3)
    for _ in range(3):
        network(torch.randn(8, 40, 6) * 2 + 1).sum().backward()
    return network


def norms_of(network: nn.Module) -> list[str]:
    return [name for name, _ in network.named_modules() if name.endswith("norm")]


def logits(network: Classifier, x_NTC: Tensor) -> Tensor:
    return copy.deepcopy(network).eval()(x_NTC)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.label}-{plan.order}")
def test_the_folded_network_gives_the_same_logits_without_the_norms_that_may_go(plan: NormPlan) -> None:
    network = classifier(plan)
    before = copy.deepcopy(network.state_dict())
    folded, left = fold(network)
    x_NTC = torch.randn(5, 40, 6) * 2
    torch.testing.assert_close(folded(x_NTC), logits(network, x_NTC), rtol=1e-5, atol=1e-5)
    expected = 0 if plan.kind in (*AFFINE, "scaled_weights") else len(plan.positions(3))
    assert len(left) == len(norms_of(folded)) == expected
    assert all("each window" in sentence for sentence in left)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("order", ORDERS)
def test_negative_factors_stop_folding_only_in_front_of_max_pooling(placement: str, order: str) -> None:
    network = classifier(NormPlan("batch", placement, order), positive=False)
    folded, left = fold(network)
    x_NTC = torch.randn(5, 40, 6) * 2
    torch.testing.assert_close(folded(x_NTC), logits(network, x_NTC), rtol=1e-5, atol=1e-5)
    stuck = []
    for name in norms_of(network.features):
        pooled = order == "post" and name in ("block1.norm", "block2.norm")  # the last block has no pooling
        if pooled and (network.features.get_submodule(name).weight < 0).any():
            stuck.append(f"features.{name}")
    assert norms_of(folded) == stuck
    assert all("minimum" in sentence for sentence in left)


def test_a_learner_that_does_not_say_how_it_folds_keeps_its_norms_and_names_them() -> None:
    class Other(Features):
        features = 3

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = AllSensors(BatchNorm(1, 1e-5, 0.1)), LayerNorm(3, 5, 1e-5)

        def forward(self, x_NTC: Tensor) -> Tensor:
            return self.second(self.first(x_NTC.transpose(1, 2).unsqueeze(-1))).mean((2, 3))

    scaling = InputScaling("none", torch.zeros(3), torch.ones(3), ["a", "b", "c"])
    network = Classifier(scaling, Other(), 2)
    folded, left = fold(network)
    assert left == [f"{name} stays: Other does not say how its norms fold." for name in ("first", "second")]
    x_NTC = torch.randn(4, 5, 3)
    torch.testing.assert_close(folded(x_NTC), logits(network, x_NTC), rtol=0, atol=0)
