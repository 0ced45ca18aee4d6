"""What an optimiser's steps mean: how far they turn weights whose length plays no part, how noisy their direction is.

A norm behind a layer without bias divides by what the length of the layer's weight w multiplies: the loss L is the same
for all c·w. Then ∇L ⟂ w and ‖∇L‖ falls as 1/‖w‖, so that a step of gradient descent with rate η moves the direction
w/‖w‖ as a step of rate η/‖w‖² moves a w of length 1 (van Laarhoven 2017, arXiv 1706.05350). Adam divides the length of
the gradient out and turns w by about η·√(number of weights)/‖w‖; what an optimiser did in truth is the angle of its
last step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def step_probes(weight: Tensor, rate: float, moved: Tensor | None) -> dict[str, float]:
    """Return ``lr.effective`` = η/‖w‖² and ``lr.angle``, the angle between w before and after a step, in radians.

    Args:
        weight: w after the step, of any shape.
        rate: η.
        moved: What the step has added to it; without, there is no angle.
    """
    w = weight.detach().double()
    squared = float(w.square().sum())
    found = {"lr.effective": rate / squared if squared else math.nan}
    if moved is not None:
        found["lr.angle"] = _angle(w, w - moved.double())
    return found


def _angle(one: Tensor, other: Tensor) -> float:
    """Return the angle between two vectors in radians, not a number where one is 0.

    The arccosine of their product would lose angles below 1e-8.
    """
    one, other = one / torch.linalg.vector_norm(one), other / torch.linalg.vector_norm(other)
    apart, together = (float(torch.linalg.vector_norm(vector)) for vector in (one - other, one + other))
    return 2 * math.atan2(apart, together)


def noise_probes(gradients: Sequence[Tensor], windows: int) -> dict[str, float]:
    """Return the simple noise scale of a gradient (McCandlish et al. 2018, arXiv 1812.06162, appendix A.1).

    With G the gradient of the expected loss and Σ the covariance of that of a window, a batch of B windows has
    E‖G_B‖² = ‖G‖² + tr Σ/B. From K batches of B windows each, and all of them together as one of K·B:

        ``noise.gradient`` = (K·B·‖G_KB‖² − B·mean ‖G_B‖²)/(K·B − B), unbiased for ‖G‖²
        ``noise.trace``    = (mean ‖G_B‖² − ‖G_KB‖²)/(1/B − 1/(K·B)), unbiased for tr Σ
        ``noise.scale``    = tr Σ/‖G‖², in windows

    Args:
        gradients: Of the mean loss of each batch, float (parameters,), one vector each; the batches have no window in
            common.
        windows: B, windows of a batch.

    Returns:
        Nothing for fewer than two batches. The scale is not a number where the estimate of ‖G‖² is not positive: there
        are then too few windows to tell the gradient from its noise.
    """
    batches = len(gradients)
    if batches < 2:
        return {}
    small = sum(float(gradient.double().square().sum()) for gradient in gradients) / batches
    mean = torch.stack([gradient.double() for gradient in gradients]).mean(0)
    large = float(mean.square().sum())
    squared = (batches * large - small) / (batches - 1)
    trace = (small - large) * windows * batches / (batches - 1)
    return {
        "noise.gradient": squared,
        "noise.trace": trace,
        "noise.scale": trace / squared if squared > 0 else math.nan,
    }
