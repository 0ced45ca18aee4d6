"""What is doubtful in an architecture before it is trained: one sentence each, saying why.

The rules see the order in which layers run and which output goes straight into which layer (`har.norms.places`),
whatever the learner. Nothing is changed or drawn.
"""

from __future__ import annotations

from torch import Tensor, nn

from har.norms.mabn import MovingAverageBatchNorm
from har.norms.per_window import ChannelLayerNorm, ElementLayerNorm, FilterResponseNorm, GroupNorm
from har.norms.places import Call, calls
from har.norms.weights import Convolution

_OF_BATCH = (nn.BatchNorm2d, MovingAverageBatchNorm)
_OF_WINDOW = (GroupNorm, ElementLayerNorm, FilterResponseNorm)
_LINEAR = (nn.Conv2d, *_OF_BATCH)


def lint(network: nn.Module, x_1TC: Tensor, *, batch: int, scaled: bool = True) -> list[str]:
    """Return what is doubtful about a network, in the order in which its layers run.

    Args:
        network: The network, for example the features of a classifier.
        x_1TC: float (1, samples, channels), one window; its values play no part.
        batch: Windows of a training batch.
        scaled: Whether each input channel is scaled to mean 0 in front of the network.
    """
    run = calls(network, x_1TC)
    found: list[str] = []
    for place, call in enumerate(run):
        earlier = run[:place]
        found += _dropout(call, earlier)
        found += _bias(call)
        found += _batch_of_one(call, batch)
        found += _raw_input(call, earlier)
        found += _means(call, earlier, scaled)
    return found


def _dropout(call: Call, earlier: list[Call]) -> list[str]:
    """Warn of dropout in front of a norm of the batch."""
    dropping = [other.name for other in earlier if _drops(other.layer)]
    if not dropping or not isinstance(call.layer, _OF_BATCH):
        return []
    return [
        f"{dropping[-1]} drops values in front of {call.name}: their variance is larger in training than in inference, "
        "so the running variance does not fit. Put dropout behind the last norm."
    ]


def _bias(call: Call) -> list[str]:
    """Warn of a bias that the norm behind it subtracts again."""
    subtracts = isinstance(call.layer, nn.BatchNorm2d) or _subtracts_channel_means(call.layer)
    if not subtracts or not isinstance(call.before, nn.Conv2d) or call.before.bias is None:
        return []
    return [
        f"the convolution in front of {call.name} has a bias: the norm subtracts each channel's mean and with it the "
        "bias, which therefore learns nothing. Leave it out; the norm has a shift of its own."
    ]


def _batch_of_one(call: Call, batch: int) -> list[str]:
    """Warn of statistics over one window where the batch is meant, in every chunk or in the last one of a batch.

    A last chunk of one window is nothing to MABN, which averages it with those before it.
    """
    size = min(getattr(call.layer, "size", None) or batch, batch)
    if not isinstance(call.layer, _OF_BATCH):
        return []
    if size == 1:
        return [
            f"{call.name} takes its statistics in training from one window at a time, in inference from averages over "
            "all: these are two different networks. Use more windows a batch or chunk, or a norm of the window such as "
            "group."
        ]
    if batch % size != 1 or isinstance(call.layer, MovingAverageBatchNorm):
        return []
    return [
        f"{call.name} cuts each batch of {batch} windows into chunks of {size}, which leaves one window over: it takes "
        "its statistics in training from itself alone. Choose a size that divides the batch."
    ]


def _raw_input(call: Call, earlier: list[Call]) -> list[str]:
    """Warn of statistics of the window on the input itself, or with nothing but linear layers in between."""
    if not isinstance(call.layer, _OF_WINDOW) or not all(isinstance(other.layer, _LINEAR) for other in earlier):
        return []
    of_channels = _subtracts_channel_means(call.layer)
    if any(isinstance(other.layer, nn.Conv2d) for other in earlier) and not of_channels:
        return []  # strength is still there, beside the mean
    lost = "how strong the movement is"
    if of_channels:
        lost += " and each channel's mean, which is gravity and hence posture,"
    return [
        f"{call.name} normalises each window by itself with no activation in front: {lost} is lost to everything "
        "behind it. Use a kind or place that keeps it; fixed numbers can scale the input (model.scaling)."
    ]


def _means(call: Call, earlier: list[Call], scaled: bool) -> list[str]:
    """Warn where centred weights do not give moving average batch norm the mean of zero that it counts on.

    A scaled input gives it to the first convolution alone, so that is where to warn of a raw one: behind an activation
    channels differ in their means, whatever the input.
    """
    if not isinstance(call.layer, MovingAverageBatchNorm):
        return []
    if not isinstance(call.before, Convolution):
        return [
            f"{call.name} divides by a second moment and subtracts no mean, and what it is given does not come "
            "straight from a convolution with centred weights: its mean stays. Use order pre."
        ] * (call.before is not None)
    if scaled or any(isinstance(other.layer, nn.Conv2d) and other.layer is not call.before for other in earlier):
        return []
    return [
        f"{call.name} counts on centred weights to remove the mean, which they do only where all input channels have "
        "the same: raw accelerometers do not, by gravity. Use model.scaling=channel, which makes them equal for this "
        "convolution; what is left behind others is the probe bn.left_mean."
    ]


def _subtracts_channel_means(layer: nn.Module) -> bool:
    """Return whether a norm of the window subtracts the mean of each channel by itself."""
    if not isinstance(layer, GroupNorm) or isinstance(layer, ChannelLayerNorm):
        return False
    return layer.groups == len(layer.weight)


def _drops(layer: nn.Module) -> bool:
    """Return whether a layer drops values in training."""
    return isinstance(layer, nn.modules.dropout._DropoutNd) and layer.p > 0
