"""The two files that every score derives from: a run's predictions, and the truth of its test recordings.

`predictions/<inference>.parquet` has one row per test window, `truth.parquet` one row per stretch of one label at
sample resolution. Both are written and read here alone, and both are checked on the way in and on the way out: a
score is worth what its input is worth.

Times are seconds from the start of the recording, intervals are half-open: ``[start_s, end_s)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from har.errors import DataError, candidates
from har.files import replacing

PROBABILITY = "probability:"  # prefix of the columns that hold one probability per activity, in the run's order
PREDICTION_COLUMNS = ("recording", "start_s", "end_s", "subject", "truth", "prediction")
TRUTH_COLUMNS = ("recording", "subject", "start_s", "end_s", "activity")

TIME_TOLERANCE_S = 1e-6  # a thousandth of a sample at 1 kHz, and far above the rounding of float64 seconds of a day
_SUM_TOLERANCE = 1e-4  # float32 softmax over a hundred activities stays below 1e-5
_KINDS = {"recording": "iu", "start_s": "f", "end_s": "f"}  # numpy kinds; every other fixed column holds text
_REMAKE = "Repeat the run that wrote it (`har test` for one run), or restore the file."


def predictions_file(inference: str) -> Path:
    """Return the place of an inference's predictions within a run's folder."""
    return Path("predictions") / f"{inference}.parquet"


def activities_of(predictions: pd.DataFrame) -> list[str]:
    """Return the activity names of a predictions table, in the run's order (that of its probability columns)."""
    return [str(name).removeprefix(PROBABILITY) for name in predictions.columns if str(name).startswith(PROBABILITY)]


def codes_of(names: pd.Series, activities: list[str]) -> np.ndarray:
    """Return the index of each activity: int64 (names,), K for a name that is none of the activities."""
    index = {activity: position for position, activity in enumerate(activities)}
    number_N, distinct = pd.factorize(names)  # a missing name has the number −1
    return np.array([*(index.get(name, len(activities)) for name in distinct), len(activities)])[number_N]


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
    return _checked_predictions(path, _read_table(path, "predictions"))


def write_predictions(path: Path, frame: pd.DataFrame) -> None:
    """Check a predictions table and write it, whole or not at all.

    Args:
        path: The Parquet file to write.
        frame: As `read_predictions` returns it.

    Raises:
        DataError: When `read_predictions` would refuse the file. Nothing is written then.
    """
    _write_table(path, _checked_predictions(path, frame))


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
    return _checked_truth(path, _read_table(path, "truth"))


def write_truth(path: Path, frame: pd.DataFrame) -> None:
    """Check a truth table and write it, whole or not at all.

    Args:
        path: The Parquet file to write.
        frame: As `read_truth` returns it.

    Raises:
        DataError: When `read_truth` would refuse the file. Nothing is written then.
    """
    _write_table(path, _checked_truth(path, frame))


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
    subjects = truth.groupby("recording")["subject"].first()
    listed = predictions["recording"].isin(subjects.index).to_numpy()
    _refuse(path, predictions, ~listed, "its recording is not in truth.parquet")
    owner = subjects.loc[predictions["recording"]].to_numpy()
    _refuse(
        path,
        predictions,
        owner != predictions["subject"].to_numpy(),
        "truth.parquet gives its recording to another subject",
    )
    inside = np.zeros(len(predictions), dtype=bool)
    labelled = np.zeros(len(predictions), dtype=bool)
    stretches = truth.groupby("recording").indices
    for recording, rows in predictions.groupby("recording").indices.items():
        inside[rows], labelled[rows] = _locate(predictions.iloc[rows], truth.iloc[stretches[recording]])
    _refuse(path, predictions, ~inside, "the window reaches beyond its recording in truth.parquet")
    _refuse(path, predictions, ~labelled, "its truth does not occur in truth.parquet within the window")


