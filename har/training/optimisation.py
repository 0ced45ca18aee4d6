"""How the weights are moved: the optimiser, its learning rate along the steps, and what an activity's errors weigh."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from har.errors import UsageError, unknown

OPTIMISERS = ("adamw", "adadelta")
SCHEDULES = ("constant", "warm_up_cosine")
CLASS_WEIGHTS = ("none", "balanced")
_RHO, _KERAS_EPSILON = 0.95, 1e-7  # of Adadelta as Keras 2 had it, which Li et al. 2018 trained with


@dataclasses.dataclass(frozen=True)
class Optimisation:
    """Optimiser and schedule.

    Args:
        optimiser: ``adamw`` (Loshchilov & Hutter 2019, arXiv 1711.05101), or ``adadelta`` (Zeiler 2012, arXiv
            1212.5701) with Keras's constants; its usual learning rate is 1.
        schedule: ``constant``; or ``warm_up_cosine``: up in a line, then down to zero along half a cosine.
        warm_up: Share of the run's steps in which the rate rises.
        label_smoothing: Share of each target that is spread over all activities alike (Szegedy et al. 2016, arXiv
            1512.00567), in training alone.
        class_weights: ``balanced`` weighs each training window by n/(K·n_k), n_k windows of its activity out of n,
            so that rare activities count as much as common ones; ``none`` counts windows alike.
        weight_averaging: Decay per step of a moving average of the weights, such as 0.99, which is judged and used in
            place of the last weights; none when null.

    Raises:
        UsageError: When a name is not known or a number out of range.
    """

    optimiser: str = "adamw"
    schedule: str = "constant"
    warm_up: float = 0.1
    label_smoothing: float = 0.0
    class_weights: str = "none"
    weight_averaging: float | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        for what, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("class_weights", CLASS_WEIGHTS)):
            if getattr(self, what) not in known:
                raise unknown(what.replace("_", " "), getattr(self, what), known)
        for what in ("warm_up", "label_smoothing"):
            if not 0 <= getattr(self, what) < 1:
                raise UsageError(f"{what} {getattr(self, what)} is not in [0, 1).", "Usual values are at most 0.1.")
        if self.weight_averaging is not None and not 0 < self.weight_averaging < 1:
            raise UsageError(f"weight_averaging {self.weight_averaging} is not in (0, 1).", "A usual value is 0.99.")

    def make(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """Return the optimiser; norms and biases are not decayed.

        Args:
            parameters: What is trained.
            learning_rate: The largest rate of the run.
            weight_decay: Decoupled weight decay of AdamW, and added to the gradient for Adadelta.
        """
        trained = list(parameters)
        groups: list[dict[str, Any]] = [
            {"params": [p for p in trained if p.ndim > 1]},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        if self.optimiser == "adadelta":
            return torch.optim.Adadelta(
                groups, lr=learning_rate, rho=_RHO, eps=_KERAS_EPSILON, weight_decay=weight_decay
            )
        return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay, fused=True)

    def factor(self, steps: int) -> Callable[[int], float]:
        """Return what the learning rate is multiplied by at each step, counted from 0.

        Args:
            steps: Steps of the run.
        """
        if self.schedule == "constant":
            return lambda _: 1.0
        rising = math.ceil(self.warm_up * steps)

        def along(step: int) -> float:
            if step < rising:
                return (step + 1) / rising
            return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1)))

        return along

    def weights_of(self, label_N: npt.NDArray[np.int16], activities: int) -> Tensor | None:
        """Return weight_K, float32, of the errors on each activity's windows; None where all weigh alike.

        Args:
            label_N: Labels of all training windows; each of the activities is among them.
            activities: How many activities K there are.
        """
        if self.class_weights == "none":
            return None
        count_K = np.bincount(label_N, minlength=activities)
        return torch.from_numpy((len(label_N) / (activities * count_K)).astype(np.float32))
