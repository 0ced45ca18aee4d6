"""Which places of a network are looked at, in which order and how deep, whatever stands where."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn

from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.initialise import initialise
from har.norms.base import set_total_steps
from har.norms.layers import KINDS
from har.norms.places import Places, places, watched
from har.norms.plan import ORDERS, PLACEMENTS, NormPlan
from tests.learners.test_cnn import can_stand


def network(plan: NormPlan, pool: tuple[int, ...] = (2, 1, 1)) -> nn.Module:
    features = CNN([4, 6, 4], 3, list(pool), dropout=0.5).build(3, 30, plan)
    made = Classifier(InputScaling("none", torch.zeros(3), torch.ones(3), list("abc")), features, 5)
    initialise(made, 0)
    return made


def found(plan: NormPlan, pool: tuple[int, ...] = (2, 1, 1)) -> Places:
    return places(network(plan, pool), torch.zeros(1, 30, 3))


@pytest.mark.parametrize(
    ("kind", "placement"), [pair for pair in itertools.product(KINDS, PLACEMENTS) if can_stand(*pair)]
)
@pytest.mark.parametrize("order", ORDERS)
def test_every_norm_is_found_at_its_depth(kind: str, placement: str, order: str) -> None:
    plan = NormPlan(kind, placement, order)
    made = network(plan)
    there = places(made, torch.zeros(1, 30, 3))
    expected = [] if KINDS[kind].layer is None else list(plan.positions(3))
    assert [place.depth for place in there.norms[::2]] == expected
    for source, output in zip(there.norms[::2], there.norms[1::2], strict=True):
        assert (source.side, output.side) == ("input", "output")
        assert source.layer is output.layer is made.get_submodule(source.name)
    assert [place.depth for place in there.activations] == [1, 2, 3]
    assert [place.depth for place in there.ends] == [1, 2, 3]
    assert (there.start.name, there.start.side) == ("features.block1.conv", "input")


@pytest.mark.parametrize(
    ("order", "last"), [("pre", ["activation", "activation", "activation"]), ("post", ["pool", "norm", "norm"])]
)
def test_a_depth_ends_with_what_the_next_layer_is_given(order: str, last: list[str]) -> None:
    names = [place.name.split(".")[-1] for place in found(NormPlan("batch", "every", order)).ends]
    assert names == last  # never the dropout behind it, nor the head


def test_the_norm_of_all_sensors_is_no_place_to_read_channels_from() -> None:
    there = found(NormPlan("batch", "input_scalar"))
    assert there.norms[0].name == "features.input.norm.scalar"
    assert not set(there.norms) & set(there.readable)
    every = found(NormPlan("batch", "input_every", "post"), pool=(1, 1, 1))
    assert set(every.norms) < set(every.readable)
    assert len(set(every.readable)) == len(every.readable)  # the output of a norm that ends a depth stands there once


def test_tensors_of_the_latest_pass_are_kept_and_watching_ends() -> None:
    made = network(NormPlan())
    there = places(made, torch.zeros(1, 30, 3))
    with watched(there.norms, there.ends, there.norms) as seen:
        made(torch.randn(4, 30, 3))
        made(torch.randn(5, 30, 3)).sum().backward()
        assert set(seen) == {*there.norms, *there.ends}
    for source, output in zip(there.norms[::2], there.norms[1::2], strict=True):
        assert seen[source].shape == seen[output].shape
        assert len(seen[source]) == 5
        assert seen[output].requires_grad
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in made.modules())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("placement", "order"), [("every", "pre"), ("every", "post"), ("first", "pre"), ("none", "pre")]
)
def test_weights_are_free_where_the_network_gives_the_same_whatever_their_length(
    kind: str, placement: str, order: str
) -> None:
    """Against the network itself: each convolution's weight is made three times as long in turn."""
    made = network(NormPlan(kind, placement, order, epsilon=1e-12)).double()
    set_total_steps(made, 1000)  # batch renormalisation, too, is free until it follows its running statistics
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            parameter.data.uniform_(0.5, 1.5)  # positive, so that units are alive behind an activation too
    x_NTC = torch.randn(6, 30, 3, dtype=torch.float64)
    free = {place.depth for place in places(made, x_NTC[:1]).free}
    expected = behind_the_last_block(made, x_NTC)
    for depth in (1, 2, 3):
        longer = copy.deepcopy(made)
        longer.get_submodule(f"features.block{depth}.conv").weight.data.mul_(3)
        same = torch.allclose(behind_the_last_block(longer, x_NTC), expected, rtol=1e-3, atol=1e-4)
        assert same == (depth in free), depth


def behind_the_last_block(made: nn.Module, x_NTC: torch.Tensor) -> torch.Tensor:
    """What is handed on in training, before dropout and the mean over time, which hides what instance norm gives."""
    made = copy.deepcopy(made).train()
    end = places(made, x_NTC[:1]).ends[-1]
    with watched((end,)) as seen, torch.no_grad():
        made(x_NTC)
    return seen[end]


@pytest.mark.parametrize("bias", [True, False])
def test_a_bias_in_front_of_a_norm_ties_the_length_of_its_weight(bias: bool) -> None:
    """Three times the weight is no factor of weight and bias together."""
    made = nn.Sequential(nn.Conv1d(30, 4, 1, bias=bias), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 2, 1, bias=False))
    assert [place.name for place in places(made, torch.zeros(1, 30, 3)).free] == ([] if bias else ["0"])
