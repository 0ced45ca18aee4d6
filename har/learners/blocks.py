"""What networks are built of: layers with weights, each with its activation and its norm, one behind the other.

Between the layers values lie as (windows, channels, samples, 1), or (windows, filters, samples, sensors) where sensors
share kernels, in channels-last memory: time first, then sensors, then channels or filters. A flattened window is that
memory as it is: no reshape crosses axes, and what holds for a channel holds for every so many-th of the flat values.

A dense layer is a convolution too, of the one sample of a flattened window or as long as the window: whatever a norm
does to the weights in front of it, it does to those of a dense layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from har.errors import UsageError
from har.learners.base import Features
from har.norms.folding import foldable, into_next, into_previous, plain
from har.norms.layers import KINDS, AllSensors
from har.norms.plan import INPUT, NormPlan
from har.norms.weights import Convolution

Maps = tuple[Tensor, Tensor]  # s and t of y = s·x + t per channel, float64


class Block(nn.Module):
    """Convolution, activation and pooling, with a norm before or after the activation or none.

    Args:
        conv: The convolution.
        norm: The norm of this position, or None.
        order: ``pre`` or ``post`` activation.
        activation: A function of each value that never falls as the value grows.
        pool: Max-pooling, in samples; 1 is none.
    """

    conv: Convolution
    norm: nn.Module | None

    def __init__(self, conv: Convolution, norm: nn.Module | None, order: str, activation: nn.Module, pool: int) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.norm_first = norm is not None and order == "pre"
        self.activation = activation
        self.pool = nn.MaxPool2d((pool, 1)) if pool > 1 else None

    def forward(self, x_NCT1: Tensor, shortcut_NFT1: Tensor | None = None) -> Tensor:
        """Return h_NFT1, float (windows, filters, fewer samples, 1).

        Args:
            x_NCT1: float (windows, channels, samples, 1).
            shortcut_NFT1: What is added in front of the activation (and behind a norm that stands there), or None.
        """
        h_NFT1: Tensor = self.conv(x_NCT1)
        if self.norm is not None and self.norm_first:
            h_NFT1 = self.norm(h_NFT1)
        if shortcut_NFT1 is not None:
            h_NFT1 = h_NFT1 + shortcut_NFT1
        if self.norm is not None and not self.norm_first:
            h_NFT1 = self.norm(self.activation(h_NFT1))
            return h_NFT1 if self.pool is None else self.pool(h_NFT1)
        # The maximum of rectified values is the rectified maximum, and there are fewer of them to rectify.
        y_NFT1: Tensor = self.activation(h_NFT1 if self.pool is None else self.pool(h_NFT1))
        return y_NFT1

    def take(self, scale_C: Tensor, shift_C: Tensor) -> None:
        """Take over the affine map of a norm in front, per channel."""
        self.conv = into_next(self.conv, *spread((scale_C, shift_C), self.conv.in_channels))

    def release(self, name: str) -> tuple[Maps | None, list[str]]:
        """Give the norm up where it can be folded: into the convolution, or into what follows.

        Args:
            name: The norm's name.

        Returns:
            The map that what follows has to take over, None where there is none; and why the norm stays, if it does.
        """
        self.conv = plain(self.conv)
        if self.norm is None:
            return None, []
        pooled = self.pool is not None and not self.norm_first
        maps, why = foldable(self.norm, name, self.conv.out_channels, pooled=pooled)
        if maps is None:
            return None, why
        stood_first, self.norm, self.norm_first = self.norm_first, None, False
        if not stood_first:
            return maps, []
        self.conv = into_previous(self.conv, *maps)
        return None, []


class Recurrence(nn.LSTM):
    """One LSTM layer (Hochreiter & Schmidhuber 1997, with a forget gate) that gives its state at every sample.

    torch adds two biases, of input and of state, where Keras has one: 4·width parameters more.

    Args:
        inputs: Values that it is given at a sample.
        width: Units H.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width, batch_first=True)

    def forward(self, x_NCTS: Tensor) -> Tensor:  # type: ignore[override]  # one tensor in, one tensor out
        """Return h_NHT1, float (windows, units, samples, 1), of x_NCTS, float (windows, channels, samples, sensors)."""
        h_NTH, _ = super().forward(x_NCTS.permute(0, 2, 3, 1).flatten(2))
        return h_NTH.unsqueeze(2).permute(0, 3, 1, 2)


class Recurrent(nn.Module):
    """An LSTM layer and the norm behind it, or none. There is no activation: a state is bounded by its own.

    Args:
        inputs: Values that it is given at a sample.
        width: Units H.
        norm: The norm of this position over the states of all samples, or None.
    """

    def __init__(self, inputs: int, width: int, norm: nn.Module | None) -> None:
        super().__init__()
        self.lstm = Recurrence(inputs, width)
        self.norm = norm

    def forward(self, x_NCTS: Tensor) -> Tensor:
        """Return h_NHT1; see `Recurrence`."""
        h_NHT1: Tensor = self.lstm(x_NCTS)
        return h_NHT1 if self.norm is None else self.norm(h_NHT1)

    @torch.no_grad()
    def take(self, scale_C: Tensor, shift_C: Tensor) -> None:
        """Take over the affine map of a norm in front, per channel: W' = W·s, b' = b + W·t for all gates, float64."""
        weight, bias = (self.lstm.get_parameter(f"{name}_ih_l0") for name in ("weight", "bias"))
        scale_D, shift_D = spread((scale_C, shift_C), self.lstm.input_size)
        bias.copy_(bias.double() + weight.double() @ shift_D)
        weight.copy_(weight.double() * scale_D)

    def release(self, name: str) -> tuple[Maps | None, list[str]]:
        """Give the norm up to what follows, where it can be folded; see `Block.release`."""
        if self.norm is None:
            return None, []
        maps, why = foldable(self.norm, name, self.lstm.hidden_size)
        if maps is not None:
            self.norm = None
        return maps, why


