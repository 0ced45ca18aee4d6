"""The two files that every score derives from: a run's predictions, and the truth of its test recordings.

`predictions/<inference>.parquet` has one row per test window, `truth.parquet` one row per stretch of one label at
sample resolution. Both are written and read here alone, and both are checked on the way in and on the way out: a
score is worth what its input is worth.

Times are seconds from the start of the recording, intervals are half-open: ``[start_s, end_s)``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from har.errors import DataError, candidates
from har.evaluation.columns import REMAKE, Columns, columns_of, frame_of, read_columns, refuse, typed, write_columns

PROBABILITY = "probability:"  # prefix of the columns that hold one probability per activity, in the run's order
TIME_TOLERANCE_S = 1e-6  # a thousandth of a sample at 1 kHz, and far above the rounding of float64 seconds of a day
_SUM_TOLERANCE = 1e-4  # float32 softmax over a hundred activities stays below 1e-5
_TIMES = {"start_s": "float64", "end_s": "float64"}
_PREDICTION = {"recording": "int32", **_TIMES, "subject": "text", "truth": "text", "prediction": "text"}
_TRUTH = {"recording": "int32", "subject": "text", **_TIMES, "activity": "text"}
_APART_S = 1.0  # between two recordings on the common axis


def predictions_file(inference: str) -> Path:
    """Return the place of an inference's predictions within a run's folder."""
    return Path("predictions") / f"{inference}.parquet"


def activities_of(predictions: pd.DataFrame) -> list[str]:
    """Return the activity names of a predictions table, in the run's order (that of its probability columns)."""
    return [str(name).removeprefix(PROBABILITY) for name in predictions.columns if str(name).startswith(PROBABILITY)]


def codes_of(names: pd.Series, activities: list[str]) -> np.ndarray:
    """Return the index of each activity: int64 (names,), K for a name that is none of the activities, or missing."""
    return _codes(names.to_numpy(), activities)


def _codes(name_N: np.ndarray, activities: list[str]) -> np.ndarray:
    """Return the index of each name among the activities: int64 (names,), K for another name or a missing one."""
    index, K = {activity: position for position, activity in enumerate(activities)}, len(activities)
    return np.fromiter((index.get(name, K) for name in name_N.tolist()), np.int64, len(name_N))


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check a predictions file.

    Args:
        path: A Parquet file with one row per window.

    Returns:
        Columns recording int32, start_s and end_s float64 (seconds), subject, truth and prediction (text), then one
        float32 column ``probability:<activity>`` per activity.

    Raises:
        DataError: When the file is missing or damaged, a column is missing or of the wrong type, a name is not an
            activity of the file, a probability is impossible, or a window is listed twice. Names file and row.
    """
    return frame_of(_checked_predictions(path, read_columns(path, "predictions")))


def write_predictions(path: Path, frame: pd.DataFrame) -> None:
    """Check a predictions table and write it, whole or not at all.

    Args:
        path: The Parquet file to write.
        frame: As `read_predictions` returns it.

    Raises:
        DataError: When `read_predictions` would refuse the file. Nothing is written then.
    """
    write_columns(path, _checked_predictions(path, columns_of(path, frame)))


def read_truth(path: Path) -> pd.DataFrame:
    """Read and check a truth file.

    Args:
        path: A Parquet file with one row per maximal stretch of one label.

    Returns:
        Columns recording int32, subject (text), start_s and end_s float64 (seconds), activity (text, missing where
        the stretch is unlabelled), sorted by recording and start. The stretches of a recording leave no gap.

    Raises:
        DataError: When the file is missing or damaged, a column is missing or of the wrong type, or the stretches
            of a recording overlap or leave a gap. Names file and row.
    """
    return frame_of(_checked_truth(path, read_columns(path, "truth")))


def write_truth(path: Path, frame: pd.DataFrame) -> None:
    """Check a truth table and write it, whole or not at all.

    Args:
        path: The Parquet file to write.
        frame: As `read_truth` returns it.

    Raises:
        DataError: When `read_truth` would refuse the file. Nothing is written then.
    """
    write_columns(path, _checked_truth(path, columns_of(path, frame)))


def check_against_truth(predictions: pd.DataFrame, truth: pd.DataFrame, path: Path) -> None:
    """Prove that the windows of a predictions table lie in the recordings of a truth table and carry their labels.

    Args:
        predictions: As `read_predictions` returns it.
        truth: As `read_truth` returns it.
        path: The predictions file, named in errors.

    Raises:
        DataError: When a window's recording is not in `truth` or belongs to another subject, when the window
            reaches beyond its recording, or when its activity does not occur in the stretches that it covers.
    """
    windows = {name: predictions[name].to_numpy() for name in ("recording", "start_s", "end_s", "subject", "truth")}
    stretches = {name: truth[name].to_numpy() for name in _TRUTH}
    first_R = np.flatnonzero(np.append(True, np.diff(stretches["recording"]) != 0)[: len(truth)])
    recording_R = stretches["recording"][first_R]
    place_N = np.searchsorted(recording_R, windows["recording"])
    listed_N = np.isin(windows["recording"], recording_R)
    refuse(path, windows, ~listed_N, "its recording is not in truth.parquet")
    other_N = stretches["subject"][first_R[place_N]] != windows["subject"]
    refuse(path, windows, other_N, "truth.parquet gives its recording to another subject")
    inside_N, labelled_N = _locate(windows, stretches, first_R, place_N)
    refuse(path, windows, ~inside_N, "the window reaches beyond its recording in truth.parquet")
    refuse(path, windows, ~labelled_N, "its truth does not occur in truth.parquet within the window")


def _locate(
    windows: Columns, stretches: Columns, first_R: np.ndarray, place_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tell which windows lie inside their recordings, and which contain the label that they carry.

    Args:
        windows: Columns of N windows.
        stretches: Columns of the truth, in order of recording and time.
        first_R: int (recordings,), each one's first stretch.
        place_N: int (windows,), number of the recording of each window.

    Returns:
        Two arrays bool (windows,).
    """
    start_I, end_I = stretches["start_s"], stretches["end_s"]
    begin_R, last_R = start_I[first_R], end_I[np.append(first_R[1:], len(start_I)) - 1]
    start_N, end_N = windows["start_s"] + TIME_TOLERANCE_S, windows["end_s"] - TIME_TOLERANCE_S
    inside_N = (start_N >= begin_R[place_N]) & (end_N <= last_R[place_N])
    # All recordings one after the other, so that one search serves all windows.
    offset_R = np.append(0.0, np.cumsum(last_R - begin_R + _APART_S)[:-1]) - begin_R
    offset_I = np.repeat(offset_R, np.diff(np.append(first_R, len(start_I))))
    offset_N = offset_R[place_N]
    first_N = np.searchsorted(end_I + offset_I, start_N + offset_N, side="right")  # first that ends after it begins
    stop_N = np.searchsorted(start_I + offset_I, end_N + offset_N, side="left")  # one past the last before its end
    names = list(dict.fromkeys(windows["truth"].tolist()))
    shows_IK = _codes(stretches["activity"], names)[:, None] == np.arange(len(names))
    before_IK = np.vstack([np.zeros((1, len(names)), dtype=np.int64), np.cumsum(shows_IK, axis=0)])
    code_N, stop_N = _codes(windows["truth"], names), np.maximum(stop_N, first_N)
    return inside_N, before_IK[stop_N, code_N] > before_IK[first_N, code_N]


