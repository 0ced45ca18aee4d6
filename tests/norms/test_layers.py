"""Batch normalisation against its equations in float64, on fresh random inputs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from har.norms.layers import KINDS, AllSensors
from har.norms.plan import NormPlan

EPSILON = 1e-3  # large enough that forgetting it fails


def random_input(channels: int = 3) -> Tensor:
    offset_C = torch.randn(1, channels, 1, 1, dtype=torch.float64) * 5
    return torch.randn(7, channels, 11, 1, dtype=torch.float64) * 3 + offset_C


def batch_norm(channels: int, momentum: float = 0.1) -> nn.Module:
    layer = KINDS["batch"](channels, EPSILON, momentum).double()
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.uniform_(-1, 1)
    return layer


def test_training_uses_the_biased_batch_variance() -> None:
    layer, x = batch_norm(3), random_input()
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    expected = layer.weight.view(1, -1, 1, 1) * (x - mean) / (variance + EPSILON).sqrt() + layer.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(layer(x), expected)


def test_running_update_is_unbiased_and_momentum_weighs_the_new_value() -> None:
    momentum = 0.3
    layer, x = batch_norm(3, momentum), random_input()
    layer(x)
    n = x.shape[0] * x.shape[2]
    values_CN = x.transpose(0, 1).reshape(3, -1)
    torch.testing.assert_close(layer.running_mean, momentum * values_CN.mean(1))
    biased = values_CN.var(1, correction=0)
    torch.testing.assert_close(
        layer.running_var, (1 - momentum) * torch.ones(3).double() + momentum * biased * n / (n - 1)
    )


def test_inference_uses_the_running_statistics() -> None:
    layer, x = batch_norm(3), random_input()
    for _ in range(3):
        layer(random_input())
    layer.eval()
    mean, variance = layer.running_mean.clone(), layer.running_var.clone()
    view = (1, -1, 1, 1)
    expected = layer.weight.view(view) * (x - mean.view(view)) / (variance.view(view) + EPSILON).sqrt()
    torch.testing.assert_close(layer(x), expected + layer.bias.view(view))
    torch.testing.assert_close(layer.running_mean, mean)


def test_backward_has_the_two_batch_statistics_of_the_gradient() -> None:
    layer, x = batch_norm(3), random_input().requires_grad_()
    delta = torch.randn_like(x)
    layer(x).backward(delta)
    mean = x.detach().mean((0, 2, 3), keepdim=True)
    deviation = (x.detach().var((0, 2, 3), correction=0, keepdim=True) + EPSILON).sqrt()
    x_hat = (x.detach() - mean) / deviation
    g = layer.weight.detach().view(1, -1, 1, 1) * delta
    g_mean = g.mean((0, 2, 3), keepdim=True)
    psi = (g * x_hat).mean((0, 2, 3), keepdim=True)
    torch.testing.assert_close(x.grad, (g - g_mean - x_hat * psi) / deviation)
    torch.testing.assert_close(layer.weight.grad, (delta * x_hat).sum((0, 2, 3)))
    torch.testing.assert_close(layer.bias.grad, delta.sum((0, 2, 3)))


def test_scalar_norm_has_one_mean_and_variance_over_all_sensors() -> None:
    layer, x = AllSensors(batch_norm(1)), random_input(5)
    expected = (x - x.mean()) / (x.var(correction=0) + EPSILON).sqrt() * layer.scalar.weight + layer.scalar.bias
    torch.testing.assert_close(layer(x), expected)
    n = x.numel()
    torch.testing.assert_close(layer.scalar.running_mean, 0.1 * x.mean().view(1))
    torch.testing.assert_close(layer.scalar.running_var, 0.9 + 0.1 * x.var(correction=0).view(1) * n / (n - 1))


def test_scalar_norm_keeps_the_offset_between_sensors() -> None:
    """107 sensors, one of them offset by 10: it stays apart from the others, as it would not per channel."""
    x = torch.randn(16, 107, 64, 1)
    x[:, 0] += 10
    y = AllSensors(KINDS["batch"](1, 1e-5, 0.1))(x)
    assert y[:, 0].mean() > 6
    assert abs(y[:, 1:].mean()) < 0.2


def test_scalar_norm_keeps_the_memory_layout() -> None:
    x = torch.randn(4, 20, 6).permute(0, 2, 1).unsqueeze(-1)  # time-major memory
    assert AllSensors(KINDS["batch"](1, 1e-5, 0.1))(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("channels", [1, 6])
class TestContract:
    """What every registered kind must do."""

    def test_shape_dtype_and_layout_are_kept(self, kind: str, channels: int) -> None:
        x = torch.randn(5, 9, channels).permute(0, 2, 1).unsqueeze(-1)
        y = KINDS[kind](channels, 1e-5, 0.1)(x)
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert y.is_contiguous(memory_format=torch.channels_last)

    def test_gradients_reach_input_and_parameters(self, kind: str, channels: int) -> None:
        layer = KINDS[kind](channels, 1e-5, 0.1)
        x = torch.randn(5, channels, 9, 1, requires_grad=True)
        (layer(x) ** 3).sum().backward()
        assert x.grad is not None
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in layer.parameters())

    def test_inference_does_not_depend_on_the_batch(self, kind: str, channels: int) -> None:
        layer = KINDS[kind](channels, 1e-5, 0.1)
        layer(torch.randn(5, channels, 9, 1) * 4 + 1)
        layer.eval()
        x = torch.randn(6, channels, 9, 1)
        torch.testing.assert_close(layer(x)[:1], layer(x[:1]))

    def test_state_survives_save_and_load(self, kind: str, channels: int) -> None:
        layer, other = (KINDS[kind](channels, 1e-5, 0.1) for _ in range(2))
        layer(torch.randn(5, channels, 9, 1) * 4 + 1)
        other.load_state_dict(copy.deepcopy(layer.state_dict()))
        x = torch.randn(6, channels, 9, 1)
        torch.testing.assert_close(layer.eval()(x), other.eval()(x), rtol=0, atol=0)

    def test_a_plan_can_name_it(self, kind: str, channels: int) -> None:
        assert NormPlan(kind=kind).layer(1, channels, 3) is not None
