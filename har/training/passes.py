"""A batch through a network in training mode, forward and backward, and what its layers show meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from har.norms.diagnostics import Moments, Statistics, gap
from har.norms.flow import Backward, chunk_size
from har.norms.places import Place, Places, watched
from har.norms.statistics import statistics_layers


@dataclass(frozen=True)
class BatchNorms:
    """The norms of a network that store statistics of batches.

    Attributes:
        pairs: Input and output of each, in the order of the forward pass.
    """

    pairs: tuple[tuple[Place, Place], ...]

    @staticmethod
    def of(network: nn.Module, found: Places) -> BatchNorms:
        """Find them among the places of a network."""
        storing = set(statistics_layers(network).values())
        both = zip(found.norms[::2], found.norms[1::2], strict=True)
        return BatchNorms(tuple(pair for pair in both if pair[0].layer in storing))

    def stored(self) -> dict[Place, Statistics]:
        """Return what each has stored at the moment, by its input."""
        return {source: Statistics.stored(source.layer) for source, _ in self.pairs}


@dataclass(frozen=True)
class TrainingPass:
    """What a batch shows in training mode.

    Attributes:
        gaps: For the input of each norm of the batch, its statistics against the stored ones.
        backward: For the same, what its backward pass takes means of.
        gradients: For each depth, ∂L/∂h.
        slope: float (parameters,), ∂L/∂w of all that is trained, as one vector.
        training_NK: float (windows, activities), logits in training mode.
        inference_NK: float (windows, activities), logits of the same windows in inference mode.
    """

    gaps: dict[Place, dict[str, float]]
    backward: dict[Place, Backward]
    gradients: dict[int, Tensor]
    slope: Tensor
    training_NK: Tensor
    inference_NK: Tensor


def training_pass(
    network: nn.Module, found: Places, norms: BatchNorms, batch: tuple[Tensor, Tensor], rewind: Callable[[], None]
) -> TrainingPass:
    """Pass a batch through in training mode, and forward in inference mode.

    Args:
        network: The network, within `har.norms.freeze.unchanged`.
        found: Its places.
        norms: Its norms of the batch.
        batch: x_NTC and label_N.
        rewind: What `unchanged` gave; called first, so that all batches begin in the same state, and in between.
    """
    x_NTC, label_N = batch
    rewind()
    stored = norms.stored()
    outputs = [output for _, output in norms.pairs]
    wanted = [*outputs, *found.ends]
    network.train()
    with watched(tuple(stored), tuple(wanted)) as seen:
        training_NK = network(x_NTC)
        loss = functional.cross_entropy(training_NK, label_N)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        sources = [seen[place] for place in wanted] + trained
        found_slopes = torch.autograd.grad(loss, sources, materialize_grads=True)
        slopes = dict(zip(wanted, found_slopes, strict=False))
    gaps, backward = {}, {}
    for source, output in norms.pairs:
        moments = Moments.of(seen[source])
        gaps[source] = _mean_gap(source.layer, moments, stored[source])
        backward[source] = Backward.of(source.layer, seen[source], moments, slopes[output])
    rewind()
    network.eval()
    with torch.no_grad():
        inference_NK = network(x_NTC)
    gradients = {place.depth: slopes[place] for place in found.ends}
    slope = torch.cat([part.flatten() for part in found_slopes[len(wanted) :]])
    return TrainingPass(gaps, backward, gradients, slope, training_NK.detach().cpu(), inference_NK.cpu())


def _mean_gap(layer: nn.Module, moments: Moments, stored: Statistics) -> dict[str, float]:
    """Return the gap of a batch's statistics, the mean over its chunks where a norm cuts it."""
    chunks = moments.split(chunk_size(layer, len(moments.mean_NC)))
    return means([gap(Statistics.measured(layer, chunk), stored) for chunk in chunks])


def means(found: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each value over several measurements of the same."""
    return {name: sum(one[name] for one in found) / len(found) for name in found[0]}
