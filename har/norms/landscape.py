"""How smooth the loss is along its gradient, at the distance that a training step goes.

Santurkar et al. 2018, arXiv 1805.11604, figure 4: with w the parameters, L the loss of one mini-batch in the state
of training, and points w + a·d down its gradient,

    loss range            max_a L(w + a·d) − min_a L(w + a·d)
    gradient change       ‖∇L(w + a·d) − ∇L(w)‖ ("gradient predictiveness")
    effective β           max_a ‖∇L(w + a·d) − ∇L(w)‖/‖a·d‖, the largest slope of the gradient that was seen
    a                     ¼, ½, 1, 2, 4 times an actual step

The direction is that of −∇L, as the authors take it, and not that of the optimiser: Adam's direction depends on its own
history, and along it networks would be compared in directions of different steepness. Gradient descent with rate η
steps by d = −η·∇L. Of another optimiser η·‖∇L‖ is no distance that it goes (of AdamW on the default network a sixtieth
of one), so the unit is the length ‖Δw‖ of a step that it took: d = −‖Δw‖·∇L/‖∇L‖. For gradient descent both agree.

MABN's gradient is by intention not the derivative of its loss; what is measured is then the gradient that it learns by.
A network with norms hardly depends on the length of the weights in front of them, and its gradient shrinks as they
grow: β is to be compared between networks of like weights, or multiplied by ‖w‖².
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)

Parameters = dict[str, Tensor]
Objective = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Landscape:
    """What the loss does along its gradient.

    Attributes:
        loss: L(w).
        losses: L(w + a·d) for each a.
        changes: ‖∇L(w + a·d) − ∇L(w)‖ for each a.
        distances: ‖a·d‖ for each a.
    """

    loss: float
    losses: tuple[float, ...]
    changes: tuple[float, ...]
    distances: tuple[float, ...]

    @property
    def loss_range(self) -> float:
        """Largest minus smallest loss over a."""
        return max(self.losses) - min(self.losses)

    @property
    def smoothness(self) -> float:
        """Effective β: the largest change of the gradient per distance over a."""
        return max(change / distance for change, distance in zip(self.changes, self.distances, strict=True))


def batch_loss(network: nn.Module, x: Tensor, label_N: Tensor, rewind: Callable[[], None]) -> Objective:
    """Return the mean cross-entropy of a batch as a function of a network's parameters.

    Args:
        network: The network, in the state of training.
        x: The windows, as it takes them.
        label_N: int64 (windows,), their activities.
        rewind: Puts buffers and random state back before each pass (`har.norms.freeze.unchanged`), so that all points
            are judged with the same running statistics and the same dropout.
    """

    def loss(parameters: Mapping[str, Tensor]) -> Tensor:
        rewind()
        logits_NK = functional_call(network, dict(parameters), (x,))
        return functional.cross_entropy(logits_NK, label_N)

    return loss


def trained_parameters(network: nn.Module) -> Parameters:
    """Return the parameters that training changes, by name."""
    return {name: value.detach() for name, value in network.named_parameters() if value.requires_grad}


def along_gradient(
    objective: Objective, point: Mapping[str, Tensor], step: float, shares: Sequence[float] = SHARES
) -> Landscape | None:
    """Measure a loss and its gradient at points down the gradient. Costs a forward and backward pass each, and one.

    Args:
        objective: The loss as a function of the parameters, float ().
        point: w, by name.
        step: Length of an actual step, above 0, in the units of the parameters.
        shares: a, each above 0.

    Returns:
        What was found; None where the gradient is 0 or not finite, and so has no direction.
    """
    loss, gradient = _differentiated(objective, point)
    length = _length(gradient)
    if not 0 < length < float("inf"):
        return None
    losses, changes = [], []
    for share in shares:
        moved = {
            name: value - share * step / length * slope
            for (name, value), slope in zip(point.items(), gradient, strict=True)
        }
        there, slopes = _differentiated(objective, moved)
        losses.append(there)
        changes.append(_length([new - old for new, old in zip(slopes, gradient, strict=True)]))
    return Landscape(loss, tuple(losses), tuple(changes), tuple(share * step for share in shares))


def _differentiated(objective: Objective, point: Mapping[str, Tensor]) -> tuple[float, list[Tensor]]:
    """Return a loss and its gradient by each parameter, zeros for one that plays no part."""
    with torch.enable_grad():
        leaves = {name: value.detach().requires_grad_() for name, value in point.items()}
        loss = objective(leaves)
        gradient = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
    return float(loss.detach()), list(gradient)


def _length(parts: list[Tensor]) -> float:
    """Return the Euclidean length of all parts together, summed in float64."""
    return float(sum(part.double().square().sum() for part in parts) ** 0.5)
