"""The studies of docs/results, in the form that the figures and sentences of `har.evaluation` are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from docs.findings import tables
from docs.findings.tables import Row
from har.errors import DataError
from har.evaluation import contrast
from har.evaluation.across import over_data_sets
from har.evaluation.arms import RUNNING, arm, parts_of
from har.evaluation.contrast import mean_interval
from har.evaluation.measures import DEFAULT_POLICY
from har.evaluation.paired import by_repeat

RECOMMENDED = "recommended"  # the study of a learner, which docs/learners.md shows; it asks the question on the side


class Found:
    """One study on one data set.

    Attributes:
        info: Its row of studies.csv.
        rows: File to its rows of this study.
    """

    def __init__(self, info: Row, rows: Mapping[str, list[Row]]) -> None:
        self.info = info
        self.rows = rows

    @property
    def name(self) -> str:
        """The study."""
        return str(self.info["study"])

    @property
    def data_set(self) -> str:
        """The data set, as it names itself."""
        return str(self.info["data_set"]).upper()

    @property
    def variants(self) -> list[str]:
        """The arms with running statistics, in the study's order."""
        return [row["variant"] for row in self.rows[tables.VARIANTS] if row["inference"] == RUNNING]

    def arm(self, name: str) -> Row:
        """Return the scores of an arm."""
        variant, inference = parts_of(name)
        found = [
            row for row in self.rows[tables.VARIANTS] if (row["variant"], row["inference"]) == (variant, inference)
        ]
        if not found:
            raise DataError(f"{self.name} on {self.data_set} has no variant {name}.", "Collect it, or change the text.")
        return found[0]

    @cached_property
    def contrasts(self) -> list[dict[str, Any]]:
        """The declared contrasts as entries of `contrasts.json`, with the difference of every subject."""
        found = []
        for row in self.rows[tables.CONTRASTS]:
            difference_SR, subjects = self.differences(row["a"], row["b"])
            own = dict(zip(subjects, np.nanmean(difference_SR, axis=1).tolist(), strict=True)) if subjects else {}
            interval = None if row["low"] is None else [row["low"], row["high"]]
            found.append({**row, "primary": bool(row["primary"]), "interval": interval, "differences": own})
        return found

    def has(self, a: str, b: str) -> bool:
        """Tell whether a contrast was declared and could be judged."""
        return any((row["a"], row["b"]) == (a, b) and row["mean"] is not None for row in self.contrasts)

    def contrast(self, a: str, b: str) -> dict[str, Any]:
        """Return one declared contrast."""
        for row in self.contrasts:
            if (row["a"], row["b"]) == (a, b):
                return row
        raise DataError(f"{self.name} on {self.data_set} has no contrast {a} - {b}.", "Collect it, or change the text.")

    def differences(self, a: str, b: str) -> tuple[np.ndarray, list[str]]:
        """Return the paired differences of macro F1 of two arms.

        Returns:
            float64 (subjects, repeats), NaN where a pair is missing, and the subjects.
        """
        return _paired(self.rows[tables.SCORES], a, b, lambda row: float(row["macro_f1"]))

    def scores(self, name: str) -> dict[str, float]:
        """Return the macro F1 of each subject under an arm, mean over repeats."""
        score_SR, subjects = by_repeat(
            (row["subject"], row["repeat"], row["macro_f1"])
            for row in self.rows[tables.SCORES]
            if arm(row["variant"], row["inference"]) == name
        )
        return dict(zip(subjects, np.nanmean(score_SR, axis=1).tolist(), strict=True)) if subjects else {}

    def activities(self, a: str, b: str) -> list[dict[str, Any]]:
        """Return a contrast by activity, as `har.evaluation.why` does, with the difference of every subject."""
        found = []
        for row in self.rows[tables.ACTIVITY_CONTRASTS]:
            if (row["a"], row["b"]) == (a, b):
                of_activity = [one for one in self.rows[tables.ACTIVITIES] if one["activity"] == row["activity"]]
                difference_SR, subjects = _paired(
                    of_activity, a, b, lambda one: 2 * one["right"] / (one["true"] + one["predicted"])
                )
                own = dict(zip(subjects, np.nanmean(difference_SR, axis=1).tolist(), strict=True))
                interval = None if row["low"] is None else [row["low"], row["high"]]
                found.append({**row, "interval": interval, "differences": own})
        return found

    @cached_property
    def why(self) -> dict[str, Any]:
        """What the sentences of `har.evaluation.why` are made from."""
        contrasts = []
        for row in self.contrasts:
            pair = (row["a"], row["b"])
            probes = [found for found in self.rows[tables.ASSOCIATIONS] if (found["a"], found["b"]) == pair]
            probes = [{**found, "interval": [found["low"], found["high"]]} for found in probes]
            own = {key: row[key] for key in ("a", "b", "primary")}
            contrasts.append({**own, "activities": self.activities(*pair), "probes": probes})
        return {"runs": self.info["runs"], "probed": self.info["runs"], "contrasts": contrasts}

    @cached_property
    def result(self) -> dict[str, Any]:
        """What the figures of `har.evaluation` are drawn from."""
        return {
            "policy": DEFAULT_POLICY,
            "rope": contrast.ROPE,
            "contrasts": self.contrasts,
            "variants": {name: {"per_subject": self.scores(name)} for name in self.variants},
        }

    @cached_property
    def target(self) -> dict[str, Any]:
        """What the figure of steps to a target is drawn from; its ``variants`` are empty where there is none."""
        variants = {row["variant"]: {**row, "curve": []} for row in self.rows[tables.TARGETS]}
        for row in self.rows[tables.TARGET_CURVES]:
            variants[row["variant"]]["curve"].append([row["step"], row["share"]])
        return {"variants": variants}

    def probe(self, variant: str, name: str) -> dict[str, float]:
        """Return a probe of a variant: fold to value."""
        rows = self.rows[tables.PROBES]
        return {row["fold"]: row["value"] for row in rows if (row["variant"], row["probe"]) == (variant, name)}

    def probe_difference(self, name: str, a: str, b: str) -> tuple[float, tuple[float, float] | None, int] | None:
        """Return the difference of a probe of two variants over folds: mean, 95 % interval, and how many folds."""
        first, second = self.probe(a, name), self.probe(b, name)
        folds = [fold for fold in first if fold in second]
        if not folds:
            return None
        difference_S1 = np.array([[first[fold] - second[fold]] for fold in folds])
        return float(difference_S1.mean()), mean_interval(difference_S1)[0], len(folds)


