"""Samples for probes: drawn as training draws, or spread over all subjects; always the same ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from har.training.cli import parts, resolve
from har.training.datamodule import HarDataModule, training_batches
from har.training.recoverables import Questions, gravity
from har.training.samples import Sample, random_batches, spread
from har.windows.segment import gather


@pytest.fixture(scope="module")
def data(data_root: Path) -> HarDataModule:
    """A data module, set up. Not to be changed."""
    settings: dict[str, Any] = {"data.root": str(data_root), "data.window_s": 2.0, "data.step_s": 0.5}
    found = parts(resolve([], {**settings, "data.batch_size": 16}))[1]
    found.setup()
    return found


def starts(samples: list[Sample]) -> list[int]:
    return torch.cat([sample.start_N for sample in samples]).tolist()


def test_random_batches_are_windows_of_training_and_not_those_of_its_first_steps(data: HarDataModule) -> None:
    drawn = random_batches(data, 2)
    assert [len(sample.x_NTC) for sample in drawn] == [16, 16]
    assert len(set(starts(drawn))) == 32
    assert set(starts(drawn)) <= set(data.train.start.tolist())
    first = np.concatenate(training_batches(len(data.train), 16, 2, data.seed))
    assert starts(drawn) != data.train.start[first].tolist()
    assert starts(random_batches(data, 2)) == starts(drawn)


def test_windows_are_spread_over_every_recording(data: HarDataModule) -> None:
    sample = spread(data.store, data.train, len(data.train) // 3)
    assert len(set(starts([sample]))) == len(data.train) // 3
    share = np.bincount(sample.recording_N, minlength=200)[data.train.recording]
    whole = np.bincount(data.train.recording, minlength=200)[data.train.recording]
    assert np.abs(share - whole / 3).max() <= 1
    everything = spread(data.store, data.validation, 10**6)
    assert starts([everything]) == data.validation.start.tolist()


def test_a_sample_knows_its_windows(data: HarDataModule) -> None:
    sample = spread(data.store, data.validation, 20)
    np.testing.assert_array_equal(sample.x_NTC, gather(data.store.signal_TC, sample.start_N.numpy(), 100))
    subjects = [data.store.subjects[number] for number in sample.subject_N.tolist()]
    assert set(subjects) == set(data.fold.validation)
    places = [data.validation.start.tolist().index(start) for start in sample.start_N.tolist()]
    assert sample.label_N.tolist() == data.validation.label[places].tolist()
    for recording, subject, start in zip(sample.recording_N.tolist(), subjects, sample.start_N.tolist(), strict=True):
        row = data.store.recordings.set_index("recording").loc[recording]
        assert row["subject"] == subject
        assert row["start"] <= start < row["stop"]


def test_gravity_is_the_direction_of_the_accelerometer_and_of_nothing_else(data: HarDataModule) -> None:
    sample = spread(data.store, data.train, 12)
    found = gravity(sample.x_NTC, data.store)
    assert found is not None
    mean_N3 = sample.x_NTC[:, :, :3].double().mean(1)  # acc_x, acc_y, acc_z
    torch.testing.assert_close(found, mean_N3 / mean_N3.norm(dim=1, keepdim=True))


def test_without_an_accelerometer_nobody_is_asked_for_gravity(data: HarDataModule) -> None:
    channels = [{"sensor": "gyroscope", "site": "wrist", "axis": axis} for axis in "xyz"]
    channels += [{"sensor": "accelerometer", "site": "wrist", "axis": axis} for axis in "xy"]  # no direction in space
    store = dataclasses.replace(data.store, manifest={"preparation": {"channels": channels}})
    assert Questions.of(spread(store, data.train, 40), store).gravity_NM is None
