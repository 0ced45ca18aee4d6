"""What passes through a network: activations forward, gradients backward. Formulas on tensors.

N windows, C channels, T samples; a batch's loss is L, h_l what depth l hands to the next layer with weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from har.norms.diagnostics import Moments, Statistics

_FEWEST_CHUNKS = 4  # a deviation over fewer has an error of half its size


def activation_probes(h: Tensor) -> dict[str, float]:
    """Return what the values of an activation are like.

    ``act.mean``, ``act.rms`` over all values; ``act.kurt``, excess kurtosis, mean over the channels that vary;
    ``act.zero_frac``, share of zeros; ``act.dead``, share of channels that are the same for every window and sample: a
    rectified one that is never above 0.

    Args:
        h: float (windows, channels, …).
    """
    h_NCT = _time_last(h)
    mean_C = h_NCT.mean((0, 2))
    squares_NCT = (h_NCT - mean_C[:, None]).square()
    variance_C = squares_NCT.mean((0, 2)).double()
    fourth_C = squares_NCT.square().mean((0, 2)).double()
    dead_C = h_NCT.amax((0, 2)) == h_NCT.amin((0, 2))
    return {
        "act.mean": float(mean_C.double().mean()),
        "act.rms": float((variance_C + mean_C.double().square()).mean().sqrt()),
        "act.kurt": float((fourth_C / variance_C.square() - 3)[~dead_C].mean()),
        "act.zero_frac": 1 - float(torch.count_nonzero(h_NCT)) / h_NCT.numel(),
        "act.dead": float(dead_C.double().mean()),
    }


def spread_probes(h_ND: Tensor) -> dict[str, float]:
    """Return in how many directions features differ.

    ``act.stable_rank`` = ‖H‖²_F/‖H‖²₂, between 1 and min(N, D); ``act.cosine``, mean cosine between two windows. Not
    numbers where a feature is not finite, as in a run that diverges.

    Args:
        h_ND: float (windows, features), such as each channel's mean over time; at least two windows.
    """
    h_ND = h_ND.double()
    if not bool(h_ND.isfinite().all()):  # on which the decomposition would fail
        return {"act.stable_rank": math.nan, "act.cosine": math.nan}
    eigenvalue_D = torch.linalg.eigvalsh(h_ND.T @ h_ND)
    unit_ND = h_ND / torch.linalg.vector_norm(h_ND, dim=1, keepdim=True)
    unit_ND = unit_ND[unit_ND.isfinite().all(1)]
    windows = len(unit_ND)
    pairs = float(unit_ND.sum(0).square().sum()) - windows
    return {
        "act.stable_rank": _quotient(float(eigenvalue_D.sum()), float(eigenvalue_D[-1])),
        "act.cosine": _quotient(pairs, windows * (windows - 1)),
    }


def gradient_probes(gradients: Mapping[int, Tensor]) -> tuple[dict[int, dict[str, float]], dict[str, float]]:
    """Return how the gradient changes from depth to depth (Yang et al. 2019, arXiv 1902.08129).

    ``grad.rms``, root mean square of ∂L/∂h_l; ``grad.layer_ratio``, rms(∂L/∂h_l)/rms(∂L/∂h_{l+1}); ``grad.slope``, the
    least squares slope of log rms over l. Batch norm in front of each of many wide rectified layers makes it fall by
    log √(π/(π − 1)) = 0.191 a layer.

    Args:
        gradients: ∂L/∂h_l for each depth l.

    Returns:
        Of each depth, and of the network.
    """
    rms = {depth: float(gradients[depth].double().square().mean().sqrt()) for depth in sorted(gradients)}
    found = {depth: {"grad.rms": value} for depth, value in rms.items()}
    for depth in rms:
        if depth + 1 in rms:
            found[depth]["grad.layer_ratio"] = _quotient(rms[depth], rms[depth + 1])
    return found, {"grad.slope": _slope(list(rms), list(rms.values()))}


@dataclass(frozen=True)
class Backward:
    """What a norm's backward pass takes means of, averaged over the time of each window, on the CPU.

    With g = γ·∂L/∂y and x̂ the normalised input, batch norm's gradient is (g − mean g − x̂·mean(g·x̂))/√(v_B + ε).

    Attributes:
        gradient_NC: float64 (windows, channels), mean over time of g.
        product_NC: float64 (windows, channels), mean over time of g·x̂.
        power_C: float64 (channels), mean of g² over windows and time.
    """

    gradient_NC: Tensor
    product_NC: Tensor
    power_C: Tensor

    @staticmethod
    def of(layer: nn.Module, x: Tensor, moments: Moments, delta: Tensor) -> Backward:
        """Take them of one batch of a norm of the batch.

        Args:
            layer: The norm.
            x: float (windows, channels, …), its input.
            moments: Of the input.
            delta: ∂L/∂y of its output, the same shape.
        """
        x_NCT, delta_NCT = _time_last(x), _time_last(delta)
        size = chunk_size(layer, len(x))
        batches = [Statistics.measured(layer, chunk) for chunk in moments.split(size)]
        inverse_KC = torch.stack([batch.used.rsqrt() for batch in batches])
        mean_KC = torch.stack([torch.zeros_like(b.spread_C) if b.mean_C is None else b.mean_C for b in batches])
        chunk_N = torch.arange(len(x)) // size
        g_NCT = delta_NCT * layer.weight.detach()[:, None]  # type: ignore[operator]
        centred_NCT = x_NCT - mean_KC[chunk_N].to(x)[:, :, None]
        product_NC = centred_NCT.mul_(g_NCT).mean(2).double().cpu() * inverse_KC[chunk_N]
        return Backward(g_NCT.mean(2).double().cpu(), product_NC, g_NCT.square().mean((0, 2)).double().cpu())

    @staticmethod
    def joined(parts: Sequence[Backward]) -> Backward:
        """Put batches of one size together."""
        return Backward(
            torch.cat([part.gradient_NC for part in parts]),
            torch.cat([part.product_NC for part in parts]),
            torch.stack([part.power_C for part in parts]).mean(0),
        )

    def noise(self, size: int) -> dict[str, float]:
        """Return how much the two backward statistics vary between batches of `size` windows.

        ``bn.gB`` and ``bn.Psi``: standard deviation of mean g and of mean(g·x̂) over chunks of `size` windows, divided
        by the root mean square of g; root mean square over the channels with a gradient. For independent values it
        would be 1/√(size·T). Chunks are cut out of the batch as it was normalised.
        """
        used_C = self.power_C > 0
        noise = {}
        for name, value_NC in (("bn.gB", self.gradient_NC), ("bn.Psi", self.product_NC)):
            whole_NC = value_NC[: len(value_NC) // size * size]
            chunk_KC = whole_NC.view(-1, size, whole_NC.shape[1]).mean(1)
            variance_C = chunk_KC.var(0, correction=1)
            noise[name] = float((variance_C / self.power_C)[used_C].mean().sqrt())
        return noise

    @property
    def sizes(self) -> list[int]:
        """Powers of two from 2 on of which there are at least four chunks."""
        largest = len(self.gradient_NC) // _FEWEST_CHUNKS
        return [2**power for power in range(1, max(largest, 1).bit_length())]


def chunk_size(layer: nn.Module, windows: int) -> int:
    """Return the windows that a norm of the batch normalises together: a chunk, where it cuts batches."""
    return min(getattr(layer, "size", None) or windows, windows)


def _time_last(h: Tensor) -> Tensor:
    """Return float (windows, channels, samples), a view."""
    h = h.detach()
    return h.flatten(2) if h.ndim > 2 else h[:, :, None]


def _quotient(numerator: float, denominator: float) -> float:
    """Return a quotient, not a number where there is none."""
    return numerator / denominator if denominator else math.nan


def _slope(place: list[int], rms: list[float]) -> float:
    """Return the least squares slope of log rms, not a number for fewer than two places or a gradient of 0."""
    if len(place) < 2 or min(rms) <= 0:
        return math.nan
    x, y = torch.tensor(place, dtype=torch.float64), torch.tensor(rms, dtype=torch.float64).log()
    x = x - x.mean()
    return float((x * y).sum() / x.square().sum())
