"""A small study on a small fake of SPAR: real configurations, real runs of a second, three folds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from har.windows.prepare import prepare
from tests.fakes.stores import faked

BASE = """
name: small
seed_everything: 0
threads: 1
data: {name: spar, window_s: 2.0, step_s: 0.5, batch_size: 32}
model:
  learner: {class_path: har.learners.cnn.CNN, init_args: {filters: [8, 8], kernel: 5, pool: [4, 2]}}
  norm: {placement: every}
  scaling: channel
  learning_rate: 0.003
trainer: {max_steps: 30, val_check_interval: 5}
"""

STUDY: dict[str, Any] = {
    "name": "small",
    "question": "Is every better than none?",
    "base": "base.yaml",
    "variants": {"none": {"model.norm.placement": "none"}, "every": {"model.norm.placement": "every"}},
    "protocol": {"folds": "three.json"},
    "contrasts": [{"a": "every", "b": "none", "primary": True}],
}


def fold(test: str, *, train: tuple[str, ...] = ("4", "5", "6", "7"), validation: str = "8") -> dict[str, Any]:
    return {"name": f"subject-{test}", "train": list(train), "validation": [validation], "test": [test]}


def write_root(folder: Path) -> Path:
    """Prepare the fake of SPAR below a data root."""
    card, written = faked("spar", folder / "raw")
    prepare(card, source=written["source"], root=folder)
    return folder


def write_study(folder: Path, folds: list[dict[str, Any]] | None = None, **changes: Any) -> Path:
    """Write base, folds and study file; return the study file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.yaml").write_text(BASE)
    (folder / "three.json").write_text(json.dumps({"folds": folds or [fold("1"), fold("2"), fold("3")]}))
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return path
