"""What one network and a stack of them do alike in training: the seed of a step, the score of an evaluation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from har.errors import DivergenceError
from har.evaluation.measures import macro_f1
from har.seeds import derive_seed

MONITOR = "validation_macro_f1"


def seed_step(seed: int, step: int, device: torch.device) -> None:
    """Seed the dropout of a step from its address, so that it does not depend on what ran before.

    Args:
        seed: The run's seed.
        step: Optimiser step.
        device: Where the network is.
    """
    address = derive_seed(seed, "step", step)
    if device.type == "cpu":
        # torch.manual_seed costs 1 ms: it seeds devices that are not there
        torch.default_generator.manual_seed(address)
    elif device.type == "cuda":  # each replica of a stack does this in each step
        torch.cuda.default_generators[device.index].manual_seed(address)
    else:
        torch.manual_seed(address)


def validation_scores(counts_KK: npt.NDArray[np.int64], loss_sum: float, step: int) -> dict[str, float]:
    """Return mean loss and macro F1 (policy ``present``) over all validation windows together.

    Args:
        counts_KK: Windows by activity (rows) and prediction.
        loss_sum: Their summed loss.
        step: Optimiser step, for messages.

    Raises:
        DivergenceError: When the loss is no longer a number.
    """
    scores = {
        "validation_loss": loss_sum / max(int(counts_KK.sum()), 1),
        MONITOR: macro_f1(counts_KK, "present"),
    }
    if not math.isfinite(scores["validation_loss"]):
        raise DivergenceError(
            f"training diverged: the validation loss is not finite at step {step}.",
            "Lower model.learning_rate, or scale the input (model.scaling).",
        )
    return scores
