"""Moving average batch normalisation for small batches (Yan et al. 2020, arXiv 2001.06838, sections 4.1 to 4.3).

Batch norm estimates two statistics forward and two backward from each batch. Here the mean is left to the centred
weights of the convolution in front (`har.norms.weights`), and the two second moments that remain, χ² forward and Ψ
backward, are averages over the last m batches. With δ = ∂L/∂y, batch t = 1, 2, … of n_t = N·T elements per channel,
a = 1/√(χ̄² + ε), and E the exponential average before this step's update:

    forward     χ²_t = mean x²        χ̄² = Σ n·χ² / Σ n over the last m batches
                r = clip(√(χ̄² + ε)/√(E + ε), 1/λ, λ)         z = a·x         y = γ·r·z + β
                E ← α·E + (1 − α)·mean χ̄²                     (E starts as the first χ̄²)
    backward    Ψ_t = mean(γ·δ·r·z)   Ψ̄ = Σ n·Ψ / Σ n over the last m batches
                ∂L/∂x = a·(γ·δ·r − z·Ψ̄)     ∂L/∂γ = Σ δ·r·z     ∂L/∂β = Σ δ
    inference   y = γ·x/√(E + ε) + β, an affine map that folds into the convolution

χ̄² is χ²_t, and Ψ̄ is Ψ_t, while fewer than m batches came before or the warm-up lasts. r is 1 in a longer first share
of the run. r and the averages are constants of the backward pass, so for m > 1 it is not the derivative of the
forward pass, on purpose. While r is not clipped, training's output equals inference's with the E before the update.

A normalisation batch smaller than the optimiser's (`size`) is what the authors train ImageNet with: 2 windows in a
batch of 32 per device. As in their code for it (cls/networks/MABN.py), each chunk is an iteration of the moving
averages over m batches, forward and backward, while E, the schedule of r and the warm-up count optimiser steps: E takes
in the mean of the chunks' χ̄², weighted by their elements, and all chunks of a batch see the E before it. With one chunk
to a batch this is their other code (MABN.py), for batches that are small themselves.

State kept: both histories with their element counts (so a smaller last batch counts for less), E under the name
`running_var`, and the step. The published code differs in four points that matter in short runs: its warm-up is 100
steps and its r = 1 lasts 1000, whatever the run; E starts at 1; its rings are indexed by a step that only forward
counts, so a training forward without backward sets them apart; batches count alike whatever their size.

Trap: the input's channels must have equal means, or centred weights leave a mean behind: scale the input per channel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.autograd.grad_mode import _unsafe_preserve_version_counter

from har.norms.base import Guarded, Norm, Scheduled, require
from har.norms.chunks import channel_major, chunk_sums, per_window, require_chunk, time_major


class MovingAverageBatchNorm(Norm, Guarded, Scheduled):
    """MABN; see the module's docstring.

    Args:
        channels: Channels C.
        epsilon: ε.
        memory: m, batches that the moving averages span. The authors take 32 divided by the windows of a batch.
        decay: α, weight of the old value in E.
        clip: λ, at least 1. The authors' code has 5.
        warmup: Share of the run that uses the statistics of its own batch.
        renormalise_from: Share of the run until which r is 1; a longer warm-up prolongs it.
        size: Windows of a chunk that counts as a batch, None for the whole batch. The last may be smaller.
    """

    running_var: Tensor
    moments: Tensor
    moment_counts: Tensor
    slopes: Tensor
    slope_counts: Tensor

    def __init__(
        self,
        channels: int,
        epsilon: float,
        *,
        memory: int = 16,
        decay: float = 0.98,
        clip: float = 5.0,
        warmup: float = 0.05,
        renormalise_from: float = 0.2,
        size: int | None = None,
    ) -> None:
        super().__init__()
        require(memory >= 1, f"MABN cannot average over {memory} batches.", "Give a memory of 1 or more; 16 is usual.")
        require(0 <= decay < 1, f"MABN's decay {decay} is not in [0, 1).", "The usual value is 0.98.")
        require(clip >= 1, f"MABN's clip {clip} is below 1.", "1 turns renormalisation off; 5 is usual.")
        require_chunk(size)
        self.epsilon, self.decay, self.clip = epsilon, decay, clip
        self.warmup, self.renormalise_from, self.size = warmup, renormalise_from, size
        self._identity(channels)
        self.register_buffer("running_var", torch.ones(channels))
        for name in ("moment", "slope"):  # sums over each of the last m batches and their element counts, newest last
            self.register_buffer(f"{name}s", torch.zeros(memory, channels))
            self.register_buffer(f"{name}_counts", torch.zeros(memory))
        self._start_guard()
        self._start_schedule(warmup=warmup, renormalise_from=renormalise_from)

    def reset_parameters(self) -> None:
        """Set γ to 1, β to 0, E to 1, and empty the histories."""
        for ones in (self.weight, self.running_var):
            torch.nn.init.ones_(ones)
        for zeros in (self.bias, self.moments, self.moment_counts, self.slopes, self.slope_counts):
            torch.nn.init.zeros_(zeros)
        self._forget_counts()

    def statistics_from(self, mean_C: Tensor, variance_C: Tensor) -> dict[str, Tensor]:
        """Return the E of a population with these moments; see `har.norms.statistics.BatchStatistics`."""
        return {"running_var": variance_C + mean_C**2}

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Normalise by moving averages in training, by E in inference.

        A training forward without gradients (``torch.no_grad``) leaves every buffer as it is.
        """
        if not self.training:
            scale_C = self.weight * (self.running_var + self.epsilon).rsqrt()
            return torch.addcmul(self.bias.view(1, -1, 1, 1), x_NCT1, scale_C.view(1, -1, 1, 1))
        learning = torch.is_grad_enabled()
        x_NTC, size = time_major(x_NCT1), self.size or len(x_NCT1)
        with torch.no_grad():
            sum_KC, count_K = chunk_sums(x_NTC.square().sum(1), size, x_NTC.shape[1])
            step = self.steps + 1
            warm = step >= self._past(self.warmup)
            moments, counts = torch.cat([self.moments, sum_KC]), torch.cat([self.moment_counts, count_K])
            mean_KC = _moving(moments, counts, len(self.moments), warm)
            own_C = count_K @ mean_KC / count_K.sum()
            before_C = torch.where(self.steps == 0, own_C, self.running_var)
            ratio_KC = ((mean_KC + self.epsilon) / (before_C + self.epsilon)).sqrt().clamp(1 / self.clip, self.clip)
            renormalising = step > self._past(max(self.warmup, self.renormalise_from))
            ratio_KC = torch.where(renormalising, ratio_KC, torch.ones_like(ratio_KC))
            inverse_KC = (mean_KC + self.epsilon).rsqrt()
            if learning:
                self._remember(moments, counts, self.decay * before_C + (1 - self.decay) * own_C)
        history = (self.slopes, self.slope_counts, count_K, warm)
        y_NTC: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            x_NTC, self.weight, self.bias, ratio_KC, inverse_KC, *history, size
        )
        return channel_major(y_NTC, x_NCT1)

    def _remember(self, moments: Tensor, counts: Tensor, average_C: Tensor) -> None:
        """Keep the newest of the forward history, and E, unless one is not finite; count the step."""
        memory = len(self.moments)
        finite = torch.isfinite(moments).all()
        kept = (self.moments, self.moment_counts, self.running_var)
        for buffer, value in zip(kept, (moments[-memory:], counts[-memory:], average_C), strict=True):
            buffer.copy_(torch.where(finite, value, buffer))
        self.skipped.add_(~finite)
        self.steps.add_(1)


