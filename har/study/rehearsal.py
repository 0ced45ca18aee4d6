"""What every run does before its first step, done once before any run is started.

A window longer than every recording, an unknown activity or a norm behind the last convolution would otherwise fail all
runs of a study, one after the other. For each fold the data are set up; for each variant one network and one trainer
are built, since those depend on the fold in hardly anything. Trials of a setting are tried likewise, on their inner
folds, which lie in a temporary file: a rehearsal writes nothing that stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from har.errors import HarError
from har.study.conduct import Survey
from har.study.plan import Plan
from har.study.runs import PlannedRun, Trial
from har.study.states import State, read_record
from har.study.trials import INNER_FOLDS, inner_folds_of
from har.windows.splits import save_folds

if TYPE_CHECKING:
    from har.training.datamodule import HarDataModule
    from har.training.module import HarModule


@dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal found.

    Attributes:
        failing: One sentence for each reason for which some runs will fail while others of their variant can be made.
        doubts: One sentence for each thing that is doubtful about a network, with the variants that it is said of.
    """

    failing: tuple[str, ...]
    doubts: tuple[str, ...]


def rehearse(found: Survey) -> Rehearsed:
    """Find the runs that are not done and could not begin, and what is doubtful about the network of each variant.

    Args:
        found: The plan, held against the disk.

    Returns:
        What was found. Doubts of a variant whose runs have all been made are those that their records hold.

    Raises:
        HarError: No run of a variant could begin; the error of its first one, with the variant's name.
    """
    failures: dict[tuple[str, str], HarError] = {}
    with TemporaryDirectory() as place:
        rehearsal = _Rehearsal(_inner_folds(found.plan, Path(place)))
        for runs in _by_fold(found).values():
            data: dict[str, HarDataModule] = {}
            for run in runs:
                try:
                    rehearsal.check(run, data)
                except HarError as error:
                    failures[run.variant, run.fold.name] = error
    outer = [fold.name for fold in found.plan.folds]
    inner = [fold.name for fold in inner_folds_of(found.plan.tuning)] if found.plan.tuning else []
    for what, folds in (("runs", outer), ("trials", inner)):
        _refuse(what, folds, found.plan.study.names, failures)
    return Rehearsed(tuple(_sentences(failures)), tuple(_doubts(found, rehearsal.doubts)))


def _doubts(found: Survey, built: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what is doubtful, each sentence once with its variants, in the order of the study."""
    known: dict[str, Sequence[str]] = {}
    for run, state in found.pairs():
        if run.variant in built:
            known[run.variant] = built[run.variant]
        elif state is State.DONE and not isinstance(run, Trial):
            own = (read_record(run.folder) or {}).get("warnings", [])  # with what single runs were warned of
            known[run.variant] = [doubt for doubt in known.get(run.variant, own) if doubt in own]
    variants: dict[str, list[str]] = {}
    for name, doubts in known.items():
        for doubt in dict.fromkeys(doubts):
            variants.setdefault(doubt, []).append(name)
    return [f"Variant{'s' * (len(names) > 1)} {', '.join(names)}: {doubt}" for doubt, names in variants.items()]


def _refuse(what: str, folds: list[str], variants: list[str], failures: dict[tuple[str, str], HarError]) -> None:
    """Raise the first error of a variant that cannot begin on any of some folds."""
    for variant in variants:
        own = [failures[variant, fold] for fold in folds if (variant, fold) in failures]
        if own and len(own) == len(folds):
            own[0].add_note(f"all {what} of variant {variant!r} would fail; nothing was started")
            raise own[0]


def _inner_folds(plan: Plan, place: Path) -> Path:
    """Write the inner folds of a plan, if it has some, into a folder that is there for the rehearsal alone."""
    file = place / INNER_FOLDS
    if plan.tuning is not None:
        save_folds(file, inner_folds_of(plan.tuning))
    return file


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
    """Networks by variant, and what is doubtful about those that have been built.

    Args:
        inner_folds: Where trials find their folds; a study that was not begun has no such file yet.
    """

    def __init__(self, inner_folds: Path) -> None:
        self._inner_folds = inner_folds
        self._parts: dict[str, tuple[HarModule, dict[str, Any]]] = {}
        self.doubts: dict[str, list[str]] = {}

    def check(self, run: PlannedRun, set_up: dict[str, HarDataModule]) -> None:
        """Do what a run does before its first step; raises what it would raise.

        Args:
            run: The run.
            set_up: Data of the run's fold by their settings, which variants mostly share; added to.
        """
        from har.training.datamodule import HarDataModule, training_batches
        from har.training.possible import require_possible

        settings = run.config["data"]
        if isinstance(run, Trial):
            settings = {**settings, "folds": str(self._inner_folds)}
        key = json.dumps(settings, sort_keys=True)
        if key not in set_up:
            data = HarDataModule(**settings)
            data.setup()
            set_up[key] = data
        data = set_up[key]
        training_batches(len(data.train), data.batch_size, 1, 0)
        if run.variant not in self.doubts:
            self.doubts[run.variant] = self._build(run, data)
        require_possible(run.config["inferences"], self._parts[run.variant][0], data)

    def _build(self, run: PlannedRun, data: HarDataModule) -> list[str]:
        """Build the network and the trainer of a variant; return what is doubtful about the network."""
        from har.training.cli import parts
        from har.training.run import trainer_of

        if run.variant not in self._parts:
            module, _, settings = parts(run.config)
            self._parts[run.variant] = module, settings
        module, settings = self._parts[run.variant]
        doubts = module.doubts(data)
        trainer_of(run.folder, settings, run.label)
        return doubts
