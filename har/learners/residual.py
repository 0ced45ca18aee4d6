"""A residual temporal CNN: convolutions that mix all channels, in blocks around which their input takes a shortcut."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from har.errors import UsageError, unknown
from har.learners.base import Features, Learner
from har.learners.blocks import Block, NormedInput, convolutional, fold_stages
from har.learners.settings import (
    reach,
    require_for_each,
    require_positive,
    require_samples,
    require_share,
    require_widths,
)
from har.norms.plan import NormPlan


def _compressed(around_NTC: Tensor) -> Tensor:
    """Return asinh of 20 times what is around a window's mean; see `ResidualCNN`."""
    return torch.asinh(around_NTC / 0.05)


def _standardised(around_NTC: Tensor) -> Tensor:
    """Return what is around a window's mean over its deviation; see `ResidualCNN`."""
    return around_NTC / (around_NTC.square().mean(1, keepdim=True).sqrt() + 1e-3)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {"compressed": _compressed, "standardised": _standardised}


class ResidualCNN(Learner):
    """A convolution, then blocks of two with an identity shortcut (He et al. 2016, arXiv 1512.03385), then a mean.

        y = pool(activation(conv₂(activation(conv₁(x))) + x))

    The network may be given other views of the window beside it, as further channels, with a channel's mean m and
    deviation s over the window:

    - ``compressed``, asinh((x − m)/0.05): motion around the mean, enlarged where it is small, as its logarithm where it
      is large;
    - ``standardised``, (x − m)/(s + 0.001): its shape, whatever its size (instance norm without parameters, Ulyanov et
      al. 2016, arXiv 1607.08022).

    Input scaling is made for the strongest motion, walking or exercises; beside it somebody who sits or stands is all
    but constant, and what tells the two apart are hundredths of a deviation.

    Convolutions are valid, so the shortcut takes the middle samples of x, as many as the block leaves. Kernels may be
    dilated (Bai et al. 2018, arXiv 1803.01271), which widens the receptive field without pooling.

    Positions of norms: each convolution. With order ``post`` the norm of a block's second one stands behind the sum and
    its activation, and cannot be folded, since the next shortcut takes its output too.

    Args:
        filters: Filters of every convolution, so that shortcuts need no weights.
        kernel: Samples that a convolution sees of its input.
        dilation: Samples from one weight of a kernel to the next, for each block; as many numbers as blocks.
        pool: Max-pooling behind the first convolution and behind each block, in samples; 1 is none.
        dropout: Share of features dropped before the head in training.
        views: What is seen beside the window: ``compressed``, ``standardised``, both or neither.

    Raises:
        UsageError: When the settings contradict each other.
    """

    def __init__(
        self,
        filters: int = 64,
        kernel: int = 5,
        dilation: list[int] = [1, 1],  # noqa: B006  (shown as the default by --help, never written to)
        pool: list[int] = [4, 2, 1],  # noqa: B006
        dropout: float = 0.0,
        views: list[str] = [],  # noqa: B006
    ) -> None:
        require_positive("ResidualCNN", "filters", filters, 64)
        require_positive("ResidualCNN", "kernel", kernel, 5)
        require_widths("ResidualCNN", "dilation", dilation, "block", "[1, 1]")
        require_for_each("ResidualCNN", "pool", pool, len(dilation) + 1, "stages: the first convolution and the blocks")
        require_share("ResidualCNN", dropout)
        for view in views:
            if view not in VIEWS:
                raise unknown("view of the window", view, VIEWS)
        if len(set(views)) < len(views):
            raise UsageError(f"ResidualCNN views {list(views)} name one twice.", "Name each once.")
        self.filters, self.kernel = filters, kernel
        self.dilation, self.pool = list(dilation), list(pool)
        self.dropout, self.views = dropout, list(views)

    @property
    def receptive_field(self) -> int:
        """Samples that the kernels of one output of the last block see; also the shortest possible window."""
        blocks = [2 * (self.kernel - 1) * dilation + 1 for dilation in self.dilation]
        return reach([self.kernel, *blocks], self.pool)

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network; see `Learner.build`."""
        settings = f"kernel {self.kernel}, dilation {self.dilation}, pool {self.pool}"
        require_samples("ResidualCNN", samples, self.receptive_field, settings)
        return ResidualFeatures(self, channels, samples, norm)


class ResidualBlock(nn.Module):
    """Two convolutions and their shortcut.

    Args:
        first: The first, without pooling.
        second: The second, whose activation comes behind the sum, with the block's pooling.
    """

    def __init__(self, first: Block, second: Block) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x_NFT1: Tensor) -> Tensor:
        """Return h_NFT1, float (windows, filters, fewer samples, 1)."""
        h_NFT1: Tensor = self.first(x_NFT1)
        beside = x_NFT1.shape[2] - h_NFT1.shape[2]  # at each end, half of what both convolutions take
        y_NFT1: Tensor = self.second(h_NFT1, x_NFT1[:, :, beside : x_NFT1.shape[2] - beside])
        return y_NFT1


class ResidualFeatures(NormedInput):
    """The network of a `ResidualCNN`.

    Parameters are named ``input.norm.*``, ``first.conv.*`` and ``first.norm.*``, and ``block<l>.first.*`` and
    ``block<l>.second.*`` likewise with l counted from 1.

    Args:
        settings: The learner's settings.
        channels: Sensor channels C.
        samples: Samples T of a window.
        norm: Which norm stands where.
    """

    def __init__(self, settings: ResidualCNN, channels: int, samples: int, norm: NormPlan) -> None:
        depth = 1 + 2 * len(settings.dilation)
        super().__init__(norm, channels, samples, depth)
        self.channels, self.views = channels, settings.views
        self.receptive_field = samples if self.views else settings.receptive_field  # a window's mean is of all samples
        self.blocks = len(settings.dilation)
        self.features = width = settings.filters
        kernel, pool = settings.kernel, settings.pool
        samples -= kernel - 1
        given = channels * (1 + len(self.views))
        self.first = convolutional(norm, 1, (given, width), samples, depth, kernel=kernel, pool=pool[0])
        samples //= pool[0]
        for number, dilation in enumerate(settings.dilation, start=1):
            pair = []
            for position, behind in ((2 * number, 1), (2 * number + 1, pool[number])):
                samples -= (kernel - 1) * dilation
                options = {"kernel": kernel, "dilation": dilation, "pool": behind}
                pair.append(convolutional(norm, position, (width, width), samples, depth, **options))
            self.add_module(f"block{number}", ResidualBlock(*pair))
            samples //= pool[number]
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND of x_NTC; see `Features.forward`."""
        h_NFT1: Tensor = self.first(self.given(x_NTC))
        for number in range(1, self.blocks + 1):
            h_NFT1 = self.get_submodule(f"block{number}")(h_NFT1)
        features_ND: Tensor = self.dropout(h_NFT1.mean(dim=(2, 3)))
        return features_ND

    def given(self, x_NTC: Tensor) -> Tensor:
        """Return what the first convolution sees: x_NCT1, normalised where the plan says so, and its other views."""
        x_NCT1 = self.normed(x_NTC)
        if not self.views:
            return x_NCT1
        around_NTC = x_NTC - x_NTC.mean(1, keepdim=True)
        views = [VIEWS[view](around_NTC).unsqueeze(2).permute(0, 3, 1, 2) for view in self.views]
        return torch.cat((x_NCT1, *views), dim=1)

    def fold(self, head: nn.Linear) -> tuple[nn.Linear, list[str]]:
        """Fold each norm into a neighbour, but for those whose output a shortcut takes too; see `Features.fold`."""
        maps, left = self.release_input(self.channels)
        if maps is not None:
            beside = self.first.conv.in_channels - self.channels  # other views have no norm in front
            scale_C, shift_C = maps
            self.first.take(
                torch.cat((scale_C, scale_C.new_ones(beside))), torch.cat((shift_C, shift_C.new_zeros(beside)))
            )
        name, last = "first", self.first
        for number in range(1, self.blocks + 1):
            block = cast(ResidualBlock, self.get_submodule(f"block{number}"))
            left += _fold_in_front_of_shortcut(name, last)
            maps, why = block.first.release(f"block{number}.first.norm")
            left += why
            if maps is not None:
                block.second.take(*maps)
            name, last = f"block{number}.second", block.second
        head, stay = fold_stages({name: last}, None, head)
        return head, left + stay


def _fold_in_front_of_shortcut(name: str, layer: Block) -> list[str]:
    """Fold a layer's norm where it may go into the convolution before it; return why it stays, if it does."""
    if layer.norm is not None and not layer.norm_first:
        return [f"{name}.norm stays: a shortcut takes what it gives past the next convolution."]
    return layer.release(f"{name}.norm")[1]
