"""What is written while a run trains: a line of metrics per evaluation, checkpoints, and progress for people."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, ProgressBar
from pytorch_lightning.trainer.states import TrainerFn

from har.files import parse_json, write_text
from har.training.evaluations import MONITOR
from har.training.module import HarModule


class MetricsLog(Callback):
    """Appends one JSON object per evaluation to ``metrics.jsonl``; a resumed run first cuts it back to its checkpoint.

    Args:
        path: The file.
        aside: Returns the seconds since the start that were no training; they do not count.
    """

    def __init__(self, path: Path, aside: Callable[[], float] = lambda: 0.0) -> None:
        self._path, self._aside = path, aside
        self._start_s = 0.0
        self._earlier_s = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the lines up to the step that training goes on from, drop the rest."""
        kept = [line for line in read_metrics(self._path) if line["step"] <= trainer.global_step]
        self._earlier_s = kept[-1]["seconds"] if kept else 0.0
        self._start_s = time.monotonic()
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Append the evaluation's line."""
        if trainer.state.fn != TrainerFn.FITTING or not isinstance(pl_module, HarModule):
            return
        add_metrics(
            self._path,
            step=trainer.global_step,
            epoch=trainer.global_step // trainer.datamodule.steps_per_epoch,  # type: ignore[attr-defined]
            train_loss=pl_module.take_train_loss(),
            scores=pl_module.validation_scores,
            learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
            seconds=self._earlier_s + time.monotonic() - self._start_s - self._aside(),
        )


def add_metrics(
    path: Path,
    *,
    step: int,
    scores: dict[str, float],
    seconds: float,
    epoch: int | None = None,
    train_loss: float | None = None,
    learning_rate: float | None = None,
) -> None:
    """Append the line of an evaluation to a file of metrics; a fit at once has no epochs and no learning rate."""
    line = {"step": step, "epoch": epoch, "train_loss": train_loss, **scores}
    line |= {"learning_rate": learning_rate, "seconds": round(seconds, 3)}
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a metrics file; a last line cut off by a crash is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(parse_json(text))
        except ValueError:
            break
    return lines


def checkpoints(folder: Path) -> list[ModelCheckpoint]:
    """Return the two checkpoints of a run: ``best.ckpt`` by validation macro F1, and ``last.ckpt`` to resume from.

    Two callbacks, because the option ``save_last`` of one writes only when the best one changes. The best comes first,
    so that the last one's state knows it. The first of equally good steps stays the best.
    """
    common: dict[str, Any] = {
        "dirpath": folder,
        "save_on_train_epoch_end": False,
        "enable_version_counter": False,  # else a resumed run would write best-v1.ckpt beside the stale best.ckpt
    }
    best = ModelCheckpoint(filename="best", monitor=MONITOR, mode="max", save_top_k=1, **common)
    last = ModelCheckpoint(filename="last", monitor=None, save_top_k=1, **common)
    return [best, last]


class Progress(ProgressBar):
    """One line per evaluation with the time left; on a terminal the line is renewed in place.

    Args:
        label: What is trained, shown first.
    """

    def __init__(self, label: str) -> None:
        super().__init__()
        self._label = label
        self._enabled = True

    def disable(self) -> None:
        """Print nothing; Lightning calls this on all but the first of several processes."""
        self._enabled = False

    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember when and at which step training began."""
        self._start_s, self._start_step = time.monotonic(), trainer.global_step

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the line of this evaluation."""
        if not self._enabled or trainer.state.fn != TrainerFn.FITTING or not isinstance(pl_module, HarModule):
            return
        elapsed_s = time.monotonic() - self._start_s
        done = trainer.global_step - self._start_step
        left_s = elapsed_s / max(done, 1) * (trainer.max_steps - trainer.global_step)
        text = (
            f"{self._label}  step {trainer.global_step}/{trainer.max_steps}  "
            f"validation macro F1 {pl_module.validation_scores[MONITOR]:.3f}  {elapsed_s:.1f} s  left {left_s:.0f} s"
        )
        end: str = os.linesep
        if sys.stderr.isatty():
            text, end = f"\r\x1b[2K{text}", "\n" if trainer.global_step >= trainer.max_steps else ""
        with contextlib.suppress(OSError):  # whoever read the progress has gone; the run goes on
            sys.stderr.write(text + end)
            sys.stderr.flush()
