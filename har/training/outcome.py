"""What a fit leaves behind, whatever fitted, for the end that all runs share (`har.training.judge`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from har.training.statistics import Predict


@dataclass(frozen=True)
class Fitted:
    """What a fit has left, beside ``best.ckpt``.

    Attributes:
        score: Validation macro F1 of the chosen weights when they were chosen.
        again: Returns that of the weights now in the module, by the same arithmetic.
        predict: Predicts with the module.
    """

    score: float
    again: Callable[[], float]
    predict: Predict
