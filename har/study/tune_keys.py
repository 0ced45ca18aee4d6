"""What a study file says under ``tune`` and ``target``.

    tune: {key: model.learning_rate, grid: [0.0003, 0.001, 0.003], inner_folds: 2}
    target: {reference: none, share: 0.98}

Both readers return what they could read and every mistake, a sentence each; what is read beside mistakes is a stand-in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from har.errors import candidates
from har.study.declared import OWN, Target, Tune, is_safe_name, override_problem, own_name
from har.study.trials import FOLDER, value_name

_STAND_IN = Tune("model.learning_rate", (0.001, 0.01), 2)
_TUNE = ("key", "grid", "inner_folds")
_TARGET = ("reference", "share")


def read_tune(given: Any, variants: Mapping[str, Mapping[str, Any]]) -> tuple[Tune, list[str]]:
    """Read the key ``tune``.

    Args:
        given: Its value.
        variants: The declared variants with their overrides.
    """
    if not isinstance(given, dict):
        return _STAND_IN, [
            f"tune is {given!r}; write {{key: model.learning_rate, grid: [0.001, 0.01], inner_folds: 2}}."
        ]
    problems = _strangers(given, _TUNE, "tune")
    problems += [f"tune: {key} is missing." for key in _TUNE if key not in given]
    key = given.get("key", _STAND_IN.key)
    problem = override_problem(key, None)
    owner = None if problem else next((name for name, own in variants.items() if key in own), None)
    if owner is not None:
        problem = f"{key} is what variant {owner!r} sets, so it has no matched value; tune another key."
    problems += [f"tune: {problem}"] if problem else []
    grid, wrong = _grid(given.get("grid", list(_STAND_IN.grid)))
    count = given.get("inner_folds", _STAND_IN.inner_folds)
    if not isinstance(count, int) or isinstance(count, bool) or count < 2:
        problems.append(f"tune: inner_folds is {count!r}; it must be a whole number of at least 2.")
        count = _STAND_IN.inner_folds
    return Tune(str(key), grid, count), [*problems, *wrong, *_names(variants)]


def _grid(given: Any) -> tuple[tuple[float, ...], list[str]]:
    """Read the values of a grid."""
    if not isinstance(given, list) or not all(map(_is_value, given)):
        return _STAND_IN.grid, [f"tune: grid is {given!r}; it must be a list of numbers that are not negative."]
    names = [value_name(value) for value in given]
    if len(given) < 2 or len(set(names)) < len(names):
        return _STAND_IN.grid, [
            f"tune: grid {given!r} must have at least two values that differ in their first 6 digits."
        ]
    return tuple(sorted(given)), []


def _is_value(value: Any) -> bool:
    """Tell whether a value of a grid is a finite number that is not negative."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _names(variants: Iterable[str]) -> list[str]:
    """Say which variants have names that tuning takes for itself."""
    problems = [
        f"variant {name!r}: with tune, names that end in {OWN!r} are those of variants at their tuned values."
        for name in variants
        if str(name).endswith(OWN)
    ]
    problems += [f"variant {name!r} is too long a name to have {OWN!r} put to it." for name in variants if _long(name)]
    return problems + [
        f"variant {name!r}: with tune, this is the folder of the trials." for name in variants if name == FOLDER
    ]


def _long(name: str) -> bool:
    """Tell whether a name is one of a folder, but no longer when it is put at its own value."""
    return is_safe_name(name) and not is_safe_name(own_name(name))


def read_target(given: Any, names: Iterable[str], short: Iterable[str]) -> tuple[Target, list[str]]:
    """Read the key ``target``.

    Args:
        given: Its value.
        names: Every variant that is judged (`Study.names`).
        short: Those of them that are in the short form; empty where there is none.
    """
    names, short = list(names), list(short)
    if not isinstance(given, dict):
        return Target("", 1.0), [f"target is {given!r}; write {{reference: VARIANT, share: 0.98}}."]
    problems = _strangers(given, _TARGET, "target")
    reference, share = given.get("reference"), given.get("share", 1.0)
    if reference not in names:
        problems.append(f"target: reference is {reference!r}, which is no variant. {candidates(reference, names)}")
    elif short and reference not in short:
        problems.append(f"target: reference {reference!r} is not in the short form, which has nothing to reach then.")
    if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 < share <= 1:
        problems.append(f"target: share is {share!r}; it must be a number above 0, at most 1.")
        share = 1.0
    return Target(str(reference), float(share)), problems


def _strangers(given: Mapping[Any, Any], known: Iterable[str], where: str) -> list[str]:
    """Say which keys are not known."""
    return [f"{where}: key {key!r} is not known. {candidates(key, known)}" for key in given if key not in set(known)]
