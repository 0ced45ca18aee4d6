"""One run, one place: `run(config, folder)` is the only way a run happens.

A folder counts as a finished run only when its ``run.json`` says ``done``; that file is written last. Whatever
happens before, the weights of the last evaluation are there to go on from.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from filelock import FileLock, Timeout
from pytorch_lightning.callbacks import ModelCheckpoint

from har.errors import DivergenceError, HarError, RunError, UsageError
from har.evaluation.probes import PROBES
from har.evaluation.scores import score_run
from har.files import write_json, write_text
from har.norms.base import skipped_updates
from har.norms.inferences import RUNNING, check
from har.training import provenance
from har.training.added_inferences import add_inferences, missing_inferences
from har.training.allocator import keep_freed_memory
from har.training.callbacks import MetricsLog, Progress, checkpoints, read_metrics
from har.training.checkpoint import WholeFileIO, load_checkpoint, restore
from har.training.cli import parts
from har.training.datamodule import HarDataModule
from har.training.inference import predicted, write_test_files
from har.training.module import MONITOR, HarModule
from har.training.probes import Probes, ProbeSettings
from har.training.record import read_run, record_of
from har.training.statistics import probabilities
from har.training.trainer import lightning, make_trainer


def run(config: dict[str, Any], folder: Path, *, resume: bool = False, facts: dict[str, Any] | None = None) -> Path:
    """Train one learner on one fold, restore its best weights, predict the test subjects once, score.

    Args:
        config: A complete configuration (`har.training.cli.resolve`).
        folder: The run's folder. It is made.
        resume: Go on with what is there of the same configuration: from ``checkpoints/last.ckpt`` of an unfinished
            run, or with a finished one that lacks some of `config`'s inferences, which are then made of its weights.
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
        if resume and missing_inferences(folder, config):
            add_inferences(folder, config)
            return folder
        _require_free(folder, resume)
        record: dict[str, Any] = {**(facts or {}), "seed": config["seed_everything"], "started": started}
        # The record of a run that is to be resumed stays as it is until it goes on.
        with nullcontext() if resume else _failure_recorded(folder, record):
            module, data, settings = parts(config)
            data.setup()
        config = copy.deepcopy(config)
        config["data"]["fold"] = data.fold.name
        record |= record_of(config, data)
        if resume:
            _require_same(folder, record)
            record["started"] = read_run(folder).get("started", started)
        _write_inputs(folder, config, data)
        with _failure_recorded(folder, record):
            record["warnings"] = _told(module.doubts(data))
            write_json(folder / "run.json", {"status": "running", **record})
            outcome = _train_and_judge(folder, module, data, settings, config, resume)
            record["warnings"] += _told(skipped_updates(module.network))
        write_json(folder / "run.json", {"status": "done", **record, **outcome})
    return folder


