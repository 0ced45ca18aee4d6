"""Other devices at use: test windows alone change, as scipy turns them; the weights and the labels are as they were."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation

from har.errors import UsageError
from har.training.at_use import change_of
from har.training.cli import resolve
from har.training.datamodule import HarDataModule, loader_in_order
from har.training.run import run
from har.training.trained import Trained
from tests.training.test_statistics import under

CHANGES = ["turned-30", "turned-z180", "without-gyro_x", "without-gyroscope"]
INFERENCES = ["running", "target", *CHANGES, "target+turned-30"]


@pytest.fixture(scope="module")
def finished(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folds = tmp_path_factory.mktemp("folds") / "two.json"
    fold = {"name": "two", "train": ["3", "4", "5", "6"], "validation": ["7"], "test": ["1", "2"]}
    folds.write_text(json.dumps({"folds": [fold]}))
    settings = {
        "data.root": str(data_root),
        "data.folds": str(folds),
        "data.batch_size": 16,
        "data.step_s": 2.0,
        "model.learner.init_args.filters": [8, 8],
        "model.learner.init_args.pool": [4, 2],
        "trainer.max_steps": 20,
        "trainer.val_check_interval": 10,
        "trainer.enable_progress_bar": False,
        "inferences": INFERENCES,
    }
    return run(resolve([], settings), tmp_path_factory.mktemp("runs") / "finished")


@pytest.fixture(scope="module")
def trained(finished: Path) -> Trained:
    """That run's network, its data set up. Not to be changed."""
    found = Trained(resolve([finished / "config.yaml"], {}), finished / "checkpoints" / "best.ckpt")
    found.set_up()
    return found


def both(data: HarDataModule, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The test windows as they are, changed, and whose they are."""
    plain, changed = (
        torch.cat([x_NTC for x_NTC, _ in loader_in_order(data.store, data.test, change)]).double().numpy()
        for change in (None, change_of(name, data))
    )
    subject_N = data.store.recordings.set_index("recording").loc[data.test.recording, "subject"].to_numpy()
    return plain, changed, subject_N


@pytest.mark.parametrize("name", ["turned-30", "turned-y90"])
def test_a_turn_is_one_rotation_of_all_sensors_of_each_subject_by_the_angle_that_is_said(
    trained: Trained, name: str
) -> None:
    plain, changed, subject_N = both(trained.data, name)
    axes = []
    for subject in ("1", "2"):
        rows = subject_N == subject
        before, after = (x[rows].reshape(-1, 2, 3).reshape(-1, 3) for x in (plain, changed))  # both sensors, x y z
        found, residual = Rotation.align_vectors(after, before)  # scipy's own estimate
        vector_3 = found.as_rotvec(degrees=True)
        assert np.linalg.norm(vector_3) == pytest.approx(30 if name == "turned-30" else 90, abs=1e-3)
        assert residual == pytest.approx(0, abs=1e-2)
        axes.append(vector_3 / np.linalg.norm(vector_3))
    if name == "turned-y90":
        np.testing.assert_allclose(axes, [[0, 1, 0]] * 2, atol=1e-5)  # about +y, by the right hand
    else:
        assert np.abs(axes[0] - axes[1]).max() > 0.1


def test_devices_are_the_same_for_every_run(trained: Trained) -> None:
    other = copy.copy(trained.data)
    other.seed = trained.data.seed + 1
    assert np.array_equal(both(trained.data, "turned-30")[1], both(other, "turned-30")[1])


@pytest.mark.parametrize(("name", "missing"), [("without-gyro_x", [3]), ("without-gyroscope", [3, 4, 5])])
def test_what_is_missing_stands_at_its_mean_over_training_and_the_rest_as_recorded(
    trained: Trained, name: str, missing: list[int]
) -> None:
    plain, changed, _ = both(trained.data, name)
    data = trained.data
    rows = data.train.start[:, None] + np.arange(data.train.samples)
    mean_C = np.asarray(data.store.signal_TC)[rows].astype(np.float64).mean(axis=(0, 1))
    for channel in range(plain.shape[2]):
        expected = mean_C[channel] if channel in missing else plain[..., channel]
        np.testing.assert_allclose(changed[..., channel], np.broadcast_to(expected, changed.shape[:2]), rtol=1e-5)


def test_predictions_are_those_of_the_same_weights_on_changed_windows_with_the_same_truth(
    trained: Trained, finished: Path
) -> None:
    tables = {name: pd.read_parquet(finished / "predictions" / f"{name}.parquet") for name in INFERENCES}
    fixed = ["recording", "start_s", "end_s", "subject", "truth"]
    assert all(tables[name][fixed].equals(tables["running"][fixed]) for name in INFERENCES)
    trained.module.eval()
    for name in CHANGES:
        x_NTC = torch.from_numpy(both(trained.data, name)[1]).float()
        with torch.no_grad():
            expected_NK = torch.softmax(trained.module(x_NTC), 1).numpy()
        found_NK = tables[name].filter(like="probability:").to_numpy()
        np.testing.assert_allclose(found_NK, expected_NK, atol=1e-6)
        assert (finished / f"scores-{name}.json").is_file()


def test_a_target_meets_the_changed_windows_too(trained: Trained, finished: Path) -> None:
    """Statistics of turned windows on turned windows: what a network makes of a store that was recorded so."""
    data = copy.copy(trained.data)
    turned_TC = np.array(data.store.signal_TC)
    change = change_of("turned-30", data)
    assert change is not None
    for row in data.store.recordings.itertuples():
        x_1TC = torch.from_numpy(turned_TC[row.start : row.stop][None].copy())
        turned_TC[row.start : row.stop] = change(x_1TC, np.array([row.start]))[0].numpy()
    data.store = replace(data.store, signal_TC=turned_TC)
    expected_NK = under(trained, "target", data)
    found = pd.read_parquet(finished / "predictions" / "target+turned-30.parquet").filter(like="probability:")
    np.testing.assert_allclose(found.to_numpy(), expected_NK, atol=1e-5)


def test_an_impossible_change_is_refused_before_anything_is_trained(small: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="magnetometer") as caught:
        run(resolve([], small | {"inferences": ["running", "without-magnetometer"]}), tmp_path / "run")
    assert "gyroscope" in caught.value.hint
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_no_sensor_with_three_axes_is_none_to_turn(trained: Trained) -> None:
    data = copy.copy(trained.data)
    preparation = data.store.manifest["preparation"]
    short = {**preparation, "channels": preparation["channels"][:2]}
    data.store = replace(data.store, manifest={**data.store.manifest, "preparation": short})
    with pytest.raises(UsageError, match="nothing can be turned"):
        change_of("turned-30", data)
