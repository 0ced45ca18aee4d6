"""One run of a study before it is made: where it stands, and the complete configuration that it will have."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from har.seeds import derive_seed
from har.windows.splits import Fold


@dataclass(frozen=True)
class Place:
    """Where a run of a study stands.

    Attributes:
        variant: Name of the variant.
        fold: Its training, validation and test subjects.
        repeat: Number of the repeat, from 0.
        folder: The run folder.
    """

    variant: str
    fold: Fold
    repeat: int
    folder: Path

    @property
    def address(self) -> tuple[str, str, int]:
        """Return variant, fold and repeat, which tell a run of a study from every other, wherever it lies."""
        return self.variant, self.fold.name, self.repeat

    @property
    def label(self) -> str:
        """Return the run in words, as progress and lists show it."""
        return f"{self.variant}  {self.fold.name}  repeat-{self.repeat}"


@dataclass(frozen=True)
class PlannedRun(Place):
    """One run of a study.

    Attributes:
        config: The complete configuration.
    """

    config: dict[str, Any]


@dataclass(frozen=True)
class Trial(PlannedRun):
    """A run that only helps to choose the value of a setting; its fold is an inner one.

    Attributes:
        outer: The fold that the value is for; its test subjects are not in the inner fold.
        key: The setting, dotted.
        value: The value that is tried.
    """

    outer: Fold
    key: str
    value: float

    @property
    def label(self) -> str:
        """Return the trial in words."""
        return f"{self.variant}  {self.fold.name}  {self.key}={self.value:g}"


def run_folder(study: Path, variant: str, fold: str, repeat: int) -> Path:
    """Return the folder of a run below its study's."""
    return study / variant / fold / f"repeat-{repeat}"


def run_seed(study_seed: int, fold: str, repeat: int, offset: int = 0) -> int:
    """Return the seed of a run: the same for all variants without an offset, another one in every fold and repeat.

    Sharing one list of seeds over the folds would make the test of a contrast too ready to reject.

    Args:
        study_seed: The study's seed.
        fold: Name of the fold.
        repeat: Number of the repeat.
        offset: The variant's, see `har.study.offsets`.

    Returns:
        An integer in [0, 2³¹).
    """
    return derive_seed(study_seed, fold, repeat, *([offset] if offset else []))


def fill(config: dict[str, Any], fold: str, seed: int) -> dict[str, Any]:
    """Return a copy of a complete configuration for one fold and seed, without parsing it once more."""
    filled = copy.deepcopy(config)
    filled["data"]["fold"] = fold
    filled["seed_everything"] = seed
    return filled
