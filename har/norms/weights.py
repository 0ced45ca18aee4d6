"""Weights that a normaliser changes before they are used, and gradients that are clipped against them.

One convolution class holds the stored weight W and uses, per output filter o, with mean and variance σ² (divided by n)
over the n = C·k weights of the filter:

    plain          Ŵ_o = W_o
    centred        Ŵ_o = W_o − mean W_o                       Yan et al. 2020, arXiv 2001.06838, section 4.2
    standardised   Ŵ_o = (W_o − mean W_o)/√(σ²_o + ε)         Qiao et al. 2019, arXiv 1903.10520, equation 3; ε 1e-5
    scaled         Ŵ_o = g_o·γ·(W_o − mean W_o)/√max(n·σ²_o, ε)   Brock et al. 2021, arXiv 2102.06171; ε 1e-4

with g a learned gain per filter (1 at first) and γ = √(2/(1 − 1/π)) = 1.7129, which gives a rectified Gaussian unit
variance (the published code has the sampled value 1.7139588). Gradients flow through mean and variance.

A centred or standardised filter gives an output of mean 0 only where all its input channels have the same mean: the
output's mean is Σ_i mean(x_i)·Σ_k Ŵ_ik. Raw accelerometers differ in theirs, by gravity: scale the input per channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from har.errors import unknown
from har.norms.convolve import convolve

RECTIFIER_GAIN = math.sqrt(2 / (1 - 1 / math.pi))
_STANDARDISING_EPSILON = 1e-5
_SCALING_EPSILON = 1e-4
TRANSFORMS = ("plain", "centred", "standardised", "scaled")


class Convolution(nn.Conv2d):
    """A valid convolution over time whose weight may be transformed before use.

    Args:
        channels: Input channels C.
        filters: Output channels F.
        kernel: Samples k that a filter sees.
        bias: Whether to add a bias.
        transform: One of `TRANSFORMS`.
        dilation: Samples from one of the k to the next.

    Raises:
        UsageError: When the transform is not known.

    Attributes:
        gain: For ``scaled``, float (filters): the learned g of the module's docstring.
    """

    def __init__(
        self, channels: int, filters: int, kernel: int, bias: bool, transform: str = "plain", dilation: int = 1
    ) -> None:
        if transform not in TRANSFORMS:
            raise unknown("transform of weights", transform, TRANSFORMS)
        super().__init__(channels, filters, (kernel, 1), bias=bias, dilation=(dilation, 1))
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)
        self.transform = transform
        if transform == "scaled":
            self.gain = nn.Parameter(torch.ones(filters))

    def used_weight(self) -> Tensor:
        """Return the weight that the convolution applies, float (filters, channels, kernel, 1)."""
        if self.transform == "plain":
            return self.weight
        over = (1, 2, 3)
        centred: Tensor = self.weight - self.weight.mean(over, keepdim=True)
        if self.transform == "centred":
            return centred
        variance = centred.square().mean(over, keepdim=True)
        if self.transform == "standardised":
            standardised: Tensor = centred * (variance + _STANDARDISING_EPSILON).rsqrt()
            return standardised
        scale = (variance * self.weight[0].numel()).clamp(min=_SCALING_EPSILON).rsqrt()
        scaled: Tensor = centred * scale * (RECTIFIER_GAIN * self.gain.view(-1, 1, 1, 1))
        return scaled

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Return h_NFT1, float (windows, filters, samples − (kernel − 1)·dilation, 1).

        A last axis of several sensors, which share the kernels, stays as it is.
        """
        return convolve(x_NCT1, self.used_weight(), self.bias, self.training, int(self.dilation[0]))

    def extra_repr(self) -> str:
        """Return the settings, with the transform."""
        settings: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{settings}, transform={self.transform}"


@torch.no_grad()
def clip_adaptively(parameters: Iterable[nn.Parameter], limit: float, floor: float = 1e-3) -> None:
    """Shrink gradients that are large against their weights (Brock et al. 2021, arXiv 2102.06171, equation 3).

    Per unit i, a row of a weight (an output filter) or a whole vector, with G its gradient and W its weight:

        G_i ← G_i·min(1, limit·max(‖W_i‖, floor)/‖G_i‖)

    Args:
        parameters: Parameters with gradients; those without are passed over. Leave the last linear layer out.
        limit: λ, the largest ratio of norms; smaller batches want smaller values.
        floor: Norm that a smaller weight counts as, so that a zero weight can move.
    """
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(adaptive_shrinkage(parameter, parameter.grad, limit, floor))


def adaptive_shrinkage(weight: Tensor, gradient: Tensor, limit: float, floor: float = 1e-3) -> Tensor:
    """Return what each unit's gradient is multiplied by; see `clip_adaptively`."""
    allowed = _unit_norm(weight).clamp(min=floor) * limit
    norm = _unit_norm(gradient)
    return (allowed / norm.clamp(min=torch.finfo(norm.dtype).tiny)).clamp(max=1.0)


def _unit_norm(values: Tensor) -> Tensor:
    """Return the Euclidean norm of each row of a weight, or of a whole vector, ready to multiply with it."""
    over = tuple(range(1, values.ndim)) if values.ndim > 1 else None
    norm: Tensor = torch.linalg.vector_norm(values, dim=over, keepdim=values.ndim > 1)
    return norm
