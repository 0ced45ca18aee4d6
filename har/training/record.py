"""What a run leaves behind about itself: run.json, its configuration, and the hashes that identify its result."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

from har.files import sha256_of_json
from har.learners.heads import Head
from har.norms.inferences import RUNNING
from har.training import provenance
from har.training.augment import Augmentation
from har.training.cli import parts
from har.training.datamodule import HarDataModule
from har.training.optimisation import Optimisation
from har.training.stored import read_config as read_config  # for those who identify a run, too
from har.training.stored import read_run as read_run
from har.windows.prepare import open_store
from har.windows.segment import missing_activities
from har.windows.splits import Fold

# Where a run lies, what it prints and what is measured of it while it runs do not change its result; nor does what is
# predicted with its weights, which can be more later (`har.training.added_inferences`).
_ASIDE: tuple[tuple[str, ...], ...] = (
    ("name",),
    ("data", "root"),
    ("trainer", "enable_progress_bar"),
    ("probes",),
    ("inferences",),
)
# Settings that identify a run only where they are not the default: runs from before they were there still count.
_UNLESS: dict[tuple[str, ...], Any] = {
    ("model", "precise_validation"): False,
    ("model", "adaptive_clipping"): None,
    ("model", "norm", "options"): {},
    ("model", "optimisation"): dataclasses.asdict(Optimisation()),
    ("model", "augmentation"): dataclasses.asdict(Augmentation()),
    ("model", "head"): dataclasses.asdict(Head()),
    ("data", "shift_s"): 0.0,
    ("data", "set_aside_s"): 0.0,
}


def identity(config: dict[str, Any], fold: Fold | None = None) -> dict[str, str]:
    """Return the hashes that a finished run of this configuration must have: config, data and split.

    Args:
        config: A complete configuration.
        fold: Its fold; found by its name when None.

    Raises:
        DataError: When the data set is not prepared.
        UsageError: When its fold does not exist.
    """
    data = HarDataModule(**config["data"])
    store = open_store(data.data_set, data.root)
    return _hashes(config, store.sha256, fold or data.find_fold(store))


def default_folder(config: dict[str, Any], root: Path) -> Path:
    """Return where a run lies when nobody says: experiment, data set, placement, fold, seed.

    Raises:
        UsageError: When the fold does not exist.
        DataError: When the data set is not prepared.
    """
    module, data, _ = parts(config)
    fold = data.find_fold(open_store(data.data_set, data.root))
    seed = f"seed-{config['seed_everything']}"
    return root / str(config["name"]) / data.data_set / module.norm.label / fold.name / seed


def _hashes(config: dict[str, Any], store_sha256: str, fold: Fold) -> dict[str, str]:
    """Return what identifies a run's result."""
    settings = copy.deepcopy(config)
    for path in _ASIDE:
        _section(settings, path).pop(path[-1], None)
    for path, default in _UNLESS.items():
        if _section(settings, path).get(path[-1], default) == default:
            _section(settings, path).pop(path[-1], None)
    for name in ("fold", "folds", "fold_count", "validation_subjects", "train_subjects"):
        settings["data"].pop(name, None)  # the subjects that they lead to are the split, wherever a folds file lies
    return {
        "config": sha256_of_json(settings),
        "data": store_sha256,
        "split": sha256_of_json({**fold.record(), "name": None}),
    }


def _section(settings: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return the mapping that holds the last key of a path."""
    for name in path[:-1]:
        settings = settings[name]
    return settings


def record_of(config: dict[str, Any], data: HarDataModule) -> dict[str, Any]:
    """Return what run.json says of a run before it is trained."""
    settings = config["data"]
    return {
        "error": None,
        "data_set": data.data_set,
        "fold": data.fold.record(),
        "hashes": _hashes(config, data.store.sha256, data.fold),
        "activities": data.activities,
        **{key: settings[key] for key in ("window_s", "step_s", "label_rule", "min_purity", "null", "batch_size")},
        "rate_hz": data.store.rate_hz,
        "train_windows": len(data.train),
        "validation_windows": len(data.validation),
        "test_windows": len(data.test),
        "set_aside_windows": len(data.set_aside) if data.set_aside_s else 0,
        "classes_missing": {
            "validation": missing_activities(data.validation),
            "test": missing_activities(data.test),
        },
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "threads": config["threads"],
        "probes": config.get("probes"),
        "inferences": list(config.get("inferences", [RUNNING])),
        "machine": provenance.machine(),
    }
