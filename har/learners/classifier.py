"""A complete classifier: fixed input scaling, features, linear head. Plain torch, usable without a trainer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from har.errors import UsageError, unknown
from har.learners.base import Features
from har.learners.heads import Head

SCALINGS = ("none", "scalar", "channel")


class InputScaling(nn.Module):
    """A fixed affine map (x − m)/s fitted on training subjects. Its buffers travel in the checkpoint.

    Unlike batch normalisation it is the same in training and inference, learns nothing and adds no noise. It is the
    control that separates "normalised" from "batch-normalised".

    Args:
        scaling: ``none``; ``scalar``, one m and s over all channels; ``channel``, per channel.
        mean_C: Mean per channel over all training windows and samples, float64, in the store's units.
        variance_C: Variance (divided by n) likewise.
        channels: Names of the channels, for messages.

    Raises:
        UsageError: When the scaling is not known, or a channel to be scaled is constant in training.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, scaling: str, mean_C: Tensor, variance_C: Tensor, channels: list[str]) -> None:
        super().__init__()
        if scaling not in SCALINGS:
            raise unknown("input scaling", scaling, SCALINGS)
        mean_C, variance_C = mean_C.double(), variance_C.double()
        if scaling == "none":
            mean_C, variance_C = torch.zeros_like(mean_C), torch.ones_like(variance_C)
        elif scaling == "scalar":  # law of total variance: within channels and between their means
            total = variance_C.mean() + mean_C.var(correction=0)
            mean_C, variance_C = mean_C.mean().expand_as(mean_C), total.expand_as(variance_C)
        constant = [name for name, variance in zip(channels, variance_C.tolist(), strict=True) if not variance > 0]
        if constant:
            raise UsageError(
                f"channel {constant[0]} is constant over all training windows, so it cannot be scaled.",
                "Use model.scaling=none, or leave the channel out when the data set is prepared.",
            )
        self.register_buffer("mean", mean_C.float().clone())
        self.register_buffer("deviation", variance_C.sqrt().float().clone())

    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return (x − m)/s, float (windows, samples, channels), without units."""
        return (x_NTC - self.mean) / self.deviation


class Classifier(nn.Module):
    """Scaling → features → head.

    Args:
        scaling: The fixed map of the input.
        features: The feature learner's network.
        activities: Number of activities K.
        head: Which head stands behind the features; a linear layer that is trained with them when None.
    """

    head: nn.Module

    def __init__(self, scaling: InputScaling, features: Features, activities: int, head: Head | None = None) -> None:
        super().__init__()
        self.scaling = scaling
        self.features = features
        self.head = (head or Head()).build(features.features, activities)

    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return logits_NK, float (windows, activities).

        Args:
            x_NTC: float32 (windows, samples, channels), in the store's units and channel order.
        """
        logits_NK: Tensor = self.head(self.features(self.scaling(x_NTC)))
        return logits_NK

    def learn(self, x_NTC: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits_NK to train on, and the features' own loss or None; see `Features.learn`."""
        features_ND, own_loss = self.features.learn(self.scaling(x_NTC))
        return self.head(features_ND), own_loss
