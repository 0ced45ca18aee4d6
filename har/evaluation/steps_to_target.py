"""How long training takes to reach a target: the best validation macro F1 of one variant, in the same fold and repeat.

A run reaches the target at the first of two evaluations in a row that are at or above it, so that one lucky evaluation
is no arrival. A run that never does is censored: its time is beyond its last evaluation, and that is how it enters the
product-limit estimate (`har.evaluation.survival`). It is never left out of it, and no time is made up for it.

A run whose training diverged never arrives, whatever its evaluations were before: it is censored at the end of its
whole budget. In seconds, which its budget did not take, it is followed until its last evaluation; it shortens no limit,
and up to the limit that the others set it has not arrived.

- per variant: share reached, median time, restricted mean time (of min(time, limit), the limit being the shortest
  budget);
- ratio of times of a and b: exp of the mean over folds of log t_a - log t_b, where both reach the target. That is a
  selection, so beside it stands the difference of restricted means over all folds.

Time is counted in optimiser steps, in examples (steps times batch) and in seconds of training on the run's machine,
evaluations included. The unit is the fold, repeats averaged first. Where one subject is left out, a fold is a subject;
where several are, they share the training of their fold, which counts once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from har.evaluation.arms import RUNNING, parts_of
from har.evaluation.contrast import mean_interval, plural
from har.evaluation.gathering import DivergedRun, Gathered, Run
from har.evaluation.numbers import number, with_minus
from har.evaluation.survival import kaplan_meier

UNITS = ("steps", "examples", "seconds")
_SCORE = "validation_macro_f1"
_Place = tuple[str, int]  # fold and repeat


@dataclass(frozen=True)
class Reach:
    """When one run reached its target, or until when it had not.

    Attributes:
        variant: Its variant.
        fold: Its fold.
        repeat: Its repeat.
        target: The validation macro F1 that was to be reached.
        reached: Whether it was.
        time: By unit, the time of reaching it, or until when it is known not to have been reached.
        followed: By unit, the time of the last evaluation; of a run that diverged, its budget in steps and examples.
        diverged: Whether training diverged.
    """

    variant: str
    fold: str
    repeat: int
    target: float
    reached: bool
    time: dict[str, float]
    followed: dict[str, float]
    diverged: bool = False


def first_of_two(values: Sequence[float | None], target: float) -> int | None:
    """Return the position of the first of two values in a row that are at or above a target, None without any.

    Args:
        values: One score per evaluation, None where there is none.
        target: What is to be reached.
    """
    high = [value is not None and value >= target for value in values]
    return next((at for at in range(len(high) - 1) if high[at] and high[at + 1]), None)


def steps_to_target(gathered: Gathered, *, shared_repeats: bool) -> tuple[dict[str, Any], list[str]]:
    """Return how long each variant takes to reach the study's target, as a JSON value, and what was left out.

    Args:
        gathered: The runs of a study whose `study.json` names a target.
        shared_repeats: Whether a repeat has one seed for all folds, so that intervals resample repeats jointly.
    """
    declared = gathered.study["target"]
    reaches, problems = _reaches(gathered, declared)
    limits = _limits(reaches)
    reaches = [_never(reach, limits) if reach.diverged else reach for reach in reaches]
    by_variant: dict[str, list[Reach]] = {name: [] for name in gathered.study["variants"]}
    for reach in reaches:
        by_variant[reach.variant].append(reach)
    pairs = dict.fromkeys(
        tuple(parts_of(found[side])[0] for side in ("a", "b")) for found in gathered.study["contrasts"]
    )
    found = {
        "reference": declared["reference"],
        "share": declared["share"],
        "limits": limits,
        "variants": {name: _variant(own, limits) for name, own in by_variant.items()},
        "contrasts": [_contrast(a, b, by_variant, limits, shared_repeats=shared_repeats) for a, b in pairs if a != b],
        "runs": [_run_entry(reach) for reach in reaches],
    }
    return found, problems


def target_in_words(found: Mapping[str, Any]) -> str:
    """Return what the target is, such as ``98 % of the best validation macro F1 of none``."""
    share = "" if found["share"] == 1 else f"{100 * found['share']:g} % of "
    return f"{share}the best validation macro F1 of {found['reference']}"


def target_sentences(found: Mapping[str, Any]) -> list[str]:
    """Return what was found, in sentences: the target, then each contrast."""
    intro = f"Training until {target_in_words(found)} in the same fold and repeat, twice in a row:"
    return [intro, *(pair["sentence"] for pair in found["contrasts"])]


def _reaches(gathered: Gathered, declared: Mapping[str, Any]) -> tuple[list[Reach], list[str]]:
    """Return one entry per run whose fold and repeat have a target, and what is to be said of others."""
    counted = [run for run in gathered.runs if parts_of(run.arm)[1] == RUNNING]
    counted = [run for run in counted if not run.record.get("at_once")]  # which makes no steps
    runs: list[Run | DivergedRun] = [*counted, *gathered.diverged]
    targets = {
        (run.fold, run.repeat): declared["share"] * best
        for run in counted
        if run.arm == declared["reference"] and (best := _best(run)) is not None
    }
    reaches, left_out = [], []
    for run in runs:
        target = targets.get((run.fold, run.repeat))
        batch_size = run.record.get("batch_size", gathered.study["protocol"].get("batch_size"))
        if target is None or batch_size is None:
            left_out.append(run)
        elif isinstance(run, DivergedRun):
            reaches.append(_diverged(run, target, batch_size))
        elif _is_complete(run.curve):
            reaches.append(_reach(run, target, batch_size))
        else:
            left_out.append(run)
    problems = []
    if left_out:
        why = f"{declared['reference']} has no score there to be reached, or they have no complete record of it"
        problems.append(f"Steps to the target leave out {len(left_out)} of {len(runs)} runs ({_few(left_out)}): {why}.")
    never = [run for run in gathered.diverged if run not in left_out]
    if never:
        count = f"{len(never)} run{plural(len(never))}"
        problems.append(f"Steps to the target count {count} that diverged as never arriving ({_few(never)}).")
    return reaches, problems


def _few(runs: Sequence[Run | DivergedRun]) -> str:
    """Return the folders of the first of some runs."""
    return ", ".join(run.folder for run in runs[:3]) + (" …" if len(runs) > 3 else "")


def _best(run: Run) -> float | None:
    """Return the best validation macro F1 of a run."""
    return max((point[_SCORE] for point in run.curve if point.get(_SCORE) is not None), default=None)


def _is_complete(curve: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a curve has evaluations, each with a step and a time above 0."""
    return bool(curve) and all((point.get(key) or 0) > 0 for point in curve for key in ("step", "seconds"))


