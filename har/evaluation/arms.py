"""Arms: the pairs of a variant and an inference that a study compares, by name.

An arm is named as its variant where its inference is `running`, and ``variant@inference`` where it is another one. No
variant's name has an ``@``. The inferences are made by training (`har.norms.inferences`); here they are names of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

RUNNING = "running"  # the inference that every run has
_TARGET = "target"  # how the inferences begin that use data of the test subject
_CHANGED = ("turned", "without")  # how the parts of names begin that change the device at use
_PERSONAL = "personal"  # how the inferences begin that use labels of the test subject
HMM, CAUSAL = "hmm", "hmm-causal"  # how the names of smoothed decisions end, or as MAJORITY
MAJORITY = re.compile(r"majority([1-9]\d*)")
INDUCTIVE, TRANSDUCTIVE, PERSONAL, CHANGED = KINDS = ("inductive", "transductive", "personal", "changed")


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


def smoothing_of(inference: str) -> tuple[str, str]:
    """Return whose decisions a name smooths, and how: ``target+hmm`` is of ``target``, ``hmm``; else how is ""."""
    base, plus, smoothing = inference.rpartition("+")
    known = plus and (smoothing in (HMM, CAUSAL) or MAJORITY.fullmatch(smoothing))
    return (base, smoothing) if known else (inference, "")


def kind_of(name: str) -> str:
    """Return what an arm is reported as; one of `KINDS`.

    Arms of another kind than `INDUCTIVE` answer another question than how a new subject is served, so that they compete
    with none of those. One whose device is changed at use is that, whatever statistics it predicts with.
    """
    inference = parts_of(name)[1]
    if any(part.split("-")[0] in _CHANGED for part in inference.split("+")):
        return CHANGED
    if inference.split("-")[0] == _PERSONAL:
        return PERSONAL
    return TRANSDUCTIVE if is_transductive(name) else INDUCTIVE


def is_transductive(name: str) -> bool:
    """Tell whether an arm predicts with unlabelled data of the test subject, so that it competes with no other."""
    return re.split("[-+]", parts_of(name)[1])[0] == _TARGET


def remark(*names: str) -> str:
    """Return a sentence for each thing that one of some arms does and others do not; "" where all are inductive."""
    remarks = {
        CHANGED: "The device is changed at use.",
        PERSONAL: "It is personalised: labelled windows of the test subject are used, which nothing is scored on.",
    }
    sentences: list[str | None] = []
    for name in names:
        smoothed = smoothing_of(parts_of(name)[1])[1]
        sentences += [
            "It is transductive: unlabelled windows of the test subject are used." if is_transductive(name) else None,
            remarks.get(kind_of(name)),
            "Decisions are smoothed over neighbouring windows." if smoothed else None,
        ]
    return " ".join(dict.fromkeys(filter(None, sentences)))
