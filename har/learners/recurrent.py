"""Learners with LSTM layers: LSTM and Hybrid of Li et al. (2018), and DeepConvLSTM with its shallow variant."""

from __future__ import annotations

from har.learners.base import Features, Learner
from har.learners.layered import LayeredFeatures, Layers
from har.learners.settings import require_convolutions, require_positive, require_share, require_widths
from har.norms.plan import NormPlan


class LSTM(Learner):
    """LSTM layers over the samples of the window, the last state into dense layers.

    Li et al. 2018, Sensors 18(2):679; the defaults are the paper's, on each of its data sets. Its norm plan is
    placement ``input_scalar`` with ``model.scaling: none``. Samples are worked through one after another, which makes
    long windows slow: a run says so before it starts (`har.learners.cost`).

    Positions of norms: each LSTM layer, then each dense layer.

    Args:
        units: Units of each LSTM layer.
        dense: Units of each dense layer; may be empty.
        dropout: Share of features dropped before the head in training; the paper has none.

    Raises:
        UsageError: When a setting is out of range.
    """

    def __init__(
        self,
        units: list[int] = [600, 600],  # noqa: B006  (shown as the default by --help, never written to)
        dense: list[int] = [512],  # noqa: B006
        dropout: float = 0.0,
    ) -> None:
        _require_recurrent("LSTM", units, dense, dropout)
        self.units, self.dense = list(units), list(dense)
        self.dropout = dropout

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network; see `Learner.build`."""
        layers = Layers(lstm=tuple(self.units), dense=tuple(self.dense), dropout=self.dropout)
        return LayeredFeatures("LSTM", layers, channels, samples, norm)


class Hybrid(Learner):
    """Convolutions whose kernels all sensors share, LSTM layers over the samples that they leave, then dense layers.

    Li et al. 2018, Sensors 18(2):679; the defaults are the paper's, on each of its data sets. Its norm plan is
    placement ``input_scalar`` with ``model.scaling: none``. The first LSTM layer is given the values of a sample in the
    order sensor, filter.

    Positions of norms: each convolution, then each LSTM layer, then each dense layer.

    Args:
        filters: Filters of each convolution.
        kernels: Samples that each convolution sees of its input.
        pool: Max-pooling after each convolution, in samples; 1 is none.
        units: Units of each LSTM layer.
        dense: Units of each dense layer; may be empty.
        dropout: Share of features dropped before the head in training; the paper has none.

    Raises:
        UsageError: When the settings contradict each other.
    """

    def __init__(
        self,
        filters: list[int] = [50],  # noqa: B006  (shown as the default by --help, never written to)
        kernels: list[int] = [11],  # noqa: B006
        pool: list[int] = [2],  # noqa: B006
        units: list[int] = [600, 600],  # noqa: B006
        dense: list[int] = [512],  # noqa: B006
        dropout: float = 0.0,
    ) -> None:
        require_convolutions("Hybrid", filters, kernels, pool, "[50]")
        _require_recurrent("Hybrid", units, dense, dropout)
        self.filters, self.kernels, self.pool = list(filters), list(kernels), list(pool)
        self.units, self.dense = list(units), list(dense)
        self.dropout = dropout

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network; see `Learner.build`."""
        layers = Layers(
            filters=tuple(self.filters),
            kernels=tuple(self.kernels),
            pool=tuple(self.pool),
            lstm=tuple(self.units),
            dense=tuple(self.dense),
            dropout=self.dropout,
        )
        return LayeredFeatures("Hybrid", layers, channels, samples, norm)


class DeepConvLSTM(Learner):
    """Convolutions without pooling whose kernels all sensors share, then LSTM layers; the features are the last state.

    Ordóñez & Roggen 2016, Sensors 16(1):115: four convolutions of 64 filters and 5 samples, two LSTM layers of 128
    units. ``units: [128]`` is the shallow variant of Bock et al. 2021 (arXiv 2108.00702), who found one LSTM layer
    better on five data sets. The original drops half of the values in front of its LSTM layers; here half of the
    features are dropped in front of the head, behind the last norm. The peepholes of its LSTM are left out.

    Positions of norms: each convolution, then each LSTM layer.

    Args:
        filters: Filters of each convolution; their number is the number of convolutions.
        kernel: Samples that a convolution sees of its input.
        units: Units of each LSTM layer.
        dropout: Share of features dropped before the head in training.

    Raises:
        UsageError: When a setting is out of range.
    """

    def __init__(
        self,
        filters: list[int] = [64, 64, 64, 64],  # noqa: B006  (shown as the default by --help, never written to)
        kernel: int = 5,
        units: list[int] = [128, 128],  # noqa: B006
        dropout: float = 0.5,
    ) -> None:
        require_widths("DeepConvLSTM", "filters", filters, "convolution", "[64, 64, 64, 64]")
        require_positive("DeepConvLSTM", "kernel", kernel, 5)
        _require_recurrent("DeepConvLSTM", units, [], dropout)
        self.filters, self.units = list(filters), list(units)
        self.kernel = kernel
        self.dropout = dropout

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network; see `Learner.build`."""
        count = len(self.filters)
        layers = Layers(
            filters=tuple(self.filters),
            kernels=(self.kernel,) * count,
            pool=(1,) * count,
            lstm=tuple(self.units),
            dropout=self.dropout,
        )
        return LayeredFeatures("DeepConvLSTM", layers, channels, samples, norm)


def _require_recurrent(learner: str, units: list[int], dense: list[int], dropout: float) -> None:
    """Refuse impossible widths of LSTM and dense layers, and an impossible dropout."""
    require_widths(learner, "units", units, "LSTM layer", "[128, 128]")
    if dense:
        require_widths(learner, "dense", dense, "dense layer", "[512]")
    require_share(learner, dropout)