Stage = Block | Recurrent


def convolutional(
    norm: NormPlan, position: int, widths: tuple[int, int], samples: int, depth: int, **options: int
) -> Block:
    """Build a convolution with the norm and the activation of its position.

    Args:
        norm: The norm plan.
        position: Which layer with weights it is, from 1.
        widths: Its input channels and its filters.
        samples: Samples, times sensors that share the kernels, of its output.
        depth: Layers with weights.
        **options: ``kernel``, ``pool`` and ``dilation``, in samples; 1 unless given.
    """
    channels, filters = widths
    conv = norm.convolution(position, channels, filters, options.get("kernel", 1), depth, options.get("dilation", 1))
    layer = norm.layer(position, filters, samples, depth)
    activation = norm.activation(position, filters, depth)
    return Block(conv, layer, norm.order, activation, options.get("pool", 1))


def recurrent(norm: NormPlan, position: int, widths: tuple[int, int], samples: int, depth: int) -> Recurrent:
    """Build an LSTM layer with the norm of its position; arguments as of `convolutional`.

    Raises:
        UsageError: When the kind of norm is one that changes the weights in front of it.
    """
    if position in norm.positions(depth) and KINDS[norm.kind].weights != "plain":
        free = [name for name, kind in KINDS.items() if kind.weights == "plain"]
        raise UsageError(
            f"norm kind {norm.kind} cannot stand behind an LSTM, which is layer {position} of {depth}: it changes the "
            "weights of a convolution or dense layer in front, and those of an LSTM have no such form.",
            f"Use positions of other layers, or one of {', '.join(free)}.",
        )
    return Recurrent(*widths, norm.layer(position, widths[1], samples, depth))


class NormedInput(Features):
    """A network whose input may carry a norm, named ``input.norm``.

    Args:
        norm: Which norm stands where.
        channels: Sensor channels C.
        samples: Samples T of a window.
        depth: Layers with weights.
    """

    def __init__(self, norm: NormPlan, channels: int, samples: int, depth: int) -> None:
        super().__init__()
        layer = norm.layer(INPUT, channels, samples, depth)
        if layer is not None:
            self.add_module("input", nn.ModuleDict({"norm": layer}))
        self.input_norm_present = layer is not None

    def normed(self, x_NTC: Tensor) -> Tensor:
        """Return x_NCT1, normalised where the plan says so.

        The window's time-major memory is, without a copy, the channels-last memory that a 2-D convolution likes.
        """
        x_NCT1 = x_NTC.unsqueeze(2).permute(0, 3, 1, 2)
        return cast(Tensor, self.get_submodule("input.norm")(x_NCT1)) if self.input_norm_present else x_NCT1

    def release_input(self, channels: int, *, shared: bool = False) -> tuple[Maps | None, list[str]]:
        """Give the input's norm up to the first layer, where it can be folded; see `Block.release`.

        Args:
            channels: Sensor channels C.
            shared: Whether the sensors share the first layer's kernels, which then have one weight for all of them.
        """
        if not self.input_norm_present:
            return None, []
        norm = self.get_submodule("input.norm")
        maps, left = foldable(norm, "input.norm", 1 if isinstance(norm, AllSensors) and shared else channels)
        if maps is not None and shared and not isinstance(norm, AllSensors):
            return None, [
                "input.norm stays: all sensors share the kernels behind it, which cannot hold a factor of each."
            ]
        if maps is not None:
            del self.input
            self.input_norm_present = False
        return maps, left


def fold_stages(stages: Mapping[str, Stage], maps: Maps | None, head: nn.Linear) -> tuple[nn.Linear, list[str]]:
    """Fold the norms of layers that follow one another into their neighbours, the last one into the head.

    Args:
        stages: The layers by name, in the order of the forward pass.
        maps: What the first of them has to take over, or None.
        head: The linear layer behind them, or behind their mean over time.

    Returns:
        The head, and one sentence for each norm that stays.
    """
    left: list[str] = []
    for name, stage in stages.items():
        if maps is not None:
            stage.take(*maps)
        maps, why = stage.release(f"{name}.norm")
        left += why
    return (head if maps is None else into_next(head, *spread(maps, head.in_features))), left


def spread(maps: Maps, inputs: int) -> Maps:
    """Give each of the flattened inputs of a layer the values of its channel; see the module's docstring."""
    scale_C, shift_C = maps
    return scale_C.repeat(inputs // len(scale_C)), shift_C.repeat(inputs // len(shift_C))


def flattened(h_NFTS: Tensor) -> Tensor:
    """Return the windows' values in the order time, sensor, filter, as channels of a single sample."""
    return h_NFTS.permute(0, 2, 3, 1).flatten(1)[:, :, None, None]
