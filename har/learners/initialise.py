"""Initial values as a function of (seed, parameter name): variants share every tensor that they have in common."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from har.learners.blocks import Recurrence
from har.norms.base import Norm
from har.norms.per_window import ThresholdedUnit
from har.seeds import derive_seed


def initialise(module: nn.Module, seed: int) -> None:
    """Give every parameter and statistic of `module` its initial value.

    Convolutions, and dense layers in front of an activation, are Kaiming-uniform for ReLU (He et al. 2015, arXiv
    1502.01852, eq. 10), linear layers uniform in ±√(3/fan-in), both with zero bias; gains of filters are 1; norms start
    at the identity with statistics 0 and 1, and activations with a threshold as ReLU. An LSTM starts as in Keras: the
    weights of its input uniform in ±√(6/(fan-in + 4H)) over the four gates together (Glorot & Bengio 2010, eq. 16),
    those of its state with orthonormal columns (Saxe et al. 2014, arXiv 1312.6120), biases 0 but for a 1 at the forget
    gate (Jozefowicz et al. 2015). Each tensor is drawn from a generator of its own, seeded by (seed, name), so a layer
    put in or left out changes no other.

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
        if isinstance(layer, Recurrence):
            _start_lstm(layer, seed, name)
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


def _start_lstm(layer: Recurrence, seed: int, name: str) -> None:
    """Fill the weights and biases of an LSTM layer, whose gates lie in the order input, forget, cell, output."""
    width = layer.hidden_size
    share = layer.input_size / (layer.input_size + 4 * width)  # of the fan-in in the sum of both fans
    _draw(layer.get_parameter("weight_ih_l0"), math.sqrt(6.0 * share), seed, f"{name}.weight_ih_l0")
    nn.init.orthogonal_(layer.get_parameter("weight_hh_l0"), generator=_generator(seed, f"{name}.weight_hh_l0"))
    for bias in ("bias_ih_l0", "bias_hh_l0"):
        nn.init.zeros_(layer.get_parameter(bias))
    nn.init.ones_(layer.get_parameter("bias_ih_l0")[width : 2 * width])


def _generator(seed: int, name: str) -> torch.Generator:
    """Return the generator of a tensor's name."""
    return torch.Generator().manual_seed(derive_seed(seed, "weights", name))


def _draw(weight: Tensor, gain: float, seed: int, name: str) -> None:
    """Fill a weight with the uniform distribution ±gain/√fan-in, from the generator of its name."""
    fan_in = weight[0].numel()
    bound = gain / math.sqrt(fan_in)
    values = torch.empty(weight.shape).uniform_(-bound, bound, generator=_generator(seed, name))
    with torch.no_grad():
        weight.copy_(values)  # keeps the weight's own memory format
