"""Where norms stand: the table of placements, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from har.errors import UsageError
from har.norms.layers import AllSensors
from har.norms.plan import ORDERS, PLACEMENTS, NormPlan

TABLE = {
    "none": (),
    "input_scalar": (0,),
    "input": (0,),
    "first": (1,),
    "every": (1, 2, 3),
    "last": (3,),
    "input_every": (0, 1, 2, 3),
}


def test_every_placement_has_its_row_in_the_table() -> None:
    assert set(TABLE) == set(PLACEMENTS)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_positions_follow_the_table(placement: str) -> None:
    plan = NormPlan(placement=placement)
    assert plan.positions(3) == TABLE[placement]
    there = [position for position in range(4) if plan.layer(position, 5, 20, 3) is not None]
    assert tuple(there) == TABLE[placement]


@given(st.integers(1, 6), st.data())
def test_a_list_of_positions_is_taken_as_it_is(convolutions: int, data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(0, convolutions), unique=True))
    plan = NormPlan(placement=positions)
    assert plan.positions(convolutions) == tuple(sorted(positions))


def test_scalar_input_has_two_parameters_and_channel_input_two_per_channel() -> None:
    def count(placement: str) -> int:
        layer = NormPlan(placement=placement).layer(0, 6, 20, 3)
        assert layer is not None
        return sum(parameter.numel() for parameter in layer.parameters())

    assert count("input_scalar") == 2
    assert count("input") == 12


def test_scalar_scope_belongs_to_the_placement_not_to_position_zero() -> None:
    assert isinstance(NormPlan(placement="input_scalar").layer(0, 6, 20, 3), AllSensors)
    assert isinstance(NormPlan(placement=[0]).layer(0, 6, 20, 3), nn.BatchNorm2d)


def test_options_reach_the_layer() -> None:
    layer = NormPlan(epsilon=0.25, momentum=0.5).layer(2, 4, 20, 3)
    assert isinstance(layer, nn.BatchNorm2d)
    assert (layer.eps, layer.momentum, layer.num_features) == (0.25, 0.5, 4)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"placement": "evry"}, "'every'"),
        ({"kind": "bach"}, "'batch'"),
        ({"order": "pst"}, "'post'"),
        ({"placement": [0, 0]}, "once"),
        ({"placement": [-1]}, "once"),
        ({"epsilon": 0.0}, "1e-5"),
        ({"momentum": 0.0}, "0.1"),
        ({"momentum": 1.5}, "0.1"),
        ({"kind": "group", "options": {"group": 2}}, "'groups'"),
        ({"kind": "group", "options": {"groups": 2.5}}, "number"),
        ({"kind": "group", "options": {"groups": True}}, "number"),
        ({"kind": "group", "options": {"groups": 0}}, "Groups"),
        ({"kind": "filter_response", "options": {"learned_epsilon": 1}}, "true or false"),
        ({"kind": "ghost_batch", "options": {"size": 0}}, "1 or more"),
        ({"kind": "mabn", "options": {"clip": 0.5}}, "5"),
        ({"options": {"size": 2}}, "Leave it out"),
        ({"kind": "scaled_weights", "options": {"gain": 2}}, "Leave it out"),
        ({"kind": "scaled_weights", "placement": "input"}, "first, every, last"),
        ({"kind": "standardised_weights", "placement": "input_every"}, "first, every, last"),
        ({"kind": "standardised_weights", "placement": [0, 1]}, "first, every, last"),
        ({"kind": "layer_channels", "placement": "input_scalar"}, "another kind"),
    ],
)
def test_impossible_plans_are_refused_with_a_way_out(wrong: dict[str, object], hint: str) -> None:
    with pytest.raises(UsageError) as error:
        NormPlan(**wrong)  # type: ignore[arg-type]
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("placement", "scaling", "allowed"),
    [
        ("every", "none", True),
        ("input", "none", False),
        ("input", "scalar", False),
        ("input", "channel", True),
        ("input_every", "scalar", False),
        ([0, 1], "none", False),
        ([1, 2], "none", True),
        ("input_scalar", "scalar", True),
        ("input_scalar", "none", False),
    ],
)
def test_moving_averages_at_the_input_need_a_scaling_that_removes_the_mean(
    placement: str | list[int], scaling: str, allowed: bool
) -> None:
    NormPlan("batch", placement).check_scaling(scaling)
    if allowed:
        NormPlan("mabn", placement).check_scaling(scaling)
        return
    with pytest.raises(UsageError, match="subtracts no mean"):
        NormPlan("mabn", placement).check_scaling(scaling)


def test_a_kind_of_weights_alone_has_no_layer() -> None:
    plan = NormPlan("scaled_weights")
    assert plan.layer(1, 4, 20, 3) is None
    assert plan.convolution(1, 6, 4, 5, 3).transform == "scaled"
    assert plan.convolution(1, 6, 4, 5, 3).bias is not None


def test_a_whole_number_is_a_number() -> None:
    assert NormPlan("mabn", options={"clip": 2}).layer(1, 4, 20, 3) is not None


def test_a_position_behind_the_last_convolution_is_refused() -> None:
    with pytest.raises(UsageError, match="position 4 lies behind the last of 3"):
        NormPlan(placement=[1, 4]).positions(3)


def test_labels_name_folders() -> None:
    assert NormPlan(placement="first").label == "first"
    assert NormPlan(placement=[0, 2]).label == "at-0-2"
    assert NormPlan("mabn", "every").label == "mabn-every"
    assert ORDERS == ("pre", "post")