class Results:
    """All studies of docs/results.

    Args:
        folder: Where the CSV files lie.

    Raises:
        DataError: A file is damaged, or there is no study.
    """

    def __init__(self, folder: Path) -> None:
        rows = {name: tables.read(folder, name) for name in tables.COLUMNS}
        if not rows[tables.STUDIES]:
            raise DataError(f"{folder} has no studies.", "Make it: python -m docs.findings collect RUNS")
        self.studies = [
            Found(info, {name: [row for row in found if _key(row) == _key(info)] for name, found in rows.items()})
            for info in rows[tables.STUDIES]
        ]
        self._across: dict[str, list[dict[str, Any]]] = {}  # of each study, once it was asked for: a fit takes a while

    @property
    def asked(self) -> list[Found]:
        """The studies that were made to answer the question."""
        return [found for found in self.studies if found.name != RECOMMENDED]

    def of(self, name: str) -> list[Found]:
        """Return a study on every data set that it was made on."""
        return [found for found in self.studies if found.name == name]

    def has_data_set(self, name: str) -> bool:
        """Tell whether some study of the question was made on a data set."""
        return any(found.info["data_set"] == name for found in self.asked)

    def across(self, name: str) -> list[dict[str, Any]]:
        """Return the contrasts of a study over its data sets, as `har.evaluation.across` states them; none for one."""
        if name not in self._across:
            found = {one.data_set: one for one in self.of(name)}
            judged = {key: {"contrasts": one.contrasts} for key, one in found.items()}
            several = len(found) > 1
            self._across[name] = (
                over_data_sets(judged, lambda key, a, b: found[key].differences(a, b)[0]) if several else []
            )
        return self._across[name]


def _key(row: Row) -> tuple[str, str]:
    """Return study and data set of a row."""
    return row["study"], row["data_set"]


def _paired(rows: list[Row], a: str, b: str, score: Callable[[Row], float]) -> tuple[np.ndarray, list[str]]:
    """Return the differences of a score of two arms by subject and repeat, where both have it."""
    of_arm: dict[str, dict[tuple[str, int], float]] = {a: {}, b: {}}
    for row in rows:
        name = arm(row["variant"], row["inference"])
        if name in of_arm:
            of_arm[name][row["subject"], row["repeat"]] = score(row)
    both = [place for place in of_arm[a] if place in of_arm[b]]
    return by_repeat((*place, of_arm[a][place] - of_arm[b][place]) for place in both)
