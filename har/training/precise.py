"""Exact statistics for validation, while training goes on with its own."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from har.errors import DataError, DivergenceError
from har.norms.statistics import replaced
from har.training.statistics import training_statistics

if TYPE_CHECKING:
    from har.training.module import HarModule


class PreciseValidation(Callback):
    """Validates with exact statistics of all training windows, and gives the running ones back afterwards.

    Weights are then chosen without the lag and noise of running averages (Wu & Johnson 2021, arXiv 2105.07576, section
    3). Training does not notice: no weight, running statistic, mode or random state differs behind a validation, and a
    checkpoint holds the running statistics. It costs a forward pass over the training windows per evaluation.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure, and put the exact statistics in.

        Raises:
            DivergenceError: When they are not finite: training has diverged.
        """
        module = cast("HarModule", pl_module)
        assert module.data is not None  # noqa: S101 - whoever validates has set it
        try:
            found = training_statistics("population", module, module.data, trainer.global_step)
        except DataError as error:
            raise DivergenceError(
                f"training diverged at step {trainer.global_step}: {error.what}",
                "Lower model.learning_rate, or scale the input (model.scaling).",
            ) from None
        self._stack.enter_context(replaced(module.network, found))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the running statistics back; Lightning writes checkpoints after this."""
        self._stack.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Put them back where validation ended early."""
        self._stack.close()
