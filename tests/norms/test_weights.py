"""Transformed weights and adaptive clipping against closed forms in float64."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from har.errors import UsageError
from har.norms.weights import RECTIFIER_GAIN, TRANSFORMS, Convolution, clip_adaptively


def convolution(transform: str, channels: int = 6, filters: int = 8, kernel: int = 5) -> Convolution:
    layer = Convolution(channels, filters, kernel, bias=False, transform=transform).double()
    with torch.no_grad():
        layer.weight.normal_(0.3, 2)
        if transform == "scaled":
            layer.gain.uniform_(0.5, 2)
    return layer


def closed_form(layer: Convolution) -> Tensor:
    weight = layer.weight.flatten(1)
    mean = weight.mean(1, keepdim=True)
    variance = ((weight - mean) ** 2).mean(1, keepdim=True)
    used = {
        "plain": lambda: weight,
        "centred": lambda: weight - mean,
        "standardised": lambda: (weight - mean) / (variance + 1e-5).sqrt(),
        "scaled": lambda: layer.gain[:, None] * 1.712858 * (weight - mean) / (variance * weight.shape[1]).sqrt(),
    }[layer.transform]()
    return used.view(layer.weight.shape)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_forward_and_gradients_equal_a_plain_convolution_with_the_transformed_weight(transform: str) -> None:
    layer = convolution(transform)
    x = torch.randn(4, 6, 20, 1, dtype=torch.float64)
    expected = nn.functional.conv2d(x, closed_form(layer))
    y = layer(x)
    tolerance = {"rtol": 1e-6, "atol": 1e-6}  # of the constant 1.712858
    torch.testing.assert_close(y, expected, **tolerance)
    delta, parameters = torch.randn_like(y), list(layer.parameters())
    gradients = (torch.autograd.grad(output, parameters, delta) for output in (y, expected))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_the_gain_gives_a_rectified_gaussian_unit_variance() -> None:
    assert pytest.approx(1.7129, abs=5e-5) == RECTIFIER_GAIN
    rectified = (torch.randn(1_000_000) * RECTIFIER_GAIN).relu()
    assert rectified.var().item() == pytest.approx(1, abs=0.01)


def test_scaled_weights_keep_unit_variance_through_rectified_layers() -> None:
    x = torch.randn(8, 64, 200, 1)
    for _ in range(3):
        layer = Convolution(64, 64, 5, bias=False, transform="scaled")
        nn.init.uniform_(layer.weight)  # its mean and scale play no part
        x = layer(x).relu()
        assert x.var((0, 2, 3)).mean().item() == pytest.approx(1, abs=0.15)


def test_centred_weights_remove_the_mean_only_where_channels_share_it() -> None:
    layer = convolution("centred")
    shared = torch.randn(1, 1, 20, 1, dtype=torch.float64) + 9.81
    assert layer(shared.expand(1, 6, 20, 1).mean(2, keepdim=True).expand(1, 6, 20, 1)).abs().max() < 1e-9
    gravity = torch.tensor([9.81, 0, 0, 0, 0, 0], dtype=torch.float64).view(1, 6, 1, 1).expand(1, 6, 20, 1)
    assert layer(gravity).mean((2, 3)).abs().max() > 1


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_filter_of_equal_weights_is_no_number_that_spreads(transform: str) -> None:
    layer = convolution(transform)
    nn.init.constant_(layer.weight, 0.5)
    layer(torch.randn(2, 6, 20, 1, dtype=torch.float64)).sum().backward()
    assert layer.used_weight().isfinite().all()
    assert layer.weight.grad is not None
    assert layer.weight.grad.isfinite().all()


def test_an_unknown_transform_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"(?s)centerd.*centred"):
        convolution("centerd")


def test_only_scaled_weights_have_a_gain() -> None:
    for transform in TRANSFORMS:
        names = [name for name, _ in convolution(transform).named_parameters()]
        assert names == (["weight", "gain"] if transform == "scaled" else ["weight"])


def test_gradients_are_clipped_unit_by_unit_against_their_weights() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]], dtype=torch.float64))
    bias = nn.Parameter(torch.tensor([6.0, 8.0], dtype=torch.float64))
    weight.grad = torch.tensor([[0.03, 0.04], [3.0, 4.0], [30.0, 40.0]], dtype=torch.float64)
    bias.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
    clip_adaptively([weight, bias, nn.Parameter(torch.ones(2))], 0.01)
    rows = torch.tensor([[0.03, 0.04], [0.003, 0.004], [0.6e-5, 0.8e-5]], dtype=torch.float64)
    torch.testing.assert_close(weight.grad, rows)
    torch.testing.assert_close(bias.grad, torch.tensor([0.06, 0.08], dtype=torch.float64))


def test_clipping_bounds_the_ratio_of_norms_and_never_turns_a_gradient() -> None:
    layer = convolution("plain")
    layer.weight.grad = torch.randn_like(layer.weight) * 10
    before = copy.deepcopy(layer.weight.grad).flatten(1)
    clip_adaptively(layer.parameters(), 0.01)
    after = layer.weight.grad.flatten(1)
    ratio = after.norm(dim=1) / layer.weight.flatten(1).norm(dim=1)
    assert ratio.max().item() == pytest.approx(0.01)
    torch.testing.assert_close(nn.functional.cosine_similarity(before, after), torch.ones(8).double())


def test_a_gradient_of_zero_stays_zero() -> None:
    weight = nn.Parameter(torch.ones(2, 3))
    weight.grad = torch.zeros(2, 3)
    clip_adaptively([weight], 0.01)
    assert math.isfinite(weight.grad.sum().item())
    assert not weight.grad.any()
