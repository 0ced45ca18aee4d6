"""What a learner is: settings that build a network from the shape of the windows and a norm plan."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from har.norms.plan import NormPlan


class Features(nn.Module, ABC):
    """A network from windows to features.

    Attributes:
        features: Number of features D.
    """

    features: int

    @abstractmethod
    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND, float (windows, features), of x_NTC, float (windows, samples, channels)."""


class Learner(ABC):
    """Settings of a feature learner. They say nothing of the data; `build` is given the windows' shape."""

    @abstractmethod
    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network with memory for its parameters; `initialise` gives them their values.

        Args:
            channels: Sensor channels C of a window.
            samples: Samples T of a window.
            norm: Which norm stands where.

        Raises:
            UsageError: When windows of this shape are too small for the settings.
        """
