"""The multi-layer perceptron of Li et al. (2018): dense layers over the flattened window."""

from __future__ import annotations

from har.learners.base import Features, Learner
from har.learners.layered import LayeredFeatures, Layers
from har.learners.settings import require_share, require_widths
from har.norms.plan import NormPlan


class MLP(Learner):
    """Dense layers with ReLU over the flattened window, in the order time, channel.

    Li et al. 2018, Sensors 18(2):679. The defaults are the paper's on OPPORTUNITY; on UniMiB-SHAR it has
    ``[2000, 2000, 100]``. Its norm plan is placement ``input_scalar`` with ``model.scaling: none``.

    Positions of norms: each dense layer.

    Args:
        dense: Units of each dense layer.
        dropout: Share of features dropped before the head in training; the paper has none.

    Raises:
        UsageError: When a setting is out of range.
    """

    def __init__(
        self,
        dense: list[int] = [2000, 2000, 2000],  # noqa: B006  (shown as the default by --help, never written to)
        dropout: float = 0.0,
    ) -> None:
        require_widths("MLP", "dense", dense, "dense layer", "[2000, 2000, 2000]")
        require_share("MLP", dropout)
        self.dense = list(dense)
        self.dropout = dropout

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network; see `Learner.build`."""
        layers = Layers(dense=tuple(self.dense), dropout=self.dropout)
        return LayeredFeatures("MLP", layers, channels, samples, norm)
