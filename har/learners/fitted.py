"""Learners whose features are fitted at once on training windows, instead of by gradient descent.

Such a network holds what it was fitted to as buffers: words of a codebook, the range of each feature, thresholds. They
are tensors like weights, so they travel in the checkpoint and leave by the same export; scikit-learn, where it fits
them, is needed no more afterwards. No norm stands in such a network, since nothing in it is trained in steps, and the
head behind it is one that is fitted at once too (`har.learners.heads`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from har.errors import UsageError
from har.learners.base import Features, Learner
from har.norms.plan import NormPlan

_MOST_VALUES = 1 << 20  # in memory at once: what a processor's cache holds, which is fastest


class Windows(Protocol):
    """The training windows as a fit sees them, behind the fixed input scaling."""

    def __len__(self) -> int:
        """Return the number of windows."""

    def batches(self) -> Iterator[Tensor]:
        """Yield all windows in their order, x_NTC, float32 (windows, samples, channels), a few at a time."""

    def taken(self, numbers_N: npt.NDArray[np.int64]) -> Tensor:
        """Return some windows by their numbers, x_NTC."""


class FittedFeatures(Features):
    """Features that are fitted at once.

    Attributes:
        multiply_adds: Multiply-adds of one window, for `har.learners.cost`.
        values: Numbers that are in memory at once while one window is worked on, about.
    """

    multiply_adds: int
    values: int

    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND, in bounded memory; see `Features.forward`."""
        if torch.compiler.is_compiling():  # an exported network knows no number of windows
            return self.computed(x_NTC)
        few = torch.split(x_NTC, max(_MOST_VALUES // self.values, 1))
        return torch.cat([self.computed(x_FTC) for x_FTC in few])

    @abstractmethod
    def computed(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND of a few windows; see `Features.forward`."""

    @abstractmethod
    def fit(self, windows: Windows, seed: int) -> None:
        """Fit the buffers to the training windows.

        Args:
            windows: The training windows.
            seed: The run's seed.

        Raises:
            UsageError: When these windows cannot be fitted to.
        """


class FittedLearner(Learner):
    """Settings of a learner whose features are fitted at once."""

    at_once: ClassVar[bool] = True

    @abstractmethod
    def build(self, channels: int, samples: int, norm: NormPlan) -> FittedFeatures:
        """Build the network with memory for what it is fitted to; see `Learner.build`."""


def require_no_norm(learner: Learner, norm: NormPlan) -> None:
    """Refuse a norm in a network that is fitted at once.

    Raises:
        UsageError: When the plan has one.
    """
    if learner.at_once and norm.placement not in ("none", []):
        raise UsageError(
            f"{type(learner).__name__} is fitted at once and has no place for a norm, but model.norm.placement is "
            f"{norm.placement}.",
            "Set model.norm.placement to none.",
        )
