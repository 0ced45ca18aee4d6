"""What is counted of predictions before any ratio is taken: scores of several runs are those of summed counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from har.evaluation.calibration import NOTHING_B3, reliability
from har.evaluation.events import Events, count_events, sum_events
from har.evaluation.measures import confusion
from har.evaluation.predictions import activities_of, codes_of
from har.evaluation.timeline import lay, obstacle

_NO_TRUTH = "a predictions file alone has no truth at sample resolution"


@dataclass(frozen=True)
class Counts:
    """The counts that every score of some predictions derives from.

    Attributes:
        activities: K names, in the order of the confusions.
        confusions: Subject to int64 (activities, activities), rows true, in natural order of the subjects.
        reliability_B3: See `har.evaluation.calibration.reliability`.
        events: What was counted of events; None where there are no continuous recordings.
        no_events: Why there are none; empty where there are.
    """

    activities: list[str]
    confusions: Mapping[str, np.ndarray]
    reliability_B3: np.ndarray
    events: Events | None
    no_events: str

    @property
    def pooled(self) -> np.ndarray:
        """The confusion of all subjects together: int64 (activities, activities)."""
        K = len(self.activities)
        return sum(self.confusions.values(), np.zeros((K, K), dtype=np.int64))


def count(predictions: pd.DataFrame, truth: pd.DataFrame | None = None) -> Counts:
    """Count the predictions of one run.

    Args:
        predictions: As `har.evaluation.predictions.read_predictions` returns it.
        truth: The truth of their recordings, as `har.evaluation.predictions.read_truth` returns it; None where there is
            none, and then no events.
    """
    why = _NO_TRUTH if truth is None else obstacle(predictions, truth)
    events = count_events(lay(predictions, truth)) if truth is not None and not why else None
    activities = activities_of(predictions)
    return Counts(activities, subject_confusions(predictions), reliability(predictions), events, why or "")


def sum_counts(activities: list[str], found: Iterable[Counts]) -> Counts:
    """Return the counts of several runs together; those of one subject in several runs add up.

    Args:
        activities: K names, which all of them share.
        found: The counts; may be none.
    """
    found = list(found)
    confusions: dict[str, np.ndarray] = {}
    for counts in found:
        for subject, counts_KK in counts.confusions.items():
            confusions[subject] = confusions.get(subject, 0) + counts_KK
    ordered = {subject: confusions[subject] for subject in sorted(confusions, key=natural)}
    events = sum_events(counts.events for counts in found if counts.events is not None)
    why = "" if events is not None else next((counts.no_events for counts in found), "there are no runs")
    return Counts(activities, ordered, sum((counts.reliability_B3 for counts in found), NOTHING_B3), events, why)


def subject_confusions(predictions: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the confusion of each subject of a predictions table.

    Args:
        predictions: As `har.evaluation.predictions.read_predictions` returns it.

    Returns:
        Subject to int64 (activities, activities), in natural order of the subjects.
    """
    activities = activities_of(predictions)
    truth_N, prediction_N = (codes_of(predictions[name], activities) for name in ("truth", "prediction"))
    subject_N = predictions["subject"].to_numpy()
    confusions = {}
    for subject in sorted(set(subject_N), key=natural):
        rows_N = subject_N == subject
        confusions[str(subject)] = confusion(truth_N[rows_N], prediction_N[rows_N], len(activities))
    return confusions


def natural(name: object) -> tuple[tuple[int, str], ...]:
    """Return the sort key that puts ``subject-2`` before ``subject-10``."""
    parts = re.split(r"([0-9]+)", str(name))
    return tuple((int(part) if part.isdecimal() else -1, part) for part in parts)
