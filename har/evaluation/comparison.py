"""The variants of a study, contrasted.

Nothing is filled in: a contrast uses the pairs of runs (same fold, same repeat) that both variants have and says what
it left out; it is refused where paired runs predicted different windows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from har.errors import UsageError, unknown
from har.evaluation import contrast
from har.evaluation.arms import RUNNING, is_transductive, parts_of, remark
from har.evaluation.calibration import calibration
from har.evaluation.counts import sum_counts
from har.evaluation.event_scores import event_scores
from har.evaluation.gathering import Gathered, Run, gather
from har.evaluation.measures import DEFAULT_POLICY, POLICIES, SUBJECT_POLICIES, macro_f1
from har.evaluation.numbers import number
from har.evaluation.paired import Pairs, pair_up, subject_scores
from har.evaluation.practical import decision, signed_rank, superiority
from har.evaluation.scores import (
    defined,
    event_remarks,
    per_activity,
    single_prediction,
    totals,
    worst_activity,
    worst_subject,
)
from har.evaluation.steps_to_target import steps_to_target
from har.evaluation.training_subjects import training_curve
from har.evaluation.use_cost import use_of
from har.evaluation.why import explain
from har.files import write_json


def evaluate_study(folder: Path, policy: str = DEFAULT_POLICY) -> dict[str, Any]:
    """Score all runs of a study, contrast its variants, and write `scores.json` per run and `contrasts.json`.

    Args:
        folder: The study's folder.
        policy: The policy of absent activities for scores per subject: ``present``, ``union`` or ``all``.

    Returns:
        The content of `contrasts.json`.

    Raises:
        DataError: When the folder is no study.
        UsageError: When the policy is not known or is not one per subject.
    """
    return judge(folder, gather(folder, check_policy(policy)), policy)


def judge(folder: Path, gathered: Gathered, policy: str) -> dict[str, Any]:
    """Contrast the variants of a gathered study and write its `contrasts.json`; see `evaluate_study`."""
    study = gathered.study
    shared = _seeds_are_shared(gathered.runs)
    problems = list(gathered.problems)
    if shared:
        problems.append(
            "The seeds of a repeat are the same in every fold; p-values are then too small, and"
            " intervals from fewer than 20 subjects too short (docs/statistics.md)."
        )
    problems.extend(_single_predictions(gathered))
    contrasts = [_contrast(gathered, declared, policy, shared) for declared in study["contrasts"]]
    adjusted = contrast.holm([1.0 if found["p"] is None else found["p"] for found in contrasts])
    smallest = contrast.smallest_holm([found["subjects"] for found in contrasts])
    for found, p_holm, least in zip(contrasts, adjusted, smallest, strict=True):
        _conclude(found, p_holm, least, len(contrasts))
        problems.extend(found["problems"])
    variants = {name: _variant(gathered, name, policy) for name in gathered.arms}
    for name, found in variants.items():
        found["use"], damaged = use_of(folder, gathered.of(name) if parts_of(name)[1] == RUNNING else [])
        problems.extend(damaged)
    counted = sum(parts_of(run.arm)[1] == RUNNING for run in gathered.runs)
    target: dict[str, Any] = {}
    if "target" in study:
        target["target"], left_out = steps_to_target(gathered, shared_repeats=shared)
        problems.extend(left_out)
    fewer: dict[str, Any] = {}
    if gathered.fewer:
        fewer["training_subjects"], left_out = training_curve(gathered, policy, shared_repeats=shared)
        problems.extend(left_out)
    result: dict[str, Any] = {
        "study": study["name"],
        "question": study["question"],
        "data_set": study["data_set"],
        "policy": policy,
        "rope": contrast.ROPE,
        "alpha": contrast.ALPHA,
        "runs": {"declared": len(study["runs"]), "counted": counted},
        "shared_seeds": shared,
        "problems": problems,
        "notes": _notes(variants, gathered),
        "answer": _answer(contrasts),
        "variants": variants,
        "contrasts": contrasts,
        **target,
        **fewer,
    }
    result["why"] = explain(folder, gathered, result, shared=shared)
    write_json(folder / "contrasts.json", result)
    return result


def check_policy(policy: str) -> str:
    """Return a policy that gives one score per subject, or raise a `UsageError`."""
    if policy not in POLICIES:
        raise unknown("policy of absent activities", policy, POLICIES)
    if policy not in SUBJECT_POLICIES:
        raise UsageError(
            f"policy {policy!r} gives one number for all subjects, so it cannot be contrasted over subjects.",
            f"Use one of {', '.join(SUBJECT_POLICIES)}; the pooled score is always shown beside it.",
        )
    return policy


def _contrast(gathered: Gathered, declared: dict[str, Any], policy: str, shared: bool) -> dict[str, Any]:
    """Return one contrast before adjustment: paired differences and their estimate, or why there are none."""
    a, b = declared["a"], declared["b"]
    found: dict[str, Any] = {"a": a, "b": b, "primary": bool(declared.get("primary")), "policy": policy}
    found["transductive"] = is_transductive(a) or is_transductive(b)
    found |= dict.fromkeys(("mean", "sd", "interval", "interval_method", "p"))
    found |= dict.fromkeys(("effect", "superiority", "practical", "p_corrected_t"))
    found |= {"subjects": 0, "repeats": 0, "differences": {}, "problems": []}
    pairs = pair_up(gathered, a, b, policy)
    found["problems"].extend(pairs.problems)
    if not pairs.subjects:
        return found
    result = contrast.estimate(pairs.difference_SR, shared_repeats=shared)
    return (
        found
        | _practice(pairs, result, shared)
        | {
            "subjects": result.subjects,
            "repeats": result.repeats,
            "mean": result.mean,
            "sd": result.sd,
            "interval": None if result.interval is None else list(result.interval),
            "interval_method": result.method,
            "p": result.p,
            "differences": dict(zip(pairs.subjects, np.nanmean(pairs.difference_SR, axis=1).tolist(), strict=True)),
            "estimate": result,
        }
    )


def _practice(pairs: Pairs, result: contrast.Estimate, shared: bool) -> dict[str, Any]:
    """Return what stands beside the verdict and takes no part in it: effect, P(a > b), practical equivalence."""
    difference_S = np.nanmean(pairs.difference_SR, axis=1)
    share, interval = superiority(pairs.difference_SR, shared_repeats=shared)
    worse, equivalent, better = signed_rank(difference_S)
    return {
        "effect": result.mean / result.sd if result.sd else None,
        "superiority": {"probability": share, "interval": None if interval is None else list(interval)},
        "practical": {
            "worse": worse,
            "equivalent": equivalent,
            "better": better,
            "decision": decision(worse, equivalent, better),
        },
        "p_corrected_t": contrast.corrected_t_p(difference_S) if len(difference_S) > 1 else None,
    }


def _single_predictions(gathered: Gathered) -> list[str]:
    """Return one sentence for every arm with runs that predict one activity for whatever they see."""
    problems = []
    for name in gathered.arms:
        runs = gathered.of(name)
        found = [(run, activity) for run in runs if (activity := single_prediction(run.counts)) is not None]
        if found:
            first, activity = found[0]
            problems.append(
                f"{len(found)} of {len(runs)} runs of {name} predict one activity for every window, first"
                f" {first.folder} ({activity})."
            )
    return problems


def _conclude(found: dict[str, Any], p_holm: float, smallest: float, contrasts: int) -> None:
    """Add the adjusted p, what the design can detect, the verdict and its sentence to a contrast.

    Args:
        found: The contrast.
        p_holm: Its adjusted p.
        smallest: The smallest that this could have been.
        contrasts: Size of the declared family.
    """
    result = found.pop("estimate", None)
    found |= {"family": contrasts, "p_holm_smallest": smallest, "detectable": None}
    if result is None:
        found |= {"p_holm": None, "verdict": "not judged"}
        found["sentence"] = f"{found['a']} against {found['b']} is not judged: there are no comparable runs."
        return
    found["p_holm"] = p_holm
    if smallest < contrast.ALPHA and result.sd is not None:
        found["detectable"] = contrast.minimum_detectable_effect(result.sd, result.subjects, contrasts)
    found["verdict"] = contrast.verdict(result.mean, result.interval, p_holm, smallest)
    found["sentence"] = contrast.sentence(found["a"], found["b"], result, p_holm, smallest, contrasts)
    found["sentence"] = " ".join(filter(None, (found["sentence"], remark(found["a"], found["b"]))))


def _variant(gathered: Gathered, name: str, policy: str) -> dict[str, Any]:
    """Return the scores and the cost of one variant over its runs that count."""
    runs = gathered.of(name)
    counts = sum_counts(gathered.activities, [run.counts for run in runs])
    rows = per_activity(counts)
    per_subject = subject_scores(runs, policy)
    values = list(per_subject.values())
    return {
        "runs": len(runs),
        "declared": sum(run["variant"] == name for run in gathered.study["runs"]),
        "subjects": len(values),
        "macro_f1": float(np.mean(values)) if values else None,
        "macro_f1_sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "macro_f1_pooled": defined(macro_f1(counts.pooled, "pooled")),
        "macro_f1_by_policy": _by_policy(runs, counts.pooled),
        **totals(counts.pooled),
        "per_subject": per_subject,
        "worst_subject": worst_subject(per_subject),
        "worst_activity": worst_activity(rows),
        "activities": gathered.activities,
        "per_activity": rows,
        "confusion": counts.pooled.tolist(),
        "calibration": calibration(counts.reliability_B3),
        "events": None if counts.events is None else event_scores(counts.events, gathered.activities),
        "notes": event_remarks(counts) if runs else [],
        "parameters": _mean(run.record.get("parameters") for run in runs),
        "best_step": _mean(run.record.get("best_step") for run in runs),
        "seconds": _mean(run.record.get("seconds") for run in runs),
    }


def _by_policy(runs: list[Run], pooled_KK: np.ndarray) -> dict[str, float | None]:
    """Return the macro F1 of some runs under every policy: mean over subjects, repeats first, and the pooled one."""
    found: dict[str, float | None] = {}
    for policy in SUBJECT_POLICIES:
        values = list(subject_scores(runs, policy).values())
        found[policy] = float(np.mean(values)) if values else None
    return found | {"pooled": defined(macro_f1(pooled_KK, "pooled"))}


def _notes(variants: Mapping[str, dict[str, Any]], gathered: Gathered) -> list[str]:
    """Return what to know of the scores, taken out of the variants, and which runs they are of where there are more."""
    notes = list(dict.fromkeys(note for found in variants.values() for note in found.pop("notes")))
    if gathered.fewer:
        largest = max(gathered.study["protocol"]["train_subjects"])
        notes.insert(0, f"All scores and verdicts are of the runs with {largest} training subjects.")
    return notes


def _answer(contrasts: list[dict[str, Any]]) -> list[str]:
    """Return the answer of the study in two sentences: the primary contrast, then what else can be said."""
    if not contrasts:
        return ["The study declares no contrast, so it describes its variants and judges none."]
    primary = next((found for found in contrasts if found["primary"]), contrasts[0])
    others = [found for found in contrasts if found is not primary]
    parts = []
    if others:
        listed = "; ".join(f"{found['a']} against {found['b']}: {found['verdict']}" for found in others)
        parts.append(f"of the other declared contrasts, {listed}")
    if (power := _power(primary)) is not None:
        parts.append(power)
    second = "; ".join(parts)
    return [primary["sentence"], *([second[0].upper() + second[1:] + "."] if second else [])]


def _power(found: dict[str, Any]) -> str | None:
    """Return what the design of a contrast can find, in words; None where the contrast is not judged."""
    if found["mean"] is None:
        return None
    contrasts = found["family"]
    if found["detectable"] is None:
        limit = contrast.limit(found["subjects"], contrasts, found["p_holm_smallest"])
        return f"this design cannot show any difference: {limit}"
    size = number(found["detectable"], "size")
    adjusted = f"Holm-adjusted over {contrasts} contrast{contrast.plural(contrasts)}"
    return (
        f"where subjects differ as much as these, this design finds a true difference of {size} F1 points in four of"
        f" five studies ({adjusted})"
    )


def _seeds_are_shared(runs: list[Run]) -> bool:
    """Tell whether some repeat has one and the same seed in several folds, and no repeat has several seeds."""
    seeds: dict[int, dict[str, Any]] = defaultdict(dict)
    for run in runs:
        seeds[run.repeat][run.fold] = run.record.get("seed")
    several = [set(by_fold.values()) for by_fold in seeds.values() if len(by_fold) > 1]
    return bool(several) and all(len(values) == 1 for values in several)


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are there."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
