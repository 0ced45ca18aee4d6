"""What a study will run: every run with its folder, configuration and seed, before any of them is started.

A study is nothing but experiment configurations. Each run is the base experiment, plus the overrides of its variant,
plus what the study fills in (data set, fold, seed, one thread); so `har fit --config` on the ``config.yaml`` of a run
folder makes the same run again.
"""

from __future__ import annotations

import copy
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from har.datasets.registry import card_names, get_card
from har.errors import UsageError, unknown
from har.files import runs_root, write_json
from har.seeds import derive_seed
from har.study.definition import Study, is_safe_name, override_problem
from har.windows.prepare import open_store, prepare, store_folder
from har.windows.splits import Fold, load_folds, save_folds

# What the report's protocol box shows: settings that hold for every run. A setting that variants differ in is no part
# of the protocol and is left out.
_PROTOCOL_KEYS = {
    "data": ("window_s", "step_s", "label_rule", "min_purity", "null", "activities", "batch_size"),
    "model": ("learner", "scaling", "learning_rate", "weight_decay"),
    "trainer": ("max_steps", "val_check_interval"),
}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    Attributes:
        variant: Name of the variant.
        fold: Its training, validation and test subjects.
        repeat: Number of the repeat, from 0.
        folder: The run folder.
        config: The complete configuration.
    """

    variant: str
    fold: Fold
    repeat: int
    folder: Path
    config: dict[str, Any]

    @property
    def label(self) -> str:
        """Return the run in words, as progress and lists show it."""
        return f"{self.variant}  {self.fold.name}  repeat-{self.repeat}"


@dataclass(frozen=True)
class Options:
    """What a user may ask for beside the study file.

    Attributes:
        data: Another data set than the base experiment's.
        runs: Root of the run folders; ``$HAR_RUNS`` or ``./runs`` when None.
        root: Root of the data; ``$HAR_DATA`` or ``./data`` when None.
        overrides: Dotted overrides of the base, for all variants.
    """

    data: str | None = None
    runs: str | Path | None = None
    root: str | Path | None = None
    overrides: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """All runs of a study on one data set.

    Attributes:
        study: The study, with the repeats that were asked for.
        data_set: Name of the data set.
        folder: The study folder, ``<runs>/<study>/<data set>``.
        folds: The folds, in order.
        runs: The runs in the order they are started: all variants of a fold, then the next fold, so that what is
            there after an interruption is paired.
        options: What was asked for beside the study file.
    """

    study: Study
    data_set: str
    folder: Path
    folds: tuple[Fold, ...]
    runs: tuple[PlannedRun, ...]
    options: Options


def run_seed(study_seed: int, fold: str, repeat: int) -> int:
    """Return the seed of a run: the same for all variants, another one in every fold and repeat.

    Sharing one list of seeds over the folds would make the test of a contrast too ready to reject.

    Args:
        study_seed: The study's seed.
        fold: Name of the fold.
        repeat: Number of the repeat.

    Returns:
        An integer in [0, 2³¹).
    """
    return derive_seed(study_seed, fold, repeat)


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
    overrides = dict(options.overrides or {})
    _check_overrides(study, overrides)
    configs = _configs(study, options, overrides)
    data_set = configs[next(iter(configs))]["data"]["name"]
    folds = _folds(study, data_set, options)
    folder = runs_root(options.runs) / study.name / data_set
    return Plan(study, data_set, folder, folds, _runs(study, configs, folds, folder), options)


def _check_overrides(study: Study, overrides: Mapping[str, Any]) -> None:
    """Refuse an override for all variants that the study or one of its variants sets by itself."""
    for key, value in overrides.items():
        problem = override_problem(key, value)
        owner = next((name for name, own in study.variants.items() if key in own), None)
        if owner:
            problem = f"{key} is what variant {owner!r} of {study.file} sets; it cannot be set for all variants."
        if problem:
            raise UsageError(f"--set {key}: {problem}", "Override other keys, or edit a copy of the study file.")


def _configs(study: Study, options: Options, overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each variant's complete configuration, without fold and seed.

    The training parser knows which keys and values are possible, so every variant is checked here.
    """
    from har.training.cli import resolve  # heavy: torch and Lightning

    protocol = study.protocol
    common: dict[str, Any] = {**overrides, "name": study.name, "threads": 1, "data.folds": protocol.folds}
    common["inferences"] = list(study.inferences)
    optional = {
        "data.fold_count": protocol.fold_count,
        "data.validation_subjects": protocol.validation_subjects,
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
    folds = folds_of(store, protocol.folds, protocol.fold_count or 0, protocol.validation_subjects or 0)
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
    runs = []
    for repeat in range(study.repeats):
        for fold in folds:
            for variant, config in configs.items():
                place = folder / variant / fold.name / f"repeat-{repeat}"
                filled = fill(config, fold.name, run_seed(study.seed, fold.name, repeat))
                runs.append(PlannedRun(variant, fold, repeat, place, filled))
    return tuple(runs)


def fill(config: dict[str, Any], fold: str, seed: int) -> dict[str, Any]:
    """Return a copy of a complete configuration for one fold and seed, without parsing it once more."""
    filled = copy.deepcopy(config)
    filled["data"]["fold"] = fold
    filled["seed_everything"] = seed
    return filled


def save_plan(plan: Plan) -> None:
    """Write ``folds.json`` and ``study.json`` into the study folder.

    Args:
        plan: The plan.

    Raises:
        UsageError: The folder has other folds from an earlier start.
    """
    check_folds(plan)
    save_folds(plan.folder / "folds.json", list(plan.folds))
    write_json(plan.folder / "study.json", record(plan))


def check_folds(plan: Plan) -> None:
    """Refuse a study folder that was begun with other folds: its runs could not be paired with new ones.

    Raises:
        UsageError: When ``folds.json`` is there and differs.
    """
    path = plan.folder / "folds.json"
    if not path.exists():
        return
    before = {fold.name: fold for fold in load_folds(path)}
    now = {fold.name: fold for fold in plan.folds}
    if before != now:
        name = next(name for name in (*now, *before) if before.get(name) != now.get(name))
        raise UsageError(
            f"{path} has other folds than are asked for now (first difference: {name}).",
            f"Use another place with --runs FOLDER, or delete {plan.folder} to begin anew.",
        )


def record(plan: Plan) -> dict[str, Any]:
    """Return the content of ``study.json``: the study as it is run, for evaluation and report."""
    study = plan.study
    return {
        "name": study.name,
        "question": study.question,
        "data_set": plan.data_set,
        "base": Path(os.path.normpath(study.base)).as_posix(),
        "file": study.file.as_posix(),
        "variants": study.variants,
        "overrides": dict(plan.options.overrides or {}),
        "contrasts": [asdict(contrast) for contrast in study.contrasts],
        "inferences": list(study.inferences),
        "repeats": study.repeats,
        "seed": study.seed,
        "folds": [fold.record() for fold in plan.folds],
        "protocol": protocol_of(plan),
        "runs": [
            {
                "variant": run.variant,
                "fold": run.fold.name,
                "repeat": run.repeat,
                "folder": run.folder.relative_to(plan.folder).as_posix(),
            }
            for run in plan.runs
        ],
        "notes": [*study.notes, *caveats(plan)],
        "command": command_line(plan),
    }


def protocol_of(plan: Plan) -> dict[str, Any]:
    """Return how subjects are divided, and the settings of the runs that all of them share."""
    shared = {key: value for key, value in asdict(plan.study.protocol).items() if value is not None}
    for section, keys in _PROTOCOL_KEYS.items():
        for key in keys:
            values = [run.config[section].get(key) for run in plan.runs]
            if all(value == values[0] for value in values):
                shared[key] = values[0]
    return shared


def caveats(plan: Plan) -> list[str]:
    """Return what a reader of the results must know of this design, and what to type for a better one."""
    study = plan.study
    notes = []
    if study.repeats == 1:
        notes.append(
            "One repeat per fold was used, so a variant's score includes the chance of its one seed; "
            f"three repeats: {command_line(plan, repeats=3)}"
        )
    else:
        notes.append(f"{study.repeats} repeats per fold were used, each with a seed of its own.")
    rates = {run.variant: run.config["model"]["learning_rate"] for run in plan.runs}
    if len(set(rates.values())) == 1:
        rate = next(iter(rates.values()))
        notes.append(f"The learning rate was matched: {rate:g} for every variant, tuned for none of them.")
    else:
        listed = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
        notes.append(f"The variants have learning rates of their own: {listed}.")
    return notes


def command_line(plan: Plan, repeats: int | None = None) -> str:
    """Return the command that makes this study, or the same with another number of repeats."""
    options = plan.options
    given = {"--data": options.data, "--runs": options.runs, "--root": options.root}
    words = ["har", "study", str(plan.study.file)]
    words += [word for name, value in given.items() if value is not None for word in (name, str(value))]
    words += ["--repeats", str(plan.study.repeats if repeats is None else repeats)]
    for key, value in (options.overrides or {}).items():
        words += ["--set", f"{key}={json.dumps(value)}"]  # JSON is YAML, on one line
    return shlex.join(words)
