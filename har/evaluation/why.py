"""When and why: what the differences between variants go along with, subject by subject, and in which activities.

For each contrast of a study and each value of a run's probes (`har.evaluation.probe_values`) there is one number of
each subject, the difference of macro F1, and another, the value of the runs that tested it. Whether the two rise
together is judged by `har.evaluation.association`; what may be said of it, by `finding` and `docs/statistics.md`.
Associations are not causes, and this module says so. It reads files and judges nothing that the verdicts rest on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from har.errors import DataError
from har.evaluation.arms import parts_of
from har.evaluation.association import FEWEST, Association, associate, smallest_p
from har.evaluation.contrast import ALPHA, holm, mean_interval, plural, sign_flip_p, smallest_holm
from har.evaluation.gathering import Gathered, Run
from har.evaluation.measures import f1
from har.evaluation.numbers import number, with_minus
from har.evaluation.paired import by_repeat, paired_runs
from har.evaluation.probe_values import Values, has_probes, in_order, is_over_depths, run_values
from har.evaluation.resampling import DRAWS
from har.evaluation.why_variants import over_variants

_FLIPS = 20_000  # beyond 20 subjects; a study has many activities in many contrasts
_DECIDED = {"rises": "larger", "falls": "smaller"}


def explain(folder: Path, gathered: Gathered, result: Mapping[str, Any], *, shared: bool) -> dict[str, Any]:
    """Relate the differences of a study to the probes of its runs, and take them apart by activity.

    Args:
        folder: The study's folder.
        gathered: Its runs.
        result: ``contrasts`` with the ``differences`` of their subjects, ``variants`` with scores ``per_subject``.
        shared: Whether a repeat has one seed for all subjects.

    Returns:
        The entry ``why`` of `contrasts.json`: ``runs`` and ``probed`` (how many runs there are and how many have
        probes), ``problems`` (sentences), ``contrasts``, each with its ``probes`` and ``activities``, and ``variants``.
    """
    values, problems = _read(folder, gathered)
    contrasts = []
    for found in result["contrasts"]:
        pairs = _comparable(paired_runs(gathered, found["a"], found["b"])) if found["differences"] else []
        probes = _probes(found, pairs, values)
        contrasts.append(
            {
                "a": found["a"],
                "b": found["b"],
                "primary": found["primary"],
                "probes": probes,
                "activities": _activities(pairs, gathered.activities, shared=shared),
            }
        )
    return {
        "runs": len(values),
        "probed": sum(has_probes(found) for found in values.values()),
        "problems": problems,
        "contrasts": contrasts,
        "variants": over_variants(gathered, result["variants"], values),
    }


def finding(found: Association | None, p_holm: float | None, family: int) -> str:
    """Return what may be said of an association, by the rule of `docs/statistics.md`.

    Args:
        found: The association; None where there is none to compute.
        p_holm: Its p, Holm-adjusted over the probes of its contrast.
        family: How many probes these are.

    Returns:
        ``rises``, ``falls``, ``undecided``, ``too few subjects`` or ``does not vary``.
    """
    if found is None or p_holm is None:
        return "does not vary"
    if smallest_p(found.subjects) * family >= ALPHA:
        return "too few subjects"
    if p_holm >= ALPHA or found.interval[0] <= 0 <= found.interval[1]:
        return "undecided"
    return "rises" if found.rho > 0 else "falls"


def sentences(why: Mapping[str, Any]) -> list[str]:
    """Return what the data show of when and why, and nothing else.

    Args:
        why: What `explain` returns.
    """
    if not why["probed"]:
        return [
            "The runs of this study have no probes, so nothing is said of why variants differ. Probes are measured"
            " while a run trains: har study FILE.yaml --probes --runs FOLDER makes the runs once more with them."
        ]
    if not why["contrasts"]:
        return ["The study declares no contrast, so there is no difference to relate to the probes."]
    said = []
    if why["probed"] < why["runs"]:
        said.append(f"{why['probed']} of {why['runs']} runs have probes; nothing was filled in for the others.")
    for found in why["contrasts"]:
        said += _contrast_sentences(found)
    said.append(
        "These are associations over the subjects of one study. They are no causes: what differs between subjects"
        " differs together, and no probe was set by the experiment."
    )
    return said


def activity_sentences(why: Mapping[str, Any]) -> list[str]:
    """Return for which activities each contrast shows a difference.

    Args:
        why: What `explain` returns.
    """
    said = []
    for found in why["contrasts"]:
        rows, pair = found["activities"], f"{found['a']} against {found['b']}"
        shown = [row for row in rows if row["p_holm"] is not None and row["p_holm"] < ALPHA]
        words = [f"{row['activity']} {with_minus(number(row['mean'], 'points'))}" for row in shown]
        if not rows:
            continue
        rest = len(rows) - len(shown)
        if min(smallest_holm([row["subjects"] for row in rows])) >= ALPHA:
            most = max(row["subjects"] for row in rows)
            counted = f"{most} subject{plural(most)} and {len(rows)} activities"
            said.append(f"{pair}: with {counted}, no difference can be shown for an activity taken alone.")
        elif not shown:
            said.append(f"{pair}: undecided for each of the {rest} activities taken alone.")
        else:
            more = f"; undecided for the other {rest}" if rest else ""
            said.append(f"{pair}: F1 points of {', '.join(words)} (Holm p below {ALPHA:g}){more}.")
    return said


def _contrast_sentences(found: Mapping[str, Any]) -> list[str]:
    """Return the sentences of one contrast: every association that is shown, then what is open and why."""
    pair, probes = f"{found['a']} − {found['b']}", found["probes"]
    said = [_shown(pair, row) for row in probes if row["finding"] in _DECIDED]
    if not found["primary"]:
        return said  # what is open in the others stands in the table
    if not probes:
        return [f"No value of the probes is there for both runs of a pair of {pair}."]
    for word, text in (
        ("undecided", "It is undecided whether the difference {pair} goes along with {names}"),
        ("too few subjects", "There are too few subjects to say whether the difference {pair} goes along with {names}"),
        ("does not vary", "Nothing can be said of {names}: it, or the difference {pair}, is the same for all subjects"),
    ):
        rows = [row for row in probes if row["finding"] == word]
        if rows:
            said.append(text.format(pair=pair, names=_names(rows)) + ".")
    return said


def _shown(pair: str, row: Mapping[str, Any]) -> str:
    """Return the sentence of an association that is shown."""
    rho, low, high = (with_minus(number(value, "correlation")) for value in (row["rho"], *row["interval"]))
    p = number(row["p_holm"], "p")
    return (
        f"The difference {pair} is {_DECIDED[row['finding']]} for subjects with more {row['probe']} ({row['of']}): rank"
        f" correlation {rho} (95 % interval {low} to {high}, Holm p = {p}, {row['subjects']} subjects)."
    )


def _names(rows: list[dict[str, Any]]) -> str:
    """Return probes with the variants that their values are of, those of several depths together."""
    depths: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        probe, _, depth = row["probe"].partition(", depth ")
        depths.setdefault((probe, row["of"]), []).append(depth)
    named = []
    for (probe, of), found in depths.items():
        at = f" at depth {', '.join(found)}" if found[0] else ""
        named.append(f"{probe}{at} ({of})")
    return "; ".join(named)


def _read(folder: Path, gathered: Gathered) -> tuple[Values, list[str]]:
    """Return the values of every run's probes, each run once, and what cannot be read."""
    values: Values = {}
    problems = []
    for run in gathered.runs:
        if run.folder in values:
            continue
        try:
            values[run.folder] = run_values(folder / run.folder, run.record, run.curve)
        except DataError as error:
            values[run.folder] = {}
            problems.append(f"The probes of run {run.folder} are left out: {error.what.rstrip('.')}.")
    return values, problems


