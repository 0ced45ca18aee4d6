"""A laboratory for human activity recognition with wearable sensors. Nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pathlib import Path

    from har.deploy.model import Model


def load(path: str | Path) -> Model:
    """Load a trained model: a run's folder, or an ``.onnx`` or ``.pt2`` file of `har export`.

    ``har.load("model.onnx").predict(signal, rate_hz=100)`` returns one row per window; see `har.deploy.model`.

    Args:
        path: The folder or the file.

    Raises:
        UsageError: There is no model of this name, or the run is not finished.
        DataError: The model is damaged.
    """
    from har.deploy.model import load as load_model

    return load_model(path)
