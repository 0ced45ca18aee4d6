"""What a study will run: every run with its folder, configuration and seed, before any of them is started.

A study is nothing but experiment configurations. Each run is the base experiment, plus the overrides of its variant,
plus what the study fills in (data set, fold, seed, one thread); so `har fit --config` on the ``config.yaml`` of a run
folder makes the same run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from har.datasets.registry import card_names, get_card
from har.errors import UsageError, unknown
from har.evaluation.arms import smoothing_of
from har.files import runs_root
from har.study.declared import Study, Tune, divided, is_safe_name, override_problem, own_name, set_by_variant
from har.study.runs import Place, PlannedRun, fill, run_folder, run_seed
from har.study.trials import Tuning, lay_out
from har.windows.prepare import open_store, prepare, store_folder
from har.windows.splits import Fold

_MOST_RUNS = 10**5  # a week of runs of six seconds; the list of the next ten times as many would take minutes


@dataclass(frozen=True)
class Options:
    """What a user may ask for beside the study file.

    Attributes:
        data: Another data set than the base experiment's.
        runs: Root of the run folders; ``$HAR_RUNS`` or ``./runs`` when None.
        root: Root of the data; ``$HAR_DATA`` or ``./data`` when None.
        overrides: Dotted overrides of the base, for all variants.
        folds: Another division of the subjects than the study's (`har.study.declared.divided`).
        fold_count: Number of folds where that is ``kfold``.
    """

    data: str | None = None
    runs: str | Path | None = None
    root: str | Path | None = None
    overrides: Mapping[str, Any] | None = None
    folds: str | None = None
    fold_count: int | None = None


@dataclass(frozen=True)
class Plan:
    """All runs of a study on one data set.

    Attributes:
        study: The study, with the repeats that were asked for.
        data_set: Name of the data set.
        folder: The study folder, ``<runs>/<study>/<data set>``.
        folds: The folds, in order.
        runs: The runs in the order they are started: all variants of a fold, then the next fold, so that what is
            there after an interruption is paired. Where a setting is tuned, those at a value of their own come last,
            and only where it has been chosen (`har.study.tuning.settle`); one whose value is the matched one is the
            matched run, in its folder.
        options: What was asked for beside the study file.
        tuning: What is tuned, with its trials, if anything is.
        doubts: What is doubtful about the networks of its variants, in sentences (`har.study.rehearsal`).
        making: How the runs that are to be made will be made, in sentences (`har.study.executors`).
    """

    study: Study
    data_set: str
    folder: Path
    folds: tuple[Fold, ...]
    runs: tuple[PlannedRun, ...]
    options: Options
    tuning: Tuning | None = None
    doubts: tuple[str, ...] = ()
    making: tuple[str, ...] = ()

    @property
    def distinct(self) -> tuple[PlannedRun, ...]:
        """The runs, each once."""
        once: dict[Path, PlannedRun] = {}
        for run in self.runs:
            once.setdefault(run.folder, run)
        return tuple(once.values())

    @property
    def shared(self) -> tuple[tuple[PlannedRun, PlannedRun], ...]:
        """The runs that are another variant's run too, each with that one."""
        made = {run.folder: run for run in self.distinct}
        return tuple((run, made[run.folder]) for run in self.runs if run is not made[run.folder])

    @property
    def work(self) -> tuple[PlannedRun, ...]:
        """Everything whose configuration is known, in the order in which it is started: runs, then trials."""
        return (*self.distinct, *(self.tuning.trials if self.tuning else ()))

    @property
    def awaiting(self) -> tuple[Place, ...]:
        """The runs that wait for their trials."""
        planned = {run.address for run in self.runs}
        return tuple(place for place in (self.tuning.own if self.tuning else ()) if place.address not in planned)

    @property
    def declared(self) -> tuple[Place, ...]:
        """Every run that is judged in the end, whether its configuration is known or not."""
        return (*self.runs, *self.awaiting)


def make_plan(study: Study, options: Options | None = None) -> Plan:
    """Lay out all runs of a study. The data set is prepared first when it has no store yet.

    Args:
        study: The study.
        options: What was asked for beside the study file.

    Returns:
        The plan. Nothing of it has been written.

    Raises:
        UsageError: A variant's configuration or the data set is not possible.
        DataError: The data set cannot be prepared, or its store is damaged.
    """
    options = options or Options()
    _check_overrides(study, options.overrides or {})
    study = divided(study, options.folds, options.fold_count)
    data_set = _data_set(study, options)
    overrides = overrides_on(data_set, study, options)
    configs = _configs(study, options, overrides)
    folds = _folds(study, data_set, options)
    folder = runs_root(options.runs) / study.name / data_set
    plan = Plan(study, data_set, folder, folds, _runs(study, configs, folds, folder), options)
    return plan if study.tune is None else replace(plan, tuning=_tuning(plan, study.tune, overrides))


