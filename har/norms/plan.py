"""The norm plan: which norm stands where. A learner asks it for the layer of each position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from har.errors import UsageError, unknown
from har.norms.layers import KINDS, AllSensors, Kind
from har.norms.weights import Convolution

PLACEMENTS = ("none", "input_scalar", "input", "first", "every", "last", "input_every")
ORDERS = ("pre", "post")
INPUT = 0  # position of the learner's input; position l > 0 is its l-th layer with weights, in a CNN a convolution


@dataclass(frozen=True)
class NormPlan:
    """Kind × placement × order × options of normalisation, from which a learner builds its layers.

    Args:
        kind: A norm of the registry: ``batch``, ``ghost_batch``, ``batch_renorm``, ``mabn``, ``layer``,
            ``layer_channels``, ``layer_elements``, ``instance``, ``group``, ``filter_response``,
            ``standardised_weights`` (with group norm), or ``scaled_weights``, which has no layer; docs/norms.md.
        placement: ``none``; ``input_scalar``, one mean and variance over all sensors (Li et al. 2018); ``input``, per
            channel; ``first``, after the first convolution; ``every``, after each; ``last``, after the last;
            ``input_every``, per input channel and after each convolution. Or a list of positions, 0 being the input
            (per channel) and l the l-th convolution. What is said of convolutions is meant of all layers with weights
            where a learner has others too (docs/learners.md).
        order: ``pre``, between convolution and activation (Ioffe & Szegedy 2015), or ``post``, after the activation
            and before pooling. The input position has no activation, so it does not depend on it.
        epsilon: Added to the variance inside the square root.
        momentum: Weight of the new value in the running statistics of batch norms, in (0, 1].
        options: Options of the kind, such as ``{groups: 8}`` of ``group``.

    Raises:
        UsageError: When a name is not known, a position is negative or given twice, a number is out of range, or the
            kind cannot stand at the input.
    """

    kind: str = "batch"
    placement: list[int] | str = "every"
    order: str = "pre"
    epsilon: float = 1e-5
    momentum: float = 0.1
    options: dict[str, Any] = field(default_factory=dict)

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
                "Position 0 is the input and l the l-th layer with weights; name each once.",
            )
        if not self.epsilon > 0:
            raise UsageError(f"norm epsilon {self.epsilon} is not positive.", "The usual value is 1e-5.")
        if not 0 < self.momentum <= 1:
            raise UsageError(f"norm momentum {self.momentum} is not in (0, 1].", "The usual value is 0.1.")
        self._check_kind()

    def _check_kind(self) -> None:
        """Refuse options that the kind does not have, and a kind where it cannot stand."""
        kind = KINDS[self.kind]
        kind.check(self.options, self.kind)
        if self._at_input and kind.weights in ("standardised", "scaled"):
            raise UsageError(
                f"norm kind {self.kind} cannot stand at the input: it changes the weights of a convolution in front, "
                f"and there is none (placement {self.placement}).",
                "Use placement first, every, last or positions from 1 on.",
            )
        if kind.layer is not None:  # an option out of range is refused now, not when the run has started
            channels = 1 if self.placement == "input_scalar" else 2 * (self.options.get("groups") or 1)
            with torch.device("meta"):
                self._made(channels, samples=2)

    def check_scaling(self, scaling: str) -> None:
        """Refuse a plan that needs a fixed input scaling and does not get it.

        Args:
            scaling: The learner's input scaling: ``none``, ``scalar`` or ``channel``.

        Raises:
            UsageError: When moving average batch norm, which subtracts no mean, stands at an input with means.
        """
        needed = {"input_scalar": ("scalar", "channel")}.get(str(self.placement), ("channel",))
        if self.kind == "mabn" and self._at_input and scaling not in needed:
            raise UsageError(
                f"norm kind mabn cannot stand at the input with model.scaling={scaling}: it subtracts no mean, and no "
                "convolution in front has centred weights that would.",
                f"Use model.scaling={needed[-1]}, or a placement behind a convolution.",
            )

    @property
    def _at_input(self) -> bool:
        """Whether the input carries a norm."""
        named = isinstance(self.placement, str)
        return str(self.placement).startswith("input") if named else INPUT in self.placement

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
                f"norm position {beyond[0]} lies behind the last of {convolutions} layers with weights.",
                f"Positions go from 0 (input) to {convolutions}.",
            )
        return tuple(sorted(self.placement))

    def layer(self, position: int, channels: int, samples: int, convolutions: int) -> nn.Module | None:
        """Build the norm of one position.

        Args:
            position: 0 for the input, l for the l-th convolution.
            channels: Channels of the tensor there.
            samples: Samples of the tensor there.
            convolutions: Number of convolutions of the learner.

        Returns:
            A layer on (windows, channels, samples, 1), or None where the plan has no norm, or one of weights alone.

        Raises:
            UsageError: When the kind's options do not fit the shape.
        """
        kind = self._kind_at(position, convolutions)
        if kind is None or kind.layer is None:
            return None
        if position == INPUT and self.placement == "input_scalar":
            return AllSensors(self._made(1, channels * samples))
        return self._made(channels, samples)

    def convolution(
        self, position: int, channels: int, filters: int, kernel: int, convolutions: int, dilation: int = 1
    ) -> Convolution:
        """Build the convolution of one position, with the weights that the norm behind it wants.

        It has a bias unless a norm follows it at once, before the activation: that has a β of its own.

        Args:
            position: l for the l-th convolution.
            channels: Input channels.
            filters: Output channels.
            kernel: Samples that a filter sees.
            convolutions: Number of convolutions of the learner.
            dilation: Samples from one of these to the next.
        """
        kind = self._kind_at(position, convolutions)
        followed = kind is not None and kind.layer is not None and self.order == "pre"
        transform = "plain" if kind is None else kind.weights
        return Convolution(channels, filters, kernel, not followed, transform, dilation)

    def activation(self, position: int, channels: int, convolutions: int) -> nn.Module:
        """Build the activation behind one convolution: ReLU, unless the norm of that position brings its own.

        Args:
            position: l for the l-th convolution.
            channels: Channels of the tensor there.
            convolutions: Number of convolutions of the learner.
        """
        kind = self._kind_at(position, convolutions)
        return nn.ReLU() if kind is None or kind.activation is None else kind.activation(channels)

    def _kind_at(self, position: int, convolutions: int) -> Kind | None:
        """Return the kind of norm at a position, None where there is none."""
        return KINDS[self.kind] if position in self.positions(convolutions) else None

    def _made(self, channels: int, samples: int) -> nn.Module:
        """Make a layer of the plan's kind."""
        return KINDS[self.kind].build(channels, samples, self.epsilon, self.momentum, **self.options)

    @property
    def label(self) -> str:
        """A name for folders and tables: the placement, list positions joined by hyphens, after a kind but batch."""
        placement = self.placement if isinstance(self.placement, str) else "at-" + "-".join(map(str, self.placement))
        return placement if self.kind == "batch" else f"{self.kind}-{placement}"
