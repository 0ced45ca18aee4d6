"""Predictions of a trained run, and the truth of its recordings, as the frames that evaluation reads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from har.windows.segment import WindowIndex
from har.windows.store import Store


def predictions_frame(
    store: Store, index: WindowIndex, probability_NK: npt.NDArray[np.float32], activities: list[str]
) -> pd.DataFrame:
    """Lay probabilities and truth beside each window's place in its recording.

    Args:
        store: The store that was predicted on.
        index: Its windows, in the order of the probabilities.
        probability_NK: float32 (windows, activities).
        activities: Names of the activities, in the order of the columns.

    Returns:
        One row per window; the columns are those of a predictions file.
    """
    recordings = store.recordings.set_index("recording").loc[index.recording]
    start_s = (index.start - recordings["start"].to_numpy()) / store.rate_hz
    names = np.array([*activities, None], dtype=object)  # label −1, unlabelled, takes the last
    frame = {
        "recording": index.recording.astype(np.int32),
        "start_s": start_s,
        "end_s": start_s + index.samples / store.rate_hz,
        "subject": recordings["subject"].to_numpy(),
        "truth": names[index.label],
        "prediction": names[probability_NK.argmax(axis=1)],
    }
    columns = {f"probability:{name}": probability_NK[:, k] for k, name in enumerate(activities)}
    return pd.DataFrame({**frame, **columns})


def truth_frame(store: Store, subjects: list[str]) -> pd.DataFrame:
    """Return the labels of the subjects' recordings at sample resolution, one row per stretch of one label.

    Args:
        store: The store.
        subjects: Whose recordings.

    Returns:
        Columns recording (int32), subject, start_s, end_s, activity (None where unlabelled).
    """
    names = np.array([*store.activities, None], dtype=object)
    frames = []
    for row in store.recordings[store.recordings["subject"].isin(subjects)].itertuples():
        label_T = np.asarray(store.label_T[row.start : row.stop])
        edges = np.concatenate([[0], np.flatnonzero(np.diff(label_T)) + 1, [len(label_T)]])
        frames.append(
            pd.DataFrame(
                {
                    "recording": np.int32(row.recording),
                    "subject": row.subject,
                    "start_s": edges[:-1] / store.rate_hz,
                    "end_s": edges[1:] / store.rate_hz,
                    "activity": names[label_T[edges[:-1]]],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
