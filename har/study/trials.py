"""The trials of a study that tunes a setting: which subjects they see, and how a value is chosen from their scores.

The training and validation subjects of a fold, and nobody else, are dealt into inner folds. In an inner fold one group
is held out, as many of the others as in the fold itself validate, the rest trains. A trial is an ordinary run of the
whole budget: its validation subjects choose the step, its held-out subjects are scored once, with those weights. So
step and value are each chosen on subjects that did not train, and the test subject of the fold is in no trial.

Inner folds and seeds are functions of addresses in the study, equal for all variants and all values of the grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from har.errors import LeakageError, UsageError
from har.evaluation.arms import RUNNING
from har.seeds import derive_seed
from har.study.declared import Study, Tune
from har.study.runs import Place, Trial, fill
from har.windows.splits import Fold, grouped_k_fold

FOLDER = "trials"  # below the study's folder
INNER_FOLDS = "inner-folds.json"
_TIE = 1e-9  # means that differ by less are equal but for rounding


@dataclass(frozen=True)
class Choice:
    """What the trials of one variant in one fold have come to.

    Attributes:
        variant: Name of the variant.
        fold: Name of the fold.
        scores: Value to the macro F1 of its trials, in the order of inner folds; None where there is none.
        ended: Whether every trial has ended, so that None stands for training that diverged.
        value: The value chosen. None while a trial has not ended, and where training diverged at every value.
    """

    variant: str
    fold: str
    scores: Mapping[float, Sequence[float | None]]
    ended: bool
    value: float | None


@dataclass(frozen=True)
class Tuning:
    """What a plan has more where a setting is tuned.

    Attributes:
        tune: What the study file says.
        matched: The value that all variants share otherwise.
        configs: Value to variant to complete configuration, without fold and seed.
        trials: The trials, fold by fold.
        own: Where the runs stand that are made at a variant's own value.
        choices: What the trials have come to, one for each fold and variant; empty until that was looked at.
    """

    tune: Tune
    matched: float
    configs: Mapping[float, Mapping[str, dict[str, Any]]]
    trials: tuple[Trial, ...]
    own: tuple[Place, ...]
    choices: tuple[Choice, ...] = ()


def inner_folds(outer: Fold, count: int, study_seed: int) -> list[Fold]:
    """Deal the training and validation subjects of a fold into inner folds.

    Args:
        outer: The fold.
        count: Number of inner folds; each of these subjects is held out in one of them.
        study_seed: The study's seed; with the fold's name it decides who is held out together.

    Returns:
        Inner folds named ``<fold>.<number>``; their test subjects are those held out, and as many subjects validate as
        in `outer`.

    Raises:
        UsageError: There are too few subjects.
        LeakageError: A test subject of the fold is in an inner fold.
    """
    seed = derive_seed(study_seed, "inner folds", outer.name)
    everybody, validating = [*outer.train, *outer.validation], len(outer.validation)
    if not _is_possible(len(everybody), count, validating):
        raise _too_few(outer.name, len(everybody), count, validating)
    dealt = grouped_k_fold(everybody, count, validating, seed)
    inner = [replace(fold, name=f"{outer.name}.{number}") for number, fold in enumerate(dealt)]
    for fold in inner:
        require_apart(outer, [*fold.train, *fold.validation, *fold.test], fold.name)
    return inner


def _is_possible(subjects: int, count: int, validating: int) -> bool:
    """Return whether inner folds of some subjects leave somebody to train in each."""
    return 2 <= count <= subjects and validating >= 1 and math.ceil(subjects / count) + validating < subjects


def _too_few(fold: str, subjects: int, count: int, validating: int) -> UsageError:
    """Build the error for inner folds that the subjects of a fold do not suffice for, with those that they would."""
    what = (
        f"fold {fold} leaves {subjects} subjects beside its test subjects: too few for tune.inner_folds {count}, each"
        f" of which holds out up to {math.ceil(subjects / max(count, 1))}, validates on {validating}"
        " (protocol.validation_subjects) and trains on the rest."
    )
    fewer = [(number, parts) for number in range(validating, 0, -1) for parts in range(2, subjects + 1)]
    possible = next((pair for pair in fewer if _is_possible(subjects, pair[1], pair[0])), None)
    if possible is None:
        return UsageError(what, "No inner folds are possible with fewer than 3 of them: tune on a larger data set.")
    return UsageError(
        what,
        f"Possible here: tune.inner_folds: {possible[1]} with protocol.validation_subjects: {possible[0]}, in a copy of"
        " the study file.",
    )


def inner_folds_of(tuning: Tuning) -> list[Fold]:
    """Return every inner fold of a study once."""
    return list({trial.fold.name: trial.fold for trial in tuning.trials}.values())


def require_apart(outer: Fold, subjects: Iterable[str], trial: str) -> None:
    """Fail the study where a test subject of a fold is in one of its trials.

    Args:
        outer: The fold.
        subjects: Everybody in the trial.
        trial: What the trial is called.

    Raises:
        LeakageError: Some test subject is among them.
    """
    shared = sorted(set(outer.test) & set(subjects))
    if shared:
        raise LeakageError(
            f"test subject {shared[0]} of fold {outer.name} is in its trial {trial}: a value chosen there has seen it.",
            "Nothing is judged. Delete the study's folder and begin anew.",
        )


def lay_out(
    study: Study, tune: Tune, tuned: Mapping[float, Mapping[str, dict[str, Any]]], folds: Iterable[Fold], folder: Path
) -> tuple[Trial, ...]:
    """Return all trials of a study in the order in which they are started: fold by fold, so that one is ready early.

    Args:
        study: The study.
        tune: What is tuned.
        tuned: Value to variant to complete configuration, without fold and seed.
        folds: The study's folds.
        folder: The study's folder.

    Raises:
        UsageError: A fold has too few subjects for its inner folds.
    """
    trials = []
    for outer in folds:
        inner = inner_folds(outer, tune.inner_folds, study.seed)
        for value in tune.grid:
            for fold in inner:
                for variant, config in tuned[value].items():
                    offset = study.seed_offsets.get(variant, 0)
                    seed = derive_seed(study.seed, "trial", fold.name, *([offset] if offset else []))
                    place = folder / FOLDER / variant / value_name(value) / fold.name
                    filled = fill(config, fold.name, seed) | {"inferences": [RUNNING], "probes": None}
                    filled["data"] |= {"folds": str(folder / INNER_FOLDS), "train_subjects": None}
                    trials.append(Trial(variant, fold, 0, place, filled, outer, tune.key, value))
    return tuple(trials)


def value_name(value: float) -> str:
    """Return the folder's name of a value of a grid."""
    return f"{value:g}"


def choose(scores: Mapping[float, Sequence[float | None]], matched: float) -> float | None:
    """Choose the value with the best mean score over inner folds.

    Args:
        scores: Value to the scores of its trials; None where training diverged, which rules the value out.
        matched: The value that all variants share otherwise. Among equally good values the nearest to it is chosen (by
            ratio where all are positive), of two equally near ones the smaller.

    Returns:
        The value; None where training diverged at every one.
    """
    means = {value: mean for value, own in scores.items() if (mean := mean_score(own)) is not None}
    if not means:
        return None
    best = max(means.values())
    by_ratio = min(*means, matched) > 0

    def distance(value: float) -> float:
        return abs(math.log(value / matched)) if by_ratio else abs(value - matched)

    equal = sorted(value for value, mean in means.items() if mean >= best - _TIE)
    nearest = min(map(distance, equal))
    return next(value for value in equal if distance(value) <= nearest + _TIE)


def mean_score(scores: Sequence[float | None]) -> float | None:
    """Return the mean of the scores of a value's trials, None where one of them has none."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known and len(known) == len(scores) else None
