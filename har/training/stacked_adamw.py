"""AdamW for the rows of a stack: every replica with its own learning rate and decay, all moved at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class StackedAdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) as torch computes it, on rows of parameters.

    With g the gradient, η_m the learning rate of replica m, s_t the schedule's factor, λ the decay:

        w ← (1 − η·s·λ)·w      m ← β₁·m + (1 − β₁)·g      v ← β₂·v + (1 − β₂)·g²
        w ← w − η·s/(1 − β₁^t)·m/(√v/√(1 − β₂^t) + ε)

    Args:
        rows: value_MP, float (replicas, parameters).
        rate_M: η, float64 (replicas).
        decay_MP: λ, float (replicas, parameters).
        factor: s of a step, counted from 0.
        betas: β₁ and β₂.
        eps: ε.
    """

    def __init__(
        self,
        rows: nn.Parameter,
        rate_M: Tensor,
        decay_MP: Tensor,
        factor: Callable[[int], float],
        *,
        betas: tuple[float, float],
        eps: float,
    ) -> None:
        super().__init__([rows], {})
        self._rows, self._factor, self._betas, self._eps = rows, factor, betas, eps
        self._rate_M, self._decay_MP = rate_M, decay_MP
        self.steps = 0

    @property
    def moments(self) -> dict[str, Tensor]:
        """M and v, float (replicas, parameters), by the names that torch has for them."""
        state = self.state[self._rows]
        if not state:
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(self._rows), torch.zeros_like(self._rows)
        return dict(state)

    def rates(self) -> list[float]:
        """Return each replica's learning rate of the next step."""
        factor = self._factor(self.steps)
        return [rate * factor for rate in self._rate_M.tolist()]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every row."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        rows, gradient_MP = self._rows, self._rows.grad
        if gradient_MP is None:
            return loss
        mean_MP, square_MP = self.moments["exp_avg"], self.moments["exp_avg_sq"]
        # Moved once: a copy to an accelerator in each step would wait for it.
        self._rate_M, self._decay_MP = self._rate_M.to(rows.device), self._decay_MP.to(rows)
        rate_M1 = (self._rate_M * self._factor(self.steps)).to(rows)[:, None]
        self.steps += 1
        beta1, beta2 = self._betas
        correction1, correction2 = 1 - beta1**self.steps, 1 - beta2**self.steps
        rows.mul_(1 - rate_M1 * self._decay_MP)
        mean_MP.lerp_(gradient_MP, 1 - beta1)
        square_MP.mul_(beta2).addcmul_(gradient_MP, gradient_MP, value=1 - beta2)
        deviation_MP = square_MP.sqrt().div_(correction2**0.5).add_(self._eps)
        rows.sub_(deviation_MP.reciprocal_().mul_(mean_MP).mul_(rate_M1 / correction1))
        return loss
