"""A norm that is an affine map in inference, y = s·x + t per channel, put into the weights of its neighbour.

    behind a convolution     W'_o = s_o·W_o                  b'_o = s_o·b_o + t_o
    before a convolution     W'_oik = W_oik·s_i              b'_o = b_o + Σ_ik W_oik·t_i
    before a linear layer    W'_ki = W_ki·s_i                b'_k = b_k + Σ_i W_ki·t_i

with s = γ/√(v + ε) and t = β − m·s for batch norms, t = β for moving average batch norm. The second line is exact for
valid convolutions: padded zeros would not have been normalised. Max-pooling between the two commutes with the map
only where s ≥ 0, since a negative factor makes a minimum of the maximum; means always commute. Computed in float64.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from har.norms.layers import AllSensors
from har.norms.mabn import MovingAverageBatchNorm
from har.norms.weights import Convolution

Layer = TypeVar("Layer", Convolution, nn.Linear)


def affine_of(norm: nn.Module, channels: int) -> tuple[Tensor, Tensor] | None:
    """Return a norm's map in inference.

    Args:
        norm: A norm of the registry, or `AllSensors` around one.
        channels: Channels of its input.

    Returns:
        s and t, float64 (channels), or None when the map depends on the window.
    """
    if isinstance(norm, AllSensors):
        shared = affine_of(norm.scalar, 1)
        return None if shared is None else (shared[0].expand(channels), shared[1].expand(channels))
    if isinstance(norm, nn.BatchNorm2d):
        assert norm.running_mean is not None and norm.running_var is not None  # noqa: S101, PT018
        scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
        return scale, norm.bias.detach().double() - norm.running_mean.double() * scale
    if isinstance(norm, MovingAverageBatchNorm):
        scale = norm.weight.detach().double() / (norm.running_var.double() + norm.epsilon).sqrt()
        return scale, norm.bias.detach().double()
    return None


def plain(conv: Convolution) -> Convolution:
    """Return a convolution with a bias whose stored weight is the one that `conv` uses."""
    twin = Convolution(conv.in_channels, conv.out_channels, conv.kernel_size[0], bias=True)
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    return _filled(twin, conv, conv.used_weight(), bias)


def into_previous(conv: Convolution, scale_F: Tensor, shift_F: Tensor) -> Convolution:
    """Return a convolution that also does the affine map behind `conv`.

    Args:
        conv: A plain convolution with a bias.
        scale_F: s, float64 (filters).
        shift_F: t, float64 (filters).
    """
    assert conv.bias is not None  # noqa: S101
    weight, bias = conv.used_weight().double(), conv.bias.double()
    return _filled(plain(conv), conv, weight * scale_F.view(-1, 1, 1, 1), bias * scale_F + shift_F)


def into_next(conv: Convolution, scale_C: Tensor, shift_C: Tensor) -> Convolution:
    """Return a valid convolution that also does the affine map in front of `conv`.

    Args:
        conv: A plain convolution with a bias.
        scale_C: s, float64 (channels).
        shift_C: t, float64 (channels).
    """
    assert conv.bias is not None  # noqa: S101
    weight = conv.used_weight().double()
    bias = conv.bias.double() + (weight.sum((2, 3)) * shift_C).sum(1)
    return _filled(plain(conv), conv, weight * scale_C.view(1, -1, 1, 1), bias)


def into_linear(layer: nn.Linear, scale_D: Tensor, shift_D: Tensor) -> nn.Linear:
    """Return a linear layer that also does the affine map in front of `layer`.

    Args:
        layer: A linear layer with a bias.
        scale_D: s, float64 (features).
        shift_D: t, float64 (features).
    """
    twin = nn.Linear(layer.in_features, layer.out_features)
    weight = layer.weight.double()
    return _filled(twin, layer, weight * scale_D, layer.bias.double() + weight @ shift_D)


def _filled(twin: Layer, like: Layer, weight: Tensor, bias: Tensor) -> Layer:
    """Put values into a new layer of the device and type of another."""
    twin.to(device=like.weight.device, dtype=like.weight.dtype)
    with torch.no_grad():
        twin.weight.copy_(weight)
        assert twin.bias is not None  # noqa: S101
        twin.bias.copy_(bias)
    return twin
