"""One run, one place: `run(config, folder)` is the only way a run happens.

A folder counts as a finished run only when its ``run.json`` says ``done``; that file is written last. Whatever
happens before, the weights of the last evaluation are there to go on from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from har.evaluation.probes import PROBES
from har.training import provenance
from har.training.added_inferences import add_inferences, missing_inferences
from har.training.at_once import fit_at_once
from har.training.begin import Begun, begin, failure_recorded, held
from har.training.callbacks import MetricsLog, Progress, checkpoints, read_metrics
from har.training.checkpoint import WholeFileIO, load_checkpoint
from har.training.evaluations import MONITOR
from har.training.inference import predicted
from har.training.judge import Fitted, judge
from har.training.probes import Probes, ProbeSettings
from har.training.trainer import budgeted_trainer, lightning


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
    with held(folder):
        if resume and missing_inferences(folder, config):
            add_inferences(folder, config)
            return folder
        begun = begin(config, folder, resume=resume, facts=facts)
        with failure_recorded(folder, begun.record):
            outcome = (_fit_and_judge if begun.module.learner.at_once else _train_and_judge)(begun)
        begun.finish(outcome)
    return folder


def _ready(begun: Begun) -> float:
    """Get the process ready for a run; return the time."""
    provenance.forget_peak_memory()
    torch.set_num_threads(begun.config["threads"])
    return time.monotonic()


def _about(seconds: float) -> dict[str, Any]:
    """Return what run.json says of how a run was made."""
    return {
        "finished": provenance.now(),
        "seconds": round(seconds, 3),
        "peak_memory_mib": provenance.peak_memory_mib(),
    }


def _fit_and_judge(begun: Begun) -> dict[str, Any]:
    """Do what `_train_and_judge` does with a learner that is fitted at once."""
    clock = _ready(begun)
    fitted, chosen = fit_at_once(begun)
    return {**judge(begun, fitted), "at_once": True, **chosen, **_about(time.monotonic() - clock)}


def _train_and_judge(begun: Begun) -> dict[str, Any]:
    """Fit, restore the best weights, predict the test windows, score; return the outcome for run.json."""
    folder, module, data = begun.folder, begun.module, begun.data
    earlier_s = _seconds_before(begun) if begun.resume else 0.0
    clock = _ready(begun)
    probes = _probes(folder, begun.config)
    module.observers = [] if probes is None else [probes]
    label = f"{folder.parent.parent.name} {data.fold.name}"
    trainer, best = trainer_of(folder, begun.settings, label, (lambda: probes.seconds) if probes else (lambda: 0.0))

    def again() -> float:
        trainer.validate(module, dataloaders=data.val_dataloader(), verbose=False)
        return module.validation_scores[MONITOR]

    with lightning():
        trainer.fit(module, datamodule=data, ckpt_path=begun.last if begun.resume else None, weights_only=True)
        score = float(best.best_model_score)  # type: ignore[arg-type]
        outcome = judge(begun, Fitted(score, again, partial(predicted, trainer, module)))
    probed: dict[str, Any] = {}
    if probes is not None:
        probes.measure_held_out(outcome["best_step"])
        probed = {"probe_seconds": round(probes.earlier_s + probes.seconds, 3)}
        earlier_s += probes.earlier_s
    return {**outcome, **probed, **_about(earlier_s + time.monotonic() - clock)}


def _seconds_before(begun: Begun) -> float:
    """Return the seconds that an unfinished run had trained when its last checkpoint was written."""
    step, lines = load_checkpoint(begun.last)["global_step"], read_metrics(begun.folder / "metrics.jsonl")
    return max((line["seconds"] for line in lines if line["step"] <= step), default=0.0)


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
        settings: The configuration's section ``trainer``.
        label: What progress calls the run.
        aside: Returns the seconds since the start that were no training.

    Raises:
        UsageError: When the budget is no whole number of evaluations, or Lightning refuses the settings.
    """
    show = settings.get("enable_progress_bar") is not False
    best, last = checkpoints(folder / "checkpoints")
    callbacks: list[pl.Callback] = [MetricsLog(folder / "metrics.jsonl", aside), best, last]
    callbacks += [Progress(label)] if show else []
    return budgeted_trainer(folder, {**settings, "enable_progress_bar": show}, callbacks, WholeFileIO()), best
