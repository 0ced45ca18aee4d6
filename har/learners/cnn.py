"""A convolutional feature learner: valid convolutions over time that mix all channels, and a mean over time."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

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


class CNN(Learner):
    """A stack of [convolution → activation → max-pooling] over time, averaged over the remaining samples.

    Convolutions are valid (no padding): zeros beside a window are no measurement, and a norm in front of a
    convolution can then be folded into it exactly.

    Positions of norms: each convolution.

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
        require_widths("CNN", "filters", filters, "convolution", "[64, 64, 64]")
        require_for_each("CNN", "pool", pool, len(filters), "convolutions")
        require_positive("CNN", "kernel", kernel, 5)
        require_share("CNN", dropout)
        self.filters = list(filters)
        self.kernel = kernel
        self.pool = list(pool)
        self.dropout = dropout

    @property
    def receptive_field(self) -> int:
        """Samples of the window that one output of the last block depends on; also the shortest possible window."""
        return reach([self.kernel] * len(self.pool), self.pool)

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network; see `Learner.build`."""
        require_samples("CNN", samples, self.receptive_field, f"kernel {self.kernel}, pool {self.pool}")
        return CNNFeatures(self, channels, samples, norm)


class CNNFeatures(NormedInput):
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
        depth = len(settings.filters)
        super().__init__(norm, channels, samples, depth)
        self.depth = depth
        self.channels = channels
        self.receptive_field = settings.receptive_field
        widths = [channels, *settings.filters]
        for position, pool in enumerate(settings.pool, start=1):
            samples -= settings.kernel - 1
            here = widths[position - 1], widths[position]
            block = convolutional(norm, position, here, samples, depth, kernel=settings.kernel, pool=pool)
            self.add_module(f"block{position}", block)
            samples //= pool
        self.dropout = nn.Dropout(settings.dropout)
        self.features = settings.filters[-1]

    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND of x_NTC; see `Features.forward`."""
        h_NFT1 = self.normed(x_NTC)
        for position in range(1, self.depth + 1):
            h_NFT1 = self.get_submodule(f"block{position}")(h_NFT1)
        features_ND: Tensor = self.dropout(h_NFT1.mean(dim=(2, 3)))
        return features_ND

    def fold(self, head: nn.Linear) -> tuple[nn.Linear, list[str]]:
        """Fold each norm into the convolution before or behind it, or into the head; see `Features.fold`."""
        names = [f"block{position}" for position in range(1, self.depth + 1)]
        maps, left = self.release_input(self.channels)
        head, stay = fold_stages({name: cast(Block, self.get_submodule(name)) for name in names}, maps, head)
        return head, left + stay
