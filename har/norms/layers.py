"""The kinds of normalisation that a plan can name: one line each, and the norm that all sensors share.

Every layer takes and returns `x_NCT1`: float (windows, channels, samples, 1), dense in channels-last memory, which is
the store's time-major memory seen by a convolution. A kind may also transform the weights of the convolution in front
and bring an activation of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from torch import Tensor, nn

from har.errors import UsageError, unknown
from har.norms.batch import BatchNorm, BatchRenorm, GhostBatchNorm
from har.norms.mabn import MovingAverageBatchNorm
from har.norms.per_window import (
    ChannelLayerNorm,
    ElementLayerNorm,
    FilterResponseNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    ThresholdedUnit,
)

_GIVEN = ("channels", "samples", "epsilon", "momentum")  # what the plan and the position say; the rest are options


@dataclass(frozen=True)
class Kind:
    """What stands at a position: a layer, the weights of the convolution in front, the activation.

    Args:
        layer: Makes the layer from channels, samples, epsilon and momentum, as far as it names them, and options.
            None where the weights are all there is.
        weights: Transform of the convolution in front; see `har.norms.weights`.
        activation: Makes the activation that replaces ReLU, from the number of channels. None keeps ReLU.
    """

    layer: Callable[..., nn.Module] | None
    weights: str = "plain"
    activation: Callable[[int], nn.Module] | None = None

    def options(self) -> dict[str, Any]:
        """Return the types of the kind's options by name."""
        if self.layer is None:
            return {}
        make = self.layer.__init__ if inspect.isclass(self.layer) else self.layer
        hints = get_type_hints(make)
        return {name: hints[name] for name in inspect.signature(self.layer).parameters if name not in _GIVEN}

    def check(self, options: Mapping[str, Any], name: str) -> None:
        """Refuse options that the kind does not have, or of another type.

        Args:
            options: The options.
            name: The kind's name, for messages.

        Raises:
            UsageError: With the nearest option.
        """
        known = self.options()
        for option, value in options.items():
            if not known:
                raise UsageError(f"the norm kind {name} has no options, so {option!r} means nothing.", "Leave it out.")
            if option not in known:
                raise unknown("norm option", option, known, f"kind {name}")
            wanted = known[option]
            accepted = (float, int) if wanted is float else wanted
            if not isinstance(value, accepted) or isinstance(value, bool) != (wanted is bool):
                name_of = getattr(wanted, "__name__", str(wanted).replace("None", "null"))
                hint = "Give true or false." if wanted is bool else "Give a number."
                raise UsageError(f"norm option {option} of kind {name} is {value!r}, not {name_of}.", hint)

    def build(self, channels: int, samples: int, epsilon: float, momentum: float, **options: Any) -> nn.Module:
        """Make the layer.

        Args:
            channels: Channels of the tensor there.
            samples: Its samples.
            epsilon: Added to the variance inside the square root.
            momentum: Weight of the new value in running statistics.
            **options: Options of the kind.

        Raises:
            UsageError: When an option is out of range or does not fit the shape, or the kind has no layer.
        """
        if self.layer is None:
            raise UsageError("this kind of norm has no layer, only weights.", "Choose another.")
        given = {"channels": channels, "samples": samples, "epsilon": epsilon, "momentum": momentum}
        named = inspect.signature(self.layer).parameters
        return self.layer(**{name: value for name, value in given.items() if name in named}, **options)


KINDS: dict[str, Kind] = {
    "batch": Kind(BatchNorm),
    "ghost_batch": Kind(GhostBatchNorm),
    "batch_renorm": Kind(BatchRenorm),
    "mabn": Kind(MovingAverageBatchNorm, weights="centred"),
    "layer": Kind(LayerNorm),
    "layer_channels": Kind(ChannelLayerNorm),
    "layer_elements": Kind(ElementLayerNorm),
    "instance": Kind(InstanceNorm),
    "group": Kind(GroupNorm),
    "filter_response": Kind(FilterResponseNorm, activation=ThresholdedUnit),
    "standardised_weights": Kind(GroupNorm, weights="standardised"),
    "scaled_weights": Kind(None, weights="scaled"),
}


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
