"""What is measured of a layer: formulas on tensors, each a pure function.

Statistics of a batch are sums over its windows, so nearly all of them derive from two numbers of every window and
channel, its mean and its variance over time (`Moments`). They are taken once and merged in float64.

N windows, C channels, T samples, S subjects, K activities. ε is the layer's, inside every logarithm and quotient of
variances, as the layer itself uses them: a channel that is constant in both then counts as no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from har.norms.statistics import buffers_of

_SMALL_GAMMA = 1e-2


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each window over time, on the CPU wherever the windows are: they are few.

    Attributes:
        mean_NC: float64 (windows, channels).
        variance_NC: float64 (windows, channels), divided by the samples.
        samples: Elements T behind each of them.
    """

    mean_NC: Tensor
    variance_NC: Tensor
    samples: int

    @staticmethod
    def of(x: Tensor) -> Moments:
        """Take them of windows, float (windows, channels, …)."""
        x_NCT = x.detach().flatten(2) if x.ndim > 2 else x.detach()[:, :, None]
        about_NC = x_NCT.mean(2)  # torch.var_mean would take ten times as long here
        centred_NCT = x_NCT - about_NC[:, :, None]
        # What rounding has left of the mean, which matters at large offsets.
        left_NC = centred_NCT.mean(2).double().cpu()
        variance_NC = (centred_NCT.square_().mean(2).double().cpu() - left_NC.square()).clamp_(min=0)
        return Moments(about_NC.double().cpu() + left_NC, variance_NC, x_NCT.shape[2])

    @staticmethod
    def joined(parts: list[Moments]) -> Moments:
        """Put windows of one length together."""
        mean_NC = torch.cat([part.mean_NC for part in parts])
        return Moments(mean_NC, torch.cat([part.variance_NC for part in parts]), parts[0].samples)

    def pooled(self) -> tuple[Tensor, Tensor]:
        """Return mean_C and variance_C of all elements together, by the law of total variance."""
        mean_C = self.mean_NC.mean(0)
        return mean_C, self.variance_NC.mean(0) + (self.mean_NC - mean_C).square().mean(0)

    def split(self, size: int) -> list[Moments]:
        """Cut into chunks of `size` windows; the last may be smaller."""
        parts = zip(torch.split(self.mean_NC, size), torch.split(self.variance_NC, size), strict=True)
        return [Moments(mean, variance, self.samples) for mean, variance in parts]


@dataclass(frozen=True)
class Statistics:
    """What a norm normalises by, on the CPU.

    Attributes:
        mean_C: float64 (channels), or None for a norm that subtracts no mean.
        spread_C: float64 (channels): its variance, or the second moment where it subtracts no mean.
        epsilon: ε.
    """

    mean_C: Tensor | None
    spread_C: Tensor
    epsilon: float

    @staticmethod
    def stored(layer: nn.Module) -> Statistics:
        """Return those that a statistics layer has stored for inference."""
        return _statistics(layer, dict(layer.named_buffers()))

    @staticmethod
    def measured(layer: nn.Module, moments: Moments) -> Statistics:
        """Return those that a statistics layer would store for windows with these moments."""
        return _statistics(layer, buffers_of(layer, *moments.pooled()))

    @property
    def used(self) -> Tensor:
        """Spread plus ε per channel, float64: what the norm divides by the root of."""
        return self.spread_C + self.epsilon


def _statistics(layer: nn.Module, buffers: Mapping[str, Tensor]) -> Statistics:
    """Return a copy of a layer's buffers as statistics."""
    kept = {name: value.detach().to("cpu", torch.float64, copy=True) for name, value in buffers.items()}
    epsilon = layer.eps if isinstance(layer, nn.modules.batchnorm._BatchNorm) else layer.epsilon
    return Statistics(kept.get("running_mean"), kept["running_var"], float(epsilon))  # type: ignore[arg-type]


def gap(batch: Statistics, stored: Statistics) -> dict[str, float]:
    """Return how far a batch's statistics are from the stored ones, as means over channels.

    ``bn.mean_gap`` = |μ_B − m|/√(v + ε); ``bn.logvar_gap`` = |log((v_B + ε)/(v + ε))|; ``bn.kl``, the divergence of a
    normal distribution with the batch's statistics from one with the stored ones, which is
    ½·[log(v/v_B) + (v_B + (μ_B − m)²)/v − 1] with ε added to each variance.

    Args:
        batch: Of one batch in training.
        stored: The running ones.
    """
    ratio_C = batch.used / stored.used
    found = {"bn.logvar_gap": ratio_C.log().abs()}
    shift_C = torch.zeros_like(ratio_C)
    if batch.mean_C is not None and stored.mean_C is not None:
        shift_C = (batch.mean_C - stored.mean_C).square() / stored.used
        found["bn.mean_gap"] = shift_C.sqrt()
    found["bn.kl"] = (ratio_C + shift_C - 1 - ratio_C.log()) / 2
    return {name: float(value_C.mean()) for name, value_C in found.items()}


