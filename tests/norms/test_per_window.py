"""Norms of one window against closed forms in float64, and what they take away."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from har.errors import UsageError
from har.norms.base import Norm
from har.norms.per_window import (
    ChannelLayerNorm,
    ElementLayerNorm,
    FilterResponseNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    ThresholdedUnit,
)

N, C, T = 5, 6, 9
EPSILON = 1e-3


def random_input() -> Tensor:
    return torch.randn(N, C, T, 1, dtype=torch.float64) * torch.rand(N, C, 1, 1).double() * 4 + torch.randn(1, C, 1, 1)


def with_random_affine(layer: Norm) -> Norm:
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.uniform_(-1, 1)
    return layer.double()


def same_as(layer: Norm, expected: nn.Module | None, closed: Tensor, x: Tensor) -> None:
    """Output and all gradients of a layer equal those of autograd through a closed form."""
    delta = torch.randn_like(x)
    inputs = [x, layer.weight, layer.bias]
    y = layer(x)
    torch.testing.assert_close(y, closed)
    for a, b in zip(torch.autograd.grad(y, inputs, delta), torch.autograd.grad(closed, inputs, delta), strict=True):
        torch.testing.assert_close(a, b)
    if expected is not None:
        torch.testing.assert_close(y, expected)


def closed_form(x: Tensor, over: tuple[int, ...], weight: Tensor, bias: Tensor) -> Tensor:
    mean = x.mean(over, keepdim=True)
    return (x - mean) / (((x - mean) ** 2).mean(over, keepdim=True) + EPSILON).sqrt() * weight + bias


def per_channel(layer: Norm) -> tuple[Tensor, Tensor]:
    return layer.weight.view(1, C, 1, 1), layer.bias.view(1, C, 1, 1)


def test_layer_norm_has_one_mean_and_variance_over_channels_and_samples() -> None:
    layer, x = with_random_affine(LayerNorm(C, T, EPSILON)), random_input().requires_grad_()
    library = nn.functional.group_norm(x, 1, layer.weight, layer.bias, EPSILON)
    same_as(layer, library, closed_form(x, (1, 2, 3), *per_channel(layer)), x)


def test_layer_norm_over_channels_has_one_at_each_sample() -> None:
    layer, x = with_random_affine(ChannelLayerNorm(C, T, EPSILON)), random_input().requires_grad_()
    same_as(layer, None, closed_form(x, (1,), *per_channel(layer)), x)


def test_layer_norm_of_elements_scales_each_element_by_itself() -> None:
    layer, x = with_random_affine(ElementLayerNorm(C, T, EPSILON)), random_input().requires_grad_()
    weight, bias = (p.view(T, C).t().view(1, C, T, 1) for p in (layer.weight, layer.bias))
    library = nn.functional.layer_norm(x, (C, T, 1), weight[0], bias[0], EPSILON)
    same_as(layer, library, closed_form(x, (1, 2, 3), weight, bias), x)


def test_instance_norm_has_one_per_channel_over_samples() -> None:
    layer, x = with_random_affine(InstanceNorm(C, T, EPSILON)), random_input().requires_grad_()
    library = nn.functional.instance_norm(x, weight=layer.weight, bias=layer.bias, eps=EPSILON)
    same_as(layer, library, closed_form(x, (2, 3), *per_channel(layer)), x)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm_has_one_per_group_of_neighbouring_channels(groups: int) -> None:
    layer, x = with_random_affine(GroupNorm(C, T, EPSILON, groups=groups)), random_input().requires_grad_()
    grouped = closed_form(x.view(N, groups, C // groups, T), (2, 3), torch.ones(()), torch.zeros(())).view(N, C, T, 1)
    weight, bias = per_channel(layer)
    library = nn.functional.group_norm(x, groups, layer.weight, layer.bias, EPSILON)
    same_as(layer, library, grouped * weight + bias, x)


def test_filter_response_divides_by_the_root_mean_square_and_subtracts_nothing() -> None:
    layer, x = with_random_affine(FilterResponseNorm(C, T, EPSILON)), random_input().requires_grad_()
    weight, bias = per_channel(layer)
    same_as(layer, None, weight * x / ((x**2).mean((2, 3), keepdim=True) + EPSILON).sqrt() + bias, x)


@pytest.mark.parametrize("samples", [T, 1])
def test_filter_response_may_learn_its_epsilon_which_one_sample_needs(samples: int) -> None:
    layer = with_random_affine(FilterResponseNorm(C, samples, EPSILON, learned_epsilon=True))
    assert layer.learned is not None
    assert layer.learned.item() == pytest.approx(1e-4)
    for value in (1e-4, -0.5):  # the sign of ε_l plays no part
        layer.learned.data.fill_(value)
        x = random_input()[:, :, :samples].clone().requires_grad_()
        epsilon = torch.tensor(abs(value), dtype=torch.float64, requires_grad=True)
        power = (x**2).mean((2, 3), keepdim=True)
        weight, bias = per_channel(layer)
        plain = weight * x / (power + EPSILON + epsilon).sqrt() + bias
        delta = torch.randn_like(plain)
        y = layer(x)
        torch.testing.assert_close(y, plain)
        to_x, to_learned = torch.autograd.grad(y, [x, layer.learned], delta)
        expected_x, expected = torch.autograd.grad(plain, [x, epsilon], delta)
        torch.testing.assert_close(to_x, expected_x)
        torch.testing.assert_close(to_learned[0], expected * (1 if value > 0 else -1))
    layer.reset_parameters()
    assert layer.learned.item() == pytest.approx(1e-4)


def test_filter_response_over_one_sample_with_a_fixed_epsilon_is_refused_with_the_option_that_helps() -> None:
    with pytest.raises(UsageError, match="leaves its sign") as error:
        FilterResponseNorm(C, 1, EPSILON)
    assert "learned_epsilon" in error.value.hint
    assert list(FilterResponseNorm(C, 2, EPSILON).state_dict()) == ["weight", "bias"]


def test_the_thresholded_unit_learns_its_floor() -> None:
    unit, x = ThresholdedUnit(C).double(), random_input()
    torch.testing.assert_close(unit(x), x.relu())
    with torch.no_grad():
        unit.threshold.copy_(torch.linspace(-1, 1, C))
    y = unit(x)
    torch.testing.assert_close(y, torch.max(x, torch.linspace(-1, 1, C).double().view(1, C, 1, 1)))
    y.sum().backward()
    at_floor = (x < torch.linspace(-1, 1, C).double().view(1, C, 1, 1)).sum((0, 2, 3)).double()
    torch.testing.assert_close(unit.threshold.grad, at_floor)


def test_two_readings_of_layer_norm_coincide_at_first_and_the_third_does_not() -> None:
    x = random_input()
    layer, elements, channels = (
        kind(C, T, EPSILON).double() for kind in (LayerNorm, ElementLayerNorm, ChannelLayerNorm)
    )
    torch.testing.assert_close(layer(x), elements(x))
    assert not torch.allclose(layer(x), channels(x), atol=0.1)


def test_instance_norm_takes_amplitude_and_gravity_away_and_batch_norm_does_not() -> None:
    """A noise of 0.01 and a movement of 1 leave it with 0.953 and 1.000, whatever gravity was."""
    quiet, moving = (torch.randn(1, 1, 100_000, 1, dtype=torch.float64) for _ in range(2))
    quiet, moving = 0.01 * quiet / quiet.std() + 9.81, moving / moving.std() - 9.81
    layer = InstanceNorm(1, 100_000, 1e-5).double()
    for window, left in ((quiet, 0.953), (moving, 1.000)):
        y = layer(window)
        assert y.std().item() == pytest.approx(left, abs=5e-4)
        assert abs(y.mean().item()) < 1e-9
    both = nn.BatchNorm2d(1).double()(torch.cat([quiet, moving]))
    assert (both[1].std() / both[0].std()).item() == pytest.approx(100, rel=0.01)
    assert (both[0].mean() - both[1].mean()).abs().item() > 1.9


@pytest.mark.parametrize(("channels", "groups"), [(64, 8), (50, 5), (40, 8), (30, 6), (6, 3), (5, 1), (1, 1)])
def test_the_usual_groups_leave_two_channels_to_a_group(channels: int, groups: int) -> None:
    assert GroupNorm(channels, T, EPSILON).groups == groups


def test_groups_that_do_not_divide_are_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match="6 channels into 4 groups") as error:
        GroupNorm(6, T, EPSILON, groups=4)
    assert "1, 2, 3, 6" in error.value.hint


@pytest.mark.parametrize(
    ("kind", "channels", "samples"),
    [
        (LayerNorm, 1, 1),
        (ChannelLayerNorm, 1, 9),
        (ElementLayerNorm, 1, 1),
        (InstanceNorm, 6, 1),
    ],
)
def test_statistics_over_one_element_are_refused(kind: type[Norm], channels: int, samples: int) -> None:
    with pytest.raises(UsageError, match="one element"):
        kind(channels, samples, EPSILON)  # type: ignore[call-arg]
    kind(2, 2, EPSILON)  # type: ignore[call-arg]
