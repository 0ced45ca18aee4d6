"""Which architectures are doubtful, which are not, and that looking changes nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from har.learners.cnn import CNN
from har.norms.layers import KINDS
from har.norms.lint import lint
from har.norms.plan import ORDERS, NormPlan


class Network(nn.Sequential):
    """Layers one after another on (windows, samples, channels)."""

    def forward(self, x_NTC: Tensor) -> Tensor:
        return super().forward(x_NTC.permute(0, 2, 1).unsqueeze(-1))


def norm(kind: str) -> nn.Module:
    return KINDS[kind].build(6, 20, 1e-5, 0.1)


def convolution(bias: bool = False) -> nn.Module:
    return nn.Conv2d(6, 6, (1, 1), bias=bias)


def found(*layers: nn.Module, batch: int = 8, scaled: bool = True) -> list[str]:
    return lint(Network(*layers), torch.zeros(1, 20, 6), batch=batch, scaled=scaled)


@pytest.mark.parametrize("placement", ["none", "input", "input_scalar", "first", "every", "last", "input_every"])
@pytest.mark.parametrize("order", ORDERS)
def test_batch_norm_of_the_learners_is_beyond_doubt(placement: str, order: str) -> None:
    network = CNN([4, 6], 3, [2, 1], dropout=0.5).build(6, 40, NormPlan("batch", placement, order))
    assert lint(network, torch.zeros(1, 40, 6), batch=8) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_but_instance_behind_every_convolution_is_beyond_doubt(kind: str) -> None:
    network = CNN([4, 6], 3, [2, 1]).build(6, 40, NormPlan(kind))
    warnings = lint(network, torch.zeros(1, 40, 6), batch=8)
    assert len(warnings) == (kind == "instance")
    assert all("block1.norm" in text and "gravity" in text for text in warnings)


@pytest.mark.parametrize(("kind", "doubtful"), [("batch", 1), ("ghost_batch", 1), ("mabn", 1), ("group", 0)])
def test_dropout_in_front_of_a_norm_of_the_batch(kind: str, doubtful: int) -> None:
    warnings = [text for text in found(nn.Dropout(0.2), convolution(), nn.ReLU(), norm(kind)) if "drops" in text]
    assert len(warnings) == doubtful
    assert all("0 drops values in front of 3" in text and "variance" in text for text in warnings)
    assert not [text for text in found(nn.Dropout(0.0), convolution(), norm(kind)) if "drops" in text]
    assert not [text for text in found(convolution(), norm(kind), nn.Dropout(0.2)) if "drops" in text]


@pytest.mark.parametrize(
    ("kind", "doubtful"), [("batch", 1), ("batch_renorm", 1), ("instance", 1), ("layer", 0), ("filter_response", 0)]
)
def test_a_bias_that_the_norm_subtracts(kind: str, doubtful: int) -> None:
    def warnings(*layers: nn.Module) -> int:
        return sum("has a bias" in text for text in found(convolution(), nn.ReLU(), *layers))

    assert warnings(convolution(bias=True), norm(kind)) == doubtful
    assert warnings(convolution(bias=False), norm(kind)) == 0
    assert warnings(convolution(bias=True), nn.ReLU(), norm(kind)) == 0  # rectified, the bias counts


@pytest.mark.parametrize("kind", ["batch", "ghost_batch", "mabn"])
def test_a_normalisation_batch_of_one(kind: str) -> None:
    def warnings(layer: nn.Module, batch: int) -> int:
        return sum("one window at a time" in text for text in found(convolution(), layer, batch=batch))

    assert warnings(norm(kind), 1) == 1
    assert warnings(norm(kind), 2) == 0
    if kind != "batch":
        assert warnings(KINDS[kind].build(6, 20, 1e-5, 0.1, size=1), 8) == 1
    assert warnings(norm("group"), 1) == 0


@pytest.mark.parametrize(("kind", "doubtful"), [("ghost_batch", 1), ("batch_renorm", 1), ("mabn", 0)])
def test_a_last_chunk_of_one_window(kind: str, doubtful: int) -> None:
    def warnings(size: int, batch: int) -> int:
        layer = KINDS[kind].build(6, 20, 1e-5, 0.1, size=size)
        return sum("leaves one window over" in text for text in found(convolution(), layer, batch=batch))

    assert warnings(2, 9) == warnings(4, 9) == warnings(8, 9) == doubtful
    assert warnings(3, 9) == warnings(4, 10) == warnings(9, 9) == warnings(16, 9) == 0


@pytest.mark.parametrize(
    ("kind", "posture"), [("instance", True), ("layer", False), ("layer_channels", False), ("filter_response", False)]
)
def test_a_norm_of_the_window_on_the_input_loses_strength_and_some_lose_posture(kind: str, posture: bool) -> None:
    (text,) = found(norm(kind), convolution())
    assert "how strong the movement is" in text
    assert ("gravity" in text) == posture
    assert not found(convolution(), nn.ReLU(), norm(kind))
    assert len(found(convolution(), norm(kind))) == posture  # a convolution in between brings nothing back
    assert not found(norm("batch"), convolution())


@pytest.mark.parametrize("placement", ["input", "input_scalar"])
def test_instance_norm_at_the_input_of_a_learner(placement: str) -> None:
    network = CNN([4], 3, [1]).build(6, 40, NormPlan("instance", placement))
    (text,) = lint(network, torch.zeros(1, 40, 6), batch=8)
    assert "input.norm" in text


def test_moving_averages_where_the_mean_is_not_removed() -> None:
    def texts(order: str, scaled: bool, placement: str = "every") -> list[str]:
        network = CNN([4, 5], 3, [1, 1]).build(6, 40, NormPlan("mabn", placement, order))
        return lint(network, torch.zeros(1, 40, 6), batch=8, scaled=scaled)

    assert texts("pre", True) == []
    (text,) = texts("pre", False)  # what the second convolution is given is not raw
    assert "block1.norm" in text
    assert "gravity" in text
    assert texts("pre", False, "last") == []
    assert ["its mean stays" in text for text in texts("post", True)] == [True, True]


def test_looking_changes_no_value_no_mode_and_draws_nothing() -> None:
    network = Network(nn.Dropout(0.5), convolution(), norm("batch"), norm("mabn")).train()
    network[1].eval()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    lint(network, torch.zeros(1, 20, 6), batch=8)
    assert [layer.training for layer in network] == [True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(layer._forward_hooks for layer in network)