def _tuning(plan: Plan, tune: Tune, overrides: Mapping[str, Any]) -> Tuning:
    """Return what a plan has more where a setting is tuned. Every value is checked for every variant."""
    matched: Any = plan.runs[0].config
    for part in tune.key.split("."):
        matched = matched.get(part) if isinstance(matched, dict) else None
    tuned = {value: _configs(plan.study, plan.options, {**overrides, tune.key: value}) for value in tune.grid}
    if not isinstance(matched, (int, float)) or isinstance(matched, bool):
        raise UsageError(
            f"{tune.key}, which {plan.study.file} tunes, is {matched!r} in {plan.study.base}: no number to match.",
            f"Give it one there, or with --set {tune.key}=…",
        )
    own = tuple(
        Place(name, run.fold, run.repeat, run_folder(plan.folder, name, run.fold.name, run.repeat))
        for run in plan.runs
        for name in [own_name(run.variant)]
    )
    trials = lay_out(plan.study, tune, tuned, plan.folds, plan.folder)
    return Tuning(tune, matched, tuned, trials, own)


def _check_overrides(study: Study, overrides: Mapping[str, Any]) -> None:
    """Refuse an override for all variants that the study or one of its variants sets by itself."""
    for key, value in overrides.items():
        problem = override_problem(key, value) or set_by_variant(key, study.variants)
        if problem:
            raise UsageError(f"--set {key}: {problem}", "Override other keys, or edit a copy of the study file.")


def _data_set(study: Study, options: Options) -> str:
    """Return the data set's name: the one asked for, else the base experiment's."""
    from har.training.cli import resolve  # heavy: torch and Lightning

    return str(resolve([study.base], {})["data"]["name"]) if options.data is None else options.data


def overrides_on(data_set: str, study: Study, options: Options) -> dict[str, Any]:
    """Return the overrides of the base for all variants: the study's for the data set, over them those asked for."""
    return {**study.data_sets.get(data_set, {}), **(options.overrides or {})}


def _configs(study: Study, options: Options, overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each variant's complete configuration, without fold and seed.

    The training parser knows which keys and values are possible, so every variant is checked here.
    """
    from har.training.cli import resolve  # heavy: torch and Lightning

    protocol = study.protocol
    common: dict[str, Any] = {**overrides, "name": study.name, "threads": 1, "data.folds": protocol.folds}
    common["inferences"] = [name for name in study.inferences if not smoothing_of(name)[1]]  # evaluation smooths
    optional = {
        "data.fold_count": protocol.fold_count,
        "data.validation_subjects": protocol.validation_subjects,
        "data.train_subjects": None if protocol.train_subjects is None else list(protocol.train_subjects),
        "data.name": options.data,
        "data.root": str(options.root) if options.root else None,
    }
    common.update({key: value for key, value in optional.items() if value is not None})
    configs = {}
    for name, own in study.variants.items():
        try:
            configs[name] = resolve([study.base], {**common, **own})
        except UsageError as error:
            error.add_note(f"variant {name!r} of {study.file}")
            raise
    return configs


def _folds(study: Study, data_set: str, options: Options) -> tuple[Fold, ...]:
    """Return the folds of the protocol for the subjects of the data set, preparing it when it has no store."""
    from har.training.datamodule import folds_of  # heavy: torch and Lightning

    if not is_safe_name(data_set):  # it becomes a folder of runs
        raise unknown("data set", data_set, card_names())
    if data_set in card_names() and not store_folder(data_set, options.root).exists():
        prepare(get_card(data_set), root=options.root)
    store = open_store(data_set, options.root)  # a store of one's own has no built-in card
    protocol = study.protocol
    counts = (protocol.fold_count or 0, protocol.validation_subjects or 0)
    folds = folds_of(store, protocol.folds, *counts, protocol.train_subjects)
    for fold in folds:
        if not is_safe_name(fold.name):
            raise UsageError(
                f"fold name {fold.name!r} in {protocol.folds} cannot be a folder's name.",
                "Use letters, digits, '.', '_' and '-'.",
            )
    return tuple(folds)


def _runs(
    study: Study, configs: Mapping[str, dict[str, Any]], folds: Iterable[Fold], folder: Path
) -> tuple[PlannedRun, ...]:
    """Return the runs in the order in which they are started."""
    folds = list(folds)
    count = study.repeats * len(folds) * len(configs)
    if count > _MOST_RUNS:
        raise UsageError(
            f"{study.repeats} repeats of {len(configs)} variants on {len(folds)} folds are over {_MOST_RUNS} runs.",
            "Ask for fewer repeats.",
        )
    runs = []
    for repeat in range(study.repeats):
        for fold in folds:
            for variant, config in configs.items():
                place = run_folder(folder, variant, fold.name, repeat)
                seed = run_seed(study.seed, fold.name, repeat, study.seed_offsets.get(variant, 0))
                filled = fill(config, fold.name, seed)
                runs.append(PlannedRun(variant, fold, repeat, place, filled))
    return tuple(runs)
