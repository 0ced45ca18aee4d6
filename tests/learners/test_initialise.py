"""Initial weights are a function of seed and name."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from har.learners.blocks import Recurrence
from har.learners.initialise import initialise


def test_a_layer_put_in_changes_no_other() -> None:
    one = nn.ModuleDict({"a": nn.Conv2d(3, 8, (5, 1)), "c": nn.Linear(8, 4)})
    two = nn.ModuleDict({"a": nn.Conv2d(3, 8, (5, 1)), "b": nn.BatchNorm2d(8), "c": nn.Linear(8, 4)})
    torch.manual_seed(1)
    initialise(one, 5)
    torch.manual_seed(2)  # the global generator plays no part
    initialise(two, 5)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])


def test_seeds_and_names_give_other_values() -> None:
    network = nn.ModuleDict({"a": nn.Linear(8, 8), "b": nn.Linear(8, 8)})
    initialise(network, 1)
    first = {name: value.clone() for name, value in network.state_dict().items()}
    initialise(network, 2)
    assert not torch.equal(first["a.weight"], first["b.weight"])
    assert not torch.equal(first["a.weight"], network.state_dict()["a.weight"])


def test_convolutions_keep_the_activations_variance() -> None:
    """He et al. 2015, eq. 10: the weights' variance is 2/fan-in; uniform, so the bound is √(6/fan-in)."""
    layer = nn.Conv2d(32, 256, (5, 1))
    initialise(layer, 3)
    fan_in = 32 * 5
    assert layer.weight.abs().max() <= math.sqrt(6 / fan_in)
    assert layer.weight.var().item() == pytest.approx(2 / fan_in, rel=0.03)
    assert not layer.bias.any()


def test_linear_layers_have_unit_gain() -> None:
    layer = nn.Linear(400, 100)
    initialise(layer, 3)
    assert layer.weight.var().item() == pytest.approx(1 / 400, rel=0.03)
    assert not layer.bias.any()


def test_norms_start_at_the_identity() -> None:
    layer = nn.BatchNorm2d(4)
    layer(torch.randn(3, 4, 5, 1))
    initialise(layer, 0)
    assert torch.equal(layer.weight, torch.ones(4))
    assert torch.equal(layer.bias, torch.zeros(4))
    assert torch.equal(layer.running_mean, torch.zeros(4))
    assert torch.equal(layer.running_var, torch.ones(4))


def test_channels_last_weights_have_the_same_values_and_keep_their_layout() -> None:
    one, two = nn.Conv2d(3, 8, (5, 1)), nn.Conv2d(3, 8, (5, 1))
    two.weight.data = two.weight.data.contiguous(memory_format=torch.channels_last)
    initialise(one, 0)
    initialise(two, 0)
    assert torch.equal(one.weight, two.weight)
    assert two.weight.is_contiguous(memory_format=torch.channels_last)


def test_an_lstm_starts_as_in_keras() -> None:
    """Orthonormal columns of the state's weights, Glorot's bound over all gates, a 1 at the forget gate alone."""
    layer = Recurrence(30, 20)
    initialise(nn.ModuleDict({"lstm": layer}), 3)
    torch.testing.assert_close(layer.weight_hh_l0.T @ layer.weight_hh_l0, torch.eye(20), rtol=0, atol=1e-5)
    bound = math.sqrt(6 / (30 + 4 * 20))
    assert 0.95 * bound < layer.weight_ih_l0.abs().max() <= bound
    enter, forget, cell, leave = layer.bias_ih_l0.split(20)
    assert torch.equal(forget, torch.ones(20))
    assert not torch.cat([enter, cell, leave, layer.bias_hh_l0]).any()
    before = layer.weight_hh_l0.clone()
    initialise(nn.ModuleDict({"lstm": layer}), 4)
    assert not torch.allclose(layer.weight_hh_l0, before)


def test_a_layer_without_a_rule_is_no_silent_default() -> None:
    with pytest.raises(TypeError, match="no initialisation rule for LSTM"):
        initialise(nn.Sequential(nn.LSTM(3, 4)), 0)