@contextmanager
def _failure_recorded(folder: Path, record: dict[str, Any]) -> Iterator[None]:
    """Write why a run failed into its run.json, for whoever finds the folder; the error goes on."""
    try:
        yield
    except Exception as error:
        sentence = str(error) if isinstance(error, HarError) else f"{type(error).__name__}: {error}"
        how = {"error": sentence, "diverged": isinstance(error, DivergenceError)}
        with suppress(OSError):  # a full disk is the error to tell, not that it could not be told here
            write_json(folder / "run.json", {"status": "failed", **record, **how})
        raise


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes."""
    folder.mkdir(parents=True, exist_ok=True)
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


def _require_same(folder: Path, record: dict[str, Any]) -> None:
    """Refuse to go on with a run under another configuration, other data or another split, or with other probes."""
    earlier = read_run(folder)
    hashes = earlier.get("hashes", {})
    differ = [name for name, value in record["hashes"].items() if hashes.get(name) != value]
    differ += ["probes"] if earlier.get("probes") != record["probes"] else []
    if differ:
        raise UsageError(
            f"the unfinished run {folder} has another {' and '.join(differ)}.",
            "A run is resumed only as it was started; choose another --out for the new one.",
        )


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
    earlier_s = _seconds_before(folder) if resume else 0.0
    provenance.forget_peak_memory()
    torch.set_num_threads(config["threads"])
    keep_freed_memory()
    probes = _probes(folder, config)
    module.observers = [] if probes is None else [probes]
    label = f"{folder.parent.parent.name} {data.fold.name}"
    trainer, best = trainer_of(folder, settings, label, (lambda: probes.seconds) if probes else (lambda: 0.0))
    with lightning():
        checkpoint = folder / "checkpoints" / "last.ckpt" if resume else None
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        restore(module, folder / "checkpoints" / "best.ckpt")
        score = float(best.best_model_score)  # type: ignore[arg-type]
        _require_restored(trainer, module, data, score)
        step = load_checkpoint(folder / "checkpoints" / "best.ckpt")["global_step"]
        predictions = {
            inference.name: probabilities(inference, module, data, step, partial(predicted, trainer, module))
            for inference in check(config.get("inferences", [RUNNING]))
        }
    write_test_files(folder, data, predictions)
    for name in predictions:
        score_run(folder, inference=name)
    probed: dict[str, Any] = {}
    if probes is not None:
        probes.measure_held_out(step)
        probed = {"probe_seconds": round(probes.earlier_s + probes.seconds, 3)}
        earlier_s += probes.earlier_s
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "best_step": step,
        "best_validation_macro_f1": score,
        "finished": provenance.now(),
        "seconds": round(earlier_s + time.monotonic() - clock, 3),
        **probed,
        "peak_memory_mib": provenance.peak_memory_mib(),
    }


def _told(warnings: list[str]) -> list[str]:
    """Print warnings as they are found, and return them for run.json."""
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
    return warnings


def _seconds_before(folder: Path) -> float:
    """Return the seconds that an unfinished run had trained when its last checkpoint was written."""
    step = load_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"]
    return max(
        (line["seconds"] for line in read_metrics(folder / "metrics.jsonl") if line["step"] <= step), default=0.0
    )


def _probes(folder: Path, config: dict[str, Any]) -> Probes | None:
    """Return what measures probes, None without; a file of earlier ones that are not to be had now is removed."""
    if config.get("probes"):
        return Probes(ProbeSettings(**config["probes"]), folder / PROBES)
    (folder / PROBES).unlink(missing_ok=True)
    return None


def trainer_of(
    folder: Path, settings: dict[str, Any], label: str, aside: Callable[[], float] = lambda: 0.0
) -> tuple[pl.Trainer, ModelCheckpoint]:
    """Build the trainer with the run's own callbacks; also return the one that knows the best score.

    Args:
        folder: The run's folder, which need not be there.
        settings: The configuration's section ``trainer``. Is used up.
        label: What progress calls the run.
        aside: Returns the seconds since the start that were no training.

    Raises:
        UsageError: When the budget is no whole number of evaluations, or Lightning refuses the settings.
    """
    interval, steps = settings["val_check_interval"], settings["max_steps"]
    if not isinstance(interval, int) or interval < 1 or steps < 1 or steps % interval:
        raise UsageError(
            f"trainer.max_steps {steps} is no multiple of trainer.val_check_interval {interval}.",
            "Weights are chosen at evaluations, so the last step must be one; both are positive numbers of steps.",
        )
    show = settings.pop("enable_progress_bar", None) is not False
    best, last = checkpoints(folder / "checkpoints")
    callbacks: list[pl.Callback] = [MetricsLog(folder / "metrics.jsonl", aside), best, last]
    trainer = make_trainer(
        settings,
        plugins=[*(settings.pop("plugins", None) or []), WholeFileIO()],
        callbacks=callbacks + ([Progress(label)] if show else []),
        logger=False,
        max_epochs=-1,
        default_root_dir=folder,
        enable_progress_bar=show,
    )
    return trainer, best


def _require_restored(trainer: pl.Trainer, module: HarModule, data: HarDataModule, score: float) -> None:
    """Fail the run when the restored weights do not score what the chosen ones scored."""
    trainer.validate(module, dataloaders=data.val_dataloader(), verbose=False)
    again = module.validation_scores[MONITOR]
    if abs(again - score) > 1e-6:
        raise RunError(
            f"the restored weights have validation macro F1 {again:.6f}, the chosen ones had {score:.6f}.",
            "best.ckpt is not what was selected; delete the run's folder and repeat it.",
        )