def _checked_predictions(path: Path, columns: Columns) -> Columns:
    """Return columns in the schema of a predictions file, or raise a `DataError`."""
    names = [name for name in columns if name.startswith(PROBABILITY)]
    if not names:
        raise DataError(f"{path}: there is no column {PROBABILITY}<activity>, so the activities are unknown.", REMAKE)
    columns = typed(path, columns, {**_PREDICTION, **dict.fromkeys(names, "float32")})
    _refuse_times(path, columns)
    activities = [name.removeprefix(PROBABILITY) for name in names]
    for column in ("truth", "prediction"):
        wrong_N = _codes(columns[column], activities) == len(activities)
        if wrong_N.any():
            row = int(np.argmax(wrong_N))
            value = columns[column][row]
            raise DataError(
                f"{path}, row {row}: {column} {value!r} is not an activity of this file.", candidates(value, activities)
            )
    probability_NK = np.stack([columns[name] for name in names], axis=1).astype(np.float64)
    possible_N = np.asarray(((probability_NK >= 0) & (probability_NK <= 1)).all(axis=1))
    refuse(path, columns, ~possible_N, "a probability is not between 0 and 1")
    excess_N = np.abs(probability_NK.sum(axis=1) - 1)
    refuse(path, columns, excess_N > _SUM_TOLERANCE, "its probabilities do not sum to 1")
    refuse(path, columns, _listed_before(columns), "the window is listed before; one window has one prediction")
    return columns


def _listed_before(columns: Columns) -> np.ndarray:
    """Tell which rows have the recording and the interval of an earlier one: bool (windows,)."""
    keys = [columns[name] for name in ("end_s", "start_s", "recording")]
    order = np.lexsort(keys)  # stable: of equal ones the earlier row comes first
    again_N = np.zeros(len(order), dtype=bool)
    again_N[order[1:]] = np.all([np.diff(key[order]) == 0 for key in keys], axis=0)
    return again_N


def _checked_truth(path: Path, columns: Columns) -> Columns:
    """Return columns in the schema of a truth file and in order of time, or raise a `DataError`."""
    columns = typed(path, columns, _TRUTH, may_miss=("activity",))
    _refuse_times(path, columns)
    order = np.lexsort((columns["start_s"], columns["recording"]))
    columns = {name: values[order] for name, values in columns.items()}
    same_I, apart_I, other_I = np.zeros((3, len(order)), dtype=bool)
    same_I[1:] = np.diff(columns["recording"]) == 0
    apart_I[1:] = np.abs(columns["start_s"][1:] - columns["end_s"][:-1]) > TIME_TOLERANCE_S
    refuse(path, columns, same_I & apart_I, "the stretch does not begin where the one before it ends", order)
    other_I[1:] = columns["subject"][1:] != columns["subject"][:-1]
    refuse(path, columns, same_I & other_I, "a recording has two subjects", order)
    return columns


def _refuse_times(path: Path, columns: Columns) -> None:
    """Raise where an interval is empty, begins before its recording or is not finite."""
    start_N, end_N = columns["start_s"], columns["end_s"]
    sound_N = (start_N >= 0) & (end_N > start_N) & np.isfinite(end_N)
    refuse(path, columns, ~sound_N, "start_s and end_s are no interval (0 <= start_s < end_s)")
