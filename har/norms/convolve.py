"""A valid convolution over time whose training on a processor is made of few large matrix products.

With windows x (N, T, C), weight W (F, C, k), T' = T − k + 1 and the unfolded input X of N·T' rows, each the k·C values
that one output sees (neighbours in time-major memory, so unfolding is one copy):

    forward     Y = X·Wᵀ + b
    backward    ∂L/∂W = δᵀ·X        ∂L/∂b = Σ δ        ∂L/∂x = the transposed convolution of δ with W

oneDNN, torch's library for convolutions on processors, reaches 0.8 to 0.9 of the rate of a matrix product in forward
and in ∂L/∂x on channels-last memory, but 0.3 in ∂L/∂W, which as one product reaches 0.6 to 0.9, the copy included
(benchmarks/README.md). So that alone is done here, a few windows at a time.

Networks that are stacked by `torch.func.vmap` have all three as batches of matrix products, ∂L/∂x as the convolution of
δ, with zeros around it, with W reversed. Torch's own rule would make one grouped convolution of all networks, and copy
every activation into another order for it.

A kernel as long as its input has one output: that is a dense layer, and a matrix product altogether (on a processor, of
6848 inputs and 2000 filters, 5 times as fast as the convolution in inference and 2 times in training).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

_UNFOLDED_BYTES = 1 << 20  # of X at a time: half of the fast memory of a core, so that it is multiplied out of that


def convolve(x_NCT1: Tensor, weight: Tensor, bias: Tensor | None, training: bool, dilation: int = 1) -> Tensor:
    """Return the valid convolution over time.

    Args:
        x_NCT1: float (windows, channels, samples, 1), dense in channels-last memory. A last axis of several sensors
            shares the kernels.
        weight: float (filters, channels, kernel, 1).
        bias: float (filters), or None.
        training: Whether gradients of the weight are to come. Otherwise, and on an accelerator, it is torch's own
            convolution, which can be exported and is fast there.
        dilation: Samples from one weight of a kernel to the next.

    Returns:
        float (windows, filters, samples − (kernel − 1)·dilation, 1), dense in channels-last memory.
    """
    if dilation == 1 and x_NCT1.shape[2:] == weight.shape[2:]:
        y_NF = functional.linear(_time_major(x_NCT1).flatten(1), _time_major(weight).flatten(1), bias)
        return y_NF[:, :, None, None]
    plain = dilation == 1 and x_NCT1.shape[3] == 1
    inside = torch._C._are_functorch_transforms_active()  # torch.func: what it needs of a Function costs 35 µs a call
    if inside and plain and _is_mapped():
        mapped_NFT1: Tensor = _Products.apply(x_NCT1, weight)  # type: ignore[no-untyped-call]
        return mapped_NFT1 if bias is None else mapped_NFT1 + bias.view(1, -1, 1, 1)
    if not training or inside or not plain or x_NCT1.device.type != "cpu":
        return functional.conv2d(x_NCT1, weight, bias, dilation=(dilation, 1))
    y_NFT1: Tensor = _Convolve.apply(x_NCT1, weight, bias)  # type: ignore[no-untyped-call]
    return y_NFT1


def _time_major(x_NCT1: Tensor) -> Tensor:
    """Return the view (windows, samples, 1, channels), dense where channels-last memory is."""
    return x_NCT1.permute(0, 2, 3, 1)


def _is_mapped() -> bool:
    """Return whether the innermost transform of `torch.func` that is at work is vmap."""
    innermost: Any = torch._C._functorch.peek_interpreter_stack()
    return bool(innermost.key() == torch._C._functorch.TransformType.Vmap)


class _Products(torch.autograd.Function):
    """The convolution of a stacked network as matrix products; see the module's docstring."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x_NCT1: Tensor, weight: Tensor) -> Tensor:
        """Return X·Wᵀ."""
        filters, _, kernel, _ = weight.shape
        y_NTF = _unfolded(x_NCT1, kernel) @ _time_major(weight).flatten(1).t()
        return y_NTF.view(len(x_NCT1), -1, 1, filters).permute(0, 3, 1, 2)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep what backward needs."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, delta_NFT1: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return the gradients of input, where it is wanted, and weight."""
        x_NCT1, weight = ctx.saved_tensors
        filters, channels, kernel, _ = weight.shape
        product_FE = _rows(delta_NFT1).t() @ _unfolded(x_NCT1, kernel)
        slope_weight = product_FE.view(filters, kernel, 1, channels).permute(0, 3, 1, 2)
        if not ctx.needs_input_grad[0]:
            return None, slope_weight
        padded = functional.pad(delta_NFT1, (0, 0, kernel - 1, kernel - 1))
        reversed_EC = weight.flip(2).permute(2, 3, 0, 1).reshape(kernel * filters, channels)
        slope_x = _unfolded(padded, kernel) @ reversed_EC
        return slope_x.view(len(x_NCT1), -1, 1, channels).permute(0, 3, 1, 2), slope_weight


class _Convolve(torch.autograd.Function):
    """The convolution with the backward pass of the module's docstring."""

    @staticmethod
    def forward(ctx: Any, x_NCT1: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution."""
        ctx.save_for_backward(x_NCT1, weight)
        return functional.conv2d(x_NCT1, weight, bias)

    @staticmethod
    def backward(ctx: Any, delta_NFT1: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of input, weight and bias, as far as they are wanted."""
        x_NCT1, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        slope_x = _input_slope(delta_NFT1, x_NCT1, weight) if for_x else None
        slope_weight = _weight_slope(delta_NFT1, x_NCT1, weight) if for_weight else None
        return slope_x, slope_weight, _rows(delta_NFT1).sum(0) if for_bias else None


def _input_slope(delta_NFT1: Tensor, x_NCT1: Tensor, weight: Tensor) -> Tensor:
    """Return ∂L/∂x. `torch.nn.grad.conv2d_input` makes the same call, but of an input in another memory layout."""
    one, none, wanted = [1, 1], [0, 0], [True, False, False]
    slope_x: Tensor = torch.ops.aten.convolution_backward(
        delta_NFT1, x_NCT1, weight, None, one, none, one, False, none, 1, wanted
    )[0]
    return slope_x


def _weight_slope(delta_NFT1: Tensor, x_NCT1: Tensor, weight: Tensor) -> Tensor:
    """Return ∂L/∂W, in the memory of the weight, so that the optimiser need not copy it."""
    filters, channels, kernel, _ = weight.shape
    product_FE = weight.new_zeros(filters, kernel * channels)
    windows = max(_UNFOLDED_BYTES // (delta_NFT1.shape[2] * product_FE[0].nbytes), 1)
    for delta, x in zip(torch.split(delta_NFT1, windows), torch.split(x_NCT1, windows), strict=True):
        product_FE.addmm_(_rows(delta).t(), _unfolded(x, kernel))
    return product_FE.view(filters, kernel, 1, channels).permute(0, 3, 1, 2)


def _rows(delta_NFT1: Tensor) -> Tensor:
    """Return δ as a matrix, float (windows · outputs, filters), a view of channels-last memory."""
    return delta_NFT1.permute(0, 2, 3, 1).reshape(-1, delta_NFT1.shape[1])


def _unfolded(x_NCT1: Tensor, kernel: int) -> Tensor:
    """Return X of the module's docstring, float (windows · outputs, kernel · channels)."""
    windows, channels, samples, _ = x_NCT1.shape
    x_NE = x_NCT1.permute(0, 2, 3, 1).reshape(windows, samples * channels)
    return x_NE.unfold(1, kernel * channels, channels).reshape(-1, kernel * channels)
