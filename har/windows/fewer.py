"""Folds with fewer training subjects, for the learning curve over their number.

The training subjects of a fold are put into an order that its name decides, once and for all; a fold with n of them has
the first n. So a smaller set lies within every larger one, all variants and repeats have the same, and validation and
test subjects stay who they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from har.datasets.recording import natural_order
from har.errors import UsageError
from har.seeds import derive_seed
from har.windows.splits import Fold


def with_fewer(folds: Iterable[Fold], numbers: Sequence[int]) -> list[Fold]:
    """Return each fold with each number of its training subjects, named ``<fold>_train-<number>``.

    Args:
        folds: The folds.
        numbers: How many train; the folds of the largest number come first.

    Raises:
        UsageError: A number is no count, or there twice, or a fold has not so many training subjects.
    """
    folds = list(folds)
    if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 1:
        raise UsageError(
            f"train_subjects {list(numbers)} are not different numbers of training subjects.", "Such as [2, 4, 8]."
        )
    for fold in folds:
        if max(numbers) > len(fold.train):
            raise UsageError(
                f"fold {fold.name} has {len(fold.train)} training subjects, not {max(numbers)}.",
                f"Ask for up to {min(len(other.train) for other in folds)} train_subjects.",
            )
    return [_first(fold, number) for number in sorted(numbers, reverse=True) for fold in folds]


def _first(fold: Fold, number: int) -> Fold:
    """Return a fold with the first so many of its training subjects, in the order that its name decides."""
    order = np.random.default_rng(derive_seed("training subjects", fold.name)).permutation(len(fold.train))
    train = natural_order(fold.train[place] for place in order[:number])
    return dataclasses.replace(fold, name=f"{fold.name}_train-{number}", train=tuple(train))
