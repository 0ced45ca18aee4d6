"""Lightning's trainer as a run uses it: quiet, interruptible, and refusing impossible settings in one sentence."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.utils.deterministic
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning_fabric.utilities.exceptions import MisconfigurationException

from har.errors import UsageError
from har.training.cli import quiet


@contextmanager
def lightning() -> Iterator[None]:
    """Keep Lightning's advice off the screen, and Ctrl-C a KeyboardInterrupt.

    Lightning turns Ctrl-C into exit code 1 and ignores the signal from then on.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        with quiet():
            yield
    except SystemExit as stop:
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stop


def budgeted_trainer(
    folder: Path, settings: dict[str, Any], callbacks: list[pl.Callback], checkpoint_io: CheckpointIO
) -> pl.Trainer:
    """Build the trainer of a budget in steps, which ends with an evaluation.

    Args:
        folder: The run's folder, which need not be there.
        settings: The configuration's section ``trainer``.
        callbacks: What is done beside training.
        checkpoint_io: What checkpoints are given to.

    Raises:
        UsageError: When the budget is no whole number of evaluations, or Lightning refuses the settings.
    """
    interval, steps = settings["val_check_interval"], settings["max_steps"]
    if not isinstance(interval, int) or interval < 1 or steps < 1 or steps % interval:
        raise UsageError(
            f"trainer.max_steps {steps} is no multiple of trainer.val_check_interval {interval}.",
            "Weights are chosen at evaluations, so the last step must be one; both are positive numbers of steps.",
        )
    given = {key: value for key, value in settings.items() if key != "plugins"}
    return make_trainer(
        given,
        plugins=[*(settings.get("plugins") or []), checkpoint_io],
        callbacks=callbacks,
        logger=False,
        max_epochs=-1,
        default_root_dir=folder,
    )


def make_trainer(settings: dict[str, Any], **own: Any) -> pl.Trainer:
    """Build a trainer.

    Args:
        settings: The configuration's section ``trainer``.
        **own: What the caller decides by itself.

    Raises:
        UsageError: When Lightning refuses the settings, such as an accelerator that is not there.
    """
    # With deterministic algorithms torch also fills every new tensor with NaN, so that reading one before it is written
    # shows. Nothing here does that, and it takes a sixth of a step with batch norms.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # As it comes, a GPU convolves float32 with 10 bits (TF32). The matrix products of a stack have all 23.
    torch.backends.cudnn.allow_tf32 = False
    try:
        with quiet():
            return pl.Trainer(**settings, **own)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError, ImportError) as error:
        cause = " ".join(str(error).split()).removesuffix(".")
        raise UsageError(
            f"these trainer settings cannot be used: {cause}.", "All settings: har fit --help=all"
        ) from None
