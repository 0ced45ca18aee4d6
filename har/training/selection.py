"""What is kept of the replicas of a stack while it trains: each one's best state, the last one, lines of metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from har.files import write_text
from har.training.begin import Begun
from har.training.callbacks import add_metrics, checkpoints
from har.training.checkpoint import WholeFileIO
from har.training.stack import Stack
from har.training.stacked_adamw import StackedAdamW


class Kept(CheckpointIO):
    """Keeps what Lightning would write, for what all replicas have in common: step, epoch, loops."""

    def __init__(self) -> None:
        self.common: dict[str, Any] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Keep it."""
        own = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks")
        self.common = {name: value for name, value in checkpoint.items() if name not in own}

    def load_checkpoint(self, path: Any, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        """Refuse: a stack begins anew."""
        raise NotImplementedError(path)

    def remove_checkpoint(self, path: Any) -> None:
        """Do nothing: nothing was written."""


class Selection(Callback):
    """Keeps the state in which each replica scored best, and writes what each run writes while it trains.

    Args:
        stack: The stack.
        runs: Its runs.
        kept: What the trainer's checkpoints are given to.

    Attributes:
        chosen: For each run the step, epoch, loops and score of its best evaluation, None before the first one.
    """

    def __init__(self, stack: Stack, runs: Sequence[Begun], kept: Kept) -> None:
        self._stack, self._runs, self._kept = stack, runs, kept
        self.chosen: list[dict[str, Any] | None] = [None] * len(runs)
        self._best: dict[str, Tensor] = {}
        self._last: dict[str, Tensor] = {}
        self._score_M = torch.full((len(runs),), -1.0)
        self._start_s = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start_s = time.monotonic()
        for run in self._runs:
            write_text(run.folder / "metrics.jsonl", "")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep what has become better; write a line of metrics for each run."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        optimizer = trainer.optimizers[0]
        assert isinstance(optimizer, StackedAdamW)  # noqa: S101
        self._keep(trainer, {**self._stack.values, **optimizer.moments})
        seconds = (time.monotonic() - self._start_s) / len(self._runs)
        losses = self._stack.take_train_losses()
        for run, replica, loss, rate in zip(self._runs, self._stack.replicas, losses, optimizer.rates(), strict=True):
            if replica.error is None:
                add_metrics(
                    run.folder / "metrics.jsonl",
                    step=trainer.global_step,
                    epoch=trainer.global_step // run.data.steps_per_epoch,
                    train_loss=loss,
                    scores=replica.scores,
                    learning_rate=rate,
                    seconds=seconds,
                )
        trainer.should_stop = all(replica.error for replica in self._stack.replicas)

    def _keep(self, trainer: pl.Trainer, values: dict[str, Tensor]) -> None:
        """Keep the state of the replicas that have become better, and all as the last one."""
        score_M = torch.tensor(self._stack.scored)  # float32, as a trainer has it
        improved = score_M > self._score_M
        trainer.save_checkpoint(trainer.default_root_dir)
        for number in improved.nonzero().flatten().tolist():
            self.chosen[number] = {**self._kept.common, "score": float(score_M[number])}
        self._score_M = torch.where(improved, score_M, self._score_M)
        there = improved.to(self._stack.device)
        for name, value in values.items():
            before = self._best.get(name, value)
            self._best[name] = torch.where(there.view(-1, *[1] * (value.ndim - 1)), value, before)
        self._last = {name: value.clone() for name, value in values.items()}
        self._last_score_M = score_M

    def write(self) -> None:
        """Write ``best.ckpt`` and ``last.ckpt`` of every replica that has not diverged; modules keep the last state."""
        best, last = ({name: value.cpu() for name, value in state.items()} for state in (self._best, self._last))
        for number, (run, chosen) in enumerate(zip(self._runs, self.chosen, strict=True)):
            if chosen is not None and self._stack.replicas[number].error is None:
                self._write(number, run.best, chosen, best)
                self._write(number, run.last, self._kept.common, last)

    def _write(self, number: int, path: Path, common: dict[str, Any], state: dict[str, Tensor]) -> None:
        """Write a checkpoint from which the replica could go on by itself."""
        module = self._runs[number].module
        self._stack.give_back(number, state)
        checkpoint = {
            **{name: value for name, value in common.items() if name != "score"},
            "state_dict": module.state_dict(),
            "callbacks": self._callbacks(number),
            "optimizer_states": [self._optimizer(number, state, common["global_step"])],
            "lr_schedulers": [],
        }
        module.on_save_checkpoint(checkpoint)
        WholeFileIO().save_checkpoint(checkpoint, path)

    def _callbacks(self, number: int) -> dict[str, Any]:
        """Return the state of the callbacks that a run by itself has."""
        run, chosen = self._runs[number], self.chosen[number]
        assert chosen is not None  # noqa: S101
        best, last = checkpoints(run.folder / "checkpoints")
        score = torch.tensor(chosen["score"])
        best.best_model_score = best.kth_value = score
        best.current_score = self._last_score_M[number].clone()
        best.best_model_path = best.kth_best_model_path = str(run.best)
        best.best_k_models = {str(run.best): score}
        last.best_model_path = str(run.last)
        return {one.state_key: one.state_dict() for one in (best, last)}

    def _optimizer(self, number: int, state: dict[str, Tensor], step: int) -> dict[str, Any]:
        """Return the state that a replica's own optimiser would have."""
        module = self._runs[number].module
        parameters = dict(module.network.named_parameters())
        own = module.optimisation.make(parameters.values(), module.learning_rate, module.weight_decay)
        for group in own.param_groups:
            group["lr"] = module.learning_rate * module.optimisation.factor(self._stack.steps)(step)
        moments = {name: self._stack.unpacked(state[name][number]) for name in ("exp_avg", "exp_avg_sq")}
        for name, parameter in parameters.items():
            own.state[parameter] = {
                "step": torch.tensor(float(step)),
                **{moment: values[name].clone() for moment, values in moments.items()},
            }
        return own.state_dict()
