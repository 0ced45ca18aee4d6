"""What a learner is: settings that build a network from the shape of the windows and a norm plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from har.norms.base import Norm
from har.norms.layers import AllSensors
from har.norms.plan import NormPlan


class Features(nn.Module, ABC):
    """A network from windows to features.

    Attributes:
        features: Number of features D.
        receptive_field: Samples of the window that a feature depends on in front of a mean over time; all that are
            read where there is no such mean.
    """

    features: int
    receptive_field: int

    @abstractmethod
    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND, float (windows, features), of x_NTC, float (windows, samples, channels)."""

    def learn(self, x_NTC: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the features to train the head on, and a loss of the features' own.

        A learner that is trained without labels overrides this: its features then come detached, so that the labels
        reach the head alone, with the loss that they are trained with instead.

        Args:
            x_NTC: float (windows, samples, channels).

        Returns:
            features_ND and a loss, float (), that is added to the classification's; None where the labels teach all.
        """
        return self(x_NTC), None

    def fold(self, head: nn.Linear) -> tuple[nn.Linear, list[str]]:
        """Put the norms that may be folded into their neighbours, in place, for inference alone.

        A learner whose norms stand beside layers that can do their work overrides this (`har.norms.folding`). One that
        does not keeps its norms, and this says so.

        Args:
            head: The linear layer behind the features.

        Returns:
            The head, another one where a norm was folded into it, and one sentence for each norm that stays.
        """
        kinds = (AllSensors, Norm, _BatchNorm)
        norms = [name for name, layer in self.named_modules() if isinstance(layer, kinds)]
        norms = [name for name in norms if name.rpartition(".")[0] not in norms]  # AllSensors has one inside
        return head, [f"{name} stays: {type(self).__name__} does not say how its norms fold." for name in norms]


class Learner(ABC):
    """Settings of a feature learner. They say nothing of the data; `build` is given the windows' shape.

    Attributes:
        at_once: Whether its features are fitted at once (`har.learners.fitted`) instead of by gradient descent.
    """

    at_once: ClassVar[bool] = False

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
