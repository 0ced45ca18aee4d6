"""Every leak that docs/leaks.md lists, planted in a run: the run fails and names the leak. One test a leak."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from har.errors import LeakageError, UsageError
from har.training import datamodule, statistics
from har.training.callbacks import MetricsLog
from har.training.cli import resolve
from har.training.datamodule import HarDataModule, WindowLoader, loader_in_order
from har.training.module import HarModule
from har.training.record import read_run
from har.training.run import run
from har.windows.moments import moments
from har.windows.segment import WindowIndex, gather, window_index

TEST_SUBJECT = "1"  # of the first fold
Sets = dict[str, WindowIndex]


@pytest.fixture
def fails(small: dict[str, Any], tmp_path: Path) -> Callable[..., None]:
    """Make a run; it must fail by a leak that is named, and say so in its record."""

    def check(names: str, **settings: Any) -> None:
        with pytest.raises(LeakageError, match=names) as caught:
            run(resolve([], {**small, **settings}), tmp_path / "run")
        record = read_run(tmp_path / "run")
        assert record["status"] == "failed"
        assert caught.value.what in record["error"]

    return check


def plant_windows(monkeypatch: pytest.MonkeyPatch, change: Callable[[Sets], None]) -> None:
    """Let a change befall the windows of the three parts of the fold, before any guard sees them."""
    original = datamodule.guard

    def changed(train: Any, validation: Any, test: Any, store: Any, fold: Any) -> None:
        sets = {"train": train, "validation": validation, "test": test}
        change(sets)
        original(*sets.values(), store, fold)

    monkeypatch.setattr(datamodule, "guard", changed)


def rows_of(index: WindowIndex, chosen: np.ndarray) -> WindowIndex:
    """Some windows of an index."""
    names = ("start", "recording", "label", "purity")
    return dataclasses.replace(index, **{name: getattr(index, name)[chosen] for name in names})


def joined(one: WindowIndex, other: WindowIndex) -> WindowIndex:
    """The windows of two indices."""
    names = ("start", "recording", "label", "purity")
    both = {name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names}
    return dataclasses.replace(one, **both)


def other_store(small: dict[str, Any], data_root: Path, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of the store that may be spoilt, and settings that use it."""
    shutil.copytree(data_root / "prepared", tmp_path / "data" / "prepared")
    return tmp_path / "data" / "prepared" / "spar", {**small, "data.root": str(tmp_path / "data")}


