"""Averaged weights: the mean of the weights along the last steps, which is judged and used instead of the last ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

_KEY = "weights_in_training"  # in a checkpoint whose weights are the averaged ones


class WeightAveraging(Callback):
    """An exponential moving average of weights and running statistics.

    After Polyak & Juditsky (1992) and, with a decay, Tarvainen & Valpola (2017, arXiv 1703.01780). Validation, and so
    the choice of the step, and every prediction take the average. The first steps are forgotten quickly: at step t the
    decay is at most (1 + t)/(10 + t). A checkpoint's weights are the averaged ones; those that training goes on with
    lie beside them.

    Args:
        network: What is averaged.
        decay: Weight of what was there before at each step, in (0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay = network, decay
        self._average: dict[str, Tensor] = {}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network have the average for the time of a ``with`` block, where there is one."""
        if not self._average:
            yield
            return
        own = {name: value.clone() for name, value in self._network.state_dict().items()}
        self._network.load_state_dict(self._average)
        try:
            yield
        finally:
            self._network.load_state_dict(own)

    @torch.no_grad()
    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        """Add the step's weights to the average."""
        state = self._network.state_dict()
        if not self._average:
            self._average = {name: value.clone() for name, value in state.items()}
            return
        step = trainer.global_step
        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, value in state.items():
            if value.is_floating_point():
                self._average[name].lerp_(value, weight)
            else:  # a count of batches
                self._average[name].copy_(value)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Make the averaged weights those of the checkpoint."""
        if self._average:
            checkpoint[_KEY] = {name: value.clone() for name, value in self._network.state_dict().items()}
            prefix = next(name for name, part in pl_module.named_modules() if part is self._network)
            checkpoint["state_dict"] |= {f"{prefix}.{name}": value for name, value in self._average.items()}

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Go on with the weights in training; the checkpoint's own, which are in the network now, are the average."""
        self._average = {name: value.clone() for name, value in self._network.state_dict().items()}
        self._network.load_state_dict(checkpoint[_KEY])
