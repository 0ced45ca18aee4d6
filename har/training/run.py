"""One run, one place: `run(config, folder)` is the only way a run happens.

A folder counts as a finished run only when its ``run.json`` says ``done``; that file is written last. Whatever
happens before, the weights of the last evaluation are there to go on from.
"""

from __future__ import annotations

import copy
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from filelock import FileLock, Timeout

from har.errors import DataError, HarError, RunError, UsageError
from har.evaluation.scores import score_run
from har.files import sha256_of_json, write_json, write_text
from har.norms.inferences import RUNNING, check
from har.training import provenance
from har.training.callbacks import MetricsLog, Progress, checkpoints
from har.training.checkpoint import WholeFileIO, load_checkpoint, restore
from har.training.cli import parts, quiet
from har.training.datamodule import HarDataModule
from har.training.inference import predicted, write_test_files
from har.training.module import MONITOR, HarModule
from har.training.statistics import probabilities
from har.windows.prepare import open_store
from har.windows.segment import missing_activities
from har.windows.splits import Fold

# Where a run lies and what it prints while it runs do not change its result.
_PLACES: tuple[tuple[str, ...], ...] = (("name",), ("data", "root"), ("trainer", "enable_progress_bar"))
# Settings that identify a run only where they are not the default: runs from before they were there still count.
_UNLESS: dict[tuple[str, ...], Any] = {("inferences",): [RUNNING], ("model", "precise_validation"): False}


def run(config: dict[str, Any], folder: Path, *, resume: bool = False, facts: dict[str, Any] | None = None) -> Path:
    """Train one learner on one fold, restore its best weights, predict the test subjects once, score.

    Args:
        config: A complete configuration (`har.training.cli.resolve`).
        folder: The run's folder. It is made.
        resume: Go on from ``checkpoints/last.ckpt`` of an unfinished run of the same configuration.
        facts: What a study knows of the run (``variant``, ``repeat``, …), kept in ``run.json``.

    Returns:
        The folder.

    Raises:
        UsageError: When the folder holds a finished run, an unfinished one without `resume`, or one that differs.
        DataError: When the data set is not prepared or damaged, or the checkpoint to resume from is.
        RunError: When training fails or diverges.
        LeakageError: When a subject, recording or sample would be on two sides.
    """
    started = provenance.now()
    with _own(folder):
        _require_free(folder, resume)
        record: dict[str, Any] = {**(facts or {}), "seed": config["seed_everything"], "started": started}
        # The record of a run that is to be resumed stays as it is until it goes on.
        with nullcontext() if resume else _failure_recorded(folder, record):
            module, data, settings = parts(config)
            data.setup()
        config = copy.deepcopy(config)
        config["data"]["fold"] = data.fold.name
        record |= _record(config, data)
        if resume:
            _require_same(folder, record["hashes"])
        _write_inputs(folder, config, data)
        write_json(folder / "run.json", {"status": "running", **record})
        with _failure_recorded(folder, record):
            outcome = _train_and_judge(folder, module, data, settings, config, resume)
        write_json(folder / "run.json", {"status": "done", **record, **outcome})
    return folder


@contextmanager
def _failure_recorded(folder: Path, record: dict[str, Any]) -> Iterator[None]:
    """Write why a run failed into its run.json, for whoever finds the folder; the error goes on."""
    try:
        yield
    except Exception as error:
        sentence = str(error) if isinstance(error, HarError) else f"{type(error).__name__}: {error}"
        with suppress(OSError):  # a full disk is the error to tell, not that it could not be told here
            write_json(folder / "run.json", {"status": "failed", **record, "error": sentence})
        raise


def identity(config: dict[str, Any]) -> dict[str, str]:
    """Return the hashes that a finished run of this configuration must have: config, data and split.

    Raises:
        DataError: When the data set is not prepared.
        UsageError: When its fold does not exist.
    """
    data = HarDataModule(**config["data"])
    store = open_store(data.data_set, data.root)
    return _hashes(config, store.sha256, data.find_fold(store))


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


def read_run(folder: Path) -> dict[str, Any]:
    """Return a run's ``run.json``.

    Raises:
        UsageError: When the folder is no run.
        DataError: When the file is damaged.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise UsageError(f"{folder} holds no run: there is no run.json.", "Give the folder that har fit named.")
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["status"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise DataError(f"{path} is damaged.", "Delete the folder and repeat the run.") from None
    return record


def read_config(folder: Path) -> dict[str, Any]:
    """Return the complete configuration that a run was made with.

    Raises:
        UsageError: When the folder is no run.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise UsageError(f"{folder} holds no run: there is no config.yaml.", "Give the folder that har fit named.")
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return config


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the run's folder {folder} cannot be made: {error.strerror}.", "Choose another.") from None
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"another process is writing the run {folder}.", "Wait for it, or choose --out.") from None
    try:
        yield
    finally:
        lock.release()


def _require_free(folder: Path, resume: bool) -> None:
    """Refuse a folder whose content would be lost, or that has nothing to resume."""
    there = {path.name for path in folder.iterdir()} - {".lock"}
    if "run.json" in there and read_run(folder)["status"] == "done":
        raise UsageError(
            f"{folder} holds a finished run, which is never overwritten.",
            "Choose another folder with --out, or delete this one.",
        )
    last = folder / "checkpoints" / "last.ckpt"
    if resume and not last.is_file():
        raise UsageError(f"{folder} has nothing to resume from: there is no checkpoints/last.ckpt.", "Start it anew.")
    if not resume and last.is_file():
        raise UsageError(
            f"{folder} holds an unfinished run.", f"Go on with it: har fit --resume {folder}; or delete the folder."
        )
    if not resume and there and "run.json" not in there and "config.yaml" not in there:
        raise UsageError(f"{folder} holds files that are no run ({sorted(there)[0]}).", "Choose another --out.")


