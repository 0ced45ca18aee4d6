"""What a study declares: its variants, protocol and contrasts, as plain values; and its short form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from har.errors import UsageError, candidates
from har.evaluation.arms import RUNNING, parts_of

# Names become folders: the same characters mean the same file on every file system, and none hides or climbs.
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# What a study fills in for each run. A variant that set one of these would not be compared under the same protocol.
GOVERNED = (
    "name",
    "seed_everything",
    "threads",
    "inferences",
    "data.name",
    "data.root",
    "data.folds",
    "data.fold",
    "data.fold_count",
    "data.validation_subjects",
    "data.train_subjects",
)

FOLD_RULES = ("loso", "kfold")
# A split of a card, as opposed to the path of a file: no slash and no ending.
SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

# How the names of variants at their own tuned values end.
OWN = "-own"


@dataclass(frozen=True)
class Contrast:
    """A declared comparison: the score of `a` minus that of `b`, over subjects.

    Attributes:
        a: VARIANT, or VARIANT@INFERENCE for another inference of the study than running.
        b: Likewise.
        primary: Whether it answers the question; exactly one contrast does.
    """

    a: str
    b: str
    primary: bool


@dataclass(frozen=True)
class Protocol:
    """How subjects are divided.

    Attributes:
        folds: ``"loso"``, ``"kfold"``, a split of the data set's card (``"official"``), or the path of a folds file
            (resolved against the study file).
        fold_count: Number of folds of ``"kfold"``; None for the others.
        validation_subjects: Subjects taken from each fold's training subjects for validation; None with a folds file
            and with a split that names its own.
        train_subjects: Numbers of training subjects that every fold is had with, for the learning curve over them; None
            where every fold has all that it has.
    """

    folds: str
    fold_count: int | None
    validation_subjects: int | None
    train_subjects: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Tune:
    """A setting that is tuned for each variant in each fold, on the fold's training and validation subjects.

    Attributes:
        key: The setting, dotted, such as ``"model.learning_rate"``.
        grid: The values that are tried, ascending.
        inner_folds: Trials of each value.
    """

    key: str
    grid: tuple[float, ...]
    inner_folds: int

    @property
    def trials(self) -> int:
        """Trials of one variant in one fold, the same for every variant."""
        return len(self.grid) * self.inner_folds


@dataclass(frozen=True)
class Target:
    """What training is timed by: a share of the best validation macro F1 of one variant in the same fold and repeat.

    Attributes:
        reference: The variant.
        share: Of its best score.
    """

    reference: str
    share: float


@dataclass(frozen=True)
class Study:
    """A study file, checked.

    Attributes:
        name: Names the folder of the study's runs.
        question: What the report answers, a sentence.
        file: The study file.
        base: The experiment file that every run starts from; its path is relative to the study file.
        variants: Name to dotted overrides of the base, in the file's order; one with ``seed_offset: 1`` among them has
            seeds of its own.
        protocol: How subjects are divided.
        repeats: Runs per variant and fold, each with a seed of its own.
        seed: The number that all seeds are derived from.
        contrasts: The comparisons, declared before anything runs.
        notes: Sentences for the report.
        inferences: What every run predicts with (`har.norms.inferences`).
        short: Names of the variants of the short form; empty where there is none.
        is_short: Whether this is the short form (`short_form`).
        data_sets: Name of a data set to dotted overrides of the base on it, or the path of a file that says so.
        tune: What is tuned, if anything is.
        target: What training is timed by, if it is.
        seed_offsets: Name of a variant with seeds of its own to what tells these apart (`har.study.offsets`).
    """

    name: str
    question: str
    file: Path
    base: Path
    variants: dict[str, dict[str, Any]]
    protocol: Protocol
    repeats: int
    seed: int
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...]
    inferences: tuple[str, ...] = (RUNNING,)
    short: tuple[str, ...] = ()
    is_short: bool = False
    data_sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    tune: Tune | None = None
    target: Target | None = None
    seed_offsets: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every variant that is judged: those declared, and where something is tuned each again at its own value."""
        return names_of(self.variants, self.tune)


def own_name(variant: str) -> str:
    """Return the name of a variant at the value that was tuned for it."""
    return f"{variant}{OWN}"


def names_of(variants: Iterable[str], tune: Tune | None) -> list[str]:
    """Return the names that some variants are judged under; see `Study.names`."""
    variants = list(variants)
    return [*variants, *(own_name(name) for name in variants if tune is not None)]


