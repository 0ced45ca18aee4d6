"""What a study folder says of its study: ``folds.json`` and ``study.json``, which evaluation and report read."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from har.errors import UsageError
from har.files import parse_json, write_json
from har.study.declared import Study, own_name
from har.study.offsets import KEY as OFFSET
from har.study.offsets import offset_notes
from har.study.plan import Plan, overrides_on
from har.study.runs import PlannedRun
from har.study.trials import INNER_FOLDS, Tuning, inner_folds_of
from har.study.tuning import TUNING, tuning_notes, tuning_record
from har.windows.prepare import open_store
from har.windows.splits import Fold, load_folds, save_folds

FOLDS = "folds.json"

# What the report's protocol box shows: settings that hold for every run. A setting that variants differ in is no part
# of the protocol and is left out.
_PROTOCOL_KEYS = {
    "data": ("window_s", "step_s", "label_rule", "min_purity", "null", "activities", "batch_size"),
    "model": ("learner", "scaling", "learning_rate", "weight_decay"),
    "trainer": ("max_steps", "val_check_interval"),
}


_OF_STEPS = ("batch_size", "learning_rate", "weight_decay", "max_steps", "val_check_interval")


def save_plan(plan: Plan) -> None:
    """Write ``folds.json`` and ``study.json`` into the study folder.

    Args:
        plan: The plan.

    Raises:
        UsageError: The folder has other folds from an earlier start.
    """
    check_folds(plan)
    save_folds(plan.folder / FOLDS, plan.folds)
    if plan.tuning is not None:
        save_folds(plan.folder / INNER_FOLDS, inner_folds_of(plan.tuning))
        write_json(plan.folder / TUNING, tuning_record(plan.tuning))
    write_json(plan.folder / "study.json", record(plan))


def check_folds(plan: Plan) -> None:
    """Refuse a study folder that was begun with other folds: its runs could not be paired with new ones.

    Raises:
        UsageError: When ``folds.json``, or ``inner-folds.json`` of a study that tunes, is there and differs.
    """
    _check_folds(plan.folder / FOLDS, plan.folds)
    if plan.tuning is not None:
        _check_folds(plan.folder / INNER_FOLDS, inner_folds_of(plan.tuning))


def _check_folds(path: Path, folds: Iterable[Fold]) -> None:
    """Refuse other folds than those that a file holds, where it is there."""
    if not path.exists():
        return
    before = {fold.name: fold for fold in load_folds(path)}
    now = {fold.name: fold for fold in folds}
    if before != now:
        name = next(name for name in (*now, *before) if before.get(name) != now.get(name))
        raise UsageError(
            f"{path} has other folds than are asked for now (first difference: {name}).",
            f"Use another place with --runs FOLDER, or delete {path.parent} to begin anew.",
        )


def of_data_set(plan: Plan) -> list[str]:
    """Return a sentence that says what the study overrides on the data set, apart from what was asked for."""
    asked = plan.options.overrides or {}
    own = {key: value for key, value in plan.study.data_sets.get(plan.data_set, {}).items() if key not in asked}
    if not own:
        return []
    return [f"on {plan.data_set} the study sets {', '.join(f'{key}={value}' for key, value in own.items())}."]


def form_change(plan: Plan) -> list[str]:
    """Return a sentence where the report of a whole study gives way to that of its short form; runs are kept."""
    try:
        before = parse_json((plan.folder / "study.json").read_text(encoding="utf-8")).get("form")
    except (OSError, ValueError, AttributeError):
        return []
    if not plan.study.is_short or before != "whole":
        return []
    again = command_line(plan, whole=True)
    return [f"this report takes the place of the whole study's, which the runs on disk make again: {again}"]


def _form(plan: Plan) -> str:
    """Return which form of its study a plan is."""
    return "short" if plan.study.is_short else "whole"


def record(plan: Plan) -> dict[str, Any]:
    """Return the content of ``study.json``: the study as it is run, for evaluation and report."""
    study = plan.study
    return {
        "name": study.name,
        "question": study.question,
        "data_set": plan.data_set,
        "base": Path(os.path.normpath(study.base)).as_posix(),
        "file": study.file.as_posix(),
        "variants": _variants(study),
        "form": _form(plan),
        "overrides": overrides_on(plan.data_set, study, plan.options),
        "contrasts": [asdict(contrast) for contrast in study.contrasts],
        "inferences": list(study.inferences),
        **({"tuning": _tuning(plan.tuning)} if plan.tuning else {}),
        **({"target": asdict(study.target)} if study.target else {}),
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
            for run in plan.declared
        ],
        "notes": [*study.notes, *caveats(plan)],
        "command": command_line(plan),
    }


def _variants(study: Study) -> dict[str, dict[str, Any]]:
    """Return every variant that is judged, with its overrides."""
    variants = {
        name: {**own, **({OFFSET: study.seed_offsets[name]} if name in study.seed_offsets else {})}
        for name, own in study.variants.items()
    }
    if study.tune is None:
        return variants
    tuned = {own_name(name): {**own, study.tune.key: "tuned in each fold"} for name, own in variants.items()}
    return {**variants, **tuned}


def _tuning(tuning: Tuning) -> dict[str, Any]:
    """Return what is tuned, and which variant is which other one at its own value."""
    own = {choice: own_name(choice) for choice in dict.fromkeys(trial.variant for trial in tuning.trials)}
    return {"key": tuning.tune.key, "matched": tuning.matched, "own": own}


def protocol_of(plan: Plan) -> dict[str, Any]:
    """Return how subjects are divided, and the settings of the runs that all of them share."""
    shared = {key: value for key, value in asdict(plan.study.protocol).items() if value is not None}
    if plan.study.short:
        shared["form"] = f"{_form(plan)}, {len(plan.study.variants)} variants"
    tune = plan.study.tune
    if tune is not None:
        shared["tuned"] = f"{tune.key}, {tune.trials} trials per variant and fold ({TUNING})"
    for section, keys in _PROTOCOL_KEYS.items():
        for key in keys:
            if tune is not None and tune.key == f"{section}.{key}":
                continue
            runs = [run for run in plan.runs if key not in _OF_STEPS or not _is_at_once(run)]
            values = [run.config[section].get(key) for run in runs]
            if values and all(value == values[0] for value in values):
                shared[key] = values[0]
    return shared


def caveats(plan: Plan) -> list[str]:
    """Return what a reader of the results must know of this design, and what to type for a better one."""
    study = plan.study
    notes = list(open_store(plan.data_set, plan.options.root).cautions)
    if study.is_short:
        notes.append(
            f"This is the short form of the study: {', '.join(study.variants)} and the contrasts among them; the whole "
            f"study goes on from these runs: {command_line(plan, whole=True)}"
        )
    if study.repeats == 1:
        notes.append(
            "One repeat per fold was used, so a variant's score includes the chance of its one seed; "
            f"three repeats: {command_line(plan, repeats=3)}"
        )
    else:
        notes.append(f"{study.repeats} repeats per fold were used, each with a seed of its own.")
    notes.extend([*offset_notes(study.seed_offsets), *plan.doubts, *plan.making])
    return notes + (tuning_notes(plan.tuning) if plan.tuning else [_learning_rates(plan)])


def _learning_rates(plan: Plan) -> str:
    """Say at which learning rates a study that tunes nothing was made."""
    fitted = dict.fromkeys(run.variant for run in plan.runs if _is_at_once(run))
    rates = {run.variant: run.config["model"]["learning_rate"] for run in plan.runs if run.variant not in fitted}
    if not rates:
        return "Every variant is fitted at once: none has a learning rate."
    none = f" {', '.join(fitted)}: fitted at once, without a learning rate." if fitted else ""
    if len(set(rates.values())) == 1:
        rate = next(iter(rates.values()))
        whom = "every variant that is trained in steps" if fitted else "every variant"
        return f"The learning rate was matched: {rate:g} for {whom}, tuned for none of them.{none}"
    listed = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
    return f"The variants have learning rates of their own: {listed}.{none}"


def _is_at_once(run: PlannedRun) -> bool:
    """Return whether a run's learner is fitted at once, so that what is about steps means nothing for it."""
    module, _, name = str(run.config["model"]["learner"]["class_path"]).rpartition(".")
    return bool(getattr(import_module(module), name).at_once)  # heavy: torch


def command_line(plan: Plan, repeats: int | None = None, *, whole: bool = False) -> str:
    """Return the command that makes this study, or the same with another number of repeats, or its whole form."""
    options = plan.options
    given: dict[str, Any] = {"--data": options.data, "--folds": options.folds, "--fold-count": options.fold_count}
    given |= {"--runs": options.runs, "--root": options.root}
    words = ["har", "study", str(plan.study.file)] + ["--short"] * (plan.study.is_short and not whole)
    words += [word for name, value in given.items() if value is not None for word in (name, str(value))]
    words += ["--repeats", str(plan.study.repeats if repeats is None else repeats)]
    for key, value in (options.overrides or {}).items():
        words += ["--set", f"{key}={json.dumps(value)}"]  # JSON is YAML, on one line
    return shlex.join(words)
