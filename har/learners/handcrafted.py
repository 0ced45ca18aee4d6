"""The hand-crafted features of Li et al. (2018): 18 numbers of each channel, scaled by the training windows' range."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from har.learners.fitted import FittedFeatures, FittedLearner, Windows
from har.learners.settings import require_samples
from har.norms.plan import NormPlan

FEATURES = (
    "maximum",
    "minimum",
    "mean",
    "deviation",
    "mean_crossings",
    "percentile_20",
    "percentile_50",
    "percentile_80",
    "interquartile_range",
    "skewness",
    "kurtosis",
    "autocorrelation",
    "first_difference",
    "first_difference_normalised",
    "second_difference",
    "second_difference_normalised",
    "spectral_energy",
    "spectral_entropy",
)
_SHORTEST = 3  # samples: a second difference needs them


class HandCrafted(FittedLearner):
    """18 features of each channel, min-max scaled by the training windows.

    Li, Shirahama, Nisar, Köping & Grzegorzek 2018, Sensors 18(2):679, with a linear SVM behind them. For a window x of
    T samples of one channel with mean m and deviation s (divided by T):

    - maximum, minimum, mean, deviation; the 20th, 50th and 80th percentile and the interquartile range, interpolated
      linearly between samples;
    - mean crossings: how often x goes from above m to m or below, or back;
    - skewness Σ(x−m)³/(T·s³), excess kurtosis Σ(x−m)⁴/(T·s⁴) − 3, autocorrelation Σ(x_t−m)(x_{t+1}−m)/Σ(x_t−m)²;
    - means of the modulus of the first difference, |x_{t+1} − x_t|, and of the second, |x_{t+2} − 2x_{t+1} + x_t|, both
      also divided by s (without the modulus a mean difference is that of the window's two ends);
    - spectral energy Σ|X_f|²/T and entropy −Σ p_f·log p_f / log F of p_f = |X_f|²/Σ|X|², over the F frequencies above
      0 of the discrete Fourier transform X.

    A window that is constant has no shape: skewness, kurtosis, autocorrelation, normalised differences and entropy are
    0 then. Each feature is scaled to [0, 1] over the training windows; other windows may leave that range. A feature
    that is constant over all training windows says nothing and is 0 in every window.
    """

    def build(self, channels: int, samples: int, norm: NormPlan) -> FittedFeatures:
        """Build the network; see `Learner.build`."""
        require_samples("HandCrafted", samples, _SHORTEST, "second differences")
        return HandCraftedFeatures(channels, samples)


class HandCraftedFeatures(FittedFeatures):
    """The network of `HandCrafted`; feature d is number d // C of `FEATURES` of channel d % C.

    Args:
        channels: Sensor channels C.
        samples: Samples T of a window.
    """

    least: Tensor
    range: Tensor

    def __init__(self, channels: int, samples: int) -> None:
        super().__init__()
        self.features = channels * len(FEATURES)
        self.receptive_field = samples
        # a transform, a sort and a pass for each other feature
        self.multiply_adds = channels * samples * (2 * math.ceil(math.log2(samples)) + len(FEATURES))
        self.values = 10 * channels * samples
        self.register_buffer("least", torch.zeros(self.features, dtype=torch.float64))
        self.register_buffer("range", torch.ones(self.features, dtype=torch.float64))

    def computed(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND of a few windows; see `FittedFeatures.computed`."""
        raw_ND = unscaled(x_NTC)
        constant_D = self.range == 0
        scaled_ND = (raw_ND - self.least) / torch.where(constant_D, 1.0, self.range)
        return torch.where(constant_D, 0.0, scaled_ND).to(x_NTC.dtype)

    @torch.no_grad()
    def fit(self, windows: Windows, seed: int) -> None:
        """Take the range of every feature over the training windows; see `FittedFeatures.fit`."""
        least_D = torch.full_like(self.least, math.inf)
        largest_D = -least_D
        for x_NTC in windows.batches():
            raw_ND = unscaled(x_NTC)
            least_D = torch.minimum(least_D, raw_ND.amin(0))
            largest_D = torch.maximum(largest_D, raw_ND.amax(0))
        self.least.copy_(least_D)
        self.range.copy_(largest_D - least_D)


def unscaled(x_NTC: Tensor) -> Tensor:
    """Return the features before scaling, float64 (windows, features), in the order of `FEATURES`, then of channels.

    Args:
        x_NTC: float (windows, samples, channels).
    """
    x_NTC = x_NTC.double()
    sorted_NTC = x_NTC.sort(dim=1).values
    largest_NC, least_NC = sorted_NTC[:, -1], sorted_NTC[:, 0]
    constant_NC = largest_NC == least_NC
    mean_NC = x_NTC.mean(1)
    from_mean_NTC = x_NTC - mean_NC.unsqueeze(1)
    deviation_NC = (from_mean_NTC**2).mean(1).sqrt()
    lower_NC, upper_NC = _percentile(sorted_NTC, 25), _percentile(sorted_NTC, 75)

    def unless_constant(value_NC: Tensor) -> Tensor:
        return torch.where(constant_NC, 0.0, value_NC)

    unit_NTC = from_mean_NTC / torch.where(constant_NC, 1.0, deviation_NC).unsqueeze(1)
    above_NTC = from_mean_NTC > 0
    differences = [x_NTC.diff(n=order, dim=1).abs().mean(1) for order in (1, 2)]
    energy_NC, entropy_NC = _spectral(from_mean_NTC)
    found = [
        largest_NC,
        least_NC,
        mean_NC,
        deviation_NC,
        (above_NTC[:, 1:] != above_NTC[:, :-1]).sum(1).double(),
        *(_percentile(sorted_NTC, percent) for percent in (20, 50, 80)),
        upper_NC - lower_NC,
        unless_constant((unit_NTC**3).mean(1)),
        unless_constant((unit_NTC**4).mean(1) - 3),
        unless_constant((unit_NTC[:, 1:] * unit_NTC[:, :-1]).sum(1) / x_NTC.shape[1]),
        *(
            value_NC
            for mean_step_NC in differences
            for value_NC in (mean_step_NC, unless_constant(mean_step_NC / deviation_NC))
        ),
        energy_NC,
        unless_constant(entropy_NC),
    ]
    return torch.stack(found, dim=1).flatten(1)


def _percentile(sorted_NTC: Tensor, percent: int) -> Tensor:
    """Return a percentile of each window and channel, interpolated linearly between samples in ascending order."""
    place = percent / 100 * (sorted_NTC.shape[1] - 1)
    below = math.floor(place)
    above = min(below + 1, sorted_NTC.shape[1] - 1)
    return torch.lerp(sorted_NTC[:, below], sorted_NTC[:, above], place - below)


def _spectral(from_mean_NTC: Tensor) -> tuple[Tensor, Tensor]:
    """Return energy and entropy (NaN of nothing) of the spectrum above frequency 0."""
    power_NFC = torch.fft.rfft(from_mean_NTC, dim=1)[:, 1:].abs() ** 2
    sum_NC = power_NFC.sum(1)
    share_NFC = power_NFC / sum_NC.unsqueeze(1)
    frequencies = share_NFC.shape[1]
    entropy_NC = torch.special.entr(share_NFC).sum(1) / (math.log(frequencies) if frequencies > 1 else 1.0)
    return sum_NC / from_mean_NTC.shape[1], entropy_NC
