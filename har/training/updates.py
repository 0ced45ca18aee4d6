"""The optimiser's last step, read from its state afterwards: nothing has to be kept while training runs."""

from __future__ import annotations

import torch
from torch import Tensor


def last_step(optimizer: torch.optim.Optimizer, rate: float) -> dict[Tensor, Tensor]:
    """Return how each parameter was moved by the last step of AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101).

    With m̂ = m/(1 − β₁^t) and v̂ = v/(1 − β₂^t) as they are after step t, w before it and w′ after it:

        u = η·m̂/(√v̂ + ε)        w′ = (1 − η·λ)·w − u        w′ − w = −(η·λ·w′ + u)/(1 − η·λ)

    Args:
        optimizer: AdamW with one decay λ per group, which the last step had too.
        rate: η of the last step, which a schedule may have moved on since.

    Returns:
        Parameter to w′ − w; a parameter that has not been moved yet is left out, and all of another optimiser.
    """
    found: dict[Tensor, Tensor] = {}
    for group in optimizer.param_groups:
        if "betas" not in group:
            continue
        decay, (beta1, beta2) = group["weight_decay"], group["betas"]
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if "exp_avg" not in state:
                continue
            step = float(state["step"])
            mean = state["exp_avg"] / (1 - beta1**step)
            deviation = (state["exp_avg_sq"] / (1 - beta2**step)).sqrt()
            moved = rate * mean / (deviation + group["eps"])
            found[parameter] = -(rate * decay * parameter.detach() + moved) / (1 - rate * decay)
    return found
