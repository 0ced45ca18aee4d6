"""What a learner costs in use: parameters, multiply-adds per window, and how far it sees.

Counted while one window passes through in inference mode, from layers with weights alone:

    convolution   outputs · kernel · channels            (times sensors that share the kernels)
    dense layer   outputs · inputs
    LSTM layer    samples · 4·units·(inputs + units)     four gates, each of input and state

Features that are fitted at once and trees say by themselves what they take.

Biases, norms, activations and pooling are left out: a few operations per value, where a layer has hundreds.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from har.learners.classifier import Classifier
from har.learners.fitted import FittedFeatures
from har.learners.trees import Trees

LONG_RECURRENCE = 500  # samples; the paper's longest window has 151, and gradients fade over hundreds


@dataclass(frozen=True)
class Cost:
    """What a classifier costs.

    Attributes:
        parameters: Numbers that training changes, those of a decoder included, or that a fit at once finds.
        multiply_adds: Per window in inference, as the module's docstring counts them.
        receptive_field_s: Seconds of the window that a feature depends on in front of a mean over time; all that are
            read where there is no such mean.
    """

    parameters: int
    multiply_adds: int
    receptive_field_s: float


def describe(network: Classifier, channels: int, samples: int, rate_hz: float) -> Cost:
    """Return what a classifier costs; one contract for every learner.

    Args:
        network: The classifier. It is not changed.
        channels: Sensor channels C of a window.
        samples: Samples T of a window.
        rate_hz: Samples per second.
    """
    return Cost(
        parameters=sum(value.numel() for value in (*network.parameters(), *_fitted(network))),
        multiply_adds=sum(count for _, _, count in _counted(network, torch.zeros(1, samples, channels))),
        receptive_field_s=network.features.receptive_field / rate_hz,
    )


def _fitted(network: nn.Module) -> Iterator[Tensor]:
    """Yield what a fit at once has found in a network."""
    for layer in network.modules():
        if isinstance(layer, (FittedFeatures, Trees)):
            yield from layer.state_dict().values()


def long_recurrences(network: nn.Module, x_1TC: Tensor, batch: int) -> list[str]:
    """Return a sentence where an LSTM works through so many samples that a user should know before it starts.

    Args:
        network: The network. It is not changed.
        x_1TC: float (1, samples, channels), one window; its values play no part.
        batch: Windows of a training batch.
    """
    layers = [(layer, inputs, count) for layer, inputs, count in _counted(network, x_1TC) if isinstance(layer, nn.LSTM)]
    longest = max((inputs.shape[2] for _, inputs, _ in layers), default=0)
    if longest <= LONG_RECURRENCE:
        return []
    total = 3 * batch * sum(count for _, _, count in layers)  # the backward pass takes two products for each forward
    return [
        f"{len(layers)} LSTM layer{'s work' if len(layers) > 1 else ' works'} through {longest} samples one after "
        f"another: {total / 1e6:,.0f} million multiply-adds for a training step of {batch} windows, and "
        "gradients fade on the way. Use a lower rate (har prepare --rate-hz), shorter windows, or the learner Hybrid "
        "with more pooling."
    ]


def _counted(network: nn.Module, x_1TC: Tensor) -> Iterator[tuple[nn.Module, Tensor, int]]:
    """Yield each layer with weights, its input and its multiply-adds for one window, in the order in which they run."""
    found: list[tuple[nn.Module, Tensor, int]] = []

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append((layer, inputs[0], _multiply_adds(layer, inputs[0], output)))

    twin = copy.deepcopy(network).eval()
    for layer in twin.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.LSTM, FittedFeatures, Trees)):
            layer.register_forward_hook(watch)
    with torch.no_grad():
        twin(x_1TC.to(next(itertools.chain(twin.parameters(), twin.buffers())).device))
    yield from found


def _multiply_adds(layer: nn.Module, x: Tensor, output: Tensor) -> int:
    """Return the multiply-adds of a layer for one window."""
    if isinstance(layer, (FittedFeatures, Trees)):
        return layer.multiply_adds
    if isinstance(layer, nn.LSTM):
        return int(x.shape[2] * 4 * layer.hidden_size * (layer.input_size + layer.hidden_size))
    weight = layer.get_parameter("weight")
    return output.numel() * weight[0].numel()
