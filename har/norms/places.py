"""Where a network can be watched: its layers in the order in which they run, and how deep each of them lies.

The layers are found while one window of zeros passes through in inference mode, whatever the learner. The depth of a
layer is the number of layers with weights up to it: 0 is the input, l the l-th convolution and what follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from har.norms.base import Norm
from har.norms.layers import AllSensors
from har.norms.per_window import ThresholdedUnit
from har.norms.statistics import BatchStatistics
from har.norms.weights import Convolution

_SIDES = ("input", "output")


@dataclass(frozen=True)
class Call:
    """A layer without layers of its own, as it ran: its name, itself, and the layer whose output it was given."""

    name: str
    layer: nn.Module
    before: nn.Module | None


@dataclass(frozen=True)
class Place:
    """One side of a layer.

    Attributes:
        depth: Layers with weights up to there.
        name: The layer's name in the network.
        layer: The layer.
        side: ``input`` or ``output``.
    """

    depth: int
    name: str
    layer: nn.Module
    side: str


@dataclass(frozen=True)
class Places:
    """The places of a network that probes look at, each in the order of the forward pass.

    Attributes:
        start: The input of the first layer with weights.
        norms: Both sides of every norm, its input first.
        activations: The outputs of the activations.
        ends: For each depth from 1 on, the last output before the next layer with weights, dropout apart: what the
            next layer is given, except for dropout and a mean over time. The head, which is the last one, has none.
        readable: All but the activations, each once; without the norm that all sensors share, which sees one channel.
        free: The outputs of the layers whose weight may have any length without a difference: those without bias in
            front of a norm, and those that normalise the weight themselves.
    """

    start: Place
    norms: tuple[Place, ...]
    activations: tuple[Place, ...]
    ends: tuple[Place, ...]
    readable: tuple[Place, ...]
    free: tuple[Place, ...]


def places(network: nn.Module, x_1TC: Tensor) -> Places:
    """Find the places of a network.

    Args:
        network: The network, head included.
        x_1TC: float (1, samples, channels), one window; its values play no part.
    """
    depth = 0
    start: Place | None = None
    norms: list[Place] = []
    activations: list[Place] = []
    ends: dict[int, Place] = {}
    free: list[Place] = []
    made = calls(network, x_1TC)
    normed = [call.before for call in made if _is_norm(call.layer)]
    for call in made:
        if _has_weights(call.layer):
            depth += 1
            start = start or Place(0, call.name, call.layer, "input")
            if (call.layer in normed and call.layer.bias is None) or _normalises_weight(call.layer):
                free.append(Place(depth, call.name, call.layer, "output"))
        if _is_norm(call.layer):
            norms += [Place(depth, call.name, call.layer, side) for side in _SIDES]
        if _activates(call.layer):
            activations.append(Place(depth, call.name, call.layer, "output"))
        if depth and not isinstance(call.layer, nn.modules.dropout._DropoutNd):
            ends[depth] = Place(depth, call.name, call.layer, "output")
    ends.pop(depth, None)  # the head's output are the logits
    assert start is not None  # noqa: S101 - a network without weights learns nothing
    shared = {module.scalar for module in network.modules() if isinstance(module, AllSensors)}
    of_channels = [place for place in norms if place.layer not in shared]
    readable = tuple(dict.fromkeys((start, *of_channels, *ends.values())))
    return Places(start, tuple(norms), tuple(activations), tuple(ends.values()), readable, tuple(free))


@contextmanager
def watched(*groups: tuple[Place, ...]) -> Iterator[dict[Place, Tensor]]:
    """Keep what passes the places during a ``with`` block: of each the tensor of the latest pass, with its graph.

    Args:
        *groups: Places; one that stands in several groups is watched once.
    """
    seen: dict[Place, Tensor] = {}

    def watch(place: Place) -> torch.utils.hooks.RemovableHandle:
        def before(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[place] = inputs[0]

        def behind(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[place] = output

        if place.side == "input":
            return place.layer.register_forward_pre_hook(before)
        return place.layer.register_forward_hook(behind)

    with ExitStack() as stack:
        for place in dict.fromkeys(place for group in groups for place in group):
            stack.callback(watch(place).remove)
        yield seen


def calls(network: nn.Module, x_1TC: Tensor) -> list[Call]:
    """Pass one window of zeros through in inference mode and return the layers in the order in which they ran.

    Args:
        network: The network. Its modes stay as they are.
        x_1TC: float (1, samples, channels), one window; its values play no part.
    """
    names = {layer: name for name, layer in network.named_modules() if name}
    leaves = [layer for layer in names if not any(layer.children()) and not isinstance(layer, AllSensors)]
    modes = [(layer, layer.training) for layer in network.modules()]
    outputs: list[tuple[Tensor, nn.Module]] = []  # kept alive, so that no two of them are one object
    found: list[Call] = []

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        before = next((source for value, source in outputs if value is inputs[0]), None)
        found.append(Call(names[layer], layer, before))
        outputs.append((output, layer))

    handles = [layer.register_forward_hook(watch) for layer in leaves]
    try:
        with torch.no_grad():
            network.eval()(torch.zeros_like(x_1TC))
    finally:
        for handle in handles:
            handle.remove()
        for layer, mode in modes:
            layer.training = mode
    return found


def _has_weights(layer: nn.Module) -> bool:
    """Return whether a layer has a weight of more than one dimension: a convolution or a linear layer."""
    return any(parameter.ndim > 1 for parameter in layer.parameters(recurse=False))


def _is_norm(layer: nn.Module) -> bool:
    """Return whether a layer normalises what passes through it."""
    return isinstance(layer, (Norm, _BatchNorm, BatchStatistics))


def _normalises_weight(layer: nn.Module) -> bool:
    """Return whether a layer divides its weight by the weight's own deviation before use."""
    return isinstance(layer, Convolution) and layer.transform in ("standardised", "scaled")


def _activates(layer: nn.Module) -> bool:
    """Return whether a layer is an activation function."""
    return isinstance(layer, ThresholdedUnit) or type(layer).__module__ == nn.ReLU.__module__