def _comparable(pairs: list[tuple[Run, Run]]) -> list[tuple[Run, Run]]:
    """Return the pairs, none where some of them predicted different windows: then there is no contrast."""
    return [] if any(one.windows != other.windows for one, other in pairs) else pairs


def _probes(found: Mapping[str, Any], pairs: list[tuple[Run, Run]], values: Values) -> list[dict[str, Any]]:
    """Return the association of a contrast's differences with each value of its probes."""
    rows: list[dict[str, Any]] = []
    found_of: list[Association | None] = []
    names = in_order(name for pair in pairs for run in pair for name in values[run.folder] if not is_over_depths(name))
    for name in names:
        of, per_subject = _per_subject(name, pairs, values)
        both = [subject for subject in found["differences"] if subject in per_subject]
        x_S = np.array([per_subject[subject] for subject in both])
        y_S = np.array([found["differences"][subject] for subject in both])
        found_of.append(associate(x_S, y_S))
        known = {subject: per_subject[subject] for subject in both}
        rows.append({"probe": name, "of": of, "subjects": len(both), "values": known})
    tested = [one.p for one in found_of if one is not None]
    adjusted = iter(holm(tested))
    return [
        _conclude(row, one, None if one is None else next(adjusted), len(tested))
        for row, one in zip(rows, found_of, strict=True)
    ]


