"""Norms whose statistics come from one window: the same in training and inference, whatever else is in the batch.

Notation: x of one window has C channels and T samples; μ and v are mean and variance (divided by their number of
elements) over the set that each class names; y = γ·(x − μ)/√(v + ε) + β. Backward is autograd's. None of them keeps
running statistics, so none is an affine map in inference and none folds into a convolution.

Trap: statistics of one window take away its amplitude, and those per channel its offset. On raw input a noise of
standard deviation 0.01 and a movement of 1 leave instance normalisation with 0.953 and 1.000 (ε = 1e-5), and the mean
of an accelerometer, which is gravity and hence posture, is gone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from har.norms.base import Norm, require

_USUAL_GROUPS = 8
_LEARNED_EPSILON = 1e-4  # at first, Singh & Krishnan 2020, section 3.1


def _require_several(elements: int, kind: str, where: str) -> None:
    """Refuse statistics over one element, which would leave the sign of the value at most."""
    require(
        elements > 1,
        f"{kind} norm has one element to normalise over ({where}), which leaves at most its sign.",
        "Take another kind there, or leave that position without a norm.",
    )


class GroupNorm(Norm):
    """Statistics over the samples and C/G neighbouring channels of a window; affine per channel.

    Wu & He 2018, arXiv 1803.08494, equation 7.

    Args:
        channels: Channels C.
        samples: Samples T of the window here.
        epsilon: ε.
        groups: Groups G, a divisor of C. None: the largest divisor up to 8 that leaves two channels to a group, else 1.

    Raises:
        UsageError: When the channels cannot be divided so, or a group has one element.
    """

    def __init__(self, channels: int, samples: int, epsilon: float, *, groups: int | None = None) -> None:
        super().__init__()
        if groups is None:
            fitting = [g for g in range(1, _USUAL_GROUPS + 1) if channels % g == 0 and channels // g >= 2]
            groups = max(fitting, default=1)
        divisors = [g for g in range(1, channels + 1) if channels % g == 0]
        require(
            groups in divisors,
            f"group norm cannot divide {channels} channels into {groups} groups.",
            f"Groups that divide them: {', '.join(map(str, divisors))}.",
        )
        _require_several(channels // groups * samples, "group", f"{channels} channels, {groups} groups, 1 sample")
        self.groups, self.epsilon = groups, epsilon
        self._identity(channels)

    def reset_parameters(self) -> None:
        """Set γ to 1 and β to 0."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Normalise each group of channels of each window; see `Norm`.

        Written out, because torch's kernel (2.13, CPU) leaves the channels-last layout for tensors of width 1, and
        crashes in the backward pass of one-channel windows that need no gradient themselves.
        """
        centred_NCT1 = x_NCT1 - self._over_groups(x_NCT1)
        deviation_NC11 = (self._over_groups(centred_NCT1.square()) + self.epsilon).sqrt()
        scale_NC11 = self.weight.view(1, -1, 1, 1) / deviation_NC11
        return torch.addcmul(self.bias.view(1, -1, 1, 1), centred_NCT1, scale_NC11)

    def _over_groups(self, value_NCT1: Tensor) -> Tensor:
        """Return the mean of each channel's group, float (windows, channels, 1, 1)."""
        mean_NC = value_NCT1.mean((2, 3))
        if self.groups < mean_NC.shape[1]:
            mean_NG1 = mean_NC.reshape(-1, self.groups, mean_NC.shape[1] // self.groups).mean(2, keepdim=True)
            mean_NC = mean_NG1.expand(-1, -1, mean_NC.shape[1] // self.groups).flatten(1)
        return mean_NC[:, :, None, None]


class LayerNorm(GroupNorm):
    """Layer normalisation over channels and samples of a window; affine per channel. One group of all channels.

    Ba et al. 2016, arXiv 1607.06450, read as vision libraries do. It differs from `ChannelLayerNorm`, and from
    `ElementLayerNorm` only in its affine parameters.

    Args:
        channels: Channels C.
        samples: Samples T of the window here.
        epsilon: ε.
    """

    def __init__(self, channels: int, samples: int, epsilon: float) -> None:
        super().__init__(channels, samples, epsilon, groups=1)


class InstanceNorm(GroupNorm):
    """Statistics over the samples of a window per channel; affine per channel. As many groups as channels.

    Ulyanov et al. 2016, arXiv 1607.08022, equation 2, with the affine parameters that every other kind here has.

    Args:
        channels: Channels C.
        samples: Samples T of the window here.
        epsilon: ε.
    """

    def __init__(self, channels: int, samples: int, epsilon: float) -> None:
        _require_several(samples, "instance", "1 sample")
        super().__init__(channels, samples, epsilon, groups=channels)


class ChannelLayerNorm(GroupNorm):
    """Layer normalisation over the channels at each sample; affine per channel. The reading of sequence models.

    Args:
        channels: Channels C.
        samples: Samples T of the window here; they play no part.
        epsilon: ε.
    """

    def __init__(self, channels: int, samples: int, epsilon: float) -> None:
        _require_several(channels, "layer_channels", "1 channel")
        super().__init__(channels, samples, epsilon, groups=1)

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Normalise the channels of each sample; see `Norm`."""
        x_NT1C = x_NCT1.permute(0, 2, 3, 1)  # a view: channels-last memory in its own order
        y_NT1C = functional.layer_norm(x_NT1C, (x_NT1C.shape[-1],), self.weight, self.bias, self.epsilon)
        return y_NT1C.permute(0, 3, 1, 2)


class ElementLayerNorm(Norm):
    """Layer normalisation over channels and samples of a window; affine per channel and sample, which fixes T.

    Args:
        channels: Channels C.
        samples: Samples T of the window here.
        epsilon: ε.

    Attributes:
        weight: γ, float (samples · channels): a vector, so that the optimiser does not take it for a weight to decay.
        bias: β likewise.
    """

    def __init__(self, channels: int, samples: int, epsilon: float) -> None:
        super().__init__()
        _require_several(channels * samples, "layer_elements", "1 channel, 1 sample")
        self.epsilon = epsilon
        self._identity(channels * samples)

    def reset_parameters(self) -> None:
        """Set γ to 1 and β to 0."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Normalise each window; see `Norm`."""
        x_NT1C = x_NCT1.permute(0, 2, 3, 1)
        y_NE = functional.layer_norm(x_NT1C.flatten(1), self.weight.shape, self.weight, self.bias, self.epsilon)
        return y_NE.view(x_NT1C.shape).permute(0, 3, 1, 2)


class FilterResponseNorm(Norm):
    """Second moment over the samples of a window per channel: y = γ·x/√(ν² + ε) + β, ν² = mean x².

    Singh & Krishnan 2020, arXiv 1911.09737, equations 1 to 3. Nothing subtracts the mean, so its activation is the
    `ThresholdedUnit` in place of ReLU. The authors warm the learning rate up.

    Over one sample ν² is x² itself, and what is left of x depends on ε alone: the sign for a small one. There the
    authors learn it (section 3.1), as ε + |ε_l| with one ε_l for the layer, 1e-4 at first.

    Args:
        channels: Channels C.
        samples: Samples T of the window here.
        epsilon: ε, to which a learned one is added.
        learned_epsilon: Whether to learn ε_l, which windows of one sample need.

    Attributes:
        learned: ε_l, float (1), where it is learned.

    Raises:
        UsageError: When a window has one sample and ε is not learned.
    """

    def __init__(self, channels: int, samples: int, epsilon: float, *, learned_epsilon: bool = False) -> None:
        super().__init__()
        require(
            samples > 1 or learned_epsilon,
            "filter_response norm has one sample to normalise over, which leaves its sign as long as ε is fixed.",
            "Set model.norm.options.learned_epsilon to true, or take another kind there.",
        )
        self.epsilon = epsilon
        self._identity(channels)
        self.learned = nn.Parameter(torch.full((1,), _LEARNED_EPSILON)) if learned_epsilon else None

    def reset_parameters(self) -> None:
        """Set γ to 1, β to 0 and ε_l to 1e-4."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        if self.learned is not None:
            nn.init.constant_(self.learned, _LEARNED_EPSILON)

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Divide each channel of each window by its root mean square; see `Norm`."""
        epsilon = self.epsilon if self.learned is None else self.epsilon + self.learned.abs()
        power_NC11 = x_NCT1.square().mean((2, 3), keepdim=True)
        scale_NC11 = self.weight.view(1, -1, 1, 1) * (power_NC11 + epsilon).rsqrt()
        return torch.addcmul(self.bias.view(1, -1, 1, 1), x_NCT1, scale_NC11)


class ThresholdedUnit(nn.Module):
    """The activation of filter response normalisation: max(y, τ), τ learned per channel and 0 at first (then ReLU).

    Args:
        channels: Channels C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.zeros(channels))

    def reset_parameters(self) -> None:
        """Set τ to 0."""
        nn.init.zeros_(self.threshold)

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Return max(x, τ), the same shape."""
        return torch.maximum(x_NCT1, self.threshold.view(1, -1, 1, 1))
