"""A classifier in training: loss, optimiser, and the validation score that chooses its weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn import functional

from har.errors import UsageError
from har.learners.base import Learner
from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.cost import long_recurrences
from har.learners.fitted import require_no_norm
from har.learners.heads import Head
from har.learners.initialise import initialise
from har.norms.base import set_total_steps
from har.norms.lint import lint
from har.norms.plan import NormPlan
from har.norms.weights import clip_adaptively
from har.training.augment import Augmentation, Augmenter
from har.training.averaging import WeightAveraging
from har.training.datamodule import Batch, HarDataModule
from har.training.evaluations import seed_step, validation_scores
from har.training.optimisation import Optimisation
from har.training.precise import PreciseValidation, State, exact_statistics


class HarModule(pl.LightningModule):
    """A learner with its norm plan, trained on cross-entropy.

    The network is built when the data are known (`configure_model`), and its initial weights are a function of the
    seed and of their names. Dropout of step t is a function of the seed and t, so a resumed run draws the same.

    Args:
        learner: The feature learner and its settings. One that is fitted at once takes no steps: settings of steps (the
            learning rate, the optimisation, the augmentation, the trainer's) have no effect on it.
        norm: Which norm stands where.
        scaling: Fixed input scaling fitted on the training subjects: ``none``, ``scalar`` or ``channel``.
        learning_rate: The optimiser's learning rate; the largest one where a schedule changes it.
        weight_decay: Weight decay, on weights of convolutions and linear layers alone.
        adaptive_clipping: Largest ratio of the norms of a filter's gradient and weight (adaptive gradient clipping,
            usually 0.01, with norm kind ``scaled_weights``); the head's is free. None clips nothing.
        seed: The run's seed; linked to ``seed_everything``.
        precise_validation: Validate, and so choose the weights, with exact statistics of the batch norms over all
            training windows instead of running ones.
        optimisation: Optimiser, schedule, smoothing and weights of the loss, averaging of weights.
        augmentation: Random changes of the training windows.
        head: What stands behind the features: a linear layer trained with them, or a classifier fitted at once.
    """

    network: Classifier

    def __init__(
        self,
        learner: Learner = CNN(),  # noqa: B008  (immutable in use; the parser shows it as the default)
        norm: NormPlan = NormPlan(),  # noqa: B008
        scaling: str = "channel",
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        adaptive_clipping: float | None = None,
        seed: int = 0,
        precise_validation: bool = False,
        optimisation: Optimisation = Optimisation(),  # noqa: B008
        augmentation: Augmentation = Augmentation(),  # noqa: B008
        head: Head = Head(),  # noqa: B008
    ) -> None:
        super().__init__()
        if not learning_rate > 0 or not weight_decay >= 0:
            raise UsageError(
                f"learning rate {learning_rate} and weight decay {weight_decay} must be positive and not negative.",
                "Usual values are 0.001 and 0.01.",
            )
        if adaptive_clipping is not None and not adaptive_clipping > 0:
            raise UsageError(
                f"adaptive clipping at {adaptive_clipping} leaves no gradient.", "The usual value is 0.01."
            )
        norm.check_scaling(scaling)
        require_no_norm(learner, norm)
        head.require_behind(learner)
        self.learner, self.norm, self.scaling, self.head = learner, norm, scaling, head
        self.adaptive_clipping = adaptive_clipping
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.seed = seed
        self.precise_validation = precise_validation
        self.optimisation, self.augmentation = optimisation, augmentation
        self._augment: Augmenter | None = None
        self._weight_K: Tensor | None = None
        self.data: HarDataModule | None = None  # what exact statistics are measured on
        self.recipe: dict[str, Any] = {}
        self.observers: list[Callback] = []  # what looks on, with training's own statistics in place
        self.validation_scores: dict[str, float] = {}
        self._loss_sum = torch.zeros(())
        self._loss_steps = 0

    def description(self) -> dict[str, Any]:
        """Return what the network is made of, as plain values: learner and its settings, norm plan, scaling, head."""
        learner = {"class": type(self.learner).__name__, **vars(self.learner)}
        parts = {"learner": learner, "norm": dataclasses.asdict(self.norm), "scaling": self.scaling}
        return {**parts, "head": dataclasses.asdict(self.head)}

    def build(self, recipe: dict[str, Any], mean_C: Tensor, variance_C: Tensor) -> None:
        """Build and initialise the network for windows of a recipe.

        Args:
            recipe: What the model is fed with (`HarDataModule.recipe`).
            mean_C: Mean of each channel over all training windows.
            variance_C: Variance of each channel likewise. A checkpoint that is restored afterwards replaces both.

        Raises:
            UsageError: When the windows are too short for the learner or a channel is constant.
        """
        self.recipe = {**recipe, "model": self.description()}
        scaling = InputScaling(self.scaling, mean_C, variance_C, recipe["channels"])
        features = self.learner.build(len(recipe["channels"]), recipe["samples"], self.norm)
        self.network = Classifier(scaling, features, len(recipe["activities"]), self.head)
        initialise(self.network, self.seed)

    def configure_model(self) -> None:
        """Build the network for the data module's windows, unless that is done. Called by Lightning."""
        if not hasattr(self, "network"):
            data: HarDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
            self._build_for(data)

    def _build_for(self, data: HarDataModule) -> None:
        """Build the network for a data module that is set up."""
        self.data = data
        mean_C, variance_C = data.training_moments()
        self.build(data.recipe(), mean_C, variance_C)
        self._weight_K = self.optimisation.weights_of(data.train.label, len(data.activities))
        if self.augmentation:
            channels = self.recipe["preparation"]["channels"]
            self._augment = Augmenter(self.augmentation, channels, mean_C, variance_C.sqrt(), self.seed)

    def doubts(self, data: HarDataModule) -> list[str]:
        """Build the network for a data module, before any trainer does, and return what is doubtful about it."""
        self._build_for(data)
        x_1TC = torch.zeros(1, self.recipe["samples"], len(self.recipe["channels"]))
        return [
            *lint(self.network.features, x_1TC, batch=data.batch_size, scaled=self.scaling == "channel"),
            *long_recurrences(self.network.features, x_1TC, data.batch_size),
        ]

    def configure_callbacks(self) -> list[Callback]:
        """Return what averages weights, what validates with those or with exact statistics, and the observers.

        Called by Lightning, which runs them in this order: observers see training's own state put back.
        """
        own: list[Callback] = []
        decay = self.optimisation.weight_averaging
        states: list[State] = [exact_statistics] if self.precise_validation else []
        if decay is not None and self.trainer.training:  # afterwards the network has the chosen average already
            averaging = WeightAveraging(self.network, decay)
            own.append(averaging)
            states.insert(0, lambda *_: averaging.in_place())
        if decay is not None or states:  # without states it takes the place of fitting's
            own.append(PreciseValidation(states))
        return [*own, *self.observers]

    def forward(self, x_NTC: Tensor) -> Tensor:
        """Return logits_NK of x_NTC, float32 (windows, samples, channels) in the store's units."""
        logits_NK: Tensor = self.network(x_NTC)
        return logits_NK

    def configure_optimizers(self) -> Any:
        """Return the optimiser, and the schedule of its learning rate where it has one."""
        optimiser = self.optimisation.make(self.parameters(), self.learning_rate, self.weight_decay)
        if self.optimisation.schedule == "constant":
            return optimiser
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self.optimisation.factor(self.trainer.max_steps))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """Tell the norms how many forward passes the run has."""
        set_total_steps(self.network, self.trainer.max_steps * self.trainer.accumulate_grad_batches)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the features' gradients against their weights, if asked to."""
        if self.adaptive_clipping is not None:
            clip_adaptively(self.network.features.parameters(), self.adaptive_clipping)

    def seed_step(self, step: int) -> None:
        """Seed the dropout of a step from its address, so that it does not depend on what ran before."""
        seed_step(self.seed, step, self.device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed the step."""
        self.seed_step(self.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch, and add it to the mean since the last evaluation."""
        x_NTC, label_N = batch
        logits_NK, own_loss = self.network.learn(self.augmented(x_NTC, self.global_step))
        loss = self.loss(logits_NK, label_N)
        if own_loss is not None:
            loss = loss + own_loss
        self._loss_sum = self._loss_sum.to(loss.device) + loss.detach()  # no .item(): it would wait for the device
        self._loss_steps += 1
        return loss

    def augmented(self, x_NTC: Tensor, step: int) -> Tensor:
        """Return the training windows of a step, changed at random where that is asked for."""
        return x_NTC if self._augment is None else self._augment(x_NTC, step)

    def loss(self, logits_NK: Tensor, label_N: Tensor) -> Tensor:
        """Return the cross-entropy that training makes small: with its smoothing, and its weights of activities."""
        weight_K = None if self._weight_K is None else self._weight_K.to(logits_NK)
        smoothing = self.optimisation.label_smoothing
        return functional.cross_entropy(logits_NK, label_N, weight=weight_K, label_smoothing=smoothing)

    def take_train_loss(self) -> float | None:
        """Return the mean training loss since the last call, None when there was no step."""
        loss = float(self._loss_sum) / self._loss_steps if self._loss_steps else None
        self._loss_sum, self._loss_steps = torch.zeros(()), 0
        return loss

    def on_validation_epoch_start(self) -> None:
        """Empty the counts."""
        activities = len(self.recipe["activities"])
        self._confusion_KK = torch.zeros(activities, activities, dtype=torch.int64, device=self.device)
        self._validation_loss = torch.zeros((), dtype=torch.float64, device=self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch of validation windows."""
        x_NTC, label_N = batch
        logits_NK = self(x_NTC)
        self._validation_loss += functional.cross_entropy(logits_NK, label_N, reduction="sum")
        activities = len(self._confusion_KK)
        cells = torch.bincount(label_N * activities + logits_NK.argmax(1), minlength=activities**2)
        self._confusion_KK += cells.reshape(activities, activities)

    def on_validation_epoch_end(self) -> None:
        """Log loss and macro F1 (policy ``present``, over all validation windows together).

        Raises:
            DivergenceError: When the loss is no longer a number.
        """
        counts_KK = self._confusion_KK.cpu().numpy()
        self.validation_scores = validation_scores(counts_KK, float(self._validation_loss), self.global_step)
        self.log_dict(self.validation_scores)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return probability_NK, float32 (windows, activities)."""
        return torch.softmax(self(batch[0]), dim=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put in what the model must be fed with, as plain values, so that a checkpoint stands alone."""
        checkpoint["recipe"] = self.recipe
