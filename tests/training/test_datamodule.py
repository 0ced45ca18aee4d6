"""Batches: their order, their resumption, and folds that cannot be learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import UsageError
from har.seeds import derive_seed
from har.training.datamodule import HarDataModule, WindowLoader, folds_of, training_batches
from tests.fakes.stores import memory_store


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 40), st.integers(0, 99))
def test_each_epoch_shows_a_window_at_most_once_in_full_batches(windows: int, size: int, steps: int, seed: int) -> None:
    if windows < size:
        with pytest.raises(UsageError, match="larger than"):
            training_batches(windows, size, steps, seed)
        return
    batches = training_batches(windows, size, steps, seed)
    assert [len(batch) for batch in batches] == [size] * steps
    per_epoch = windows // size
    for first in range(0, steps, per_epoch):
        shown = np.concatenate(batches[first : first + per_epoch])
        assert len(set(shown.tolist())) == len(shown)
        assert shown.min() >= 0
        assert shown.max() < windows


def test_order_is_a_function_of_seed_and_epoch() -> None:
    one, again, other = (training_batches(100, 10, 25, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(np.concatenate(one[:10]), np.concatenate(one[10:20]))
    longer = training_batches(100, 10, 250, 1)
    assert all(np.array_equal(a, b) for a, b in zip(one, longer, strict=False))


def test_batches_are_cut_from_a_permutation_of_each_epoch_and_can_be_asked_for_in_any_order() -> None:
    whole = []
    for epoch in range(3):
        order = np.random.Generator(np.random.PCG64(derive_seed(7, "batches", epoch))).permutation(23)
        whole += list(order[:20].reshape(4, 5))
    batches = training_batches(23, 5, 11, 7)
    assert len(batches) == 11
    for place in (10, 0, 5, 4, -1, -11):
        np.testing.assert_array_equal(batches[place], whole[:11][place])
    for part in (slice(3, 9), slice(None, None, 3), slice(-2, None)):
        assert [batch.tolist() for batch in batches[part]] == [batch.tolist() for batch in whole[:11][part]]
    with pytest.raises(IndexError):
        batches[11]


def test_all_windows_are_seen_over_epochs_although_remainders_are_left_out() -> None:
    assert len(np.unique(np.concatenate(training_batches(19, 10, 40, 0)))) == 19


def module_of(root: Path, **changes: Any) -> HarDataModule:
    data = HarDataModule(**{"root": str(root), "window_s": 2.0, "step_s": 0.5, "batch_size": 32, **changes})
    data.setup()
    return data


def test_a_loader_resumes_behind_what_it_delivered(data_root: Path) -> None:
    data = module_of(data_root)
    batches = training_batches(len(data.train), 32, 12, 0)
    whole = list(WindowLoader(data.store.signal_TC, data.train, batches))
    first = WindowLoader(data.store.signal_TC, data.train, batches)
    iterator = iter(first)
    for _ in range(5):
        next(iterator)
    second = WindowLoader(data.store.signal_TC, data.train, batches)
    second.load_state_dict(first.state_dict())
    rest = list(second)
    assert len(rest) == 7
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(rest, whole[5:], strict=True))
    assert len(list(second)) == 12  # and the pass after that is whole again


def test_batches_hold_the_windows_of_the_store_time_major(data_root: Path) -> None:
    data = module_of(data_root)
    x_NTC, label_N = next(iter(data.val_dataloader()))
    samples = data.validation.samples
    assert x_NTC.shape[1:] == (samples, 6)
    for number in (0, len(label_N) - 1):
        start = data.validation.start[number]
        np.testing.assert_array_equal(x_NTC[number].numpy(), data.store.signal_TC[start : start + samples])
        assert label_N[number] == data.validation.label[number]


def test_moments_are_those_of_training_subjects_alone(data_root: Path) -> None:
    data = module_of(data_root)
    mean_C, variance_C = data.training_moments()
    x_NTC = np.stack([data.store.signal_TC[s : s + data.train.samples] for s in data.train.start]).astype(np.float64)
    np.testing.assert_allclose(mean_C.numpy(), x_NTC.mean((0, 1)), atol=1e-8)
    np.testing.assert_allclose(variance_C.numpy(), x_NTC.var((0, 1)), rtol=1e-8)


def test_an_activity_that_no_training_subject_shows_is_refused(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from har.training import datamodule

    monkeypatch.setattr(datamodule, "missing_activities", lambda _: ["pendulum"])
    with pytest.raises(UsageError, match="no training subject of fold subject-1 of spar shows the activity pendulum"):
        module_of(data_root)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"fold": "subject-11"}, "subject-11"),
        ({"folds": "losso"}, "losso"),
        ({"name": "spr"}, "spr"),
        ({"activities": ["pendulm"]}, "pendulm"),
        ({"window_s": 100.0}, "longer than every recording"),
        ({"label_rule": "mode"}, "mode"),
        ({"min_purity": 2.0}, "min_purity"),
        ({"validation_subjects": 9}, "10 subjects"),
    ],
)
def test_impossible_settings_are_one_usage_error(data_root: Path, wrong: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError) as error:
        module_of(data_root, **wrong)
    assert what in error.value.what


def test_folds_of_every_protocol(tmp_path: Path) -> None:
    store = memory_store([(str(number), [0] * 5) for number in range(1, 7)])
    assert [fold.record()["test"] for fold in folds_of(store, "loso", 5, 1)] == [[name] for name in store.subjects]
    assert len(folds_of(store, "kfold", 3, 1)) == 3
    path = tmp_path / "folds.json"
    path.write_text('{"folds": [{"name": "a", "train": ["1", "2"], "validation": ["3"], "test": ["4"]}]}')
    record = folds_of(store, str(path), 5, 1)[0].record()
    assert record == {"name": "a", "train": ["1", "2"], "validation": ["3"], "test": ["4"]}
    store.manifest["splits"] = {"official": {"train": ["1", "2"], "validation": ["5"], "test": ["6"]}}
    [fold] = folds_of(store, "official", 5, 1)
    assert fold.record() == {"name": "official", "train": ["1", "2"], "validation": ["5"], "test": ["6"]}
    with pytest.raises(UsageError, match="nor is it a split of plain or a file") as error:
        folds_of(store, "oficial", 5, 1)
    assert "'official'" in error.value.hint
