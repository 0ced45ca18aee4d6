"""Checkpoints: written whole, and put back exactly. `har.training.stored` reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from har.errors import UsageError
from har.files import replacing
from har.training.module import HarModule
from har.training.stored import load_checkpoint as load_checkpoint  # for those who restore, too


class WholeFileIO(TorchCheckpointIO):
    """Writes checkpoints beside their place and renames them.

    Lightning's own way goes through the system's temporary folder, from which a move to another file system is a copy
    that a power cut leaves in half.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save tensors and plain values, whole or not at all."""
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


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
