"""Probes: what is measured of a run's layers at its evaluations, into `probes.parquet`; training does not notice."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn

from har.errors import UsageError
from har.evaluation.probes import SCHEMA, read_probes, write_probes
from har.training.datamodule import HarDataModule
from har.training.module import HarModule
from har.training.probing import Probing, Rows


@dataclass(frozen=True)
class ProbeSettings:
    """How much is measured.

    Args:
        times: Evaluations at which probes are measured, evenly over the run, the last among them; all, where there
            are fewer.
        batches: Training batches that are passed forward and backward in training mode.
        windows: Windows of each group of subjects that are passed forward in inference mode.
    """

    times: int = 10
    batches: int = 2
    windows: int = 256

    def require_possible(self) -> None:
        """Check the numbers.

        Raises:
            UsageError: When there would be nothing to measure, or nothing to compare.
        """
        for name, least in (("times", 1), ("batches", 1), ("windows", 2)):
            value = getattr(self, name)
            if value < least:
                raise UsageError(
                    f"probes.{name} {value} is below {least}.", "Usual are 10 times, 2 batches, 256 windows."
                )


def is_due(step: int, steps: int, interval: int, times: int) -> bool:
    """Return whether probes are measured at an evaluation.

    Args:
        step: Optimiser steps taken; a multiple of `interval`.
        steps: Steps of the run; a multiple too.
        interval: Steps from one evaluation to the next.
        times: Evaluations at which they are measured.
    """
    number, evaluations = step // interval, steps // interval
    wanted = min(times, evaluations)
    return number * wanted // evaluations > (number - 1) * wanted // evaluations


class Probes(Callback):
    """Measures probes at evaluations while a run trains.

    A resumed run first cuts its rows back to its checkpoint.

    Args:
        settings: How much is measured.
        path: The file.

    Attributes:
        seconds: Time that they have taken since this process began the run.
        earlier_s: Time that the measurements before a resume took, but for writing them.
    """

    def __init__(self, settings: ProbeSettings, path: Path) -> None:
        self._settings, self._path = settings, path
        self._table = SCHEMA.empty_table()
        self.seconds = self.earlier_s = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the samples, and keep the rows up to the step that training goes on from.

        Raises:
            DataError: When the rows of a run that is resumed are missing or damaged.
        """
        if trainer.global_step:
            table = read_probes(self._path)
            self._table = table.filter(pc.less_equal(table["step"], trainer.global_step))
            self.earlier_s = _cost(self._table)
        network, data = cast("HarModule", pl_module).network, cast("HarDataModule", trainer.datamodule)  # type: ignore[attr-defined]
        settings = self._settings
        rows = Rows(trainer.global_step)
        with rows.timed("samples"):
            self._probing = Probing(network, data, settings.batches, settings.windows, pl_module.device)
        self._add(rows)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure, if it is time to."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        interval = cast("int", trainer.val_check_interval)
        if is_due(trainer.global_step, trainer.max_steps, interval, self._settings.times):
            module, step = cast("HarModule", pl_module), trainer.global_step
            # The schedule, which is stepped with the optimiser, stands at the next step's rate already.
            rate = module.learning_rate * module.optimisation.factor(trainer.max_steps)(step - 1)
            self._add(self._probing.measure(step, trainer.optimizers[0], rate))

    def measure_held_out(self, step: int) -> None:
        """Measure the test subjects' shift once, when everything has been chosen and predicted.

        Args:
            step: The step that the weights are from.
        """
        self._add(self._probing.held_out(step))

    def _add(self, rows: Rows) -> None:
        """Write all rows, the new ones last, whole or not at all."""
        start = time.perf_counter()
        new = pa.Table.from_pylist(rows.rows, SCHEMA)
        self._table = pa.concat_tables([self._table, new])
        write_probes(self._path, self._table)
        self.seconds += _cost(new) + time.perf_counter() - start


def _cost(table: pa.Table) -> float:
    """Return the seconds that the measurements of some rows took."""
    costs = table.filter(pc.starts_with(table["probe"], "cost."))
    return float(pc.sum(costs["value"]).as_py() or 0.0)
