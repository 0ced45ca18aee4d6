"""Networks of one architecture trained side by side as one module, since a small step leaves an accelerator idle.

Replica m has its own weights, statistics, batches, dropout, learning rate and validation windows; nothing of one
reaches another, so each comes out as if trained alone, up to rounding. All parameters of a replica are one row of a
matrix, so that the optimiser moves all replicas at once; `torch.func.vmap` maps the network over rows and buffers.

M = replicas, P = parameters of a replica, N = windows, T = samples, C = sensor channels, K = activities.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from har.errors import DivergenceError
from har.learners.classifier import Classifier
from har.norms.base import set_total_steps
from har.norms.weights import adaptive_shrinkage
from har.training.datamodule import HarDataModule
from har.training.evaluations import MONITOR, seed_step, validation_scores
from har.training.module import HarModule
from har.training.stacked_adamw import StackedAdamW
from har.training.stacked_windows import Source, StackedLoader, stacked_training, stacked_validation

_ADAMW = ("betas", "eps")


@dataclass
class Replica:
    """One of the networks that are trained side by side.

    Attributes:
        module: Its module, the network built. It gets the trained weights when they are asked for (`Stack.give_back`).
        data: Its data module, set up.
        scores: Loss and macro F1 of the last validation, as `HarModule.validation_scores`.
        error: Why it has no results, once its training has diverged.
    """

    module: HarModule
    data: HarDataModule
    scores: dict[str, float] = field(default_factory=dict)
    error: DivergenceError | None = None


class Stack(pl.LightningModule):
    """Replicas in training.

    Args:
        replicas: The replicas; their networks differ in values alone (`har.training.stackable`).
        steps: Optimiser steps of the run.

    Attributes:
        steps: The same.
    """

    def __init__(self, replicas: Sequence[Replica], steps: int) -> None:
        super().__init__()
        self.replicas = tuple(replicas)
        for replica in replicas:
            set_total_steps(replica.module.network, steps)
        first = replicas[0].module
        self._layout = Layout(first.network)
        self._template = (_Template(first.network),)  # in a tuple: its own parameters are no part of the stack
        self._dropouts = {name: layer.p for name, layer in first.network.named_modules() if _is_dropout(layer)}
        self._noise_shapes: list[tuple[str, float, torch.Size]] | None = None
        self.steps = steps
        self._names = [name for name, _ in first.network.named_buffers()]
        self.rows = nn.Parameter(self._layout.pack([replica.module.network for replica in replicas]))
        for name, value_M in _stacked_buffers([replica.module.network for replica in replicas]).items():
            self.register_buffer(_plain(name), value_M)
        self._loss_sum_M = torch.zeros(len(replicas))
        self._loss_steps = 0
        self._windows: Source | None = None

    @property
    def values(self) -> dict[str, Tensor]:
        """Everything of the replicas that training changes, each (replicas, …): rows and buffers."""
        return {"rows": self.rows.detach(), **{name: self.get_buffer(_plain(name)) for name in self._names}}

    def take(self) -> None:
        """Take weights and statistics from the replicas' own modules."""
        networks = [replica.module.network for replica in self.replicas]
        with torch.no_grad():
            self.rows.copy_(self._layout.pack(networks))
            for name, value_M in _stacked_buffers(networks).items():
                self.get_buffer(_plain(name)).copy_(value_M)

    @torch.no_grad()
    def give_back(self, number: int, values: dict[str, Tensor]) -> None:
        """Put a replica's weights and statistics into its own module.

        Args:
            number: The replica.
            values: As `values` returns them, of some step.
        """
        network = self.replicas[number].module.network
        for name, value in self._layout.views(values["rows"][number]).items():
            network.get_parameter(name).copy_(value)
        for name in self._names:
            network.get_buffer(name).copy_(values[name][number])

    def unpacked(self, row_P: Tensor) -> dict[str, Tensor]:
        """Return views of a row as tensors by parameter, in the order of the network."""
        return self._layout.views(row_P)

    def logits(self, x_MNTC: Tensor, noise: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return logits_MNK of every replica's windows, and loss_M of its features' own (`Classifier.learn`).

        Args:
            x_MNTC: float (replicas, windows, samples, channels).
            noise: For each dropout layer what its features are multiplied by, (replicas, …); only in training.
        """
        network = self._template[0].train(self.training)

        def one(row_P: Tensor, buffers: dict[str, Tensor], x_NTC: Tensor) -> tuple[Tensor, Tensor]:
            values = {**self._layout.views(row_P), **buffers}
            named = {f"network.{name}": value for name, value in values.items()}
            answers: tuple[Tensor, Tensor] = functional_call(network, named, (x_NTC,))
            return answers

        buffers = {name: self.get_buffer(_plain(name)) for name in self._names}
        answers: tuple[Tensor, Tensor] = vmap(one)(self.rows, {**buffers, **noise}, x_MNTC)
        return answers

    def training_losses(self, batch: tuple[Tensor, Tensor], step: int) -> Tensor:
        """Return loss_M of a batch (x_MNTC, label_MN) at an optimiser step."""
        x_MNTC, label_MN = batch
        if self.replicas[0].module.augmentation:
            windows = zip(self.replicas, x_MNTC, strict=True)
            x_MNTC = torch.stack([replica.module.augmented(x_NTC, step) for replica, x_NTC in windows])
        logits_MNK, own_M = self.logits(x_MNTC, self._noise(x_MNTC, step))
        loss_M: Tensor = vmap(self.replicas[0].module.loss)(logits_MNK, label_MN)
        return loss_M + own_M

    def _noise(self, x_MNTC: Tensor, step: int) -> dict[str, Tensor]:
        """Draw every replica's dropout of a step, in the order and of the sizes in which it would by itself."""
        if not any(self._dropouts.values()):
            return {}
        if self._noise_shapes is None:
            self._noise_shapes = self._drawn_by_one(x_MNTC[0])
        drawn: dict[str, list[Tensor]] = {f"{name}.noise": [] for name in self._dropouts}
        for replica in self.replicas:
            seed_step(replica.module.seed, step, x_MNTC.device)
            for name, p, shape in self._noise_shapes:
                ones = torch.ones(shape, dtype=self.rows.dtype, device=x_MNTC.device)
                drawn[f"{name}.noise"].append(functional.dropout(ones, p, True))
        return {name: torch.stack(parts) for name, parts in drawn.items()}

    def _drawn_by_one(self, x_NTC: Tensor) -> list[tuple[str, float, torch.Size]]:
        """Return name, share and shape of the dropouts of one replica's batch, in the order of its forward pass."""
        found: list[tuple[str, float, torch.Size]] = []
        network = copy.deepcopy(self.replicas[0].module.network).to(x_NTC).train()
        for name, layer in network.named_modules():
            if name in self._dropouts:

                def note(layer: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
                    found.append((name, self._dropouts[name], inputs[0].shape))

                layer.register_forward_hook(note)
        with torch.no_grad():
            network.learn(x_NTC)
        return found

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the sum of the replicas' losses: its gradient is each replica's own."""
        loss_M = self.training_losses(batch, self.global_step)
        self._loss_sum_M = self._loss_sum_M.to(loss_M.device) + loss_M.detach()
        self._loss_steps += 1
        return loss_M.sum()

    def take_train_losses(self) -> list[float]:
        """Return each replica's mean training loss since the last call."""
        losses: list[float] = (self._loss_sum_M / self._loss_steps).tolist()
        self._loss_sum_M, self._loss_steps = torch.zeros(len(self.replicas)), 0
        return losses

    def configure_optimizers(self) -> StackedAdamW:
        """Return AdamW for all rows, with the learning rate and decay that each replica's own optimiser has."""
        rates, decays = [], []
        for replica in self.replicas:
            module = replica.module
            own = module.optimisation.make(module.network.parameters(), module.learning_rate, module.weight_decay)
            rates.append(own.param_groups[0]["lr"])
            decay = {p: group["weight_decay"] for group in own.param_groups for p in group["params"]}
            decays.append(
                torch.cat(
                    [torch.full((p.numel(),), decay[p], dtype=torch.float64) for p in module.network.parameters()]
                )
            )
        constants = {name: own.param_groups[0][name] for name in _ADAMW}
        factor = self.replicas[0].module.optimisation.factor(self.steps)
        rate_M, decay_MP = torch.tensor(rates, dtype=torch.float64), torch.stack(decays)
        return StackedAdamW(self.rows, rate_M, decay_MP, factor, **constants)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the features' gradients against their weights, if asked to."""
        limit = self.replicas[0].module.adaptive_clipping
        if limit is None or self.rows.grad is None:
            return
        weights, gradients = self._layout.views(self.rows), self._layout.views(self.rows.grad)
        for name in weights:
            if name.startswith("features."):
                clipped = vmap(lambda weight, gradient: gradient * adaptive_shrinkage(weight, gradient, limit))
                gradients[name].copy_(clipped(weights[name].detach(), gradients[name]))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip every replica's gradient by itself, as `torch.nn.utils.clip_grad_norm_` does with one."""
        gradient_MP = self.rows.grad
        if not gradient_clip_val or gradient_MP is None:
            return
        if gradient_clip_algorithm == "value":
            gradient_MP.clamp_(-gradient_clip_val, gradient_clip_val)
            return
        norm_M1 = torch.linalg.vector_norm(gradient_MP, dim=1, keepdim=True)
        gradient_MP.mul_((gradient_clip_val / (norm_M1 + 1e-6)).clamp(max=1.0))

    def train_dataloader(self) -> StackedLoader:
        """Return the batches of all replicas, each in the order of its own seed."""
        return stacked_training([replica.data for replica in self.replicas], self.steps, self._source())

    def val_dataloader(self) -> StackedLoader:
        """Return the validation windows of all replicas."""
        return stacked_validation([replica.data for replica in self.replicas], self._source())

    def _source(self) -> Source:
        """Return where windows come from, one for training and validation."""
        if self._windows is None or self._windows.device != self.device:
            data = self.replicas[0].data
            self._windows = Source(data.store.signal_TC, data.train.samples, self.device)
        return self._windows

    def on_validation_epoch_start(self) -> None:
        """Empty the counts."""
        replicas, activities = len(self.replicas), len(self.replicas[0].data.activities)
        self._cells_M = torch.zeros(replicas * activities**2, dtype=torch.int64, device=self.device)
        self._validation_loss_M = torch.zeros(replicas, dtype=torch.float64, device=self.device)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a batch of every replica's validation windows."""
        x_MNTC, label_MN = batch
        logits_MNK, _ = self.logits(x_MNTC, {})
        replicas, _, activities = logits_MNK.shape
        loss_MN = functional.cross_entropy(
            logits_MNK.flatten(0, 1), label_MN.flatten(), ignore_index=-1, reduction="none"
        )
        self._validation_loss_M += loss_MN.view(replicas, -1).sum(1)
        cell_MN = label_MN * activities + logits_MNK.argmax(2)
        cell_MN += torch.arange(replicas, device=cell_MN.device)[:, None] * activities**2
        there_MN = (label_MN >= 0).flatten()
        self._cells_M.index_add_(0, cell_MN.flatten().clamp(min=0), there_MN.long())

    def on_validation_epoch_end(self) -> None:
        """Score every replica; one whose loss is no longer a number has diverged and is left alone from then on."""
        activities = len(self.replicas[0].data.activities)
        counts_MKK = self._cells_M.view(-1, activities, activities).cpu().numpy()
        losses = self._validation_loss_M.tolist()
        for replica, counts_KK, loss in zip(self.replicas, counts_MKK, losses, strict=True):
            if replica.error is None:
                try:
                    replica.scores = validation_scores(counts_KK, loss, self.global_step)
                except DivergenceError as error:
                    replica.error = error

    @property
    def scored(self) -> list[float]:
        """What each replica's weights are chosen by, −1 where training has diverged."""
        return [-1.0 if replica.error else replica.scores[MONITOR] for replica in self.replicas]


class Layout:
    """Where each parameter of a network stands in a row of all of them.

    Args:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        self._shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
        self._sizes = [shape.numel() for shape in self._shapes.values()]

    def pack(self, networks: Sequence[nn.Module]) -> Tensor:
        """Return value_MP, the parameters of several networks as rows."""
        rows = [torch.cat([p.detach().flatten() for p in network.parameters()]) for network in networks]
        return torch.stack(rows)

    def views(self, row_P: Tensor) -> dict[str, Tensor]:
        """Return the parameters in a row, or in several (…, parameters), as views by name."""
        parts = torch.split(row_P, self._sizes, dim=-1)
        return {
            name: part.view(*row_P.shape[:-1], *shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }


class _GivenNoise(nn.Module):
    """Dropout whose noise is given to it: by vmap, which maps nothing random."""

    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("noise", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return x times the noise in training."""
        return x * self.noise if self.training else x


def _is_dropout(layer: nn.Module) -> bool:
    """Return whether a layer draws what it drops."""
    return isinstance(layer, nn.Dropout)


class _Template(nn.Module):
    """What is mapped over replicas: a copy of a network whose dropout layers are given their noise.

    Args:
        network: The network.
    """

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        for name, layer in network.named_modules():
            if _is_dropout(layer):
                self.network.set_submodule(name, _GivenNoise())

    def forward(self, x_NTC: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits_NK and the features' own loss, 0 where they have none."""
        logits_NK, own = self.network.learn(x_NTC) if self.training else (self.network(x_NTC), None)
        return logits_NK, logits_NK.new_zeros(()) if own is None else own


def _stacked_buffers(networks: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Return the buffers of several networks, each (replicas, …)."""
    found = [dict(network.named_buffers()) for network in networks]
    return {name: torch.stack([buffers[name] for buffers in found]) for name in found[0]}


def _plain(name: str) -> str:
    """Return a buffer's name without the dots that torch refuses."""
    return f"stacked/{name.replace('.', '/')}"
