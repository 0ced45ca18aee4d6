"""Batch normalisation, with its statistics over the whole batch, over chunks of it, or corrected to the running ones.

Batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167, algorithm 1), with n = N·T elements per channel:

    training    y = γ·(x − μ_B)/√(v_B + ε) + β        v_B = mean (x − μ_B)², divided by n
    running     m ← (1 − a)·m + a·μ_B                  v ← (1 − a)·v + a·v_B·n/(n − 1)
    inference   y = γ·(x − m)/√(v + ε) + β

with a = `momentum`, the weight of the new value (Keras counts the weight of the old one). Statistics start at 0 and 1,
γ at 1 and β at 0. The running variance is unbiased for independent elements, yet low for windows that share an offset.

All classes here are `torch.nn.BatchNorm2d`: parameters, running statistics and inference are its own, and what is
done to the statistics of a batch norm can be done to them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from har.norms.base import Scheduled, require


def batch_norm(channels: int, epsilon: float, momentum: float) -> nn.Module:
    """Return torch's own batch normalisation: statistics over windows and samples, per channel."""
    return nn.BatchNorm2d(channels, eps=epsilon, momentum=momentum)


class GhostBatchNorm(nn.BatchNorm2d):
    """Batch normalisation of each chunk of a batch by itself; the running statistics are updated by every chunk.

    Hoffer et al. 2017, arXiv 1705.08741, algorithm 1. It sets the noise of the statistics apart from the optimiser's
    batch. Consecutive windows form a chunk, the last may be smaller. A chunk as large as the batch is batch norm.

    Args:
        channels: Channels C.
        epsilon: ε.
        momentum: a, per chunk.
        size: Windows of a chunk.
    """

    def __init__(self, channels: int, epsilon: float, momentum: float, *, size: int = 16) -> None:
        super().__init__(channels, eps=epsilon, momentum=momentum)
        require_chunk(size)
        self.size = size

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Normalise by chunks in training, by the running statistics in inference."""
        if not self.training:
            return super().forward(x_NCT1)
        return torch.cat([super(GhostBatchNorm, self).forward(chunk) for chunk in torch.split(x_NCT1, self.size)])


class BatchRenorm(Scheduled, nn.BatchNorm2d):
    """Batch renormalisation: batch statistics, corrected towards the running ones that inference uses.

    Ioffe 2017, arXiv 1702.03275, algorithm 1. With σ_B = √(v_B + ε), σ = √(v + ε) before this step's update:

        training    x̂ = (x − μ_B)/σ_B       y = γ·(x̂·r + d) + β
                    r = clip(σ_B/σ, 1/r_max, r_max)     d = clip((μ_B − m)/σ, −d_max, d_max)     constants for autograd
        backward    ∂L/∂x = (r/σ_B)·(g − mean g − x̂·mean(g·x̂)),  g = γ·∂L/∂y

    Running update and inference are those of batch normalisation. While nothing is clipped, training's output equals
    inference's. The bounds are 1 and 0 (plain batch norm) in the first share of the run and grow linearly: Ioffe's
    5000, 40 000 and 25 000 steps, as shares of a run of 100 000.

    Args:
        channels: Channels C.
        epsilon: ε, inside the square root.
        momentum: a. The author's is 0.01.
        largest_ratio: r_max at the end of its growth.
        largest_shift: d_max at the end of its growth.
        warmup: Share of the run as plain batch norm.
        ratio_full: Share of the run at which r_max is reached.
        shift_full: Share of the run at which d_max is reached.
        size: Windows of a chunk that is normalised by itself, None for the whole batch.
    """

    def __init__(
        self,
        channels: int,
        epsilon: float,
        momentum: float,
        *,
        largest_ratio: float = 3.0,
        largest_shift: float = 5.0,
        warmup: float = 0.05,
        ratio_full: float = 0.4,
        shift_full: float = 0.25,
        size: int | None = None,
    ) -> None:
        super().__init__(channels, eps=epsilon, momentum=momentum)
        require(
            largest_ratio >= 1 and largest_shift >= 0,
            f"batch renormalisation cannot clip at a ratio of {largest_ratio} and a shift of {largest_shift}.",
            "A ratio is at least 1 and a shift at least 0; 1 and 0 are plain batch norm, 3 and 5 usual.",
        )
        require(
            0 <= warmup <= min(ratio_full, shift_full) and max(ratio_full, shift_full) <= 1,
            f"batch renormalisation's shares of the run are out of order: warmup {warmup}, ratio_full {ratio_full}, "
            f"shift_full {shift_full}.",
            "They lie in [0, 1], and warmup is not above the other two.",
        )
        require_chunk(size)
        self.largest_ratio, self.largest_shift = largest_ratio, largest_shift
        self.warmup, self.ratio_full, self.shift_full = warmup, ratio_full, shift_full
        self.size = size
        self._start_schedule()

    def reset_running_stats(self) -> None:
        """Set the statistics to 0 and 1, and the step to 0."""
        super().reset_running_stats()
        if hasattr(self, "steps"):  # not yet while the base class is made
            self.steps.zero_()

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Renormalise in training, use the running statistics in inference."""
        if not self.training:
            return super().forward(x_NCT1)
        self.steps.add_(1)
        ratio = 1 + (self.largest_ratio - 1) * self._grown(self.ratio_full)
        shift = self.largest_shift * self._grown(self.shift_full)
        if self.size is None:
            return self._renormalised(x_NCT1, ratio, shift)
        return torch.cat([self._renormalised(chunk, ratio, shift) for chunk in torch.split(x_NCT1, self.size)])

    def _grown(self, share: float) -> Tensor:
        """Return how much of a bound's growth is done, in [0, 1]: it starts after the warm-up and ends at `share`."""
        start, end = self._past(self.warmup), self._past(share)
        return ((self.steps.to(start.dtype) - start) / (end - start).clamp(min=1)).clamp(0, 1)

    def _renormalised(self, x_NCT1: Tensor, ratio: Tensor, shift: Tensor) -> Tensor:
        """Normalise one chunk and update the running statistics with it."""
        mean, variance = self.running_mean, self.running_var
        assert mean is not None and variance is not None and self.num_batches_tracked is not None  # noqa: S101, PT018
        with torch.no_grad():
            variance_C, mean_C = torch.var_mean(x_NCT1, (0, 2, 3), correction=0)
            deviation_C = (variance + self.eps).sqrt()
            r_C = ((variance_C + self.eps).sqrt() / deviation_C).clamp(1 / ratio, ratio)
            d_C = ((mean_C - mean) / deviation_C).clamp(-shift, shift)
            self.num_batches_tracked.add_(1)
            weight = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked
            elements = x_NCT1.numel() / len(mean_C)
            mean.lerp_(mean_C, weight)
            variance.lerp_(variance_C * (elements / (elements - 1)), weight)
        # x̂·r + d and then γ, β are one affine map of x̂, which torch's kernel applies while it normalises.
        return functional.batch_norm(
            x_NCT1, None, None, self.weight * r_C, torch.addcmul(self.bias, self.weight, d_C), True, 0.0, self.eps
        )


def require_chunk(size: int | None) -> None:
    """Refuse a chunk without windows.

    Raises:
        UsageError: When `size` is below 1.
    """
    require(size is None or size >= 1, f"a chunk of {size} windows cannot be normalised.", "Give a size of 1 or more.")
