"""Batch normalisation, with its statistics over the whole batch, over chunks of it, or corrected to the running ones.

Batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167, algorithm 1), with n = N·T elements per channel:

    training    y = γ·(x − μ_B)/√(v_B + ε) + β        v_B = mean (x − μ_B)², divided by n
    running     m ← (1 − a)·m + a·μ_B                  v ← (1 − a)·v + a·v_B·n/(n − 1)
    inference   y = γ·(x − m)/√(v + ε) + β

with a = `momentum`, the weight of the new value (Keras counts the weight of the old one). Statistics start at 0 and 1,
γ at 1 and β at 0. The running variance is unbiased for independent elements, yet low for windows that share an offset.

All classes here are `torch.nn.BatchNorm2d`: parameters, running statistics and inference are its own, and what is
done to the statistics of a batch norm can be done to them. Whole batches go through torch's kernel, chunks of them
through `har.norms.chunks`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from har.norms.base import Guarded, Scheduled, require
from har.norms.chunks import (
    channel_major,
    chunk_moments,
    normalise_chunks,
    require_chunk,
    running_averages,
    time_major,
)


class BatchNorm(Guarded, nn.BatchNorm2d):
    """Batch normalisation: statistics over windows and samples, per channel.

    Where mean or variance of a batch are not finite, the running statistics of that channel stay as they are.

    Args:
        channels: Channels C.
        epsilon: ε.
        momentum: a. None is the plain average over all batches.
    """

    def __init__(self, channels: int, epsilon: float, momentum: float | None) -> None:
        super().__init__(channels, eps=epsilon, momentum=momentum)
        self._start_guard()

    def reset_running_stats(self) -> None:
        """Set the statistics to 0 and 1, and the counts to 0."""
        super().reset_running_stats()
        self._forget_counts()  # not there yet while the base class is made

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Normalise by the batch in training, by the running statistics in inference."""
        if not self.training:
            return super().forward(x_NCT1)
        mean_C, variance_C = (value.clone() for value in self._running())
        weight = self.momentum if self.momentum is not None else float(self._momenta(1))
        affine = (self.weight, self.bias)
        y_NCT1 = functional.batch_norm(x_NCT1, mean_C, variance_C, *affine, True, weight, self.eps)
        self._keep(mean_C, variance_C, 1)
        return y_NCT1

    def _running(self) -> tuple[Tensor, Tensor]:
        """Return the running mean and variance, float (channels)."""
        assert self.running_mean is not None and self.running_var is not None  # noqa: S101, PT018
        return self.running_mean, self.running_var

    def _momenta(self, batches: int) -> Tensor:
        """Return a of each of the next batches, float (batches)."""
        mean_C, _ = self._running()
        if self.momentum is not None:
            return torch.full((batches,), self.momentum, dtype=mean_C.dtype, device=mean_C.device)
        assert self.num_batches_tracked is not None  # noqa: S101
        return 1 / (self.num_batches_tracked + torch.arange(1, batches + 1, device=mean_C.device)).to(mean_C.dtype)

    @torch.no_grad()
    def _keep(self, mean_C: Tensor, variance_C: Tensor, batches: int) -> None:
        """Take over running statistics that some batches have moved, as far as they are finite."""
        finite_C = torch.isfinite(mean_C) & torch.isfinite(variance_C)
        for running_C, moved_C in zip(self._running(), (mean_C, variance_C), strict=True):
            running_C.copy_(torch.where(finite_C, moved_C, running_C))
        assert self.num_batches_tracked is not None  # noqa: S101
        self.num_batches_tracked.add_(batches)
        self.skipped.add_(~finite_C.all())

    @torch.no_grad()
    def _follow(self, mean_KC: Tensor, variance_KC: Tensor, count_K: Tensor) -> tuple[Tensor, Tensor]:
        """Move the running statistics by chunks, one after another; return what they were before each chunk."""
        unbiased_KC = variance_KC * (count_K / (count_K - 1))[:, None]
        running = zip(self._running(), (mean_KC, unbiased_KC), strict=True)
        weight_K = self._momenta(len(count_K))
        (mean_before_KC, mean_C), (before_KC, variance_C) = (
            running_averages(running_C, value_KC, weight_K) for running_C, value_KC in running
        )
        self._keep(mean_C, variance_C, len(count_K))
        return mean_before_KC, before_KC


