"""Inferences of a run: other statistics on the same weights, each from the windows that its name says."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from har.errors import UsageError
from har.norms.inferences import parse
from har.norms.statistics import by_depth, measure_by_layer, replaced, snapshot, statistics_layers, weighted
from har.training.cli import resolve
from har.training.datamodule import HarDataModule, training_batches
from har.training.module import HarModule
from har.training.record import identity, read_run
from har.training.run import run
from har.training.statistics import even_batches, probabilities, training_statistics, training_sweep
from har.training.trained import Trained
from har.windows.segment import WindowIndex, gather, window_index

INFERENCES = [
    "running",
    "population",
    "population-layerwise",
    "population-balanced",
    "last_batch",
    "cumulative",
    "target",
    "target-0.5",
    "target-shuffled",
    "target-stream",
    "target-stream-oftta",
    "target-stream-prior16",
]
SMALL = {
    "data.window_s": 2.0,
    "data.step_s": 0.5,
    "model.learner.init_args.filters": [8, 8],
    "model.learner.init_args.pool": [4, 2],
    "model.learner.init_args.dropout": 0.2,
    "trainer.max_steps": 20,
    "trainer.val_check_interval": 5,
    "trainer.enable_progress_bar": False,
}


@pytest.fixture(scope="module")
def two_subjects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folds file whose test subjects are two."""
    path = tmp_path_factory.mktemp("folds") / "two.json"
    fold = {"name": "two", "train": ["3", "4", "5", "6"], "validation": ["7"], "test": ["1", "2"]}
    path.write_text(json.dumps({"folds": [fold]}))
    return path