def _reach(run: Run, target: float, batch_size: int) -> Reach:
    """Return when a run reached the target."""
    at = first_of_two([point.get(_SCORE) for point in run.curve], target)

    def times(point: Mapping[str, Any]) -> dict[str, float]:
        step = float(point["step"])
        return {"steps": step, "examples": step * batch_size, "seconds": float(point["seconds"])}

    last = run.curve[-1]
    return Reach(
        variant=run.arm,
        fold=run.fold,
        repeat=run.repeat,
        target=target,
        reached=at is not None,
        time=times(last if at is None else run.curve[at]),
        followed=times(last),
    )


def _diverged(run: DivergedRun, target: float, batch_size: int) -> Reach:
    """Return a run that diverged: it never arrives, which is known for the whole of its budget."""
    seconds = float(run.curve[-1].get("seconds") or 0.0) if run.curve else 0.0
    followed = {"steps": float(run.max_steps), "examples": float(run.max_steps * batch_size), "seconds": seconds}
    return Reach(run.arm, run.fold, run.repeat, target, reached=False, time=followed, followed=followed, diverged=True)


def _limits(reaches: Sequence[Reach]) -> dict[str, float]:
    """Return by unit the time up to which every run is followed; how soon training diverged shortens none."""
    followed = [reach.followed for reach in reaches if not reach.diverged] or [reach.followed for reach in reaches]
    return {unit: min(times[unit] for times in followed) for unit in UNITS} if followed else {}


def _never(reach: Reach, limits: Mapping[str, float]) -> Reach:
    """Return a run that diverged as one that has not arrived at any limit, however soon it diverged."""
    return replace(reach, time={unit: max(time, limits[unit]) for unit, time in reach.time.items()})


def _run_entry(reach: Reach) -> dict[str, Any]:
    """Return what is said of one run; the times of a censored one are None."""
    entry = {"variant": reach.variant, "fold": reach.fold, "repeat": reach.repeat, "target": reach.target}
    times = {unit: reach.time[unit] if reach.reached else None for unit in UNITS}
    return entry | times | {"followed": reach.followed}


def _variant(reaches: Sequence[Reach], limits: Mapping[str, float]) -> dict[str, Any]:
    """Return share reached, medians, restricted means and the curve of reaching of one variant."""
    found: dict[str, Any] = {"runs": len(reaches), "folds": len({reach.fold for reach in reaches})}
    found |= {"followed": max((reach.followed["steps"] for reach in reaches), default=0.0)}
    found |= {"reached": None, "median": dict.fromkeys(UNITS), "restricted_mean": dict.fromkeys(UNITS), "curve": []}
    if not reaches:
        return found
    repeats = {reach.fold: sum(other.fold == reach.fold for other in reaches) for reach in reaches}
    weight_N = np.array([1 / repeats[reach.fold] for reach in reaches])
    reached_N = np.array([reach.reached for reach in reaches])
    found["reached"] = float(weight_N @ reached_N / weight_N.sum())
    for unit in UNITS:
        curve = kaplan_meier(np.array([reach.time[unit] for reach in reaches]), reached_N, weight_N)
        found["median"][unit] = curve.median()
        found["restricted_mean"][unit] = curve.restricted_mean(limits[unit])
        if unit == "steps":
            found["curve"] = [
                [step, 1 - left] for step, left in zip(curve.time.tolist(), curve.share.tolist(), strict=True)
            ]
    return found