def _require_same(folder: Path, hashes: dict[str, str]) -> None:
    """Refuse to go on with a run under another configuration, other data or another split."""
    earlier = read_run(folder).get("hashes", {})
    differ = [name for name, value in hashes.items() if earlier.get(name) != value]
    if differ:
        raise UsageError(
            f"the unfinished run {folder} has another {' and '.join(differ)}.",
            "A run is resumed only as it was started; choose another --out for the new one.",
        )


def _hashes(config: dict[str, Any], store_sha256: str, fold: Fold) -> dict[str, str]:
    """Return what identifies a run's result."""
    settings = copy.deepcopy(config)
    for path in _PLACES:
        _section(settings, path).pop(path[-1], None)
    for path, default in _UNLESS.items():
        if _section(settings, path).get(path[-1], default) == default:
            _section(settings, path).pop(path[-1], None)
    for name in ("fold", "folds", "fold_count", "validation_subjects"):
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


def _record(config: dict[str, Any], data: HarDataModule) -> dict[str, Any]:
    """Return what run.json says of a run before it is trained."""
    settings = config["data"]
    return {
        "error": None,
        "data_set": data.data_set,
        "fold": data.fold.record(),
        "hashes": _hashes(config, data.store.sha256, data.fold),
        "activities": data.activities,
        **{key: settings[key] for key in ("window_s", "step_s", "label_rule", "min_purity", "null")},
        "rate_hz": data.store.rate_hz,
        "train_windows": len(data.train),
        "validation_windows": len(data.validation),
        "test_windows": len(data.test),
        "classes_missing": {
            "validation": missing_activities(data.validation),
            "test": missing_activities(data.test),
        },
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "threads": config["threads"],
        "machine": provenance.machine(),
    }


def _write_inputs(folder: Path, config: dict[str, Any], data: HarDataModule) -> None:
    """Save the configuration, which runs again as it is, and the fold."""
    write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    write_json(folder / "fold.json", data.fold.record())


def _train_and_judge(
    folder: Path,
    module: HarModule,
    data: HarDataModule,
    settings: dict[str, Any],
    config: dict[str, Any],
    resume: bool,
) -> dict[str, Any]:
    """Fit, restore the best weights, predict the test windows, score; return the outcome for run.json."""
    clock = time.monotonic()
    torch.set_num_threads(config["threads"])
    with quiet():
        trainer, best = _trainer(folder, settings, f"{folder.parent.parent.name} {data.fold.name}")
        _fit(trainer, module, data, folder / "checkpoints" / "last.ckpt" if resume else None)
        restore(module, folder / "checkpoints" / "best.ckpt")
        score = best["score"]()
        _require_restored(trainer, module, data, score)
        step = load_checkpoint(folder / "checkpoints" / "best.ckpt")["global_step"]
        predictions = {
            inference.name: probabilities(inference, module, data, step, partial(predicted, trainer, module))
            for inference in check(config.get("inferences", [RUNNING]))
        }
    write_test_files(folder, data, predictions)
    for name in predictions:
        score_run(folder, inference=name)
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "best_step": step,
        "best_validation_macro_f1": score,
        "finished": provenance.now(),
        "seconds": round(time.monotonic() - clock, 3),
        "peak_memory_mib": provenance.peak_memory_mib(),
    }


def _trainer(folder: Path, settings: dict[str, Any], label: str) -> tuple[pl.Trainer, dict[str, Any]]:
    """Build the trainer with the run's own callbacks; also return how to ask for the best validation score."""
    interval, steps = settings["val_check_interval"], settings["max_steps"]
    if not isinstance(interval, int) or not 0 < interval <= steps:
        raise UsageError(
            f"trainer.val_check_interval {interval} is no number of steps between 1 and trainer.max_steps {steps}.",
            "Weights are chosen at evaluations, so there must be at least one.",
        )
    show = settings.pop("enable_progress_bar", None) is not False
    best, last = checkpoints(folder / "checkpoints")
    callbacks: list[pl.Callback] = [MetricsLog(folder / "metrics.jsonl"), best, last]
    callbacks += [Progress(label)] if show else []
    plugins = [*(settings.pop("plugins", None) or []), WholeFileIO()]
    trainer = pl.Trainer(
        **settings,
        plugins=plugins,
        callbacks=callbacks,
        logger=False,
        max_epochs=-1,
        default_root_dir=folder,
        enable_progress_bar=show,
    )
    return trainer, {"score": lambda: float(best.best_model_score)}  # type: ignore[arg-type]


def _fit(trainer: pl.Trainer, module: HarModule, data: HarDataModule, checkpoint: Path | None) -> None:
    """Run Lightning's fit, from a checkpoint if one is given; Ctrl-C stays a KeyboardInterrupt."""
    handler = signal.getsignal(signal.SIGINT)
    if checkpoint is not None:
        load_checkpoint(checkpoint)  # a broken file is a clear error here
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as stop:  # Lightning turns Ctrl-C into exit code 1 and ignores the signal from then on
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stop


def _require_restored(trainer: pl.Trainer, module: HarModule, data: HarDataModule, score: float) -> None:
    """Fail the run when the restored weights do not score what the chosen ones scored."""
    trainer.validate(module, dataloaders=data.val_dataloader(), verbose=False)
    again = module.validation_scores[MONITOR]
    if abs(again - score) > 1e-6:
        raise RunError(
            f"the restored weights have validation macro F1 {again:.6f}, the chosen ones had {score:.6f}.",
            "best.ckpt is not what was selected; delete the run's folder and repeat it.",
        )