def estimation_shift(stored: Statistics, expected: Statistics) -> dict[str, float]:
    """Return how far stored statistics are from those of a population (Huang et al. 2022, arXiv 2203.10778).

    ``bn.esm_mean`` = ‖m − μ‖/‖σ‖ over channels; ``bn.esm_var`` = mean |log((v + ε)/(σ² + ε))|. Layers in front are in
    the state of inference, so that the shift of a deep norm holds what theirs has done to its input.

    Args:
        stored: The running ones.
        expected: Of the population.
    """
    found = {"bn.esm_var": float((stored.used / expected.used).log().abs().mean())}
    if stored.mean_C is not None and expected.mean_C is not None:
        distance = torch.linalg.vector_norm(stored.mean_C - expected.mean_C)
        found["bn.esm_mean"] = float(distance / expected.used.sum().sqrt())
    return found


def variance_shift(stored: Statistics, seen: Statistics) -> float:
    """Return ``bn.variance_shift``, the mean over channels of max(v/v_eval, v_eval/v) (Li et al. 2018, 1801.05134).

    Args:
        stored: The running ones.
        seen: Of training data in the state of inference. 1 is healthy; dropout in front makes v too large.
    """
    ratio_C = stored.used / seen.used
    return float(torch.maximum(ratio_C, 1 / ratio_C).mean())


def left_mean(moments: Moments, epsilon: float) -> float:
    """Return ``bn.left_mean``, the mean over channels of |μ|/√(χ² + ε) with χ² = μ² + σ².

    What centred weights leave of the mean that moving average batch norm never subtracts (Yan et al. 2020, arXiv
    2001.06838, section 4.2), as a part of what it divides by: 0 is what it counts on, 1 a channel that is only a mean.

    Args:
        moments: Of the norm's input.
        epsilon: ε.
    """
    mean_C, variance_C = moments.pooled()
    return float((mean_C.abs() / (mean_C.square() + variance_C + epsilon).sqrt()).mean())


def effective_size(moments: Moments, windows: int) -> dict[str, float]:
    """Return what a batch of correlated samples is worth for the mean.

    With σ² the variance of all elements and n = windows·T, a batch mean of windows drawn at random varies by
    S²/windows, S² being the variance of window means:

        ``bn.between_share`` = Var(μ_B)/σ²      ``bn.deff`` = n·Var(μ_B)/σ²      ``bn.neff`` = σ²/Var(μ_B) = n/deff

    Shares are means over the channels that vary. For windows of T samples with intraclass correlation ρ, deff is
    1 + ρ·(T − 1).

    Args:
        moments: Of windows drawn at random; at least two.
        windows: Windows of a batch.
    """
    between_C = moments.mean_NC.var(0, correction=1)
    total_C = between_C + moments.variance_NC.mean(0)  # unbiased, other than the pooled variance of a few windows
    share = float((between_C / total_C)[total_C > 0].mean()) / windows
    elements = windows * moments.samples
    return {"bn.between_share": share, "bn.deff": elements * share, "bn.neff": 1 / share if share else float("nan")}


def subject_correlation(moments: Moments, subject_N: Tensor) -> float:
    """Return ``bn.subject_icc``, the share of the variance that lies between subjects' means, Var_s(μ_s)/σ².

    Var_s is the variance component of a one-way analysis of variance of window means, (MSB − MSW)/n₀, so that it does
    not grow where a subject has few windows; it may come out slightly negative. Mean over the channels that vary.

    Args:
        moments: Of the windows.
        subject_N: int64 (windows), numbers of their subjects.

    Returns:
        NaN where there is one subject, or no subject with two windows.
    """
    subjects, count_S = torch.unique(subject_N, return_counts=True)
    windows, groups = len(subject_N), len(subjects)
    if groups < 2 or windows == groups:
        return float("nan")
    member_NS = (subject_N[:, None] == subjects).double()
    mean_SC = member_NS.T @ moments.mean_NC / count_S[:, None]
    mean_C, total_C = moments.pooled()
    between_C = (count_S[:, None] * (mean_SC - mean_C).square()).sum(0) / (groups - 1)
    within_C = (moments.mean_NC - member_NS @ mean_SC).square().sum(0) / (windows - groups)
    usual = (windows - float(count_S.square().sum()) / windows) / (groups - 1)
    share_C = (between_C - within_C) / usual / total_C
    return float(share_C[total_C > 0].mean())


def mode_gap(training_NK: Tensor, inference_NK: Tensor, label_N: Tensor) -> dict[str, float]:
    """Return how training and inference mode differ on the same windows: not the generalisation gap.

    ``gap.mode_loss``, cross-entropy in training mode minus that in inference; ``gap.kl``, mean divergence of the
    probabilities in inference from those in training; ``gap.flip``, share of windows with another prediction.

    Args:
        training_NK: float (windows, activities), logits in training mode.
        inference_NK: float (windows, activities), logits in inference mode.
        label_N: int64 (windows).
    """
    training, inference = training_NK.detach().double(), inference_NK.detach().double()
    log_p, log_q = training.log_softmax(1), inference.log_softmax(1)
    return {
        "gap.mode_loss": float(functional.nll_loss(log_p, label_N) - functional.nll_loss(log_q, label_N)),
        "gap.kl": float((log_p.exp() * (log_p - log_q)).sum(1).mean()),
        "gap.flip": float((training.argmax(1) != inference.argmax(1)).double().mean()),
    }


def small_gamma(layer: nn.Module) -> float:
    """Return ``norm.small_gamma``, the share of a norm's factors with |γ| below 0.01."""
    return float((layer.weight.detach().abs() < _SMALL_GAMMA).double().mean())  # type: ignore[operator]
