"""What every run does before its first step, done once before any run is started.

A window longer than every recording, an unknown activity or a norm behind the last convolution would otherwise fail all
runs of a study, one after the other. For each fold the data are set up; for each variant one network and one trainer
are built, since those depend on the fold in hardly anything.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from har.errors import HarError
from har.study.conduct import Survey
from har.study.runs import PlannedRun

if TYPE_CHECKING:
    from har.training.datamodule import HarDataModule
    from har.training.module import HarModule


def rehearse(found: Survey) -> list[str]:
    """Find the runs that are not done and could not begin.

    Args:
        found: The plan, held against the disk.

    Returns:
        One sentence for each fold some of whose runs will fail while others of their variant can be made.

    Raises:
        HarError: No run of a variant could begin; the error of its first one, with the variant's name.
    """
    rehearsal = _Rehearsal()
    failures: dict[tuple[str, str], HarError] = {}
    for runs in _by_fold(found).values():
        data: dict[str, HarDataModule] = {}
        for run in runs:
            try:
                rehearsal.check(run, data)
            except HarError as error:
                failures[run.variant, run.fold.name] = error
    for variant in found.plan.study.variants:
        own = [error for (name, _), error in failures.items() if name == variant]
        if len(own) == len(found.plan.folds):
            own[0].add_note(f"all runs of variant {variant!r} would fail; nothing was started")
            raise own[0]
    return _sentences(failures)


def _by_fold(found: Survey) -> dict[str, list[PlannedRun]]:
    """Return the runs to make, one for each fold and variant: repeats differ in their seed alone."""
    chosen: dict[str, dict[str, PlannedRun]] = {}
    for run, _ in found.to_do():
        chosen.setdefault(run.fold.name, {}).setdefault(run.variant, run)
    return {fold: list(runs.values()) for fold, runs in chosen.items()}


def _sentences(failures: dict[tuple[str, str], HarError]) -> list[str]:
    """Return one sentence for each reason, with the runs that fail for it."""
    reasons: dict[str, list[str]] = {}
    for (variant, fold), error in failures.items():
        reasons.setdefault(error.what, []).append(f"{variant}/{fold}")
    return [f"{', '.join(runs)} will fail: {what} The other runs go on." for what, runs in reasons.items()]


class _Rehearsal:
    """Networks by variant, and which of them have been built."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[HarModule, dict[str, Any]]] = {}
        self._built: set[str] = set()

    def check(self, run: PlannedRun, set_up: dict[str, HarDataModule]) -> None:
        """Do what a run does before its first step; raises what it would raise.

        Args:
            run: The run.
            set_up: Data of the run's fold by their settings, which variants mostly share; added to.
        """
        from har.training.datamodule import HarDataModule, training_batches

        key = json.dumps(run.config["data"], sort_keys=True)
        if key not in set_up:
            data = HarDataModule(**run.config["data"])
            data.setup()
            set_up[key] = data
        data = set_up[key]
        training_batches(len(data.train), data.batch_size, 1, 0)
        if run.variant not in self._built:
            self._build(run, data)
            self._built.add(run.variant)

    def _build(self, run: PlannedRun, data: HarDataModule) -> None:
        """Build the network and the trainer of a variant."""
        from har.training.cli import parts
        from har.training.run import trainer_of

        if run.variant not in self._parts:
            module, _, settings = parts(run.config)
            self._parts[run.variant] = module, settings
        module, settings = self._parts[run.variant]
        module.build(data.recipe(), *data.training_moments())
        trainer_of(run.folder, dict(settings), run.label)
