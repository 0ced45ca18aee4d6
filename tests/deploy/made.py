"""Runs that nobody trained: what a finished run's folder holds, with weights of its own and random norm statistics."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from har.datasets.card import Card
from har.learners.base import Learner
from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.initialise import initialise
from har.norms.plan import NormPlan
from har.windows.prepare import open_store
from har.windows.store import Store

SMALL = CNN(filters=[8, 8], pool=[4, 2])


def made_run(
    folder: Path,
    store: Store,
    *,
    learner: Learner = SMALL,
    plan: NormPlan = NormPlan(),  # noqa: B008
    window_s: float = 2.0,
    step_s: float = 0.5,
    subjects: dict[str, list[str]] | None = None,
    root: Path | None = None,
) -> Path:
    """Write the folder of a run on a store: run.json, config.yaml and checkpoints/best.ckpt."""
    samples = round(window_s * store.rate_hz)
    signal_TC = np.asarray(store.signal_TC[: 100 * samples], np.float64)
    mean_C, variance_C = torch.from_numpy(signal_TC.mean(0)), torch.from_numpy(signal_TC.var(0) + 1e-6)
    activities = [name for name in store.activities if name != store.null]
    features = learner.build(len(store.channels), samples, plan)
    network = Classifier(InputScaling("channel", mean_C, variance_C, store.channels), features, len(activities))
    initialise(network, 0)
    with torch.no_grad():
        for _ in range(3):  # statistics of norms
            start = int(torch.randint(len(signal_TC) - 8 * samples, ()))
            network(torch.from_numpy(signal_TC[start : start + 8 * samples]).float().view(8, samples, -1))
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model = {
        "learner": {"class": type(learner).__name__, **vars(learner)},
        "norm": dataclasses.asdict(plan),
        "scaling": "channel",
    }
    recipe: dict[str, Any] = {
        "data_set": store.name,
        "samples": samples,
        "rate_hz": store.rate_hz,
        "channels": list(store.channels),
        "preparation": store.manifest["preparation"],
        "activities": activities,
        "model": model,
    }
    (folder / "checkpoints").mkdir(parents=True)
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "recipe": recipe, "global_step": 3}, folder / "checkpoints" / "best.ckpt")
    first, second, *others = store.subjects
    fold = {"name": f"subject-{first}", "train": others, "validation": [second], "test": [first], **(subjects or {})}
    hashes = {"config": "0" * 64, "data": store.sha256, "split": "0" * 64}
    record = {"status": "done", "fold": fold, "hashes": hashes, "commit": None, "versions": {"har-lab": "0"}}
    (folder / "run.json").write_text(json.dumps(record))
    data = {
        "name": store.name,
        "window_s": window_s,
        "step_s": step_s,
        "label_rule": "majority",
        "min_purity": 0.0,
        "null": "drop",
        "activities": None,
        "root": None if root is None else str(root),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    return folder


def prepared(card: Card, root: Path, **options: Any) -> Store:
    """Prepare a data set and open its store."""
    from har.windows.prepare import prepare

    return open_store(prepare(card, root=root, **options).name, root)
