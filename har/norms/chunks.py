"""Chunks of a batch that count as batches of their own: the normalisation batch apart from the optimiser's.

Consecutive windows form a chunk, the last chunk may be smaller. All chunks are worked on at once, without a loop.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from har.norms.base import require


def require_chunk(size: int | None) -> None:
    """Refuse a chunk without windows.

    Raises:
        UsageError: When `size` is below 1.
    """
    require(size is None or size >= 1, f"a chunk of {size} windows cannot be normalised.", "Give a size of 1 or more.")


def chunk_sums(value_NC: Tensor, size: int, elements: int) -> tuple[Tensor, Tensor]:
    """Sum windows by chunks of `size`, and count elements.

    Args:
        value_NC: float (windows, channels).
        size: Windows of a chunk; the last may have fewer.
        elements: Elements that stand behind each value.

    Returns:
        float (chunks, channels), and float (chunks): the elements of each chunk.
    """
    windows, channels = value_NC.shape
    missing = -windows % size
    padded = torch.nn.functional.pad(value_NC, (0, 0, 0, missing))
    count_K = torch.full(((windows + missing) // size,), size * elements, dtype=value_NC.dtype, device=value_NC.device)
    count_K[-1] -= missing * elements
    return padded.view(-1, size, channels).sum(1), count_K


def per_window(value_KC: Tensor, size: int, windows: int) -> Tensor:
    """Give each window the value of its chunk: (chunks, channels) to (windows, 1, channels), or (1, 1, channels)."""
    if len(value_KC) > 1:
        value_KC = value_KC.repeat_interleave(size, 0)[:windows]
    return value_KC[:, None]


def time_major(x_NCT1: Tensor) -> Tensor:
    """Return x_NTC of x_NCT1: for channels-last memory, which is the time-major memory of a window, no copy."""
    return x_NCT1.permute(0, 2, 3, 1).flatten(1, 2)


def channel_major(x_NTC: Tensor, like: Tensor) -> Tensor:
    """Return x_NCT1 of x_NTC, with the shape of `like`, as a view."""
    windows, channels, samples, width = like.shape
    return x_NTC.view(windows, samples, width, channels).permute(0, 3, 1, 2)


def chunk_moments(x_NTC: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean_KC, variance_KC (divided by n) and n_K, the elements per channel, of each chunk of windows.

    Raises:
        UsageError: When a chunk has one element per channel, which torch's batch norm refuses too.
    """
    windows, samples, _ = x_NTC.shape
    last = (windows - 1) % size + 1
    require(
        last * samples > 1,
        f"a chunk of {last} window with {samples} sample has one value per channel, and that has no variance.",
        f"Choose chunks that leave no single window of {windows}, or pool less.",
    )
    sum_KC, count_K = chunk_sums(x_NTC.sum(1), size, samples)
    mean_KC = sum_KC / count_K[:, None]
    # E[x²] − E[x]² would fail at the offset of gravity.
    centred_NTC = x_NTC - per_window(mean_KC, size, windows)
    squares_KC, _ = chunk_sums(centred_NTC.mul_(centred_NTC).sum(1), size, samples)  # square_ has no rule for vmap
    return mean_KC, squares_KC / count_K[:, None], count_K


def running_averages(start_C: Tensor, value_KC: Tensor, weight_K: Tensor) -> tuple[Tensor, Tensor]:
    """Return the average before each of K values, and after the last.

    The recursion average ← (1 − w_k)·average + w_k·value_k, written as one product.

    Args:
        start_C: float (channels), the average before the first.
        value_KC: float (values, channels).
        weight_K: float (values), the weight of each new value.

    Returns:
        float (values, channels) and float (channels).
    """
    values = len(value_KC)
    later = torch.ones(values, values, dtype=torch.bool, device=weight_K.device).tril(-1)  # row after column
    kept_KK = torch.where(later, 1 - weight_K[:, None], 1.0).cumprod(0)  # of value j after value k, for k ≥ j
    after_KC = (kept_KK * weight_K).tril() @ value_KC + (1 - weight_K).cumprod(0)[:, None] * start_C
    return torch.cat([start_C[None], after_KC[:-1]]), after_KC[-1]


def normalise_chunks(
    x_NTC: Tensor,
    weight_KC: Tensor,
    bias_KC: Tensor,
    mean_KC: Tensor,
    inverse_KC: Tensor,
    count_K: Tensor,
    size: int,
) -> Tensor:
    """Return y = w·(x − μ)·a + b, each window with the values of its chunk.

    Its derivative is the one through the moments μ and a = 1/√(v + ε) of each chunk, which it is given.

    Args:
        x_NTC: float (windows, samples, channels).
        weight_KC: w, float (chunks, channels).
        bias_KC: b likewise.
        mean_KC: μ of `chunk_moments`.
        inverse_KC: a of its variance.
        count_K: Its elements.
        size: Windows of a chunk.
    """
    y_NTC: Tensor = _Normalise.apply(x_NTC, weight_KC, bias_KC, mean_KC, inverse_KC, count_K, size)  # type: ignore[no-untyped-call]
    return y_NTC


class _Normalise(torch.autograd.Function):
    """The function of `normalise_chunks`.

    ∂L/∂x = a·w·(δ − mean δ − x̂·mean(δ·x̂))     ∂L/∂w = Σ δ·x̂     ∂L/∂b = Σ δ,     x̂ = a·(x − μ), per chunk
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x_NTC: Tensor,
        weight_KC: Tensor,
        bias_KC: Tensor,
        mean_KC: Tensor,
        inverse_KC: Tensor,
        count_K: Tensor,
        size: int,
    ) -> Tensor:
        """Return y_NTC."""
        scale_KC, windows = weight_KC * inverse_KC, len(x_NTC)
        shift_N1C = per_window(bias_KC - mean_KC * scale_KC, size, windows)
        return torch.addcmul(shift_N1C, x_NTC, per_window(scale_KC, size, windows))

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep what backward needs."""
        x_NTC, weight_KC, _, mean_KC, inverse_KC, count_K, ctx.size = inputs  # type: ignore[attr-defined]
        ctx.save_for_backward(x_NTC, weight_KC, mean_KC, inverse_KC, count_K)

    @staticmethod
    def backward(ctx: Any, delta_NTC: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, w and b."""
        x_NTC, weight_KC, mean_KC, inverse_KC, count_K = ctx.saved_tensors
        size, windows = ctx.size, len(x_NTC)
        centred_NTC = x_NTC - per_window(mean_KC, size, windows)
        to_bias_KC, _ = chunk_sums(delta_NTC.sum(1), size, 1)
        to_weight_KC = chunk_sums((delta_NTC * centred_NTC).sum(1), size, 1)[0] * inverse_KC
        scale_KC = weight_KC * inverse_KC
        share_KC = -scale_KC / count_K[:, None]
        shift_N1C = per_window(share_KC * to_bias_KC, size, windows)
        slope_N1C = per_window(share_KC * inverse_KC * to_weight_KC, size, windows)
        through_moments_NTC = torch.addcmul(shift_N1C, centred_NTC, slope_N1C)
        to_x_NTC = torch.addcmul(through_moments_NTC, delta_NTC, per_window(scale_KC, size, windows))
        return to_x_NTC, to_weight_KC, to_bias_KC, None, None, None, None
