"""What should not matter to a trained network: its sensors' gain and offset, and who shares a window's batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from har.norms.sensitivity import batch_sensitivity, gain_accuracy, offset_accuracy
from har.training.samples import Sample

# probe, what it was measured at (not a number where nothing), value
Finding = tuple[str, float, float]


def sensor_probes(network: nn.Module, sample: Sample, deviation_C: Tensor, device: torch.device) -> list[Finding]:
    """Return ``equi.gain`` and ``equi.offset``, accuracies of windows that are multiplied or shifted as a whole.

    Args:
        network: The network, within `har.norms.freeze.unchanged`. It is left in inference mode.
        sample: The windows.
        deviation_C: Deviation of each channel over the training windows, in the store's units.
        device: Where the network is.
    """
    network.eval()

    def predict(x_NTC: Tensor) -> Tensor:
        with torch.no_grad():
            logits_NK: Tensor = network(x_NTC.to(device)).cpu()
        return logits_NK

    gains = gain_accuracy(predict, sample.x_NTC, sample.label_N)
    offsets = offset_accuracy(predict, sample.x_NTC, sample.label_N, deviation_C.float())
    return [
        *(("equi.gain", gain, accuracy) for gain, accuracy in gains.items()),
        *(("equi.offset", offset, accuracy) for offset, accuracy in offsets.items()),
    ]


def batch_mate_probes(
    network: nn.Module, sample: Sample, size: int, seed: int, device: torch.device, rewind: Callable[[], None]
) -> dict[str, float]:
    """Return ``batch.sensitivity.random``, ``.activity`` and ``.subject``.

    Args:
        network: The network, within `har.norms.freeze.unchanged`. It is left in training mode without dropout.
        sample: The windows; enough of each activity and subject to fill a batch.
        size: Windows of a training batch.
        seed: Seed of the batches.
        device: Where the network is.
        rewind: What `unchanged` gave: every batch meets the same running statistics.
    """
    for layer in network.modules():
        layer.training = not isinstance(layer, _DropoutNd)

    def predict(x_NTC: Tensor) -> Tensor:
        rewind()
        with torch.no_grad():
            logits_NK: Tensor = network(x_NTC.to(device)).cpu()
        return logits_NK

    generator = torch.Generator().manual_seed(seed)
    found = batch_sensitivity(predict, sample.x_NTC, sample.label_N, sample.subject_N, size, generator)
    return {f"batch.sensitivity.{mates}": change for mates, change in found.items()}