class _Normalise(torch.autograd.Function):
    """y = γ·r·a·x + β with the backward pass of the module's docstring, which also keeps the history of Ψ."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x_NTC: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        ratio_KC: Tensor,
        inverse_KC: Tensor,
        slopes: Tensor,
        slope_counts: Tensor,
        count_K: Tensor,
        warm: Tensor,
        size: int,
    ) -> Tensor:
        """Return γ·r·a·x + β."""
        return torch.addcmul(bias_C, x_NTC, per_window(weight_C * ratio_KC * inverse_KC, size, len(x_NTC)))

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep what backward needs."""
        *tensors, ctx.size = inputs  # type: ignore[attr-defined]
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, delta_NTC: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, γ and β, and remember this batch's Ψ."""
        x_NTC, weight_C, _, ratio_KC, inverse_KC, slopes, slope_counts, count_K, warm = ctx.saved_tensors
        windows = len(x_NTC)
        product_KC, _ = chunk_sums((delta_NTC * x_NTC).sum(1), ctx.size, 1)
        normalised_KC = ratio_KC * inverse_KC * product_KC  # Σ δ·r·z
        all_slopes = torch.cat([slopes, weight_C * normalised_KC])
        all_counts = torch.cat([slope_counts, count_K])
        slope_KC = _moving(all_slopes, all_counts, len(slopes), warm)
        own_N1C = per_window(weight_C * ratio_KC * inverse_KC, ctx.size, windows)
        mean_N1C = per_window(inverse_KC.square() * slope_KC, ctx.size, windows)
        to_x_NTC = torch.addcmul(delta_NTC * own_N1C, x_NTC, mean_N1C, value=-1)
        finite = torch.isfinite(all_slopes).all()
        # Autograd would else refuse another backward pass over a graph that has saved the history as it was.
        with _unsafe_preserve_version_counter(slopes), _unsafe_preserve_version_counter(slope_counts):
            slopes.copy_(torch.where(finite, all_slopes[-len(slopes) :], slopes))
            slope_counts.copy_(torch.where(finite, all_counts[-len(slopes) :], slope_counts))
        return to_x_NTC, normalised_KC.sum(0), delta_NTC.sum((0, 1)), *([None] * 7)


def _moving(sums: Tensor, counts: Tensor, memory: int, warm: Tensor) -> Tensor:
    """Return the mean of each new entry of a history, alone or with those before it.

    Args:
        sums: float (memory + K, channels): the earlier entries and K new ones, newest last.
        counts: float (memory + K): their elements; 0 where nothing has been kept yet.
        memory: Entries that a mean spans.
        warm: bool (), whether the warm-up is over.

    Returns:
        float (K, channels): over the last `memory` entries where the history was full before the new one and the
        warm-up is over, else of the new entry alone.
    """
    alone = sums[memory:] / counts[memory:, None]
    spans, elements = sums.unfold(0, memory, 1)[1:].sum(-1), counts.unfold(0, memory, 1)[1:].sum(-1)
    full = counts[:-memory] > 0
    return torch.where((full & warm)[:, None], spans / elements[:, None], alone)
