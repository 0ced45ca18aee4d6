"""Paired runs of two arms: same fold, same repeat, same windows; and the difference of each subject in each repeat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from har.evaluation.arms import parts_of
from har.evaluation.counts import natural
from har.evaluation.gathering import Gathered, Run
from har.evaluation.measures import macro_f1


@dataclass(frozen=True)
class Pairs:
    """What a contrast rests on.

    Attributes:
        difference_SR: float64 (subjects, repeats), score of a minus score of b; NaN where a pair is missing.
        subjects: S names, in natural order; empty where there is nothing to compare.
        problems: Sentences that say what was left out, or why there is nothing.
    """

    difference_SR: np.ndarray
    subjects: list[str]
    problems: list[str]


def pair_up(gathered: Gathered, a: str, b: str, policy: str) -> Pairs:
    """Pair the runs of two arms and return the differences of their macro F1.

    Args:
        gathered: The runs of a study.
        a: Name of the first arm.
        b: Name of the second, the one that is subtracted.
        policy: The policy of absent activities for macro F1.

    Returns:
        The pairs. There are none where paired runs predicted different windows, or no pair is there.
    """
    nothing = np.empty((0, 0))
    pairs = paired_runs(gathered, a, b)
    different = [one.folder for one, other in pairs if one.windows != other.windows]
    if different:
        why = f"Contrast {a} against {b} is refused: its runs predicted different windows or subjects, first in"
        return Pairs(nothing, [], [f"{why} {different[0]}."])
    problems = _left_out(gathered, a, b, pairs)
    if not pairs:
        return Pairs(nothing, [], problems)
    difference_SR, subjects = by_repeat(
        (subject, one.repeat, macro_f1(counts_KK, policy) - macro_f1(other.confusions[subject], policy))
        for one, other in pairs
        for subject, counts_KK in one.confusions.items()
    )
    if len(subjects) == 1:
        problems.append(f"Contrast {a} against {b} rests on one subject: no interval and no test.")
    return Pairs(difference_SR, subjects, problems)


def paired_runs(gathered: Gathered, a: str, b: str) -> list[tuple[Run, Run]]:
    """Return the runs of two arms that share fold and repeat."""
    first, second = ({(run.fold, run.repeat): run for run in gathered.of(name)} for name in (a, b))
    return [(first[key], second[key]) for key in first if key in second]


def subject_scores(runs: Iterable[Run], policy: str) -> dict[str, float]:
    """Return the macro F1 of each subject of some runs, mean over repeats, in natural order of the subjects."""
    score_SR, subjects = by_repeat(
        (subject, run.repeat, macro_f1(counts_KK, policy))
        for run in runs
        for subject, counts_KK in run.confusions.items()
    )
    return dict(zip(subjects, np.nanmean(score_SR, axis=1).tolist(), strict=True)) if subjects else {}


def by_repeat(values: Iterable[tuple[str, int, float]]) -> tuple[np.ndarray, list[str]]:
    """Return the mean of the values of every subject and repeat, so that all are averaged in one order.

    Args:
        values: Subject, repeat and value; several of one subject and repeat where several folds test the subject.

    Returns:
        float64 (subjects, repeats), NaN where there is no value, and the subjects in natural order.
    """
    of_place: dict[tuple[str, int], list[float]] = defaultdict(list)
    for subject, repeat, value in values:
        of_place[subject, repeat].append(value)
    subjects = sorted({subject for subject, _ in of_place}, key=natural)
    repeats = sorted({repeat for _, repeat in of_place})
    mean_SR = np.full((len(subjects), len(repeats)), np.nan)
    for (subject, repeat), found in of_place.items():
        mean_SR[subjects.index(subject), repeats.index(repeat)] = np.mean(found)
    return mean_SR, subjects


def _left_out(gathered: Gathered, a: str, b: str, pairs: list[tuple[Run, Run]]) -> list[str]:
    """Return the sentence that says which declared pairs of runs a contrast does without, where there are some."""
    variants = {parts_of(name)[0] for name in (a, b)}
    expected = {(run["fold"], run["repeat"]) for run in gathered.study["runs"] if run["variant"] in variants}
    if len(pairs) == len(expected):
        return []
    tested = {fold["name"]: fold["test"] for fold in gathered.study["folds"]}
    lost = {subject for fold, _ in expected for subject in tested[fold]} - _subjects(one for one, _ in pairs)
    plural = "s" if len(lost) > 1 else ""
    without = f", without subject{plural} {', '.join(sorted(lost, key=natural))}" if lost else ""
    return [
        f"Contrast {a} against {b} rests on {len(pairs)} of {len(expected)} pairs of runs{without};"
        " nothing was filled in."
    ]


def _subjects(runs: Iterable[Run]) -> set[str]:
    """Return every test subject of some runs."""
    return {subject for run in runs for subject in run.confusions}
