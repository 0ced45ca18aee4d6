"""Runs that nobody trained: what a finished run's folder holds, with weights of its own and random norm statistics."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

import har
from har.datasets.card import Card
from har.deploy.windows import Windows
from har.evaluation.counts import count
from har.evaluation.scores import summary
from har.files import write_json
from har.learners.base import Learner
from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.heads import Head
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
    head: Head = Head(),  # noqa: B008
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
    network = Classifier(InputScaling("channel", mean_C, variance_C, store.channels), features, len(activities), head)
    initialise(network, 0)
    with torch.no_grad():
        for _ in range(3):  # statistics of norms
            start = int(torch.randint(len(signal_TC) - 8 * samples, ()))
            network(torch.from_numpy(signal_TC[start : start + 8 * samples]).float().view(8, samples, -1))
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model: dict[str, Any] = {
        "learner": {"class": type(learner).__name__, **vars(learner)},
        "norm": dataclasses.asdict(plan),
        "scaling": "channel",
        "head": dataclasses.asdict(head),
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


def scored(run: Path, root: Path) -> Path:
    """Write the scores of a made run, which a finished run has too."""
    model, test = har.load(run), Windows.of_run(run, "test", str(root))
    (probability_NK,) = test.probabilities([model.probabilities])
    names = np.array(model.facts.activities, object)
    starts_s = test.index.start / model.facts.rate_hz
    columns = {
        "recording": test.index.recording,
        "start_s": starts_s,
        "end_s": starts_s + model.facts.window_s,
        "subject": test.subject_N,
        "truth": names[test.index.label],
        "prediction": names[probability_NK.argmax(1)],
        **{f"probability:{name}": probability_NK[:, k] for k, name in enumerate(names)},
    }
    write_json(run / "scores.json", summary(count(pd.DataFrame(columns))))
    return run


def prepared(card: Card, root: Path, **options: Any) -> Store:
    """Prepare a data set and open its store."""
    from har.windows.prepare import prepare

    return open_store(prepare(card, root=root, **options).name, root)
