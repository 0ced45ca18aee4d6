"""Other weights or statistics for validation, while training goes on with its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from har.errors import DataError, DivergenceError
from har.norms.statistics import replaced
from har.training.statistics import training_statistics

if TYPE_CHECKING:
    from har.training.module import HarModule

State = Callable[["HarModule", int], AbstractContextManager[None]]  # given the module and the step


class PreciseValidation(Callback):
    """Validates with another state of the network, and gives training its own back afterwards.

    Training does not notice: no weight, running statistic, mode or random state differs behind a validation.

    Args:
        states: What is put in, one upon the other: averaged weights, or the exact statistics of `exact_statistics`.
    """

    def __init__(self, states: list[State]) -> None:
        self._states = states
        self._stack = ExitStack()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put them in."""
        for state in self._states:
            self._stack.enter_context(state(cast("HarModule", pl_module), trainer.global_step))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take them out, the last one first; Lightning writes checkpoints after this."""
        self._stack.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Take them out where validation ended early."""
        self._stack.close()


@contextmanager
def exact_statistics(module: HarModule, step: int) -> Iterator[None]:
    """Let a module have the exact statistics of all training windows for the time of a ``with`` block.

    Weights are then chosen without the lag and noise of running averages (Wu & Johnson 2021, arXiv 2105.07576, section
    3). It costs a forward pass over the training windows per evaluation.

    Raises:
        DivergenceError: When they are not finite: training has diverged.
    """
    assert module.data is not None  # noqa: S101 - whoever validates has set it
    try:
        found = training_statistics("population", module, module.data, step)
    except DataError as error:
        raise DivergenceError(
            f"training diverged at step {step}: {error.what}",
            "Lower model.learning_rate, or scale the input (model.scaling).",
        ) from None
    with replaced(module.network, found):
        yield
