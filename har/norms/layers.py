"""Normalisation layers on the project's layout, one class and one registry line each.

Every layer takes and returns `x_NCT1`: float (windows, channels, samples, 1), dense in channels-last memory, which is
the store's time-major memory seen by a convolution.

Batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167, algorithm 1), with n = N·T elements per channel:

    training    y = γ·(x − μ_B)/√(v_B + ε) + β        v_B = mean (x − μ_B)², divided by n
    running     m ← (1 − a)·m + a·μ_B                  v ← (1 − a)·v + a·v_B·n/(n − 1)
    inference   y = γ·(x − m)/√(v + ε) + β

with a = `momentum`, the weight of the new value (Keras counts the weight of the old one). Statistics start at 0 and 1,
γ at 1 and β at 0. The running variance is unbiased for independent elements, yet low for windows that share an offset.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

# (channels, epsilon, momentum) to a layer
NormFactory = Callable[[int, float, float], nn.Module]


def _batch_norm(channels: int, epsilon: float, momentum: float) -> nn.Module:
    """Return batch normalisation with statistics over windows and samples, per channel."""
    return nn.BatchNorm2d(channels, eps=epsilon, momentum=momentum)


KINDS: dict[str, NormFactory] = {"batch": _batch_norm}


class AllSensors(nn.Module):
    """A norm whose statistics and affine parameters are shared by all sensors and samples.

    With batch normalisation this is the first layer of the networks of Li et al. (2018): Keras normalises the last
    axis of (samples, sensors, 1), which has size one, so there is one mean, one variance, one γ and one β.

    Args:
        norm: A norm of one channel.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.scalar = norm

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Normalise over windows, channels and samples together.

        Args:
            x_NCT1: float (windows, channels, samples, 1).

        Returns:
            The same shape and memory layout.
        """
        x_N1TC = x_NCT1.permute(0, 3, 2, 1)  # a view: the dense time-major windows as one channel
        y_N1TC: Tensor = self.scalar(x_N1TC)
        return y_N1TC.permute(0, 3, 2, 1)
