"""What a norm takes away shows where the label is in it: activities that differ in strength alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.initialise import initialise
from har.norms.plan import NormPlan


def weak_and_strong(windows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Windows of noise; those of the second activity are three times as strong."""
    generator = torch.Generator().manual_seed(seed)
    label_N = torch.arange(windows) % 2
    x_NTC = torch.randn(windows, 40, 3, generator=generator) * (1 + 2 * label_N.view(-1, 1, 1))
    return x_NTC, label_N


def accuracy(kind: str, placement: str) -> float:
    features = CNN([8, 8], 3, [2, 1]).build(3, 40, NormPlan(kind, placement))
    network = Classifier(InputScaling("none", torch.zeros(3), torch.ones(3), ["x", "y", "z"]), features, 2)
    initialise(network, 0)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for step in range(60):
        x_NTC, label_N = weak_and_strong(32, step)
        optimiser.zero_grad()
        functional.cross_entropy(network(x_NTC), label_N).backward()
        optimiser.step()
    x_NTC, label_N = weak_and_strong(400, 1000)
    return float((network.eval()(x_NTC).argmax(1) == label_N).float().mean())


@pytest.mark.parametrize(
    ("kind", "placement", "learns"),
    [("batch", "input", True), ("mabn", "every", True), ("instance", "input", False), ("instance", "first", False)],
)
def test_strength_is_learnt_unless_each_window_is_normalised_before_any_activation(
    kind: str, placement: str, learns: bool
) -> None:
    """A convolution without bias in between changes nothing: of a louder window it makes a louder output."""
    torch.set_num_threads(1)
    share = accuracy(kind, placement)
    assert share > 0.9 if learns else share < 0.6