class GhostBatchNorm(BatchNorm):
    """Batch normalisation of each chunk of a batch by itself; the running statistics are updated by every chunk.

    Hoffer et al. 2017, arXiv 1705.08741, algorithm 1. It sets the noise of the statistics apart from the optimiser's
    batch. Consecutive windows form a chunk, the last may be smaller. A chunk as large as the batch is batch norm.

    Args:
        channels: Channels C.
        epsilon: ε.
        momentum: a, per chunk.
        size: Windows of a chunk.
    """

    def __init__(self, channels: int, epsilon: float, momentum: float | None, *, size: int = 16) -> None:
        super().__init__(channels, epsilon, momentum)
        require_chunk(size)
        self.size = size

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Normalise by chunks in training, by the running statistics in inference."""
        if not self.training or self.size >= len(x_NCT1):
            return super().forward(x_NCT1)
        x_NTC = time_major(x_NCT1)
        with torch.no_grad():
            mean_KC, variance_KC, count_K = chunk_moments(x_NTC, self.size)
            self._follow(mean_KC, variance_KC, count_K)
            inverse_KC = (variance_KC + self.eps).rsqrt()
        weight_KC, bias_KC = (value.expand(len(count_K), -1) for value in (self.weight, self.bias))
        y_NTC = normalise_chunks(x_NTC, weight_KC, bias_KC, mean_KC, inverse_KC, count_K, self.size)
        return channel_major(y_NTC, x_NCT1)


class BatchRenorm(Scheduled, BatchNorm):
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
        super().__init__(channels, epsilon, momentum)
        require(
            largest_ratio >= 1 and largest_shift >= 0,
            f"batch renormalisation cannot clip at a ratio of {largest_ratio} and a shift of {largest_shift}.",
            "A ratio is at least 1 and a shift at least 0; 1 and 0 are plain batch norm, 3 and 5 usual.",
        )
        require(
            warmup <= min(ratio_full, shift_full),
            f"batch renormalisation's warmup {warmup} ends after ratio_full {ratio_full} or shift_full {shift_full}.",
            "The bounds grow from the end of the warm-up on, so it comes first.",
        )
        require_chunk(size)
        self.largest_ratio, self.largest_shift = largest_ratio, largest_shift
        self.warmup, self.ratio_full, self.shift_full = warmup, ratio_full, shift_full
        self.size = size
        self._start_schedule(warmup=warmup, ratio_full=ratio_full, shift_full=shift_full)

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Renormalise in training, use the running statistics in inference.

        Only a pass with gradients is a step: one that measures statistics leaves the bounds where they are.
        """
        if not self.training:
            return super().forward(x_NCT1)
        self.steps.add_(int(torch.is_grad_enabled()))
        ratio = 1 + (self.largest_ratio - 1) * self._grown(self.ratio_full)
        shift = self.largest_shift * self._grown(self.shift_full)
        size, x_NTC = self.size or len(x_NCT1), time_major(x_NCT1)
        with torch.no_grad():
            mean_KC, variance_KC, count_K = chunk_moments(x_NTC, size)
            running_mean_KC, running_var_KC = self._follow(mean_KC, variance_KC, count_K)
            deviation_KC = (running_var_KC + self.eps).sqrt()
            own_KC = (variance_KC + self.eps).sqrt()
            r_KC = (own_KC / deviation_KC).clamp(1 / ratio, ratio)
            d_KC = ((mean_KC - running_mean_KC) / deviation_KC).clamp(-shift, shift)
        # x̂·r + d and then γ, β are one affine map of x̂.
        weight_KC, bias_KC = self.weight * r_KC, torch.addcmul(self.bias, self.weight, d_KC)
        y_NTC = normalise_chunks(x_NTC, weight_KC, bias_KC, mean_KC, 1 / own_KC, count_K, size)
        return channel_major(y_NTC, x_NCT1)

    def _grown(self, share: float) -> Tensor:
        """Return how much of a bound's growth is done, in [0, 1]: it starts after the warm-up and ends at `share`."""
        start, end = self._past(self.warmup), self._past(share)
        return ((self.steps.to(start.dtype) - start) / (end - start).clamp(min=1)).clamp(0, 1)
