"""The CNN of Li et al. (2018): kernels along time that all sensors share, flattened into a dense layer."""

from __future__ import annotations

from har.learners.base import Features, Learner
from har.learners.layered import LayeredFeatures, Layers
from har.learners.settings import require_convolutions, require_share, require_widths
from har.norms.plan import NormPlan


class SharedCNN(Learner):
    """Convolutions whose kernels (k, 1) see one sensor at a time, then dense layers over all of the flattened window.

    Li, Shirahama, Nisar, Köping & Grzegorzek 2018, Sensors 18(2):679; the defaults are the paper's, on each of its data
    sets. Its norm plan is placement ``input_scalar`` with ``model.scaling: none``. The order of the flattened values is
    time, sensor, filter (`har.learners.layered`). A channel-mixing convolution is another learner (`har.learners.cnn`).

    Positions of norms: each convolution, then each dense layer.

    Args:
        filters: Filters of each convolution.
        kernels: Samples that each convolution sees of its input.
        pool: Max-pooling after each convolution, in samples; 1 is none.
        dense: Units of each dense layer.
        dropout: Share of features dropped before the head in training; the paper has none.

    Raises:
        UsageError: When the settings contradict each other.
    """

    def __init__(
        self,
        filters: list[int] = [50, 40, 30],  # noqa: B006  (shown as the default by --help, never written to)
        kernels: list[int] = [11, 10, 6],  # noqa: B006
        pool: list[int] = [2, 3, 1],  # noqa: B006
        dense: list[int] = [1000],  # noqa: B006
        dropout: float = 0.0,
    ) -> None:
        require_convolutions("SharedCNN", filters, kernels, pool, "[50, 40, 30]")
        require_widths("SharedCNN", "dense", dense, "dense layer", "[1000]")
        require_share("SharedCNN", dropout)
        self.filters, self.kernels, self.pool = list(filters), list(kernels), list(pool)
        self.dense = list(dense)
        self.dropout = dropout

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network; see `Learner.build`."""
        layers = Layers(
            filters=tuple(self.filters),
            kernels=tuple(self.kernels),
            pool=tuple(self.pool),
            dense=tuple(self.dense),
            dropout=self.dropout,
        )
        return LayeredFeatures("SharedCNN", layers, channels, samples, norm)
