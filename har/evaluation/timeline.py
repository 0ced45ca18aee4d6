"""Truth and decisions of continuous recordings, laid on one time axis.

**The rule for windows.** Every instant has the decision of that window, among those that cover it, whose centre is
nearest; of two equally near ones the later. For windows of one length, as those of a run, the decision changes midway
between the centres of neighbours, and the first and the last of a series reach to their own ends. An instant that no
window covers is unpredicted.

**The null class.** An instant whose truth is no activity of the model (unlabelled, the null activity where its windows
are left out, activities that were not asked for) is null, and an unpredicted instant counts as predicted null.

Times are seconds. Two times within a microsecond are one: ``start / rate + length / rate`` and ``(start + length) /
rate`` differ in the last bit, and a stretch of such a length would tear events apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from har.evaluation.predictions import TIME_TOLERANCE_S, activities_of, codes_of

BETWEEN = -1  # code of truth and decision between two recordings
_APART_S = 1.0  # between two recordings on the common axis
_NO_LENGTH = "its windows differ in length, and the rule that lays them on the time axis is for windows of one length"
_SEGMENTED = "every recording shows one activity and gave one window at most, so none is continuous"


@dataclass(frozen=True)
class Timeline:
    """Maximal stretches in which neither truth nor decision changes, all recordings one after the other.

    Between two recordings lies a stretch that is `BETWEEN` in both, so that no event reaches from one into the next.

    Attributes:
        length_M: float64 (stretches,), seconds.
        truth_M: int64 (stretches,), index of the true activity, K where there is none (null).
        decision_M: int64 (stretches,), index of the predicted activity, K where there is none (unpredicted).
        activities: K names.
        recordings: Number of recordings.
    """

    length_M: np.ndarray
    truth_M: np.ndarray
    decision_M: np.ndarray
    activities: list[str]
    recordings: int


def obstacle(predictions: pd.DataFrame, truth: pd.DataFrame) -> str | None:
    """Return why the recordings of a run have no time axis to speak of, None where they have one.

    Args:
        predictions: As `har.evaluation.predictions.read_predictions` returns it.
        truth: As `har.evaluation.predictions.read_truth` returns it.
    """
    length_N = (predictions["end_s"] - predictions["start_s"]).to_numpy()
    if np.ptp(length_N) > TIME_TOLERANCE_S:
        return _NO_LENGTH
    single = not truth["recording"].duplicated().any() and not predictions["recording"].duplicated().any()
    return _SEGMENTED if single else None


def lay(predictions: pd.DataFrame, truth: pd.DataFrame) -> Timeline:
    """Lay the decisions of a run's windows beside the truth of its recordings.

    Args:
        predictions: Windows of one length; as `har.evaluation.predictions.read_predictions` returns it, all of them
            within recordings of `truth`.
        truth: As `har.evaluation.predictions.read_truth` returns it: sorted, without gaps within a recording.

    Returns:
        The time axis. A recording without any window is unpredicted throughout.
    """
    activities = activities_of(predictions)
    recording_I = truth["recording"].to_numpy()
    first_R = np.flatnonzero(np.diff(recording_I, prepend=recording_I[0] - 1))
    offset_R = _offsets(truth, first_R)
    truth_edges, truth_codes = _truth_steps(truth, first_R, offset_R, activities)
    place_N = np.searchsorted(recording_I[first_R], predictions["recording"].to_numpy())
    edges, codes = _decision_steps(predictions, place_N, offset_R, activities)
    times = _distinct(np.concatenate([truth_edges, edges]))
    truth_M = _at(times[:-1], truth_edges, truth_codes, BETWEEN)
    decision_M = _at(times[:-1], edges, codes, len(activities))
    decision_M = np.where(truth_M == BETWEEN, BETWEEN, decision_M)
    first = np.flatnonzero(np.diff(truth_M, prepend=-2) | np.diff(decision_M, prepend=-2))
    length_M = np.diff(np.append(times[first], times[-1]))
    return Timeline(length_M, truth_M[first], decision_M[first], activities, len(first_R))


def _offsets(truth: pd.DataFrame, first_R: np.ndarray) -> np.ndarray:
    """Return what to add to the times of each recording so that all lie one after the other: float64 (recordings,)."""
    start_R = truth["start_s"].to_numpy()[first_R]
    end_R = truth["end_s"].to_numpy()[np.append(first_R[1:], len(truth)) - 1]
    offset_R: np.ndarray = np.append(0.0, np.cumsum(end_R - start_R + _APART_S)[:-1]) - start_R
    return offset_R


def _truth_steps(
    truth: pd.DataFrame, first_R: np.ndarray, offset_R: np.ndarray, activities: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return when the truth changes on the common axis, and to which code: K is null, `BETWEEN` ends a recording."""
    last_R = np.append(first_R[1:], len(truth)) - 1
    start_I = truth["start_s"].to_numpy() + np.repeat(offset_R, last_R - first_R + 1)
    times = np.concatenate([start_I, truth["end_s"].to_numpy()[last_R] + offset_R])
    codes = np.concatenate([codes_of(truth["activity"], activities), np.full(len(first_R), BETWEEN)])
    order = np.argsort(times, kind="stable")
    return times[order], codes[order]


def _decision_steps(
    predictions: pd.DataFrame, place_N: np.ndarray, offset_R: np.ndarray, activities: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return when the decision changes on the common axis, and to which code: K is unpredicted."""
    start_N = predictions["start_s"].to_numpy() + offset_R[place_N]
    order = np.argsort(start_N, kind="stable")
    start_N = start_N[order]
    end_N = start_N + float((predictions["end_s"] - predictions["start_s"]).max())
    code_N = codes_of(predictions["prediction"], activities)[order]
    meets_N = np.append(False, start_N[1:] <= end_N[:-1] + TIME_TOLERANCE_S)  # recordings lie too far apart to meet
    midway_N = np.append(0.0, (end_N[:-1] + start_N[1:]) / 2)  # between the centres of two windows of one length
    begins_N = ~meets_N | np.append(True, code_N[1:] != code_N[:-1])
    ends_N = ~np.append(meets_N[1:], False)
    times = np.concatenate([np.where(meets_N, midway_N, start_N)[begins_N], end_N[ends_N]])
    codes = np.concatenate([code_N[begins_N], np.full(int(ends_N.sum()), len(activities))])
    order = np.argsort(times, kind="stable")
    return times[order], codes[order]


def _distinct(times: np.ndarray) -> np.ndarray:
    """Return times in order, those within the tolerance of the one before left out."""
    times = np.sort(times)
    return times[np.diff(times, prepend=-np.inf) > TIME_TOLERANCE_S]


def _at(times: np.ndarray, step_times: np.ndarray, step_codes: np.ndarray, before: int) -> np.ndarray:
    """Return the code that holds from each time on; a step within the tolerance after a time counts as at it."""
    position = np.searchsorted(step_times, times + TIME_TOLERANCE_S, side="right")
    return np.append(before, step_codes)[position]