@pytest.fixture(scope="module")
def finished(data_root: Path, two_subjects: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every kind of inference, tested on two subjects."""
    settings = {**SMALL, "data.root": str(data_root), "data.folds": str(two_subjects), "inferences": INFERENCES}
    return run(resolve([], settings), tmp_path_factory.mktemp("runs") / "finished")


@pytest.fixture(scope="module")
def trained(finished: Path) -> Trained:
    """That run's network, its data set up. Not to be changed."""
    found = Trained(resolve([finished / "config.yaml"], {}), finished / "checkpoints" / "best.ckpt")
    found.set_up()
    return found


def all_windows(data: HarDataModule, index: WindowIndex) -> Tensor:
    return torch.from_numpy(gather(data.store.signal_TC, index.start, index.samples))


def subjects_of(data: HarDataModule, index: WindowIndex) -> np.ndarray:
    return data.store.recordings.set_index("recording").loc[index.recording, "subject"].to_numpy()


def predict(module: HarModule) -> Any:
    """What a trainer does, without one."""

    def call(loader: Any) -> np.ndarray:
        module.eval()
        with torch.no_grad():
            return torch.cat([torch.softmax(module(x_NTC), 1) for x_NTC, _ in loader]).numpy()

    return call


def under(trained: Trained, name: str, data: HarDataModule | None = None, step: int = 20) -> np.ndarray:
    return probabilities(parse(name), trained.module, data or trained.data, step, predict(trained.module))


def in_training(network: nn.Module, x_NTC: Tensor) -> Tensor:
    """Probabilities with the norms in training mode and dropout off, leaving the network as it was."""
    other = copy.deepcopy(network).eval()
    for layer in statistics_layers(other).values():
        layer.train()
    with torch.no_grad():
        result: Tensor = torch.softmax(other(x_NTC), 1)
    return result


def test_each_inference_has_predictions_and_scores_of_its_own(finished: Path) -> None:
    files = {path.stem for path in (finished / "predictions").iterdir()}
    assert files == set(INFERENCES)
    tables = {name: pd.read_parquet(finished / "predictions" / f"{name}.parquet") for name in INFERENCES}
    fixed = ["recording", "start_s", "end_s", "subject", "truth"]
    assert all(tables[name][fixed].equals(tables["running"][fixed]) for name in INFERENCES)
    columns = [column for column in tables["running"] if column.startswith("probability:")]
    seen = {tables[name][columns].to_numpy().tobytes() for name in INFERENCES}
    assert len(seen) == len(INFERENCES)  # with statistics so young, none is like another
    for name in INFERENCES:
        path = finished / ("scores.json" if name == "running" else f"scores-{name}.json")
        scores = json.loads(path.read_text())
        accuracy = (tables[name]["truth"] == tables[name]["prediction"]).mean()
        assert scores["accuracy"] == pytest.approx(accuracy)


def test_other_inferences_change_neither_training_nor_what_is_predicted_as_running(
    finished: Path, tmp_path: Path
) -> None:
    plain = run(resolve([finished / "config.yaml"], {"inferences": ["running"]}), tmp_path / "plain")
    for name in ("predictions/running.parquet", "truth.parquet", "scores.json"):
        assert (plain / name).read_bytes() == (finished / name).read_bytes()
    assert [path.name for path in (plain / "predictions").iterdir()] == ["running.parquet"]
    assert not list(plain.glob("scores-*"))
    one, other = (
        torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        for folder in (plain, finished)
    )
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_testing_again_gives_every_inference_again(trained: Trained, finished: Path) -> None:
    for name, probability_NK in trained.test().items():
        table = pd.read_parquet(finished / "predictions" / f"{name}.parquet")
        assert np.array_equal(table.filter(like="probability:").to_numpy(), probability_NK), name


def test_population_statistics_are_those_of_all_training_windows_at_once(trained: Trained) -> None:
    module, data = copy.deepcopy(trained.module), trained.data
    x_NTC = module.network.scaling(all_windows(data, data.train))
    with torch.no_grad():
        first_NF = module.network.features.block1.conv(x_NTC.permute(0, 2, 1).unsqueeze(-1)).double()
    found = training_statistics("population", module, data, 0)
    name = "features.block1.norm"
    torch.testing.assert_close(found[name]["running_mean"], first_NF.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[name]["running_var"], first_NF.var((0, 2, 3), correction=0), rtol=1e-5, atol=1e-6)
    by_layer = training_statistics("population-layerwise", module, data, 0)
    torch.testing.assert_close(by_layer[name], found[name], rtol=1e-5, atol=1e-6)
    with replaced(module.network, by_layer), torch.no_grad():
        exact = torch.softmax(module.eval()(all_windows(data, data.train)), 1)
    torch.testing.assert_close(exact, in_training(module.network, all_windows(data, data.train)), atol=1e-5, rtol=1e-4)


def test_balanced_statistics_are_those_of_windows_that_weigh_the_less_the_more_their_subject_has(
    trained: Trained,
) -> None:
    module, data = trained.module, copy.copy(trained.data)
    subject_N = subjects_of(data, data.train)
    kept = np.flatnonzero((subject_N != "3") | (np.arange(len(subject_N)) % 4 == 0))  # subject 3 has a quarter
    columns = {name: getattr(data.train, name)[kept] for name in ("start", "recording", "label", "purity")}
    data.train = dataclasses.replace(data.train, **columns)
    subject_N = subject_N[kept]
    weight_N = torch.tensor([1 / (4 * (subject_N == subject).sum()) for subject in subject_N])
    with torch.no_grad():
        x_NTC = module.network.scaling(all_windows(data, data.train))
        first_NFT = module.network.features.block1.conv(x_NTC.permute(0, 2, 1).unsqueeze(-1)).double().squeeze(-1)
    mean_F = torch.einsum("n,nft->f", weight_N, first_NFT) / first_NFT.shape[2]
    variance_F = torch.einsum("n,nft->f", weight_N, (first_NFT - mean_F[:, None]) ** 2) / first_NFT.shape[2]
    found = training_statistics("population-balanced", module, data, 0)["features.block1.norm"]
    torch.testing.assert_close(found["running_mean"], mean_F, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found["running_var"], variance_F, rtol=1e-5, atol=1e-6)
    plain = training_statistics("population-layerwise", module, data, 0)["features.block1.norm"]
    assert (plain["running_mean"] - mean_F).abs().max() > 1e-3


def test_cumulative_statistics_are_what_torch_keeps_without_momentum_over_the_same_pass(trained: Trained) -> None:
    network = copy.deepcopy(trained.module.network).eval()
    for layer in statistics_layers(network).values():
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for x_NTC, _ in training_sweep(trained.data):
            network(x_NTC)
    for name, values in training_statistics("cumulative", trained.module, trained.data, 0).items():
        layer = network.get_submodule(name)
        torch.testing.assert_close(values["running_mean"].float(), layer.running_mean, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(values["running_var"].float(), layer.running_var, rtol=1e-4, atol=1e-6)


def test_the_last_batch_is_the_one_of_the_step_that_the_weights_are_from(trained: Trained) -> None:
    data = trained.data
    network = copy.deepcopy(trained.module.network).eval()
    for layer in statistics_layers(network).values():
        layer.momentum = 1.0
        layer.train()
    batch = training_batches(len(data.train), data.batch_size, 20, data.seed)[6]
    with torch.no_grad():
        network(all_windows(data, data.train)[batch])
    for name, values in training_statistics("last_batch", trained.module, data, 7).items():
        layer = network.get_submodule(name)
        torch.testing.assert_close(values["running_mean"].float(), layer.running_mean, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(values["running_var"].float(), layer.running_var, rtol=1e-4, atol=1e-6)


def test_a_run_takes_the_batch_of_its_best_step(trained: Trained, finished: Path) -> None:
    table = pd.read_parquet(finished / "predictions" / "last_batch.parquet")
    probability_NK = under(trained, "last_batch", step=read_run(finished)["best_step"])
    np.testing.assert_allclose(table.filter(like="probability:").to_numpy(), probability_NK, atol=1e-6)


def test_the_pass_over_training_shows_each_window_once_with_all_subjects_in_every_batch(trained: Trained) -> None:
    data = trained.data
    batches = training_sweep(data)._batches
    assert sorted(np.concatenate(batches)) == list(range(len(data.train)))
    subject_N = subjects_of(data, data.train)
    shares = {subject: (subject_N == subject).mean() for subject in set(subject_N)}
    assert len(shares) == 4
    for batch in batches:
        assert data.batch_size / 2 <= len(batch) <= data.batch_size
        for subject, share in shares.items():
            assert abs((subject_N[batch] == subject).sum() - share * len(batch)) <= 2
    for subject in shares:
        shown = [row for row in np.concatenate(batches) if subject_N[row] == subject]
        assert shown != sorted(shown)  # neighbours in time are no neighbours in a batch


@pytest.mark.parametrize(("windows", "size"), [(1, 8), (8, 8), (9, 8), (17, 8), (64, 8)])
def test_batches_of_a_stream_are_nearly_equal(windows: int, size: int) -> None:
    batches = even_batches(np.arange(windows), size)
    assert np.array_equal(np.concatenate(batches), np.arange(windows))
    lengths = [len(batch) for batch in batches]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1


def test_target_statistics_are_those_of_each_subject_alone(trained: Trained) -> None:
    data, network = trained.data, trained.module.network
    subject_N, x_NTC = subjects_of(data, data.test), all_windows(data, data.test)
    probability_NK = under(trained, "target")
    for subject in ("1", "2"):
        rows = subject_N == subject
        expected_NK = in_training(network, x_NTC[rows]).numpy()
        np.testing.assert_allclose(probability_NK[rows], expected_NK, atol=1e-5)


def test_oftta_weighs_the_norms_by_depth(trained: Trained) -> None:
    data, network = trained.data, trained.module.network
    subject_N, x_NTC = subjects_of(data, data.test), all_windows(data, data.test)
    rows = subject_N == "1"
    with replaced(network, measure_by_layer(network, [x_NTC[rows]], adapt=by_depth(0.1, 0.99))):
        expected_NK = predict(trained.module)([(x_NTC[rows], None)])
    np.testing.assert_allclose(under(trained, "target-oftta")[rows], expected_NK, atol=1e-5)
    assert not np.allclose(under(trained, "target-0.5")[rows], expected_NK, atol=1e-3)


def test_a_prior_weighs_the_training_by_windows_against_those_of_the_subject_or_batch(trained: Trained) -> None:
    """(N·running + n·target)/(N + n), with n the windows that the target's statistics are from."""
    data, network = trained.data, trained.module.network
    subject_N, x_NTC = subjects_of(data, data.test), all_windows(data, data.test)
    rows = np.flatnonzero(subject_N == "1")
    for name, batches in (
        ("target-prior16", [rows]),
        ("target-stream-prior16", even_batches(rows, data.batch_size)),
    ):
        probability_NK = under(trained, name)
        for batch in batches:
            share = len(batch) / (16 + len(batch))
            with replaced(network, measure_by_layer(network, [x_NTC[batch]], adapt=weighted(share))):
                expected_NK = predict(trained.module)([(x_NTC[batch], None)])
            np.testing.assert_allclose(probability_NK[batch], expected_NK, atol=1e-5)
        assert not np.allclose(probability_NK[rows], under(trained, name.removesuffix("-prior16"))[rows], atol=1e-3)


def test_a_stream_in_time_is_predicted_batch_by_batch_in_the_order_of_the_recordings(trained: Trained) -> None:
    data, network = trained.data, trained.module.network
    subject_N, x_NTC = subjects_of(data, data.test), all_windows(data, data.test)
    streamed_NK = under(trained, "target-stream")
    rows = np.flatnonzero(subject_N == "2")
    assert np.all(np.diff(data.test.start[rows]) > 0)
    for batch in even_batches(rows, data.batch_size):
        np.testing.assert_allclose(streamed_NK[batch], in_training(network, x_NTC[batch]).numpy(), atol=1e-5)
    shuffled_NK = under(trained, "target-shuffled")
    assert not np.allclose(shuffled_NK, streamed_NK, atol=1e-3)
    assert np.array_equal(shuffled_NK, under(trained, "target-shuffled"))


def relabelled(data: HarDataModule, label_T: np.ndarray, signal_TC: np.ndarray | None = None) -> HarDataModule:
    """The same fold of a store with other labels, or another signal too, its test windows found anew."""
    other = copy.copy(data)
    signal_TC = data.store.signal_TC if signal_TC is None else signal_TC
    other.store = dataclasses.replace(data.store, label_T=label_T, signal_TC=signal_TC)
    other.test = window_index(other.store, data.spec, list(data.fold.test))
    return other


@pytest.mark.parametrize(
    "name", ["target", "target-prior16", "target-shuffled", "target-stream", "target-stream-oftta"]
)
def test_labels_of_a_target_have_no_part_in_its_statistics_and_unlabelled_windows_do(
    trained: Trained, name: str
) -> None:
    """Every third window, and all of one activity, are stripped of their labels; the others are predicted as before."""
    data = trained.data
    label_T = np.array(data.store.label_T)
    recordings = data.store.recordings
    for start, stop in recordings.loc[recordings["subject"].isin(data.fold.test), ["start", "stop"]].to_numpy():
        label_T[start:stop][np.arange(stop - start) % 300 < 100] = -1
        label_T[start:stop][label_T[start:stop] == 2] = -1
    fewer = relabelled(data, label_T)
    assert 0 < len(fewer.test) < len(data.test)
    _, before_N, after_N = np.intersect1d(data.test.start, fewer.test.start, return_indices=True)
    assert len(after_N) == len(fewer.test)
    before_NK, after_NK = under(trained, name), under(trained, name, fewer)
    assert after_NK.shape == (len(fewer.test), len(data.activities))
    np.testing.assert_allclose(after_NK[after_N], before_NK[before_N], atol=1e-6)
    louder_TC = np.array(data.store.signal_TC)
    louder_TC[~covered(fewer)] *= 3.0  # only samples that no scored window holds
    assert np.abs(under(trained, name, relabelled(data, label_T, louder_TC)) - after_NK).max() > 1e-3


def covered(data: HarDataModule) -> np.ndarray:
    """Which rows of the store some test window holds, as flags."""
    rows = np.zeros(len(data.store.label_T), bool)
    for start in data.test.start:
        rows[start : start + data.test.samples] = True
    return rows


def test_a_small_weight_of_the_target_stays_near_running_and_a_large_one_near_the_target(trained: Trained) -> None:
    running_NK, target_NK = under(trained, "running"), under(trained, "target")
    for name, near in (("target-0.000001", running_NK), ("target-0.999999", target_NK)):
        np.testing.assert_allclose(under(trained, name), near, atol=1e-4)


def test_without_norms_every_inference_is_the_same(small: dict[str, Any], tmp_path: Path) -> None:
    settings = {**small, "model.norm.placement": "none", "inferences": INFERENCES}
    folder = run(resolve([], settings), tmp_path / "run")
    first, *others = [pd.read_parquet(folder / "predictions" / f"{name}.parquet") for name in INFERENCES]
    for other in others:
        assert other["prediction"].equals(first["prediction"])


def test_predicting_leaves_the_network_as_it_was(trained: Trained) -> None:
    before = snapshot(trained.module.network)
    for name in INFERENCES:
        under(trained, name)
    after = snapshot(trained.module.network)
    assert all(torch.equal(after[layer][name], value) for layer, own in before.items() for name, value in own.items())


def test_a_run_is_the_same_whatever_is_predicted_with_its_weights(small: dict[str, Any]) -> None:
    config = resolve([], small)
    earlier = copy.deepcopy(config)
    del earlier["inferences"], earlier["model"]["precise_validation"]
    assert identity(config) == identity(earlier)
    other = identity(resolve([], {**small, "inferences": ["running", "population"]}))
    precise = identity(resolve([], {**small, "model.precise_validation": True}))
    assert other == identity(config)
    assert precise["config"] != identity(config)["config"]


@pytest.mark.parametrize(
    ("inferences", "what"),
    [(["running", "poplation"], "poplation"), (["population"], "lack 'running'"), (["running", "running"], "twice")],
)
def test_impossible_inferences_are_refused_before_training(inferences: list[str], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        resolve([], {"inferences": inferences})