def _contrast(
    a: str,
    b: str,
    by_variant: Mapping[str, Sequence[Reach]],
    limits: Mapping[str, float],
    *,
    shared_repeats: bool,
) -> dict[str, Any]:
    """Return ratio and difference of the times of two variants, in every unit."""
    first, second = ({(reach.fold, reach.repeat): reach for reach in by_variant[name]} for name in (a, b))
    pairs = {place: (first[place], second[place]) for place in first if place in second}
    both = {place: pair for place, pair in pairs.items() if all(reach.reached for reach in pair)}
    found: dict[str, Any] = {"a": a, "b": b, "folds": _folds(pairs), "folds_both": _folds(both), "units": {}}
    for unit in UNITS:
        logs = {place: math.log(one.time[unit] / other.time[unit]) for place, (one, other) in both.items()}
        ratio, ends = _mean(logs, shared_repeats)
        limit = limits.get(unit, 0.0)  # every run is followed up to there, so both of these are known
        cut = {
            place: min(one.time[unit], limit) - min(other.time[unit], limit) for place, (one, other) in pairs.items()
        }
        difference, difference_ends = _mean(cut, shared_repeats)
        found["units"][unit] = {
            "ratio": None if ratio is None else math.exp(ratio),
            "ratio_interval": None if ends is None else [math.exp(end) for end in ends],
            "difference": difference,
            "difference_interval": None if difference_ends is None else list(difference_ends),
        }
    anybody = any(reach.reached for pair in pairs.values() for reach in pair)
    found["sentence"] = _sentence(found, limits) if anybody else _no_arrival(found, limits)
    return found


def _folds(places: Iterable[_Place]) -> int:
    """Return the number of folds among some places."""
    return len({fold for fold, _ in places})


def _mean(values: Mapping[_Place, float], shared_repeats: bool) -> tuple[float | None, tuple[float, float] | None]:
    """Return the mean over folds of a value of each pair of runs, repeats averaged first, and its 95 % interval."""
    if not values:
        return None, None
    folds = list(dict.fromkeys(fold for fold, _ in values))
    repeats = sorted({repeat for _, repeat in values})
    value_SR = np.array([[values.get((fold, repeat), np.nan) for repeat in repeats] for fold in folds])
    return float(np.nanmean(value_SR, axis=1).mean()), mean_interval(value_SR, shared_repeats=shared_repeats)[0]


def _sentence(found: Mapping[str, Any], limits: Mapping[str, float]) -> str:
    """Return what the steps of two variants say, in words."""
    a, b, steps = found["a"], found["b"], found["units"]["steps"]
    where = f"{found['folds_both']} of {found['folds']} fold{plural(found['folds'])}"
    if steps["ratio"] is None:
        first = f"no ratio of steps, as both reach the target in {where}"
    else:
        fewer = f" ({number(1 / steps['ratio'], 'ratio')} times fewer)" if steps["ratio"] < 1 else ""
        interval = _interval(steps["ratio_interval"], "ratio")
        first = f"{number(steps['ratio'], 'ratio')} times the steps{fewer} ({interval}; both reach it in {where})"
    limit = number(limits["steps"], "count")
    change = with_minus(number(steps["difference"], "change"))
    ends = _interval(steps["difference_interval"], "change")
    return f"{a} against {b}: {first}; restricted mean up to {limit} steps {change} steps ({ends}; all pairs of runs)."


def _no_arrival(found: Mapping[str, Any], limits: Mapping[str, float]) -> str:
    """Return what can be said of two variants of which no run reaches the target."""
    pair, folds = f"{found['a']} against {found['b']}", found["folds"]
    if not folds:
        return f"{pair}: there are no runs to compare."
    limit = number(limits["steps"], "count")
    return f"{pair}: neither reaches the target within {limit} steps, in any of {folds} fold{plural(folds)}."


def _interval(ends: Sequence[float] | None, kind: str) -> str:
    """Return an interval in words."""
    if ends is None:
        return "no interval from one fold"
    low, high = (with_minus(number(end, kind)) for end in ends)
    return f"95 % interval {low} to {high}"
