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


def foldable(
    norm: nn.Module, name: str, channels: int, *, pooled: bool = False
) -> tuple[tuple[Tensor, Tensor] | None, list[str]]:
    """Return a norm's map where it may be put into a neighbour, else why it stays, in a sentence.

    Args:
        norm: The norm.
        name: Its name, for the sentence.
        channels: Channels of its input.
        pooled: Whether max-pooling stands between it and that neighbour.
    """
    maps = affine_of(norm, channels)
    if maps is None:
        return None, [f"{name} stays: {type(norm).__name__} takes its statistics from each window."]
    falling = int((maps[0] < 0).sum())
    if pooled and falling:
        return None, [
            f"{name} stays: {falling} of its {channels} factors are negative, and a negative factor turns the "
            "max-pooling between it and the next layer into a minimum."
        ]
    return maps, []


def plain(conv: Convolution) -> Convolution:
    """Return a convolution with a bias whose stored weight is the one that `conv` uses."""
    return _rebuilt(conv, *_used(conv))


def into_previous(conv: Convolution, scale_F: Tensor, shift_F: Tensor) -> Convolution:
    """Return a convolution that also does the affine map behind `conv`.

    Args:
        conv: A convolution.
        scale_F: s, float64 (filters).
        shift_F: t, float64 (filters).
    """
    weight, bias = _used(conv)
    return _rebuilt(conv, weight * scale_F.view(-1, 1, 1, 1), bias * scale_F + shift_F)


def into_next(layer: Layer, scale_C: Tensor, shift_C: Tensor) -> Layer:
    """Return a layer that also does the affine map in front of `layer`.

    Args:
        layer: A valid convolution or a linear layer.
        scale_C: s, float64 (channels, or features).
        shift_C: t likewise.
    """
    weight, bias = _used(layer)
    scale = scale_C.view(1, -1, *[1] * (weight.ndim - 2))
    return _rebuilt(layer, weight * scale, bias + weight.flatten(1).view(*weight.shape[:2], -1).sum(2) @ shift_C)


def _used(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the weight and the bias that a layer applies, float64."""
    assert isinstance(layer, (Convolution, nn.Linear))  # noqa: S101
    weight = (layer.used_weight() if isinstance(layer, Convolution) else layer.weight).detach().double()
    return weight, weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().double()


def _rebuilt(layer: Layer, weight: Tensor, bias: Tensor) -> Layer:
    """Return a plain layer of the shape, device and type of another, with other weights and a bias."""
    if isinstance(layer, Convolution):
        shape = layer.in_channels, layer.out_channels, layer.kernel_size[0]
        twin = Convolution(*shape, bias=True, dilation=int(layer.dilation[0]))
    else:
        twin = nn.Linear(layer.in_features, layer.out_features)
    twin.to(device=layer.weight.device, dtype=layer.weight.dtype)
    with torch.no_grad():
        twin.weight.copy_(weight)
        assert twin.bias is not None  # noqa: S101
        twin.bias.copy_(bias)
    return twin
