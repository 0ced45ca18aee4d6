"""Initial values as a function of (seed, parameter name): variants share every tensor that they have in common."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from har.norms.base import Norm
from har.norms.per_window import ThresholdedUnit
from har.seeds import derive_seed


def initialise(module: nn.Module, seed: int) -> None:
    """Give every parameter and statistic of `module` its initial value.

    Convolutions are Kaiming-uniform for ReLU (He et al. 2015, arXiv 1502.01852, eq. 10), linear layers uniform in
    ±√(3/fan-in), both with zero bias; gains of filters are 1; norms start at the identity with
    statistics 0 and 1, and activations with a threshold as ReLU. Each tensor is drawn from a generator of its own,
    seeded by (seed, name), so a layer put in or left out changes no other.

    Args:
        module: A network whose parameter names are the same in every variant that has the parameter.
        seed: The run's seed.

    Raises:
        TypeError: When a layer has parameters that no rule covers.
    """
    for name, layer in module.named_modules():
        own = dict(layer.named_parameters(recurse=False))
        if not own:
            continue
        if isinstance(layer, nn.Conv2d):
            _draw(layer.weight, math.sqrt(6.0), seed, f"{name}.weight")
            if "gain" in own:
                nn.init.ones_(own["gain"])
        elif isinstance(layer, nn.Linear):
            _draw(layer.weight, math.sqrt(3.0), seed, f"{name}.weight")
        elif isinstance(layer, (nn.BatchNorm2d, Norm, ThresholdedUnit)):
            layer.reset_parameters()
            continue
        else:
            raise TypeError(f"no initialisation rule for {type(layer).__name__} at {name!r} (parameters {list(own)})")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _draw(weight: Tensor, gain: float, seed: int, name: str) -> None:
    """Fill a weight with the uniform distribution ±gain/√fan-in, from the generator of its name."""
    fan_in = weight[0].numel()
    bound = gain / math.sqrt(fan_in)
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights", name))
    values = torch.empty(weight.shape).uniform_(-bound, bound, generator=generator)
    with torch.no_grad():
        weight.copy_(values)  # keeps the weight's own memory format
