"""Personalisation: the one head near the trained one that fits what a subject labelled, never scored on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from har.errors import UsageError
from har.training.cli import resolve
from har.training.personal import RIDGES, fit_near
from har.training.record import identity, read_run
from har.training.run import run
from har.training.trained import Trained
from har.windows.set_aside import subject_of_each
from tests.conftest import fresh


@pytest.fixture
def settings(small: dict[str, Any]) -> dict[str, Any]:
    return small | {"data.set_aside_s": 4.0, "inferences": ["running", "target", "personal-3s", "personal-4s"]}


@pytest.mark.parametrize("ridge", RIDGES)
def test_the_head_is_the_minimum_that_scipy_finds(ridge: float) -> None:
    generator = fresh()
    x_ND, label_N = generator.normal(size=(30, 4)), generator.integers(3, size=30)
    own = generator.normal(size=(3, 5))  # the bias last

    def loss(flat: np.ndarray) -> float:
        head = flat.reshape(3, 5)
        chosen = log_softmax(x_ND @ head[:, :4].T + head[:, 4], axis=1)[np.arange(30), label_N]
        return float(-chosen.mean() + ridge / 2 * ((head - own) ** 2).sum())

    expected = minimize(loss, own.ravel(), method="BFGS", options={"gtol": 1e-8}).x.reshape(3, 5)
    given = (torch.from_numpy(own[:, :4].copy()), torch.from_numpy(own[:, 4].copy()))
    weight, bias = fit_near(given, torch.from_numpy(x_ND), torch.from_numpy(label_N), ridge)
    np.testing.assert_allclose(weight.numpy(), expected[:, :4], atol=2e-4)
    np.testing.assert_allclose(bias.numpy(), expected[:, 4], atol=2e-4)
    assert np.array_equal(given[0].numpy(), own[:, :4])


def test_all_inferences_are_scored_on_the_same_windows_none_of_which_was_learnt_from(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    config = resolve([], settings)
    folder = run(config, tmp_path / "run")
    tables = {path.stem: pd.read_parquet(path) for path in (folder / "predictions").iterdir()}
    assert set(tables) == set(settings["inferences"])
    fixed = ["recording", "start_s", "end_s", "subject", "truth"]
    assert all(table[fixed].equals(tables["running"][fixed]) for table in tables.values())
    columns = [name for name in tables["running"] if str(name).startswith("probability:")]
    assert len({table[columns].to_numpy().tobytes() for table in tables.values()}) == 4

    whole = run(resolve([], settings | {"data.set_aside_s": 0.0, "inferences": ["running"]}), tmp_path / "whole")
    every = pd.read_parquet(whole / "predictions" / "running.parquet")
    record = read_run(folder)
    assert record["set_aside_windows"] == 5 * every["truth"].nunique()  # windows of 2 s that begin each 0.5 s
    assert len(tables["running"]) == record["test_windows"] < len(every) - record["set_aside_windows"]
    again = every.merge(tables["running"], on=["recording", "start_s"], suffixes=("", ":less"))
    for name in columns:  # the same weights: what is set aside is about the test alone
        np.testing.assert_array_equal(again[name], again[f"{name}:less"])
    assert identity(config)["config"] != identity(resolve([], settings | {"data.set_aside_s": 0.0}))["config"]


def test_the_head_is_fitted_to_the_first_seconds_of_the_test_subject_alone(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []

    def noted(own: Any, features_ND: torch.Tensor, label_N: torch.Tensor, ridge: float) -> Any:
        seen.append(features_ND.numpy())
        return fit_near(own, features_ND, label_N, ridge)

    monkeypatch.setattr("har.training.personal.fit_near", noted)
    folder = run(resolve([], settings | {"inferences": ["running", "personal-3s"]}), tmp_path / "run")
    trained = Trained(resolve([folder / "config.yaml"], {}), folder / "checkpoints" / "best.ckpt")
    data = trained.set_up()
    assert len(seen) == len(RIDGES) * len(data.fold.validation) + 1  # the test subject comes last, once
    network = trained.module.network.eval()
    starts = [
        start
        for label in np.unique(data.set_aside.label)
        for start in data.set_aside.start[data.set_aside.label == label][:3]  # 2 s, 2.5 s and 3 s of it
    ]
    rows = np.sort(starts)[:, None] + np.arange(data.test.samples)
    with torch.no_grad():
        x_NTC = torch.from_numpy(np.asarray(data.store.signal_TC)[rows])
        expected_ND = network.features(network.scaling(x_NTC)).double().numpy()
    np.testing.assert_allclose(seen[-1], expected_ND, atol=1e-5)
    assert set(subject_of_each(data.store, data.set_aside)) == set(data.fold.test)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data.set_aside_s": 2.0}, "data.set_aside_s is 2"),
        ({"data.set_aside_s": 4.0, "inferences": ["running", "personal-1s"]}, "a window within the first"),
        ({"model.head.kind": "ridge"}, "this one is ridge"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_before_training(
    settings: dict[str, Any], tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        run(resolve([], settings | changes), tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_finished_run_refuses_more_labels_than_it_has_set_aside(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = run(resolve([], settings | {"inferences": ["running"]}), tmp_path / "run")
    more = resolve([folder / "config.yaml"], {"inferences": ["running", "personal-5s"]})
    with pytest.raises(UsageError, match="set_aside_s is 4"):
        run(more, folder, resume=True)