def short_form(study: Study) -> Study:
    """Return the short form of a study: its `short` variants, and the contrasts among them.

    Runs of both forms are the same, and so are their folders: the whole study goes on from what the short form made.

    Raises:
        UsageError: The study has none.
    """
    if not study.short:
        raise UsageError(f"{study.file} has no short form.", "Leave --short out, or add short: [VARIANT, …] to it.")
    variants = {name: own for name, own in study.variants.items() if name in study.short}
    short = replace(study, variants=variants, is_short=True)
    return replace(short, contrasts=among(study.contrasts, short.names))


def numbers_of(folds: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which numbers of a `Protocol` a division of subjects needs, and which it may have.

    Args:
        folds: As `Protocol.folds`; a file of folds says itself who validates, and a split may.
    """
    if folds == "kfold":
        return ("fold_count", "validation_subjects"), ("fold_count", "validation_subjects")
    if folds == "loso":
        return ("validation_subjects",), ("validation_subjects",)
    return (), ("validation_subjects",) if SPLIT_NAME.fullmatch(folds) else ()


def divided(study: Study, folds: str | None, fold_count: int | None) -> Study:
    """Return the study with its subjects divided otherwise than its file says; as it is when both are None.

    Args:
        study: The study; as many subjects validate as it says.
        folds: As `Protocol.folds`, a path taken from the working folder.
        fold_count: Number of folds of ``"kfold"``, which alone has one.

    Raises:
        UsageError: Rule and number contradict each other, a file is missing, or nothing says how many validate.
    """
    if folds is None and fold_count is None:
        return study
    protocol = study.protocol
    folds = protocol.folds if folds is None else folds
    needed, allowed = numbers_of(folds)
    if ("fold_count" in needed) != (fold_count is not None):
        said = (
            f"--fold-count {fold_count} has no meaning with folds {folds!r}"
            if fold_count is not None
            else "kfold lacks a number"
        )
        raise UsageError(f"{said}.", "Write --folds kfold --fold-count 10.")
    if fold_count is not None and fold_count < 2:
        raise UsageError(f"--fold-count {fold_count} is not possible.", "Give a whole number from 2 upwards.")
    if not allowed and not Path(folds).is_file():
        near = candidates(folds, FOLD_RULES)
        raise UsageError(f"--folds {folds!r} is no rule, no split and no file.", near)
    if "validation_subjects" in needed and protocol.validation_subjects is None:
        raise UsageError(
            f"{study.file} does not say how many subjects validate, which --folds {folds} needs.",
            "Edit a copy of the study file: protocol: {folds: loso, validation_subjects: 2}",
        )
    validating = protocol.validation_subjects if allowed else None
    return replace(
        study, protocol=replace(protocol, folds=folds, fold_count=fold_count, validation_subjects=validating)
    )


def among(contrasts: Iterable[Contrast], variants: Iterable[str]) -> tuple[Contrast, ...]:
    """Return the contrasts that have both sides among some variants."""
    names = set(variants)
    return tuple(found for found in contrasts if {parts_of(found.a)[0], parts_of(found.b)[0]} <= names)


def is_safe_name(name: object) -> bool:
    """Return whether `name` can be a folder's name on every file system."""
    return isinstance(name, str) and _SAFE_NAME.fullmatch(name) is not None and not name.endswith(".")


def set_by_variant(key: object, variants: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return why a key cannot be overridden for all variants: one of them sets it; or None."""
    owner = next((name for name, own in variants.items() if key in own), None)
    return None if owner is None else f"{key} is what variant {owner!r} sets; it cannot be set for all variants."


def override_problem(key: object, value: object) -> str | None:
    """Return what is wrong with one dotted override, or None.

    Args:
        key: The dotted key, such as ``"model.norm.placement"``.
        value: Its value: a number, a text, a truth value, None, or a list.
    """
    if not isinstance(key, str) or not key or any(not part for part in key.split(".")):
        return f"{key!r} is not a dotted key such as model.norm.placement."
    if isinstance(value, dict):
        return f"{key} holds a mapping; write one dotted key for each of its values."
    governed = next((name for name in GOVERNED if key == name or name.startswith(f"{key}.")), None)
    if governed:
        return f"{governed} is set by the study itself (from protocol, inferences, seed and --data); take it out."
    return None