def _conclude(row: dict[str, Any], found: Association | None, p_holm: float | None, family: int) -> dict[str, Any]:
    """Return one row with the association as plain values and what may be said of it."""
    word = finding(found, p_holm, family)
    if found is None:
        few = row["subjects"] < FEWEST
        empty = dict.fromkeys(("rho", "interval", "p", "p_holm"))
        return {**row, **empty, "finding": "too few subjects" if few else word}
    plain = {"rho": found.rho, "interval": list(found.interval), "p": found.p, "p_holm": p_holm}
    return {**row, **plain, "finding": word}


def _per_subject(name: str, pairs: list[tuple[Run, Run]], values: Values) -> tuple[str, dict[str, float]]:
    """Return whose values of a probe are taken, and the value of each subject, mean over repeats.

    Where both variants have it, it is the difference a − b in each pair of runs that has both; where one has it, its
    own. Two inferences of one variant share their runs, and so their probes: then it is the value itself.
    """
    a, b = (parts_of(run.arm)[0] for run in pairs[0])
    in_a, in_b = (any(name in values[pair[side].folder] for pair in pairs) for side in (0, 1))
    if a == b or not in_b:
        of, signs = a, (1.0, 0.0)
    else:
        of, signs = (f"{a} − {b}", (1.0, -1.0)) if in_a else (b, (0.0, 1.0))
    known: list[tuple[Run, float]] = []
    for pair in pairs:
        parts = [sign * values[run.folder].get(name, np.nan) for sign, run in zip(signs, pair, strict=True) if sign]
        if not np.isnan(parts).any():
            known.append((pair[0], sum(parts)))
    mean_SR, subjects = by_repeat((subject, run.repeat, value) for run, value in known for subject in run.confusions)
    return of, dict(zip(subjects, np.nanmean(mean_SR, axis=1).tolist(), strict=True)) if subjects else {}


def _activities(pairs: list[tuple[Run, Run]], activities: list[str], *, shared: bool) -> list[dict[str, Any]]:
    """Return the paired difference of F1 in each activity over the subjects that perform it, Holm over activities."""
    rows: list[dict[str, Any]] = []
    for k, activity in enumerate(activities):
        difference_SR, subjects = by_repeat(
            (subject, one.repeat, float(f1(counts_KK)[k] - f1(other.confusions[subject])[k]))
            for one, other in pairs
            for subject, counts_KK in one.confusions.items()
            if counts_KK[k].any()
        )
        if not subjects:
            continue
        difference_S = np.nanmean(difference_SR, axis=1)
        interval, _ = mean_interval(difference_SR, shared_repeats=shared, draws=DRAWS)
        row: dict[str, Any] = {"activity": activity, "subjects": len(subjects), "mean": float(difference_S.mean())}
        row |= {"interval": None if interval is None else list(interval), "p": sign_flip_p(difference_S, draws=_FLIPS)}
        rows.append(row | {"differences": dict(zip(subjects, difference_S.tolist(), strict=True))})
    for row, p_holm in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p_holm
    return rows
