"""The norm plan: which norm stands where. A learner asks it for the layer of each position."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from har.errors import UsageError, unknown
from har.norms.layers import KINDS, AllSensors

PLACEMENTS = ("none", "input_scalar", "input", "first", "every", "last", "input_every")
ORDERS = ("pre", "post")
INPUT = 0  # position of the learner's input; position l > 0 is the l-th convolution


@dataclass(frozen=True)
class NormPlan:
    """Kind × placement × order × options of normalisation, from which a learner builds its layers.

    Args:
        kind: A norm of the registry: ``batch``.
        placement: ``none``; ``input_scalar``, one mean and variance over all sensors (Li et al. 2018); ``input``, per
            channel; ``first``, after the first convolution; ``every``, after each; ``last``, after the last;
            ``input_every``, per input channel and after each convolution. Or a list of positions, 0 being the input
            (per channel) and l the l-th convolution.
        order: ``pre``, between convolution and activation (Ioffe & Szegedy 2015), or ``post``, after the activation
            and before pooling. The input position has no activation, so it does not depend on it.
        epsilon: Added to the variance inside the square root.
        momentum: Weight of the new value in the running statistics, in (0, 1].

    Raises:
        UsageError: When a name is not known, a position is negative or given twice, or a number is out of range.
    """

    kind: str = "batch"
    placement: list[int] | str = "every"
    order: str = "pre"
    epsilon: float = 1e-5
    momentum: float = 0.1

    def __post_init__(self) -> None:
        """Check every value."""
        if self.kind not in KINDS:
            raise unknown("norm kind", self.kind, KINDS)
        if self.order not in ORDERS:
            raise unknown("norm order", self.order, ORDERS)
        if isinstance(self.placement, str):
            if self.placement not in PLACEMENTS:
                raise unknown("norm placement", self.placement, PLACEMENTS, "or a list of positions such as [0, 2]")
        elif min(self.placement, default=0) < 0 or len(set(self.placement)) < len(self.placement):
            raise UsageError(
                f"norm placement {self.placement} has a negative or repeated position.",
                "Position 0 is the input and l the l-th convolution; name each once.",
            )
        if not self.epsilon > 0:
            raise UsageError(f"norm epsilon {self.epsilon} is not positive.", "The usual value is 1e-5.")
        if not 0 < self.momentum <= 1:
            raise UsageError(f"norm momentum {self.momentum} is not in (0, 1].", "The usual value is 0.1.")

    def positions(self, convolutions: int) -> tuple[int, ...]:
        """Return the positions that carry a norm, in the order of the forward pass.

        Args:
            convolutions: Number of convolutions of the learner.

        Raises:
            UsageError: When a position lies behind the last convolution.
        """
        after_each = range(1, convolutions + 1)
        if isinstance(self.placement, str):
            return {
                "none": (),
                "input_scalar": (INPUT,),
                "input": (INPUT,),
                "first": (1,),
                "every": tuple(after_each),
                "last": (convolutions,),
                "input_every": (INPUT, *after_each),
            }[self.placement]
        beyond = [position for position in self.placement if position > convolutions]
        if beyond:
            raise UsageError(
                f"norm position {beyond[0]} lies behind the last of {convolutions} convolutions.",
                f"Positions go from 0 (input) to {convolutions}.",
            )
        return tuple(sorted(self.placement))

    def layer(self, position: int, channels: int, convolutions: int) -> nn.Module | None:
        """Build the norm of one position.

        Args:
            position: 0 for the input, l for the l-th convolution.
            channels: Channels of the tensor there.
            convolutions: Number of convolutions of the learner.

        Returns:
            A layer on (windows, channels, samples, 1), or None where the plan has no norm.
        """
        if position not in self.positions(convolutions):
            return None
        build = KINDS[self.kind]
        if position == INPUT and self.placement == "input_scalar":
            return AllSensors(build(1, self.epsilon, self.momentum))
        return build(channels, self.epsilon, self.momentum)

    @property
    def label(self) -> str:
        """A name for folders and tables: the placement, with list positions joined by hyphens."""
        placement = self.placement
        return placement if isinstance(placement, str) else "at-" + "-".join(map(str, placement))
