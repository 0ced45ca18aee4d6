"""Convolutions, then LSTM layers, then dense layers: the network of every learner of Li et al. (2018) and of its kin.

    window ─▶ [norm] ─▶ convolutions, one kernel for all sensors ─▶ LSTM layers, last state ─▶ dense layers ─▶ features

Any of the three parts may be empty. Kernels run along time alone and are shared by all sensors; sensors first mix where
the window is flattened, or in the first LSTM layer. Values keep the window's order: time, sensor, filter, the last
running fastest. That is also the order in which Keras flattens, so weights could be carried over.

Positions of norms count the layers with weights, in this order: convolutions, LSTM layers, dense layers. Behind a
convolution the statistics of a filter run over windows, samples and sensors; behind an LSTM layer, those of a unit over
windows and the states of all samples, the last layer's too, of which only the last goes on; behind a dense layer, over
windows. Behind an LSTM layer there is no activation, so `order` says nothing there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from har.learners.blocks import NormedInput, Stage, convolutional, flattened, fold_stages, recurrent
from har.learners.settings import reach, require_samples
from har.norms.plan import NormPlan


@dataclass(frozen=True)
class Layers:
    """What a layered network consists of.

    Attributes:
        filters: Filters of each convolution.
        kernels: Samples that each of them sees.
        pool: Max-pooling behind each, in samples.
        lstm: Units of each LSTM layer.
        dense: Units of each dense layer.
        dropout: Share of features dropped before the head in training.
    """

    filters: tuple[int, ...] = ()
    kernels: tuple[int, ...] = ()
    pool: tuple[int, ...] = ()
    lstm: tuple[int, ...] = ()
    dense: tuple[int, ...] = ()
    dropout: float = 0.0

    @property
    def depth(self) -> int:
        """Layers with weights."""
        return len(self.filters) + len(self.lstm) + len(self.dense)


class LayeredFeatures(NormedInput):
    """The network; see the module's docstring.

    Parameters are named ``input.norm.*``, ``block<l>.conv.*`` and ``block<l>.norm.*``, ``lstm<l>.lstm.*`` and
    ``lstm<l>.norm.*``, ``dense<l>.conv.*`` and ``dense<l>.norm.*``, each l counted from 1.

    Args:
        learner: Name of the learner, for messages.
        layers: What it consists of.
        channels: Sensor channels C.
        samples: Samples T of a window.
        norm: Which norm stands where.

    Raises:
        UsageError: When the window is too short for the convolutions.
    """

    def __init__(self, learner: str, layers: Layers, channels: int, samples: int, norm: NormPlan) -> None:
        super().__init__(norm, channels, samples, layers.depth)
        needed = f"kernels {list(layers.kernels)}, pool {list(layers.pool)}"
        require_samples(learner, samples, reach(layers.kernels, layers.pool), needed)
        self.layers, self.channels = layers, channels
        samples, values = self._add_convolutions(norm, channels, samples)
        self.receptive_field = reach(layers.kernels, layers.pool, samples)
        values = self._add_recurrences(norm, samples, values)
        self.features = self._add_dense(norm, samples, values)
        self.dropout = nn.Dropout(layers.dropout)

    def _add_convolutions(self, norm: NormPlan, channels: int, samples: int) -> tuple[int, int]:
        """Add the convolutions; return the samples that they leave, and the values at each."""
        layers, filters = self.layers, 1
        for position, width in enumerate(layers.filters, start=1):
            kernel, pool = layers.kernels[position - 1], layers.pool[position - 1]
            samples -= kernel - 1
            here = filters, width
            block = convolutional(norm, position, here, samples * channels, layers.depth, kernel=kernel, pool=pool)
            self.add_module(f"block{position}", block)
            samples, filters = samples // pool, width
        return samples, channels * filters

    def _add_recurrences(self, norm: NormPlan, samples: int, values: int) -> int:
        """Add the LSTM layers; return the values that are left at a sample."""
        for number, width in enumerate(self.layers.lstm, start=1):
            position = len(self.layers.filters) + number
            layer = recurrent(norm, position, (values, width), samples, self.layers.depth)
            self.add_module(f"lstm{number}", layer)
            values = width
        return values

    def _add_dense(self, norm: NormPlan, samples: int, values: int) -> int:
        """Add the dense layers; return the values that are left.

        The first of a network of nothing else is a convolution as long as the window, so that it is given channels and
        samples, as the first layer of any other network.
        """
        layers = self.layers
        direct = not layers.filters and not layers.lstm
        inputs = values if direct or layers.lstm else values * samples
        for number, width in enumerate(layers.dense, start=1):
            position = len(layers.filters) + len(layers.lstm) + number
            kernel = samples if direct and number == 1 else 1
            block = convolutional(norm, position, (inputs, width), 1, layers.depth, kernel=kernel)
            self.add_module(f"dense{number}", block)
            inputs = width
        return inputs

    def _stages(self) -> dict[str, Stage]:
        """Return the layers with weights by name, in the order of the forward pass."""
        parts = {"block": self.layers.filters, "lstm": self.layers.lstm, "dense": self.layers.dense}
        names = [f"{part}{number}" for part, widths in parts.items() for number in range(1, len(widths) + 1)]
        return {name: cast(Stage, self.get_submodule(name)) for name in names}

    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND of x_NTC; see `Features.forward`."""
        h_NFTS = self.normed(x_NTC)
        if self.layers.filters:
            h_NFTS = h_NFTS.permute(0, 3, 2, 1)  # channels become sensors that share kernels: one channel of each
        flat = False
        for name, stage in self._stages().items():
            if name.startswith("dense") and not flat:
                h_NFTS, flat = self._gathered(h_NFTS), True
            h_NFTS = stage(h_NFTS)
        features_ND: Tensor = self.dropout((h_NFTS if flat else self._gathered(h_NFTS)).flatten(1))
        return features_ND

    def _gathered(self, h_NFTS: Tensor) -> Tensor:
        """Return the last state of an LSTM, or what convolutions leave flattened, as channels of a single sample."""
        if self.layers.lstm:
            return h_NFTS[:, :, -1:]
        return flattened(h_NFTS) if self.layers.filters else h_NFTS

    def fold(self, head: nn.Linear) -> tuple[nn.Linear, list[str]]:
        """Fold each norm into the layer before or behind it, or into the head; see `Features.fold`.

        The norm of each input channel stays where sensors share the first kernels.
        """
        maps, left = self.release_input(self.channels, shared=bool(self.layers.filters))
        head, stay = fold_stages(self._stages(), maps, head)
        return head, left + stay
