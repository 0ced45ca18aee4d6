"""What the project's own norms share: how they start, and how far the run they are trained in has come."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from har.errors import UsageError


class Norm(nn.Module, ABC):
    """A layer on x_NCT1, float (windows, channels, samples, 1), that keeps shape, type and memory layout.

    γ and β are named `weight` and `bias`, so that variants share their names.
    """

    weight: nn.Parameter
    bias: nn.Parameter

    @abstractmethod
    def reset_parameters(self) -> None:
        """Set the parameters to the identity and the statistics to those of no data."""

    @abstractmethod
    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Normalise windows."""

    def _identity(self, size: int) -> None:
        """Make γ and β of `size` elements each."""
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))


class Guarded(nn.Module):
    """A norm that leaves its statistics as they are where those of a batch are not finite.

    An overflow in one batch would else spoil them for good.

    Attributes:
        skipped: int64 (), updates left out since the run was started or resumed.
    """

    skipped: Tensor

    def _start_guard(self) -> None:
        """Make the count, which is no part of a checkpoint."""
        self.register_buffer("skipped", torch.zeros((), dtype=torch.int64), persistent=False)

    def _forget_counts(self) -> None:
        """Set the counts of updates left out and of steps to 0, as far as they have been made."""
        for name in ("skipped", "steps"):
            if name in self._buffers:
                self.get_buffer(name).zero_()


class Scheduled(nn.Module):
    """A norm that behaves otherwise in the first share of a run. Both counts travel in its checkpoint.

    Attributes:
        steps: int64 (), training steps that this layer has seen.
        total_steps: int64 (), steps of the whole run, 0 until `set_total_steps`: then every phase counts as over.
    """

    weight: nn.Parameter
    steps: Tensor
    total_steps: Tensor

    def _start_schedule(self, **shares: float) -> None:
        """Make the counts.

        Args:
            **shares: The phases' shares of the run.

        Raises:
            UsageError: When one is not in [0, 1].
        """
        for name, share in shares.items():
            hint = "It is a share of the run's steps, such as 0.05."
            require(0 <= share <= 1, f"a norm's {name} {share} is not in [0, 1].", hint)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("total_steps", torch.zeros((), dtype=torch.int64))

    def _past(self, share: float) -> Tensor:
        """Return the step at which a share of the run is over, float ()."""
        return share * self.total_steps.to(self.weight.dtype)


def set_total_steps(network: nn.Module, steps: int) -> None:
    """Tell every scheduled norm of a network how many optimiser steps its run has."""
    for layer in network.modules():
        if isinstance(layer, Scheduled):
            layer.total_steps.fill_(steps)


def skipped_updates(network: nn.Module) -> list[str]:
    """Return a sentence for each norm that left updates of its statistics out, because they were not finite."""
    counts = {name: int(layer.skipped) for name, layer in network.named_modules() if isinstance(layer, Guarded)}
    return [
        f"{name} left its statistics as they were in {count} training steps: those of the batch were not finite."
        for name, count in counts.items()
        if count
    ]


def require(holds: bool, what: str, hint: str) -> None:
    """Refuse an option of a norm.

    Raises:
        UsageError: Unless `holds`.
    """
    if not holds:
        raise UsageError(what, hint)
