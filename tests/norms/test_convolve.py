"""The convolution of training against torch's own, whose forward and gradients it must have."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradgradcheck
from torch.func import grad, vmap
from torch.nn import functional

from har.norms import convolve as convolve_module
from har.norms.convolve import convolve
from har.norms.weights import Convolution

SIZES = st.integers(1, 5)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def time_major(windows: int, samples: int, channels: int) -> Tensor:
    """x_NCT1 as a view of windows that are dense in time-major memory."""
    return random(windows, samples, channels).detach().unsqueeze(2).permute(0, 3, 1, 2).requires_grad_()


@settings(max_examples=60)
@given(SIZES, SIZES, SIZES, SIZES, SIZES, st.booleans())
def test_output_and_gradients_are_those_of_a_plain_convolution(
    windows: int, channels: int, filters: int, kernel: int, outputs: int, biased: bool
) -> None:
    x = time_major(windows, outputs + kernel - 1, channels)
    weight, bias = random(filters, channels, kernel, 1), random(filters) if biased else None
    leaves = [leaf for leaf in (x, weight, bias) if leaf is not None]
    found, expected = (
        convolve(x, weight, bias, training=True),
        functional.conv1d(x[..., 0], weight[..., 0], bias)[..., None],
    )
    torch.testing.assert_close(found, expected)
    slope = torch.randn_like(expected)
    torch.testing.assert_close(torch.autograd.grad(found, leaves, slope), torch.autograd.grad(expected, leaves, slope))


@settings(max_examples=40)
@given(SIZES, SIZES, SIZES, SIZES, st.integers(1, 3), st.integers(1, 3))
def test_dilated_kernels_and_kernels_that_sensors_share_give_the_same_as_each_sensor_alone(
    channels: int, filters: int, kernel: int, outputs: int, dilation: int, sensors: int
) -> None:
    x = random(3, channels, outputs + (kernel - 1) * dilation, sensors)
    weight, bias = random(filters, channels, kernel, 1), random(filters)
    found = convolve(x, weight, bias, True, dilation)
    alone = [functional.conv1d(x[..., s], weight[..., 0], bias, dilation=dilation) for s in range(sensors)]
    expected = torch.stack(alone, dim=-1)
    torch.testing.assert_close(found, expected)
    slope = torch.randn_like(expected)
    leaves = (x, weight, bias)
    torch.testing.assert_close(torch.autograd.grad(found, leaves, slope), torch.autograd.grad(expected, leaves, slope))


def test_a_dilated_kernel_that_reaches_beyond_its_input_is_no_dense_layer() -> None:
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size"):
        convolve(random(2, 3, 4, 1), random(5, 3, 4, 1), None, True, dilation=2)


@pytest.mark.parametrize("layout", ["channels first", "every other window", "one window repeated"])
def test_any_memory_layout_gives_the_same(layout: str) -> None:
    weight, slope = random(3, 2, 4, 1), torch.randn(5, 3, 6, 1, dtype=torch.float64)
    dense = time_major(5, 9, 2).detach()
    x = {
        "channels first": dense.contiguous(memory_format=torch.contiguous_format),
        "every other window": time_major(10, 9, 2).detach()[::2],
        "one window repeated": dense[:1].expand(5, -1, -1, -1),
    }[layout]
    like = x.clone(memory_format=torch.channels_last)
    found, expected = (
        torch.autograd.grad(convolve(value, weight, None, training), weight, slope)
        for value, training in ((x, True), (like, False))
    )
    torch.testing.assert_close(found, expected)


def test_many_windows_are_taken_a_few_at_a_time_and_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = time_major(7, 9, 2).detach(), random(3, 2, 4, 1)
    slopes = []
    for most in (1, 6 * 8 * 8 * 3, 1 << 20):  # one window, three, all
        monkeypatch.setattr(convolve_module, "_UNFOLDED_BYTES", most)
        slopes += torch.autograd.grad(convolve(x, weight, None, training=True).square().sum(), weight)
    torch.testing.assert_close(slopes[0], slopes[2])
    torch.testing.assert_close(slopes[1], slopes[2])


def test_only_what_is_wanted_is_computed() -> None:
    for wanted in range(3):
        leaves = [time_major(2, 6, 3), random(4, 3, 2, 1), random(4)]
        for place, leaf in enumerate(leaves):
            leaf.requires_grad_(place == wanted)
        convolve(*leaves, training=True).sum().backward()  # type: ignore[arg-type]
        assert [leaf.grad is not None for leaf in leaves] == [place == wanted for place in range(3)]


def test_gradients_can_be_differentiated_again() -> None:
    leaves = time_major(2, 5, 2), random(3, 2, 2, 1), random(3)
    assert gradgradcheck(lambda *values: convolve(*values, training=True), leaves)


def test_networks_stacked_under_vmap_have_the_gradients_of_each() -> None:
    x_MNCT1 = torch.stack([time_major(3, 7, 2).detach() for _ in range(4)]).requires_grad_()
    weight, bias = random(4, 5, 2, 3, 1), random(4, 5)

    def loss(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return convolve(x, w, b, training=True).square().sum()

    leaves = (x_MNCT1, weight, bias)
    stacked = torch.autograd.grad(vmap(loss)(*leaves).sum(), leaves)
    alone = torch.autograd.grad(sum(loss(x, w, b) for x, w, b in zip(*leaves, strict=True)), leaves)
    torch.testing.assert_close(stacked, alone)
    (without_x,) = torch.autograd.grad(vmap(loss)(x_MNCT1.detach(), weight, bias).sum(), [weight])
    torch.testing.assert_close(without_x, alone[1])


def test_other_transforms_than_vmap_have_torchs_own_convolution() -> None:
    x, weight = time_major(3, 7, 2).detach(), random(4, 2, 3, 1)

    def loss(w: Tensor) -> Tensor:
        return convolve(x, w, None, training=True).square().sum()

    torch.testing.assert_close(grad(loss)(weight.detach()), torch.autograd.grad(loss(weight), weight)[0])


def test_output_and_gradient_keep_the_memory_layout_that_makes_them_fast() -> None:
    layer = Convolution(3, 4, 2, bias=True)
    x = time_major(5, 9, 3).float().detach().requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert layer.weight.grad is not None
    assert x.grad is not None
    assert layer.weight.grad.stride() == layer.weight.stride()
    assert x.grad.is_contiguous(memory_format=torch.channels_last)