def test_leak_a_subject_on_both_sides(fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def change(sets: Sets) -> None:
        own = sets["test"].recording % 2 == 0
        sets["train"] = joined(sets["train"], rows_of(sets["test"], own))
        sets["test"] = rows_of(sets["test"], ~own)

    plant_windows(monkeypatch, change)
    fails("train and test share subject 1")


def test_leak_a_recording_on_both_sides(fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def change(sets: Sets) -> None:
        test = sets["test"]
        apart = (test.recording == test.recording[0]) & (test.start >= test.start[0] + test.samples)
        sets["validation"] = joined(sets["validation"], rows_of(test, np.arange(len(test)) == 0))
        sets["test"] = rows_of(test, apart)

    plant_windows(monkeypatch, change)
    fails("validation and test share recording")


def test_leak_overlapping_windows_across_a_split(fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def change(sets: Sets) -> None:
        moved = rows_of(sets["test"], np.arange(len(sets["test"])) == 0)
        moved = dataclasses.replace(moved, start=moved.start + moved.samples - 1)
        sets["train"] = joined(sets["train"], moved)

    plant_windows(monkeypatch, change)
    fails("train and test share the samples")


def test_leak_a_window_over_the_end_of_its_recording(
    fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = datamodule.window_index

    def reaching(store: Any, spec: Any, subjects: list[str]) -> WindowIndex:
        index = original(store, spec, subjects)
        if TEST_SUBJECT in subjects or len(subjects) < 3:
            return index
        both = np.isin(store.recordings["subject"], subjects)
        first = int(np.flatnonzero(both[:-1] & both[1:])[0])  # its neighbour trains too, so that nobody else shares it
        start = index.start.copy()
        start[index.recording == first] = store.recordings["stop"][first] - 1
        return dataclasses.replace(index, start=start)

    monkeypatch.setattr(datamodule, "window_index", reaching)
    fails("reaches over the end of its recording")


def test_leak_a_scaler_fitted_on_test(fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(self: HarDataModule) -> Any:
        return tuple(map(torch.from_numpy, moments(self.store.signal_TC, joined(self.train, self.test))))

    monkeypatch.setattr(HarDataModule, "training_moments", leaking)
    fails("would read the signal of subject 1, who tests")


def test_leak_a_scaler_fitted_on_validation(fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    original = datamodule.moments
    everybody: list[WindowIndex] = []
    setup = HarDataModule.setup

    def watching(self: HarDataModule, stage: str = "fit") -> None:
        setup(self, stage)
        everybody[:] = [joined(self.train, self.validation)]

    monkeypatch.setattr(HarDataModule, "setup", watching)
    monkeypatch.setattr(datamodule, "moments", lambda signal_TC, index: original(signal_TC, everybody[0]))
    fails("the input scaling would read the signal of subject 2, who validates")


def test_leak_a_resampler_of_windows_fitted_on_test(
    fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaking(self: HarDataModule, steps: int) -> WindowLoader:
        """Rare activities are filled up with windows of whoever has them."""
        index = joined(self.train, self.test)
        rare = np.flatnonzero(index.label == np.argmin(np.bincount(index.label)))
        return WindowLoader(self.signal_for("training"), index, [rare[-self.batch_size :]] * steps)

    monkeypatch.setattr(HarDataModule, "training_loader", leaking)
    fails("training would read the signal of subject 1, who tests")


def test_leak_a_preparation_fitted_on_everybody(
    small: dict[str, Any], data_root: Path, tmp_path: Path, fails: Callable[..., None]
) -> None:
    store, settings = other_store(small, data_root, tmp_path)
    manifest = json.loads((store / "manifest.json").read_text())
    manifest["preparation"]["filters"] = [{"kind": "whitening", "fitted_on": "all subjects"}]
    (store / "manifest.json").write_text(json.dumps(manifest))
    fails("prepared with 'whitening', which may have been fitted on subjects who test", **settings)


def test_leak_features_fitted_on_everybody(fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    original = HarModule.doubts

    def leaking(self: HarModule, data: HarDataModule) -> list[str]:
        everybody = window_index(data.store, data.spec)
        gather(data.signal_for("the codebook"), everybody.start, everybody.samples)
        return original(self, data)

    monkeypatch.setattr(HarModule, "doubts", leaking)
    fails("the codebook would read the signal of subject 1, who tests")


def test_leak_statistics_of_norms_from_test(fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(data: HarDataModule) -> WindowLoader:
        numbers = np.arange(len(data.test), dtype=np.int64)
        return WindowLoader(data.signal_for(statistics._PURPOSE), data.test, [numbers])

    monkeypatch.setattr(statistics, "training_sweep", leaking)
    name = "the measurement of the norms' statistics would read the signal of subject 1, who tests"
    fails(name, **{"inferences": ["running", "population"], "model.norm.placement": "every"})


def test_leak_epoch_chosen_on_test(fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HarDataModule, "val_dataloader", lambda self: loader_in_order(self.store, self.test))
    fails("what is done before the test would read the signal of subject 1, who tests")


def test_leak_c_chosen_on_test(fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    original = HarModule.doubts
    scores: list[float] = []

    def leaking(self: HarModule, data: HarDataModule) -> list[str]:
        def features(index: WindowIndex) -> np.ndarray:
            return gather(data.store.signal_TC, index.start, index.samples).std(axis=1)

        for c in (0.01, 1.0):
            machine = LinearSVC(C=c).fit(features(data.train), data.train.label)
            scores.append(machine.score(features(data.validation), data.validation.label))
            scores.append(machine.score(features(data.test), data.test.label))
        return original(self, data)

    monkeypatch.setattr(HarModule, "doubts", leaking)
    fails("what is done before the test would read the signal of subject 1, who tests")
    assert len(scores) == 1  # choosing on validation subjects is what they are for


def test_leak_the_test_scored_before_everything_is_chosen(
    fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = MetricsLog.on_validation_end

    def curious(self: MetricsLog, trainer: Any, module: Any) -> None:
        for x_NTC, _ in trainer.datamodule.test_dataloader():
            module(x_NTC)
        original(self, trainer, module)

    monkeypatch.setattr(MetricsLog, "on_validation_end", curious)
    fails("what is done before the test would read the signal of subject 1, who tests")


def test_leak_the_label_among_the_channels(
    small: dict[str, Any], data_root: Path, tmp_path: Path, fails: Callable[..., None]
) -> None:
    store, settings = other_store(small, data_root, tmp_path)
    signal_TC = np.load(store / "signal.npy", mmap_mode="r+")
    signal_TC[:, 2] = 0.5 * np.load(store / "label.npy") - 1
    signal_TC.flush()
    fails("channel acc_z of spar tells the label", **settings)


def test_labels_of_the_test_subject_reach_neither_weights_nor_choice_nor_adaptation(
    small: dict[str, Any], data_root: Path, tmp_path: Path
) -> None:
    """The same run on data whose test subject has other labels: equal weights, and equal probabilities."""
    store, other = other_store(small, data_root, tmp_path)
    label_T = np.load(store / "label.npy", mmap_mode="r+")
    table = datamodule.open_store("spar", tmp_path / "data").recordings
    for start, stop in table.loc[table["subject"] == TEST_SUBJECT, ["start", "stop"]].to_numpy():
        label_T[start:stop] = (label_T[start:stop] + 1) % 3
    label_T.flush()
    settings = {"inferences": ["running", "target"], "model.norm.placement": "every"}
    settings |= {"model.optimisation.class_weights": "balanced"}
    folders = [
        run(resolve([], {**config, **settings}), tmp_path / name) for name, config in (("own", small), ("other", other))
    ]
    weights = [torch.load(f / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"] for f in folders]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    for inference in ("running", "target"):
        own, changed = (_probabilities(folder, inference) for folder in folders)
        assert set(own) == set(changed)
        assert all(np.array_equal(own[window], changed[window]) for window in own)


def _probabilities(folder: Path, inference: str) -> dict[tuple[int, float], np.ndarray]:
    from har.evaluation.predictions import read_predictions

    frame = read_predictions(folder / "predictions" / f"{inference}.parquet")
    values = frame[[name for name in frame if name.startswith("probability:")]].to_numpy()
    return {(int(r), float(s)): row for r, s, row in zip(frame["recording"], frame["start_s"], values, strict=True)}


def test_a_folds_file_with_a_subject_on_both_sides_is_refused(small: dict[str, Any], tmp_path: Path) -> None:
    fold = {"name": "a", "train": ["2", "3", "1"], "validation": ["4"], "test": ["1"]}
    (tmp_path / "folds.json").write_text(json.dumps({"folds": [fold]}))
    with pytest.raises(UsageError, match="subject '1' stands more than once in fold 'a'"):
        run(resolve([], {**small, "data.folds": str(tmp_path / "folds.json")}), tmp_path / "run")


def test_every_leak_of_the_list_has_its_test() -> None:
    """docs/leaks.md and this file name the same tests."""
    listed = (Path(__file__).parents[2] / "docs" / "leaks.md").read_text()
    own = [name for name in globals() if name.startswith("test_leak_")]
    assert len(own) == 14
    assert all(f"`{name}`" in listed for name in own)
    named = set(re.findall(r"`(test_\w+)`", listed))
    written = {name for file in (Path(__file__).parents[1]).rglob("test_*.py") for name in _tests(file)}
    assert named <= written


def _tests(file: Path) -> list[str]:
    return re.findall(r"^def (test_\w+)", file.read_text(), flags=re.MULTILINE)
