"""The plain stack: what a careful person writes who knows PyTorch, Lightning and the field, and tunes no speed.

Windows are cut into one array, z-scored by the training subjects and held in memory as (windows, channels, samples);
`TensorDataset` and `DataLoader` serve them, `Conv1d`, `BatchNorm1d` and `MaxPool1d` learn from them, Lightning with its
defaults trains. It uses nothing of the project and is not changed any more: it is what the project is timed against.

    python benchmarks/plain.py DATA.npz RUNS.json FOLDER [--threads 2]

DATA.npz holds ``signal`` (rows, channels), ``label`` (rows), and per recording ``start``, ``stop``, ``subject``.
RUNS.json holds ``settings`` (see `Settings`) and ``runs``: name, placement, seed, and the subjects of ``train``,
``validation`` and ``test``. FOLDER receives the test predictions and ``results.json``: macro F1, seconds of each run.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from sklearn.metrics import f1_score
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Settings:
    """What all runs share: samples of a window, samples from one to the next, the network, the budget."""

    samples: int = 200
    step: int = 50
    filters: tuple[int, ...] = (64, 64, 64)
    kernel: int = 5
    pool: tuple[int, ...] = (4, 2, 1)
    batch_size: int = 64
    max_steps: int = 600
    val_check_interval: int = 50
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2


def network(channels: int, activities: int, placement: str, settings: Settings) -> nn.Module:
    """Build the CNN: [convolution, norm or none, ReLU, max-pooling], mean over time, linear head."""
    layers: list[nn.Module] = [nn.BatchNorm1d(channels)] if placement == "input" else []
    width = channels
    for position, (filters, pool) in enumerate(zip(settings.filters, settings.pool, strict=True), start=1):
        normed = placement == "every" or (placement == "first" and position == 1)
        layers.append(nn.Conv1d(width, filters, settings.kernel, bias=not normed))
        nn.init.kaiming_uniform_(layers[-1].weight, nonlinearity="relu")
        if normed:
            layers.append(nn.BatchNorm1d(filters))
        layers.append(nn.ReLU())
        if pool > 1:
            layers.append(nn.MaxPool1d(pool))
        width = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, activities))


class PlainModule(pl.LightningModule):
    """The usual LightningModule: cross-entropy, AdamW, the loss logged at each step, macro F1 at each validation."""

    def __init__(self, channels: int, activities: int, placement: str, settings: Settings) -> None:
        super().__init__()
        self.network = network(channels, activities, placement, settings)
        self.settings = settings
        self.outputs: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of windows."""
        return self.network(x)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch."""
        x, y = batch
        loss = functional.cross_entropy(self(x), y)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        """Log the loss and keep the predictions for the F1."""
        x, y = batch
        logits = self(x)
        self.log("val_loss", functional.cross_entropy(logits, y), prog_bar=True)
        self.outputs.append((logits.argmax(1), y))

    def on_validation_epoch_end(self) -> None:
        """Log the macro F1 over all validation windows."""
        predicted, truth = (torch.cat(column).cpu().numpy() for column in zip(*self.outputs, strict=True))
        self.outputs.clear()
        self.log("val_f1", macro_f1(truth, predicted), prog_bar=True)

    def predict_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Return the probabilities of windows."""
        return torch.softmax(self(batch[0]), dim=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        return torch.optim.AdamW(
            self.parameters(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean F1 over the activities that occur."""
    return float(f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0))


def windows(data: dict[str, np.ndarray], subjects: list[str], settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Cut the subjects' recordings into (windows, channels, samples) with the label of most samples."""
    x, y = [], []
    for start, stop, subject in zip(data["start"], data["stop"], data["subject"], strict=True):
        if subject not in subjects:
            continue
        for first in range(start, stop - settings.samples + 1, settings.step):
            counts = np.bincount(data["label"][first : first + settings.samples] + 1)
            if counts.argmax() > 0:  # 0 stands for unlabelled
                x.append(data["signal"][first : first + settings.samples].T)
                y.append(counts.argmax() - 1)
    return np.stack(x).astype(np.float32), np.array(y, np.int64)


def one_run(data: dict[str, np.ndarray], run: dict[str, Any], settings: Settings, folder: Path) -> dict[str, Any]:
    """Train on one fold, predict its test subjects with the best weights, and score them."""
    began = time.perf_counter()
    pl.seed_everything(run["seed"], workers=True)
    parts = {part: windows(data, run[part], settings) for part in ("train", "validation", "test")}
    mean = parts["train"][0].mean((0, 2), keepdims=True)
    deviation = parts["train"][0].std((0, 2), keepdims=True)
    sets = {
        part: TensorDataset(torch.from_numpy((x - mean) / deviation), torch.from_numpy(y))
        for part, (x, y) in parts.items()
    }
    train = DataLoader(sets["train"], batch_size=settings.batch_size, shuffle=True, drop_last=True)
    validation = DataLoader(sets["validation"], batch_size=settings.batch_size)
    test = DataLoader(sets["test"], batch_size=settings.batch_size)
    module = PlainModule(data["signal"].shape[1], int(data["label"].max()) + 1, run["placement"], settings)
    best = ModelCheckpoint(folder / run["name"], monitor="val_f1", mode="max", save_last=True)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=settings.max_steps,
        val_check_interval=settings.val_check_interval,
        check_val_every_n_epoch=None,
        callbacks=[best],
        logger=CSVLogger(folder, name=run["name"]),
    )
    trainer.fit(module, train, validation)
    probabilities = torch.cat(trainer.predict(module, test, ckpt_path="best")).numpy()
    truth = parts["test"][1]
    np.savez(folder / f"{run['name']}.npz", truth=truth, probabilities=probabilities)
    score = macro_f1(truth, probabilities.argmax(1))
    return {"name": run["name"], "macro_f1": score, "seconds": time.perf_counter() - began}


def main() -> None:
    """Make every run of a list, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with np.load(options.data) as file:
        data = dict(file)
    plan = json.loads(options.runs.read_text(encoding="utf-8"))
    settings = Settings(**plan["settings"])
    results = [one_run(data, run, settings, options.folder) for run in plan["runs"]]
    (options.folder / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