def _locate(windows: pd.DataFrame, stretches: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Tell for the windows of one recording which lie inside it, and which contain the label that they carry.

    Args:
        windows: N rows of a predictions table, one recording.
        stretches: Its rows of the truth table, in order of time.

    Returns:
        Two arrays bool (N,).
    """
    start_N, end_N = windows["start_s"].to_numpy() + TIME_TOLERANCE_S, windows["end_s"].to_numpy() - TIME_TOLERANCE_S
    start_I, end_I = stretches["start_s"].to_numpy(), stretches["end_s"].to_numpy()
    inside_N = (start_N >= start_I[0]) & (end_N <= end_I[-1])
    first_N = np.searchsorted(end_I, start_N, side="right")  # first stretch that ends after the window begins
    stop_N = np.searchsorted(start_I, end_N, side="left")  # one past the last that begins before the window ends
    codes_N, names = pd.factorize(windows["truth"])
    count_IK = stretches["activity"].to_numpy()[:, None] == np.asarray(names)[None, :]
    before_IK = np.vstack([np.zeros((1, len(names)), dtype=np.int64), np.cumsum(count_IK, axis=0)])
    stop_N = np.maximum(stop_N, first_N)
    return inside_N, before_IK[stop_N, codes_N] > before_IK[first_N, codes_N]


def _checked_predictions(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` in the schema of a predictions file, or raise a `DataError`."""
    activities = activities_of(frame)
    if not activities:
        raise DataError(f"{path}: there is no column {PROBABILITY}<activity>, so the activities are unknown.", _REMAKE)
    names = [PROBABILITY + activity for activity in activities]
    frame = _typed(path, frame, PREDICTION_COLUMNS, probabilities=names)
    _refuse_times(path, frame)
    for column in ("truth", "prediction"):
        wrong = ~frame[column].isin(activities).to_numpy()
        if wrong.any():
            value = frame[column].iloc[int(np.argmax(wrong))]
            raise DataError(
                f"{path}, row {int(np.argmax(wrong))}: {column} {value!r} is not an activity of this file.",
                candidates(value, activities),
            )
    probability_NK = frame[names].to_numpy(dtype=np.float64)
    possible_N = np.asarray(((probability_NK >= 0) & (probability_NK <= 1)).all(axis=1))  # NaN compares false
    _refuse(path, frame, ~possible_N, "a probability is not between 0 and 1")
    excess_N = np.abs(probability_NK.sum(axis=1) - 1)
    _refuse(path, frame, excess_N > _SUM_TOLERANCE, "its probabilities do not sum to 1")
    twice = frame.duplicated(["recording", "start_s", "end_s"]).to_numpy()
    _refuse(path, frame, twice, "the window is listed before; one window has one prediction")
    return frame


def _checked_truth(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` in the schema of a truth file and in order of time, or raise a `DataError`."""
    frame = _typed(path, frame, TRUTH_COLUMNS, optional=("activity",))
    _refuse_times(path, frame)
    frame = frame.sort_values(["recording", "start_s"], kind="stable")
    same = frame["recording"].eq(frame["recording"].shift()).to_numpy()
    apart = (frame["start_s"] - frame["end_s"].shift()).abs().to_numpy() > TIME_TOLERANCE_S
    _refuse(path, frame, same & apart, "the stretch does not begin where the one before it ends")
    other = frame["subject"].ne(frame["subject"].shift()).to_numpy()
    _refuse(path, frame, same & other, "a recording has two subjects")
    return frame.reset_index(drop=True)


def _typed(
    path: Path,
    frame: pd.DataFrame,
    columns: Iterable[str],
    probabilities: Iterable[str] = (),
    optional: Iterable[str] = (),
) -> pd.DataFrame:
    """Return the columns asked for, in order and typed; raise where one is missing, strange or of another type."""
    wanted = [*columns, *probabilities]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise DataError(f"{path}: column {missing[0]!r} is missing.", candidates(missing[0], frame.columns))
    strange = [name for name in frame.columns if name not in wanted]
    if strange or not frame.columns.is_unique:
        raise DataError(
            f"{path}: column {(strange or ['(one twice)'])[0]!r} is not expected.", candidates(strange, wanted)
        )
    typed: dict[str, pd.Series] = {}
    for name in wanted:
        kind = "f" if name.startswith(PROBABILITY) else _KINDS.get(name, "text")
        typed[name] = _column(path, frame[name], name, kind, may_miss=name in optional)
    return pd.DataFrame(typed)


def _column(path: Path, values: pd.Series, name: str, kind: str, *, may_miss: bool) -> pd.Series:
    """Return one column in its type; raise where it has another or a value is missing."""
    values = values.reset_index(drop=True)
    missing = values.isna().to_numpy()
    if missing.any() and not may_miss:
        raise DataError(f"{path}, row {int(np.argmax(missing))}: {name} is missing.", _REMAKE)
    if kind == "text":
        if not all(isinstance(value, str) for value in values[~missing].unique()):
            raise DataError(f"{path}: column {name!r} has type {values.dtype}, not text.", _REMAKE)
        return values.astype(object).where(~missing, None).astype(object)
    if values.dtype.kind not in kind:
        expected = "float" if kind == "f" else "integer"
        raise DataError(f"{path}: column {name!r} has type {values.dtype}, not {expected}.", _REMAKE)
    if kind == "f":
        return values.astype(np.float32 if name.startswith(PROBABILITY) else np.float64)
    return values.astype(np.int32)


def _refuse_times(path: Path, frame: pd.DataFrame) -> None:
    """Raise where an interval is empty, begins before its recording or is not finite."""
    start_N, end_N = frame["start_s"].to_numpy(), frame["end_s"].to_numpy()
    sound_N = (start_N >= 0) & (end_N > start_N) & np.isfinite(end_N)
    _refuse(path, frame, ~sound_N, "start_s and end_s are no interval (0 <= start_s < end_s)")


def _refuse(path: Path, frame: pd.DataFrame, wrong_N: np.ndarray, why: str) -> None:
    """Raise a `DataError` that shows the first wrong row, where there is one."""
    if not wrong_N.any():
        return
    row = int(np.argmax(wrong_N))
    place = frame.iloc[row]
    at = f"recording {place['recording']}, {place['start_s']:g} s to {place['end_s']:g} s"
    more = f" ({int(wrong_N.sum()) - 1} more such rows)" if wrong_N.sum() > 1 else ""
    raise DataError(f"{path}, row {frame.index[row]} ({at}): {why}{more}.", _REMAKE)


def _read_table(path: Path, what: str) -> pd.DataFrame:
    """Read a Parquet file; a missing or damaged one is a `DataError`."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such {what} file.", _REMAKE)
    try:
        frame: pd.DataFrame = pq.ParquetFile(path).read().to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path}: the {what} file is damaged or no Parquet file ({reason}).", _REMAKE) from error
    return frame


def _write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a checked table as Parquet, whole or not at all."""
    text = {name: pa.array(frame[name], pa.string()) for name in frame.columns if frame[name].dtype == object}
    columns = {str(name): text.get(name, pa.array(frame[name])) for name in frame.columns}
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
