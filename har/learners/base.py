"""What a learner is: settings that build a network from the shape of the windows and a norm plan."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from har.norms.base import Norm
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

    def fold(self, head: nn.Linear) -> tuple[nn.Linear, list[str]]:
        """Put the norms that may be folded into their neighbours, in place, for inference alone.

        A learner whose norms stand beside layers that can do their work overrides this (`har.norms.folding`). One that
        does not keeps its norms, and this says so.

        Args:
            head: The linear layer behind the features.

        Returns:
            The head, another one where a norm was folded into it, and one sentence for each norm that stays.
        """
        norms = [name for name, layer in self.named_modules() if isinstance(layer, (Norm, _BatchNorm))]
        return head, [f"{name} stays: {type(self).__name__} does not say how its norms fold." for name in norms]


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
