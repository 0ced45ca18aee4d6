"""A convolutional feature learner: valid convolutions over time that mix all channels, and a mean over time."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from har.errors import UsageError
from har.learners.base import Features, Learner
from har.norms.folding import foldable, into_next, into_previous, plain
from har.norms.plan import INPUT, NormPlan
from har.norms.weights import Convolution


class CNN(Learner):
    """A stack of [convolution → activation → max-pooling] over time, averaged over the remaining samples.

    Convolutions are valid (no padding): zeros beside a window are no measurement, and a norm in front of a
    convolution can then be folded into it exactly.

    Args:
        filters: Filters F of each convolution; their number is the number of convolutions.
        kernel: Samples that a convolution sees of its input.
        pool: Max-pooling after each convolution, in samples; 1 is none.
        dropout: Share of features dropped before the head in training. After the last norm on purpose: in front of
            one it shifts the variance between training and inference (Li et al. 2018, arXiv 1801.05134).

    Raises:
        UsageError: When the settings contradict each other.
    """

    def __init__(
        self,
        filters: list[int] = [64, 64, 64],  # noqa: B006  (shown as the default by --help, never written to)
        kernel: int = 5,
        pool: list[int] = [4, 2, 1],  # noqa: B006
        dropout: float = 0.0,
    ) -> None:
        if not filters or min(filters) < 1:
            raise UsageError(f"CNN filters {filters} are not one positive number per convolution.", "Try [64, 64, 64].")
        if len(pool) != len(filters) or min(pool) < 1:
            raise UsageError(
                f"CNN pool {pool} does not give a positive number for each of {len(filters)} convolutions.",
                "Give as many numbers as filters; 1 means no pooling.",
            )
        if kernel < 1:
            raise UsageError(f"CNN kernel {kernel} is not a positive number of samples.", "Try 5.")
        if not 0 <= dropout < 1:
            raise UsageError(f"CNN dropout {dropout} is not in [0, 1).", "0 drops nothing.")
        self.filters = list(filters)
        self.kernel = kernel
        self.pool = list(pool)
        self.dropout = dropout

    @property
    def receptive_field(self) -> int:
        """Samples of the window that one output of the last block depends on; also the shortest possible window."""
        samples = 1
        for pool in reversed(self.pool):
            samples = samples * pool + self.kernel - 1
        return samples

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network; see `Learner.build`."""
        if samples < self.receptive_field:
            raise UsageError(
                f"a window of {samples} samples is too short for a CNN that needs at least {self.receptive_field} "
                f"(kernel {self.kernel}, pool {self.pool}).",
                "Use a longer window, a shorter kernel, less pooling or fewer convolutions; nothing was changed.",
            )
        return CNNFeatures(self, channels, samples, norm)


class CNNFeatures(Features):
    """The network of a `CNN`.

    Parameters are named ``input.norm.*``, ``block<l>.conv.*`` and ``block<l>.norm.*`` with l counted from 1, so that a
    norm put in or left out renames nothing else.

    Args:
        settings: The learner's settings.
        channels: Sensor channels C.
        samples: Samples T of a window.
        norm: Which norm stands where.
    """

    def __init__(self, settings: CNN, channels: int, samples: int, norm: NormPlan) -> None:
        super().__init__()
        depth = len(settings.filters)
        input_norm = norm.layer(INPUT, channels, samples, depth)
        if input_norm is not None:
            self.add_module("input", nn.ModuleDict({"norm": input_norm}))
        self.input_norm_present = input_norm is not None
        self.depth = depth
        widths = [channels, *settings.filters]
        for position in range(1, depth + 1):
            samples -= settings.kernel - 1
            conv = norm.convolution(position, widths[position - 1], widths[position], settings.kernel, depth)
            layer = norm.layer(position, widths[position], samples, depth)
            activation = norm.activation(position, widths[position], depth)
            block = Block(conv, layer, norm.order, activation, settings.pool[position - 1])
            self.add_module(f"block{position}", block)
            samples //= settings.pool[position - 1]
        self.dropout = nn.Dropout(settings.dropout)
        self.features = settings.filters[-1]

    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND of x_NTC; see `Features.forward`."""
        # The window's time-major memory is, without a copy, the channels-last memory that a 2-D convolution likes.
        h_NFT1 = x_NTC.unsqueeze(2).permute(0, 3, 1, 2)
        if self.input_norm_present:
            h_NFT1 = self.get_submodule("input.norm")(h_NFT1)
        for position in range(1, self.depth + 1):
            h_NFT1 = self.get_submodule(f"block{position}")(h_NFT1)
        features_ND: Tensor = self.dropout(h_NFT1.mean(dim=(2, 3)))
        return features_ND

    def fold(self, head: nn.Linear) -> tuple[nn.Linear, list[str]]:
        """Fold each norm into the convolution before or behind it, or into the head; see `Features.fold`."""
        blocks = [cast(Block, self.get_submodule(f"block{position}")) for position in range(1, self.depth + 1)]
        left: list[str] = []
        for block in blocks:
            block.conv = plain(block.conv)
        if self.input_norm_present:
            first = blocks[0]
            maps, left = foldable(self.get_submodule("input.norm"), "input.norm", first.conv.in_channels)
            if maps is not None:
                first.conv = into_next(first.conv, *maps)
                del self.input
                self.input_norm_present = False
        for position, block in enumerate(blocks, start=1):
            maps, why = block.release(f"block{position}.norm")
            left += why
            if maps is not None and position < self.depth:
                blocks[position].conv = into_next(blocks[position].conv, *maps)
            elif maps is not None:
                head = into_next(head, *maps)
        return head, left


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

    def forward(self, x_NCT1: Tensor) -> Tensor:
        """Return h_NFT1, float (windows, filters, fewer samples, 1), of x_NCT1."""
        h_NFT1: Tensor = self.conv(x_NCT1)
        if self.norm is not None and not self.norm_first:
            h_NFT1 = self.norm(self.activation(h_NFT1))
            return h_NFT1 if self.pool is None else self.pool(h_NFT1)
        if self.norm is not None:
            h_NFT1 = self.norm(h_NFT1)
        # The maximum of rectified values is the rectified maximum, and there are fewer of them to rectify.
        y_NFT1: Tensor = self.activation(h_NFT1 if self.pool is None else self.pool(h_NFT1))
        return y_NFT1

    def release(self, name: str) -> tuple[tuple[Tensor, Tensor] | None, list[str]]:
        """Give the norm up where it can be folded: into the convolution, or into what follows.

        Args:
            name: The norm's name.

        Returns:
            The map that what follows has to take over, None where there is none; and why the norm stays, if it does.
        """
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
