"""A finished run in use again: its network rebuilt from the checkpoint, on the fold it was made for or elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from har.errors import UsageError
from har.norms.inferences import check, parse
from har.training.checkpoint import load_checkpoint, restore
from har.training.cli import parts
from har.training.datamodule import HarDataModule, loader_in_order
from har.training.inference import predicted
from har.training.module import HarModule
from har.training.possible import require_possible
from har.training.statistics import probabilities
from har.training.trainer import lightning, make_trainer
from har.windows.segment import WindowIndex
from har.windows.store import Store

_MUST_MATCH = ("channels", "rate_hz", "samples", "activities")


class Trained:
    """The network of a checkpoint under a configuration. The configuration is never changed by the checkpoint.

    Args:
        config: A complete configuration, as in a run's ``config.yaml``.
        checkpoint: The weights, such as a run's ``checkpoints/best.ckpt``.

    Attributes:
        recipe: What the network must be fed with, from the checkpoint.
        data: The data module of the configuration, not yet set up.

    Raises:
        DataError: When the checkpoint is missing or damaged.
        UsageError: When the configuration describes another network than the checkpoint's.
    """

    def __init__(self, config: dict[str, Any], checkpoint: Path) -> None:
        content = load_checkpoint(checkpoint)
        self.recipe: dict[str, Any] = content["recipe"]
        self._step: int = content["global_step"]
        self._inferences = check(config["inferences"])
        self.module: HarModule
        self.data: HarDataModule
        self.module, self.data, settings = parts(config)
        self._checkpoint = checkpoint
        self._require_network(self.module.description())
        channels = len(self.recipe["channels"])
        self.module.build(self.recipe, torch.zeros(channels), torch.ones(channels))
        restore(self.module, checkpoint)
        self._trainer = make_trainer(
            {key: settings[key] for key in ("accelerator", "devices", "deterministic")},
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
        )
        torch.set_num_threads(config["threads"])

    def set_up(self) -> HarDataModule:
        """Set the configuration's data up and prove that they are what the network was trained for.

        Raises:
            UsageError: When channels, rate, window or activities differ from the checkpoint's.
        """
        self.data.setup()
        self.data.open_test()  # the weights were chosen by the run that made them
        self.module.data = self.data
        self._require_fit(self.data.recipe(), self.data.data_set)
        return self.data

    def validate(self) -> dict[str, float]:
        """Return loss and macro F1 (policy ``present``) over the windows of the validation subjects."""
        data = self.set_up()
        with lightning():
            self._trainer.validate(self.module, dataloaders=data.val_dataloader(), verbose=False)
        return self.module.validation_scores

    def probabilities(self, store: Store, index: WindowIndex) -> npt.NDArray[np.float32]:
        """Return probability_NK, float32 (windows, activities), of any windows of a store.

        Raises:
            UsageError: When the store's channels or rate, or the windows' length, are not the checkpoint's.
        """
        activities = self.recipe["activities"]
        fed = {"channels": list(store.channels), "rate_hz": store.rate_hz, "samples": index.samples}
        self._require_fit({**fed, "activities": activities}, store.name)
        with lightning():
            return predicted(self._trainer, self.module, loader_in_order(store, index))

    def test(self, names: Sequence[str] | None = None) -> dict[str, npt.NDArray[np.float32]]:
        """Return probability_NK, float32 (test windows, activities), under each inference.

        Args:
            names: The inferences; those of the configuration when None.

        Raises:
            UsageError: When channels, rate, window or activities differ from the checkpoint's, or data and network
                do not allow an inference.
            DataError: When statistics are not finite.
        """
        data = self.set_up()
        inferences = self._inferences if names is None else [parse(name) for name in names]
        require_possible([inference.name for inference in inferences], self.module, data)
        predict = partial(predicted, self._trainer, self.module)
        with lightning():
            return {
                inference.name: probabilities(inference, self.module, data, self._step, predict)
                for inference in inferences
            }

    def _require_network(self, configured: dict[str, Any]) -> None:
        """Refuse a configuration of another network: some settings would be overruled by the weights in silence."""
        for part, stored in self.recipe["model"].items():
            if configured[part] != stored:
                raise UsageError(
                    f"model.{part} is {configured[part]} in the configuration, but {self._checkpoint} was trained with "
                    f"{stored}.",
                    "A trained network is used as it was made: leave the setting as in its config.yaml.",
                )

    def _require_fit(self, fed: dict[str, Any], data_set: str) -> None:
        """Refuse data that the network was not trained for."""
        for key in _MUST_MATCH:
            if fed[key] != self.recipe[key]:
                raise UsageError(
                    f"{key} of {data_set} ({fed[key]}) differ from what {self._checkpoint} was trained on "
                    f"({self.recipe[key]}).",
                    "Prepare the data to the model's recipe, or train a model on these data.",
                )
