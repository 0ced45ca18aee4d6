"""Checkpoints: read as tensors and plain values only, and put back exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from har.errors import DataError, UsageError
from har.files import replacing
from har.training.module import HarModule


class WholeFileIO(TorchCheckpointIO):
    """Writes checkpoints beside their place and renames them.

    Lightning's own way goes through the system's temporary folder, from which a move to another file system is a copy
    that a power cut leaves in half.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save tensors and plain values, whole or not at all."""
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as tensors and plain values only, never as a pickle of objects.

    Raises:
        DataError: When it is missing or damaged.
    """
    if not path.is_file():
        raise DataError(f"there is no checkpoint {path}.", "Repeat the run, or name another run.")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["state_dict"], checkpoint["recipe"]
    except Exception as error:  # noqa: BLE001  (torch raises many kinds for bytes that are no checkpoint)
        raise DataError(
            f"the checkpoint {path} is damaged, or is none ({type(error).__name__}).",
            "Name another, or repeat the run that wrote it.",
        ) from None
    return checkpoint


def restore(module: HarModule, path: Path) -> None:
    """Put the weights, statistics and scaling of a checkpoint into a built module.

    Raises:
        DataError: When the checkpoint is missing or damaged.
        UsageError: When it belongs to another network.
    """
    try:
        module.load_state_dict(load_checkpoint(path)["state_dict"])
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise UsageError(
            f"the weights in {path} do not fit the configured network: {detail}",
            "Use the configuration that they were trained with (config.yaml beside the checkpoints).",
        ) from None
