"""Folds: which subjects train, validate and test. A subject stands on one side only, and validation never tests.

Both kinds of folds take their validation subjects from those that follow the test subjects around one circle of all
subjects, so that over all folds each validates equally often (k folds: to within one). S = subjects.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from har.datasets.recording import natural_order
from har.errors import DataError, UsageError, candidates
from har.files import parse_json, sha256_of_json, write_json
from har.seeds import derive_seed

_PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Fold:
    """One division of the subjects: names, in natural order, disjoint."""

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return the fold as files hold it: name, and lists of subjects."""
        return {"name": self.name, **{part: list(getattr(self, part)) for part in _PARTS}}


def leave_one_subject_out(subjects: Iterable[str], validation_subjects: int) -> list[Fold]:
    """Return one fold for each subject, which tests it alone; the next subjects validate.

    Args:
        subjects: All subjects.
        validation_subjects: How many of the other subjects validate; each subject validates that often in all.

    Raises:
        UsageError: There are too few subjects to train, validate and test.
    """
    circle = natural_order(subjects)
    return _rotate(circle, len(circle), validation_subjects, [f"subject-{subject}" for subject in circle])


def grouped_k_fold(subjects: Iterable[str], folds: int, validation_subjects: int, seed: int) -> list[Fold]:
    """Return `folds` folds that test every subject once, in groups of equal size (to within one).

    Args:
        subjects: All subjects.
        folds: Number of folds, from 2 to the number of subjects.
        validation_subjects: How many of the training subjects validate.
        seed: Decides which subjects test together.

    Raises:
        UsageError: There are too few subjects for so many folds, or to train, validate and test.
    """
    names = natural_order(subjects)
    if not 2 <= folds <= len(names):
        raise UsageError(f"{folds} folds over {len(names)} subjects.", f"Ask for 2 to {len(names)} folds.")
    order = np.random.default_rng(seed).permutation(len(names))
    return _rotate([names[i] for i in order], folds, validation_subjects, [f"fold-{i}" for i in range(folds)])


def named_split(name: str, split: dict[str, list[str]], validation_subjects: int) -> Fold:
    """Return the fold of an official or customary split of a data set.

    Args:
        name: The split's name in the card.
        split: Its ``train``, ``validation`` and ``test`` entries, as in a manifest.
        validation_subjects: How many training subjects validate where the split names none; drawn once and for all by
            the split's name, so that every run has the same.

    Raises:
        UsageError: The split divides a subject, or leaves none to train.
    """
    parts = {part: list(split[part]) for part in _PARTS}
    divided = next((entry for entries in parts.values() for entry in entries if "/" in entry), None)
    if divided is not None:
        raise UsageError(
            f"split {name!r} divides subjects ({divided}): its test subjects are trained on.",
            "Its scores would say nothing about new people; use loso or kfold.",
        )
    if not parts["validation"]:
        if not 1 <= validation_subjects < len(parts["train"]):
            count = len(parts["train"])
            raise UsageError(
                f"{count} training subjects of split {name!r} cannot give {validation_subjects} to validate.",
                "At least one must validate and one must train: change validation_subjects.",
            )
        drawn = np.random.default_rng(derive_seed("split", name)).permutation(len(parts["train"]))
        chosen = {parts["train"][i] for i in drawn[:validation_subjects]}
        parts["validation"] = [subject for subject in parts["train"] if subject in chosen]
        parts["train"] = [subject for subject in parts["train"] if subject not in chosen]
    return Fold(name, *(tuple(natural_order(parts[part])) for part in _PARTS))


def _rotate(circle: Sequence[str], folds: int, validation_subjects: int, names: Sequence[str]) -> list[Fold]:
    """Cut the circle of subjects into `folds` test groups; the subjects after each group validate."""
    count = len(circle)
    largest = -(-count // max(folds, 1))
    if validation_subjects < 1 or largest + validation_subjects >= count:
        raise UsageError(
            f"{count} subjects cannot give {largest} to test, {validation_subjects} to validate and the rest to train.",
            "At least one must validate and one must train: change validation_subjects or the number of folds.",
        )
    # Cutting at i*S//k spreads the larger groups evenly, which is what keeps the validation counts within one.
    cuts = [i * count // folds for i in range(folds + 1)]
    result = []
    for name, low, high in zip(names, cuts[:-1], cuts[1:], strict=True):
        test = circle[low:high]
        validation = [circle[(high + i) % count] for i in range(validation_subjects)]
        train = [subject for subject in circle if subject not in test and subject not in validation]
        result.append(Fold(name, *(tuple(natural_order(part)) for part in (train, validation, test))))
    return result


def save_folds(path: Path, folds: Iterable[Fold]) -> None:
    """Write folds as JSON with the SHA-256 of their content."""
    content = [fold.record() for fold in folds]
    write_json(path, {"folds": content, "sha256": sha256_of_json(content)})


def load_folds(path: Path, subjects: Iterable[str] | None = None) -> list[Fold]:
    """Read folds, from `save_folds` or written by hand (then without `sha256`).

    Args:
        path: A JSON file.
        subjects: The data set's subjects; every name must be one of them. None leaves that unchecked.

    Raises:
        UsageError: The file is missing, or it is not a list of folds whose parts are disjoint and not empty.
        DataError: Its content is not what was written.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        entries = content["folds"]
        folds = [_fold(entry) for entry in entries]
    except FileNotFoundError:
        raise UsageError(f"folds file {path} does not exist.", "Write one, or take 'loso' or 'kfold'.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not a folds file ({type(error).__name__}: {error}).",
            'It is {"folds": [{"name": "a", "train": ["1"], "validation": ["2"], "test": ["3"]}]} or more such folds.',
        ) from None
    if content.get("sha256", sha256_of_json(entries)) != sha256_of_json(entries):
        raise DataError(f"{path} was changed after it was written.", "Remove its sha256 if that was on purpose.")
    names = [fold.name for fold in folds]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"{path}: no folds, or two folds of one name: {names}.", "Give each fold a name of its own.")
    known = None if subjects is None else list(subjects)
    for fold in folds:
        _check_fold(fold, known, path)
    return folds


def _fold(entry: dict[str, Any]) -> Fold:
    """Read one fold. A string where a list belongs would become a tuple of letters, so it is refused."""
    for part in _PARTS:
        if not isinstance(entry[part], list) or not all(isinstance(name, str) for name in entry[part]):
            raise TypeError(f"{part} must be a list of text, not {entry[part]!r}")
    if not isinstance(entry["name"], str):
        raise TypeError(f"name must be text, not {entry['name']!r}")
    return Fold(entry["name"], *(tuple(entry[part]) for part in _PARTS))


def _check_fold(fold: Fold, known: list[str] | None, path: Path) -> None:
    """Refuse a fold with an empty part, a subject on two sides, or one that the data set does not have."""
    everyone = [*fold.train, *fold.validation, *fold.test]
    for part in _PARTS:
        if not getattr(fold, part):
            raise UsageError(f"{path}: fold {fold.name!r} has no {part} subject.", "Give it at least one.")
    for subject in everyone:
        if everyone.count(subject) > 1:
            what = f"{path}: subject {subject!r} stands more than once in fold {fold.name!r}."
            raise UsageError(what, "A subject trains, validates or tests.")
        if known is not None and subject not in known:
            what = f"{path}: subject {subject!r} of fold {fold.name!r} is not in the data set."
            raise UsageError(what, candidates(subject, known))
