"""The CNN against the same network written with other means, and its shape, reach and refusals."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from har.errors import UsageError
from har.learners.base import Features
from har.learners.cnn import CNN
from har.learners.initialise import initialise
from har.norms.layers import KINDS
from har.norms.per_window import ThresholdedUnit
from har.norms.plan import ORDERS, PLACEMENTS, NormPlan

SMALL = {"filters": [4, 6, 3], "kernel": 3, "pool": [2, 2, 1]}


def can_stand(kind: str, placement: str | list[int]) -> bool:
    """Weights in front of a norm need a convolution, and channels to be normalised over need several."""
    at_input = 0 in placement if isinstance(placement, list) else "input" in placement
    alone = kind == "layer_channels" and placement == "input_scalar"
    return not (at_input and kind in ("standardised_weights", "scaled_weights")) and not alone


COMBINATIONS = [(kind, placement) for kind in KINDS for placement in (*PLACEMENTS, [0, 2])]
PLANS = [NormPlan(*pair, order) for pair in COMBINATIONS for order in ORDERS if can_stand(*pair)]
# Options that change what a layer does or keeps; chunks of 3 leave a smaller last one.
PLANS += [
    NormPlan(kind, placement, order, options=options)
    for kind, options in {
        "ghost_batch": {"size": 3},
        "batch_renorm": {"size": 3},
        "mabn": {"size": 3, "memory": 2},
        "filter_response": {"learned_epsilon": True},
    }.items()
    for placement in ("input_scalar", "input_every")
    for order in ORDERS
]


def built(plan: NormPlan, seed: int = 0, channels: int = 6, samples: int = 40, **changes: object) -> Features:
    network = CNN(**{**SMALL, **changes}).build(channels, samples, plan)  # type: ignore[arg-type]
    initialise(network, seed)
    return network


def plain(x_NTC: Tensor, network: Features, plan: NormPlan) -> Tensor:
    """The same network from 1-D operations on (windows, channels, samples) and its own norms."""
    network = copy.deepcopy(network)  # norms count steps

    def part(name: str, h: Tensor) -> Tensor:
        return network.get_submodule(name)(h.unsqueeze(-1)).squeeze(-1)

    h = x_NTC.transpose(1, 2)
    if 0 in plan.positions(3):
        h = part("input.norm", h)
    for position, pool in enumerate(SMALL["pool"], start=1):  # type: ignore[arg-type, var-annotated]
        conv = network.get_submodule(f"block{position}.conv")
        h = functional.conv1d(h, conv.used_weight().squeeze(-1), conv.bias)
        layer_here = position in plan.positions(3) and plan.kind != "scaled_weights"
        h = part(f"block{position}.norm", h) if layer_here and plan.order == "pre" else h
        h = part(f"block{position}.activation", h)
        h = part(f"block{position}.norm", h) if layer_here and plan.order == "post" else h
        h = functional.max_pool1d(h, pool)
    return h.mean(2)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.label}-{plan.order}")
class TestEveryPlan:
    """What holds for every kind × placement × order."""

    def test_forward_equals_the_same_network_of_plain_operations(self, plan: NormPlan) -> None:
        network = built(plan).double()
        for _ in range(3):  # statistics other than those of no data
            network(torch.randn(8, 40, 6, dtype=torch.float64) * 2 + 1).sum().backward()
        x_NTC = torch.randn(8, 40, 6, dtype=torch.float64) * 3 + 1
        torch.testing.assert_close(plain(x_NTC, network, plan), network(x_NTC))
        network.eval()
        torch.testing.assert_close(plain(x_NTC, network, plan), network(x_NTC))

    def test_the_activation_is_relu_unless_the_kind_brings_its_own(self, plan: NormPlan) -> None:
        network = built(plan)
        for position in (1, 2, 3):
            own = plan.kind == "filter_response" and position in plan.positions(3)
            activation = network.get_submodule(f"block{position}.activation")
            assert isinstance(activation, ThresholdedUnit if own else nn.ReLU)

    def test_gradients_reach_every_parameter(self, plan: NormPlan) -> None:
        network = built(plan)
        (network(torch.randn(8, 40, 6)) ** 2).sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())

    def test_a_convolution_has_a_bias_unless_a_norm_follows_it_at_once(self, plan: NormPlan) -> None:
        names = set(built(plan).state_dict())
        for position in (1, 2, 3):
            followed = position in plan.positions(3) and plan.order == "pre" and plan.kind != "scaled_weights"
            assert (f"block{position}.conv.bias" in names) is not followed

    def test_state_and_copies_predict_the_same(self, plan: NormPlan) -> None:
        network = built(plan)
        network(torch.randn(8, 40, 6) * 2).sum().backward()
        other = built(plan, seed=1)
        other.load_state_dict(network.state_dict())
        x_NTC = torch.randn(3, 40, 6)
        expected = network.eval()(x_NTC)
        torch.testing.assert_close(other.eval()(x_NTC), expected, rtol=0, atol=0)
        torch.testing.assert_close(copy.deepcopy(network).eval()(x_NTC), expected, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_network_can_be_exported_for_any_number_of_windows(kind: str) -> None:
    network = built(NormPlan(kind))
    network(torch.randn(8, 40, 6) * 2).sum().backward()
    network.eval()
    windows = torch.export.Dim("windows", min=1)
    program = torch.export.export(network, (torch.randn(2, 40, 6),), dynamic_shapes=({0: windows},))
    x_NTC = torch.randn(5, 40, 6)
    torch.testing.assert_close(program.module()(x_NTC), network(x_NTC))


def test_convolutions_are_transformed_where_the_norm_stands_and_nowhere_else() -> None:
    network = built(NormPlan("mabn", [2]))
    transforms = [network.get_submodule(f"block{position}.conv").transform for position in (1, 2, 3)]
    assert transforms == ["plain", "centred", "plain"]


def test_variants_share_every_tensor_that_both_have_bytewise() -> None:
    """Over kinds, placements and orders. An affine parameter per element is another parameter than one per channel."""
    states = {f"{plan.label} {plan.order}": built(plan, seed=7).state_dict() for plan in PLANS}
    for one, other in itertools.combinations(states, 2):
        shared = set(states[one]) & set(states[other])
        assert {f"block{position}.conv.weight" for position in (1, 2, 3)} <= shared
        for name in shared:
            if states[one][name].shape != states[other][name].shape:
                assert "norm" in name
                continue
            assert states[one][name].numpy().tobytes() == states[other][name].numpy().tobytes(), (one, other, name)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4), st.integers(1, 6))
def test_receptive_field_is_the_shortest_window_and_what_one_output_sees(
    layers: list[tuple[int, int]], kernel: int
) -> None:
    learner = CNN(filters=[width for width, _ in layers], kernel=kernel, pool=[pool for _, pool in layers])
    reach = learner.receptive_field
    plan = NormPlan(placement="none")
    network = learner.build(2, reach, plan).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)  # positive weights: no activation hides a dependence
    x_NTC = torch.rand(1, reach, 2, dtype=torch.float64) + torch.arange(reach).view(1, -1, 1)
    assert network(x_NTC).shape == (1, layers[-1][0])
    for end in (0, reach - 1):
        changed = x_NTC.clone()
        changed[:, end] += 1e9
        assert not torch.equal(network(changed), network(x_NTC))
    if reach > 1:
        with pytest.raises(UsageError, match=f"at least {reach}"):
            learner.build(2, reach - 1, plan)


def test_the_first_convolution_reads_the_windows_memory_without_a_copy() -> None:
    network = built(NormPlan(placement="none"))
    seen: list[Tensor] = []
    network.get_submodule("block1.conv").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x_NTC = torch.randn(4, 40, 6)
    network(x_NTC)
    assert seen[0].data_ptr() == x_NTC.data_ptr()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_channels_and_samples_are_not_confused() -> None:
    """A window whose channels are swapped gives other features; one whose batch is swapped gives the same, swapped."""
    network = built(NormPlan(placement="none"))
    x_NTC = torch.randn(2, 40, 6)
    assert not torch.allclose(network(x_NTC), network(x_NTC.flip(2)))
    torch.testing.assert_close(network(x_NTC.flip(0)), network(x_NTC).flip(0))


def test_dropout_acts_on_the_features_in_training_alone() -> None:
    network = built(NormPlan(placement="none"), dropout=0.5, filters=[4, 5, 64])
    x_NTC = torch.randn(4, 40, 6)
    dropped = network(x_NTC)
    kept = network.eval()(x_NTC)
    torch.testing.assert_close(dropped[dropped != 0], 2 * kept[dropped != 0])
    assert 0 < (dropped == 0).float().mean() < 1


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"filters": []}, "filters"),
        ({"filters": [0, 1, 2]}, "filters"),
        ({"pool": [2]}, "pool"),
        ({"pool": [2, 0, 1]}, "pool"),
        ({"kernel": 0}, "kernel"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_contradicting_settings_are_refused(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        CNN(**{**SMALL, **wrong})  # type: ignore[arg-type]
