"""Predictions of a trained run, and the truth of its recordings, as the frames that evaluation reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytorch_lightning as pl
import torch

from har.evaluation.predictions import predictions_file, write_predictions, write_truth
from har.training.datamodule import HarDataModule, WindowLoader
from har.training.module import HarModule
from har.windows.segment import WindowIndex, activities_of, as_counted, null_label
from har.windows.store import Store


def predicted(trainer: pl.Trainer, module: HarModule, loader: WindowLoader) -> npt.NDArray[np.float32]:
    """Return probability_NK, float32 (windows, activities), of a loader's windows in their order."""
    batches = trainer.predict(module, dataloaders=loader)
    probability_NK: npt.NDArray[np.float32] = torch.cat(batches).cpu().numpy()  # type: ignore[arg-type]
    return probability_NK


@torch.inference_mode()
def predicted_plainly(module: HarModule, loader: WindowLoader) -> npt.NDArray[np.float32]:
    """Return what `predicted` returns, without a trainer."""
    module.eval()
    batches = [module.predict_step((x_NTC.to(module.device), label_N), 0) for x_NTC, label_N in loader]
    probability_NK: npt.NDArray[np.float32] = torch.cat(batches).cpu().numpy()
    return probability_NK


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


def activities_frame(
    store: Store, index: WindowIndex, probability_NK: npt.NDArray[np.float32], activities: list[str]
) -> pd.DataFrame:
    """Name the most probable activity of each window, for people: no truth, no recording numbers.

    Returns:
        Columns subject, trial, start_s, end_s, activity, probability; one row per window.
    """
    recordings = store.recordings.set_index("recording").loc[index.recording]
    start_s = (index.start - recordings["start"].to_numpy()) / store.rate_hz
    return pd.DataFrame(
        {
            "subject": recordings["subject"].to_numpy(),
            "trial": recordings["trial"].to_numpy(),
            "start_s": start_s,
            "end_s": start_s + index.samples / store.rate_hz,
            "activity": np.array(activities, dtype=object)[probability_NK.argmax(axis=1)],
            "probability": probability_NK.max(axis=1),
        }
    )


def write_test_files(folder: Path, data: HarDataModule, predictions: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Write what every score of the test subjects derives from: ``predictions/*.parquet`` and ``truth.parquet``.

    Args:
        folder: The run's folder.
        data: The data module, set up.
        predictions: Name of each inference to its probability_NK, float32 (test windows, activities).
    """
    write_inferences(folder, data, predictions)
    write_truth(folder / "truth.parquet", truth_frame(data.store, list(data.fold.test), data.spec.null))


def write_inferences(folder: Path, data: HarDataModule, predictions: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Write ``predictions/*.parquet`` alone; see `write_test_files`."""
    for name, probability_NK in predictions.items():
        frame = predictions_frame(data.store, data.test, probability_NK, data.activities)
        write_predictions(folder / predictions_file(name), frame)


def truth_frame(store: Store, subjects: list[str], null: str) -> pd.DataFrame:
    """Return the labels of the subjects' recordings at sample resolution, one row per stretch of one label.

    Args:
        store: The store.
        subjects: Whose recordings.
        null: What happens to the null activity (`WindowSpec.null`): what counts as null in a window's label does so
            here, else a window of unlabelled samples alone would have a label that its truth does not show.

    Returns:
        Columns recording (int32), subject, start_s, end_s, activity (None where unlabelled).
    """
    names = np.array([*activities_of(store, null), None], dtype=object)
    frames = []
    chosen = store.recordings[store.recordings["subject"].isin(subjects)]
    columns = (chosen[name] for name in ("recording", "subject", "start", "stop"))
    for recording, subject, start, stop in zip(*columns, strict=True):
        label_T = as_counted(np.asarray(store.label_T[start:stop]), null_label(store, null), null)
        edges = np.concatenate([[0], np.flatnonzero(np.diff(label_T)) + 1, [len(label_T)]])
        frames.append(
            pd.DataFrame(
                {
                    "recording": np.full(len(edges) - 1, recording, np.int32),
                    "subject": subject,
                    "start_s": edges[:-1] / store.rate_hz,
                    "end_s": edges[1:] / store.rate_hz,
                    "activity": names[label_T[edges[:-1]]],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
