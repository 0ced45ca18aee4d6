"""Arms: the pairs of a variant and an inference that a study compares, by name.

An arm is named as its variant where its inference is `running`, and ``variant@inference`` where it is another one. No
variant's name has an ``@``. The inferences are made by training (`har.norms.inferences`); here they are names of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

RUNNING = "running"  # the inference that every run has
_TARGET = "target"  # how the inferences begin that use data of the test subject


def arm(variant: str, inference: str) -> str:
    """Return the name of a pair."""
    return variant if inference == RUNNING else f"{variant}@{inference}"


def parts_of(name: str) -> tuple[str, str]:
    """Return variant and inference of an arm."""
    variant, _, inference = name.partition("@")
    return variant, inference or RUNNING


def arms(variants: Iterable[str], inferences: Iterable[str]) -> list[str]:
    """Return every arm, all inferences of a variant together."""
    inferences = list(inferences)
    return [arm(variant, inference) for variant in variants for inference in inferences]


def inferences_of(study: Mapping[str, Any]) -> list[str]:
    """Return the inferences of a study; those from before there was a choice have one."""
    return list(study.get("inferences", [RUNNING]))


def is_transductive(name: str) -> bool:
    """Tell whether an arm predicts with unlabelled data of the test subject, so that it competes with no other."""
    return parts_of(name)[1].split("-")[0] == _TARGET
