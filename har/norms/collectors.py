"""Moments of a layer's input, collected batch by batch in float64: pooled, averaged, or with equal shares of groups.

Batches are merged by their means and sums of squares (Chan et al. 1979): E[x²] − E[x]² in float32 fails at the offset
of gravity.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Pooled:
    """Moments of everything that was added, whatever the batches: exact population statistics."""

    def __init__(self) -> None:
        self._count = 0
        self._mean_C = torch.zeros((), dtype=torch.float64)
        self._squares_C = torch.zeros((), dtype=torch.float64)

    def add(self, x: Tensor) -> None:
        """Add a batch, float (windows, channels, …)."""
        variance_C, mean_C = torch.var_mean(x.detach().double(), dim=_all_but_channels(x), correction=0)
        count = x.numel() // x.shape[1]
        total = self._count + count
        difference_C = mean_C - self._mean_C.to(x.device)
        self._mean_C = self._mean_C.to(x.device) + difference_C * (count / total)
        between_C = difference_C**2 * (self._count * count / total)
        self._squares_C = self._squares_C.to(x.device) + variance_C * count + between_C
        self._count = total

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean_C and variance_C (divided by the number of elements), float64."""
        return self._mean_C, self._squares_C / self._count


class Averaged:
    """Plain means of batch means and of unbiased batch variances: what torch keeps with ``momentum=None``.

    Every batch counts alike, a short one too. For windows that share an offset the variance is low by a share ρ/B of
    the whole, ρ being the part of the variance that lies between windows and B the windows of a batch.
    """

    def __init__(self) -> None:
        self._batches = 0
        self._mean_C = torch.zeros((), dtype=torch.float64)
        self._variance_C = torch.zeros((), dtype=torch.float64)

    def add(self, x: Tensor) -> None:
        """Add a batch, float (windows, channels, …)."""
        variance_C, mean_C = torch.var_mean(x.detach().double(), dim=_all_but_channels(x), correction=1)
        self._mean_C = self._mean_C.to(x.device) + mean_C
        self._variance_C = self._variance_C.to(x.device) + variance_C
        self._batches += 1

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean_C and variance_C, float64."""
        return self._mean_C / self._batches, self._variance_C / self._batches


Collector = type[Pooled] | type[Averaged]


def in_equal_shares(moments: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return the moments of a population in which some groups have equal shares, whatever their sizes.

    With μ_s and σ²_s those of group s of S, by the law of total variance:

        μ = Σ μ_s/S        σ² = Σ (σ²_s + (μ_s − μ)²)/S

    Args:
        moments: mean_C and variance_C (divided by the number of elements), float64, of each group.
    """
    mean_SC, variance_SC = (torch.stack(parts) for parts in zip(*moments, strict=True))
    mean_C = mean_SC.mean(0)
    return mean_C, (variance_SC + (mean_SC - mean_C) ** 2).mean(0)


def _all_but_channels(x: Tensor) -> list[int]:
    """Return the dimensions that the statistics of a channel run over."""
    return [dimension for dimension in range(x.ndim) if dimension != 1]
