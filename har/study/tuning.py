"""Tuning, from finished trials to runs: each variant's own value in each fold, and what of it is written and said.

Everything here follows from the trials' folders, whenever the study is started: ``tuning.json`` is written for people
and reports and never read back. A variant's own runs of a fold are planned as soon as all its trials there have ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from har.errors import DataError
from har.files import parse_json
from har.study.declared import OWN, own_name
from har.study.plan import Plan
from har.study.runs import PlannedRun, Trial, fill, run_seed
from har.study.states import State, read_record
from har.study.trials import Choice, Tuning, choose, mean_score, require_apart

TUNING = "tuning.json"
RULE = (
    "best mean over inner folds of the macro F1 (present) of held-out subjects; of equally good values the one nearest"
    " to the matched value; a value at which training diverged is ruled out"
)


def settle(plan: Plan, states: Mapping[Path, State]) -> Plan:
    """Return a plan whose own runs are planned where their value can be chosen.

    Args:
        plan: A plan.
        states: State of every trial, by folder.

    Raises:
        LeakageError: A finished trial has seen a test subject of its fold.
        DataError: The scores of a finished trial cannot be read.
    """
    tuning = plan.tuning
    if tuning is None:
        return plan
    trials: dict[tuple[str, str], list[Trial]] = {}
    for trial in tuning.trials:
        trials.setdefault((trial.variant, trial.outer.name), []).append(trial)
    choices = {place: _choice(own, states, tuning.matched) for place, own in trials.items()}
    by_name = {(own_name(variant), fold): choice for (variant, fold), choice in choices.items()}
    own = {place.address for place in tuning.own}
    matched = {run.address: run for run in plan.runs if run.address not in own}
    runs = list(matched.values())
    for place in tuning.own:
        choice = by_name[place.variant, place.fold.name]
        if choice.value is not None:
            offset = plan.study.seed_offsets.get(choice.variant, 0)
            seed = run_seed(plan.study.seed, place.fold.name, place.repeat, offset)
            config = fill(tuning.configs[choice.value][choice.variant], place.fold.name, seed)
            twin = matched[choice.variant, place.fold.name, place.repeat]
            # With one configuration it would come out the same to the bit, so it is not made twice.
            folder = twin.folder if config == twin.config else place.folder
            runs.append(PlannedRun(place.variant, place.fold, place.repeat, folder, config))
    return replace(plan, runs=tuple(runs), tuning=replace(tuning, choices=tuple(choices.values())))


def _choice(trials: Sequence[Trial], states: Mapping[Path, State], matched: float) -> Choice:
    """Return what the trials of one variant in one fold have come to."""
    scores: dict[float, list[float | None]] = {}
    for trial in trials:
        scores.setdefault(trial.value, []).append(_score(trial) if states[trial.folder] is State.DONE else None)
    ended = all(states[trial.folder].is_settled for trial in trials)
    value = choose(scores, matched) if ended else None
    return Choice(trials[0].variant, trials[0].outer.name, scores, ended, value)


def _score(trial: Trial) -> float:
    """Return the macro F1 of a finished trial's held-out subjects, whatever policy it was last evaluated under."""
    record = read_record(trial.folder) or {}
    path = trial.folder / "scores.json"
    try:
        everybody = [subject for part in ("train", "validation", "test") for subject in record["fold"][part]]
        score = float(parse_json(path.read_text(encoding="utf-8"))["macro_f1_by_policy"]["present"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{path} or its run.json is damaged.", f"Delete {trial.folder}; it is made again.") from None
    require_apart(trial.outer, everybody, str(trial.folder))
    return score


def tuning_record(tuning: Tuning) -> dict[str, Any]:
    """Return the content of ``tuning.json``: every trial's score and every choice."""
    return {
        "key": tuning.tune.key,
        "matched": tuning.matched,
        "grid": list(tuning.tune.grid),
        "inner_folds": tuning.tune.inner_folds,
        "trials_per_variant_and_fold": tuning.tune.trials,
        "rule": RULE,
        "choices": [
            {
                "variant": choice.variant,
                "own": own_name(choice.variant),
                "fold": choice.fold,
                "ended": choice.ended,
                "value": choice.value,
                "edge": _edge(choice, tuning),
                "values": [
                    {"value": value, "scores": list(scores), "mean": mean_score(scores)}
                    for value, scores in choice.scores.items()
                ],
            }
            for choice in tuning.choices
        ],
    }


def _edge(choice: Choice, tuning: Tuning) -> str | None:
    """Return which end of the grid was chosen, ``lowest`` or ``highest``; None for a value inside it, or no choice."""
    ends = {tuning.tune.grid[0]: "lowest", tuning.tune.grid[-1]: "highest"}
    return None if choice.value is None else ends.get(choice.value)


def tuning_notes(tuning: Tuning) -> list[str]:
    """Return what a reader must know of the tuning: which results are which, trials, edges, what is open."""
    tune = tuning.tune
    return [
        f"Results stand twice: under a variant's name at the matched {tune.key} of {tuning.matched:g}, and with {OWN}"
        " put to it at the value that was tuned for this variant.",
        f"{tune.key} was tuned for every variant alike: in each fold {tune.trials} trials ({len(tune.grid)} values from"
        f" {tune.grid[0]:g} to {tune.grid[-1]:g}, {tune.inner_folds} inner folds) on its training and validation"
        " subjects; its test subjects are in none.",
        *_same(tuning),
        *_edges(tuning),
        *_divergence(tuning),
        *_open(tuning),
    ]


def _same(tuning: Tuning) -> list[str]:
    """Say where a variant's own value is the matched one, so that both results are of the same runs."""
    counts = Counter(choice.variant for choice in tuning.choices if choice.value == tuning.matched)
    folds = len({choice.fold for choice in tuning.choices})
    listed = ", ".join(f"{variant} in {count} of {folds} folds" for variant, count in counts.items())
    return [f"The value tuned is the matched one, and the own run the matched run itself: {listed}."] if counts else []


def _edges(tuning: Tuning) -> list[str]:
    """Say which variants took values at an end of the grid."""
    taken = [(choice, which) for choice in tuning.choices if (which := _edge(choice, tuning)) is not None]
    counts = Counter((choice.variant, which, choice.value) for choice, which in taken)
    folds = len({choice.fold for choice in tuning.choices})
    return [
        f"The grid may be too narrow for {variant}: its {which} value, {tuning.tune.key} {value:g}, was the best in"
        f" {count} of {folds} folds."
        for (variant, which, value), count in counts.items()
    ]


def _divergence(tuning: Tuning) -> list[str]:
    """Say how many trials diverged, and where no value was left."""
    counts = Counter(
        choice.variant
        for choice in tuning.choices
        for scores in choice.scores.values()
        for score in scores
        if choice.ended and score is None
    )
    listed = ", ".join(f"{count} of {variant}" for variant, count in counts.items())
    notes = [f"Trials in which training diverged, which rules their value out: {listed}."] if counts else []
    lost = [f"{choice.variant}/{choice.fold}" for choice in tuning.choices if choice.ended and choice.value is None]
    return notes + ([f"No value of the grid is left, so there is no own run: {', '.join(lost)}."] if lost else [])


def _open(tuning: Tuning) -> list[str]:
    """Say for which variants and folds trials are missing."""
    waiting = [f"{choice.variant}/{choice.fold}" for choice in tuning.choices if not choice.ended]
    if not waiting:
        return []
    shown = ", ".join(waiting[:6]) + (f" and {len(waiting) - 6} more" if len(waiting) > 6 else "")
    return [f"Trials are missing, so no value is chosen yet: {shown}."]
