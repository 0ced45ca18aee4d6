"""Runs whose features or heads are fitted at once: what they leave, what they may see, what they are chosen by."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from har.deploy.networks import classifier_of, of_classifier
from har.errors import LeakageError, RunError, UsageError
from har.learners.heads import Head
from har.training import judge as judge_module
from har.training.at_once import Sides, choose_head, validation_score
from har.training.begin import shown_once
from har.training.callbacks import read_metrics
from har.training.checkpoint import load_checkpoint
from har.training.cli import parts, resolve
from har.training.fused import run_together
from har.training.record import identity, read_run
from har.training.run import run
from har.training.stackable import obstacle
from har.training.trained import Trained
from har.windows.set_aside import taken
from tests.training.test_run import RUN_FILES, stop_at, trace

LEARNERS = {
    "HandCrafted": {"model.head.kind": "boosted_trees", "model.head.options.iterations": [2, 4]},
    "Codebook": {"model.learner.init_args.words": 8, "model.head.kind": "linear_svm"},
    "MiniRocket": {"model.learner.init_args.features": 168, "model.head.kind": "ridge"},
}
MODULES = {"HandCrafted": "handcrafted", "Codebook": "codebook", "MiniRocket": "minirocket"}


@pytest.fixture
def fixed(data_root: Path) -> dict[str, Any]:
    """Dotted settings of a run that trains nothing."""
    data = {"data.root": str(data_root), "data.window_s": 2.0, "data.step_s": 0.5}
    learner = {"model.learner": "har.learners.handcrafted.HandCrafted", "model.norm.placement": "none"}
    return {**data, **learner, "model.head.kind": "linear_svm", "model.head.options.c": [1e-7, 0.5, 1.0]}


def of(fixed: dict[str, Any], learner: str) -> dict[str, Any]:
    settings = {name: value for name, value in fixed.items() if not name.startswith("model.head")}
    return {**settings, "model.learner": f"har.learners.{MODULES[learner]}.{learner}", **LEARNERS[learner]}


def signal_without(root: Path, subject: str, place: Path) -> Path:
    """A copy of the data in which a subject's signal is noise."""
    shutil.copytree(root / "prepared", place / "prepared")
    store = place / "prepared" / "spar"
    table = pd.read_parquet(store / "recordings.parquet")
    signal_TC = np.load(store / "signal.npy", mmap_mode="r+")
    for start, stop in table.loc[table["subject"] == subject, ["start", "stop"]].to_numpy():
        signal_TC[start:stop] = np.random.default_rng(0).normal(size=(stop - start, signal_TC.shape[1]))
    signal_TC.flush()
    return place


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_run_leaves_what_any_run_leaves_and_predicts_the_same_from_its_tensors(
    learner: str, fixed: dict[str, Any], tmp_path: Path
) -> None:
    config = resolve([], of(fixed, learner))
    folder = run(config, tmp_path / "run")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {".lock"}
    assert files == RUN_FILES - {"checkpoints/last.ckpt"}  # there is nothing in the middle of it to go on from
    record = read_run(folder)
    assert record["status"] == "done"
    assert record["at_once"] is True
    tried = record["head"]["tried"]
    lines = read_metrics(folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, len(tried) + 1))
    assert all(line["seconds"] > 0 for line in lines)
    assert all(line | entry == line for line, entry in zip(lines, tried, strict=True))
    assert record["best_step"] == lines.index(max(lines, key=lambda line: line["validation_macro_f1"])) + 1
    frame = pd.read_parquet(folder / "predictions" / "running.parquet")
    probability_NK = Trained(config, folder / "checkpoints" / "best.ckpt").test()["running"]
    np.testing.assert_array_equal(frame.filter(like="probability:"), probability_NK)
    data = Trained(config, folder / "checkpoints" / "best.ckpt").set_up()
    x_NTC, _ = next(iter(data.test_dataloader()))
    np.testing.assert_allclose(of_classifier(classifier_of(folder))(x_NTC.numpy()), probability_NK[: len(x_NTC)])
    again = run(resolve([folder / "config.yaml"], {}), tmp_path / "again")
    assert trace(again) == trace(folder)
    assert (again / "scores.json").read_bytes() == (folder / "scores.json").read_bytes()


def test_what_is_chosen_is_the_first_of_the_best_by_the_validation_windows_own_score(
    fixed: dict[str, Any], tmp_path: Path
) -> None:
    """Each tried C has the macro F1 of an SVM that scikit-learn fits, on windows predicted by scikit-learn."""
    config = resolve([], fixed)
    record = read_run(run(config, tmp_path / "run"))
    module, data, _ = parts(config)
    data.setup()
    module.doubts(data)
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")
    module.load_state_dict(checkpoint["state_dict"])
    features = {}
    with torch.no_grad():
        for name, index in (("train", data.train), ("validation", data.validation)):
            x_NTC = np.stack([data.store.signal_TC[start : start + index.samples] for start in index.start])
            features[name] = module.network.features(module.network.scaling(torch.from_numpy(x_NTC))).numpy()
    expected = []
    for c in (1e-7, 0.5, 1.0):
        svm = LinearSVC(C=c, random_state=0, dual="auto", max_iter=10_000).fit(features["train"], data.train.label)
        found = svm.predict(features["validation"])
        expected.append(
            f1_score(
                data.validation.label, found, labels=np.unique(data.validation.label), average="macro", zero_division=0
            )
        )
    assert [entry["validation_macro_f1"] for entry in record["head"]["tried"]] == pytest.approx(expected)
    assert expected[0] < expected[1] == expected[2]
    assert record["head"]["chosen"] == {"c": 0.5}
    assert record["head"]["kind"] == "linear_svm"


@pytest.mark.parametrize("learner", ["fixed", "trained"])
def test_test_subjects_influence_neither_features_nor_head(
    learner: str, fixed: dict[str, Any], small: dict[str, Any], data_root: Path, tmp_path: Path
) -> None:
    settings = of(fixed, "Codebook") if learner == "fixed" else {**small, "model.head.kind": "linear_svm"}
    clean = run(resolve([], settings), tmp_path / "clean")
    root = signal_without(data_root, "1", tmp_path / "data")
    spoilt = run(resolve([], {**settings, "data.root": str(root)}), tmp_path / "spoilt")
    assert trace(spoilt) == trace(clean)
    assert read_run(spoilt)["head"] == read_run(clean)["head"]
    one, other = (load_checkpoint(folder / "checkpoints" / "best.ckpt")["state_dict"] for folder in (clean, spoilt))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (clean / "scores.json").read_text() != (spoilt / "scores.json").read_text()


def test_a_fit_that_is_given_foreign_windows_is_a_leak(fixed: dict[str, Any]) -> None:
    module, data, _ = parts(resolve([], fixed))
    data.setup()
    module.doubts(data)
    sides = Sides.of(data)
    network = module.network.eval()
    for foreign in (data.validation, data.test):
        with pytest.raises(LeakageError, match="a fit of features or head would read the signal of subject"):
            choose_head(network, module.head, dataclasses.replace(sides, train=foreign), 0, 1)
    with pytest.raises(LeakageError, match="subject 1, who tests"):
        validation_score(network, dataclasses.replace(sides, validation=data.test))
    assert not any("test" in field.name for field in dataclasses.fields(sides))


def test_a_trained_learner_gets_its_head_when_its_best_weights_are_restored(
    small: dict[str, Any], tmp_path: Path
) -> None:
    """Features of the run with a trained head, to the bit; the head of scikit-learn on them."""
    plain = run(resolve([], small), tmp_path / "plain")
    fitted = run(resolve([], {**small, "model.head.kind": "linear_svm"}), tmp_path / "fitted")
    assert trace(fitted) == trace(plain)
    one, other = (load_checkpoint(folder / "checkpoints" / "best.ckpt") for folder in (plain, fitted))
    assert one["global_step"] == other["global_step"] == read_run(fitted)["best_step"]
    differ = {name for name, value in one["state_dict"].items() if not torch.equal(value, other["state_dict"][name])}
    assert differ == {"network.head.weight", "network.head.bias"}
    config = resolve([], {**small, "model.head.kind": "linear_svm"})
    module, data, _ = parts(config)
    data.setup()
    module.doubts(data)
    module.load_state_dict(other["state_dict"])
    module.eval()
    x_NTC = np.stack([data.store.signal_TC[start : start + data.train.samples] for start in data.train.start])
    with torch.no_grad():
        scaled_NTC = module.network.scaling(torch.from_numpy(x_NTC))
        features_ND, logits_NK = module.network.features(scaled_NTC), module(torch.from_numpy(x_NTC))
    record = read_run(fitted)
    svm = LinearSVC(C=record["head"]["chosen"]["c"], random_state=0, dual="auto", max_iter=10_000)
    svm.fit(features_ND.numpy(), data.train.label)
    np.testing.assert_allclose(logits_NK, svm.decision_function(features_ND.numpy()), atol=1e-3, rtol=1e-3)
    assert len(record["head"]["tried"]) == 12
    assert record["best_validation_macro_f1"] == max(entry["validation_macro_f1"] for entry in record["head"]["tried"])


def test_a_trained_run_that_was_cut_off_behind_its_new_head_ends_the_same(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve([], {**small, "model.head.kind": "ridge"})
    whole = run(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(judge_module, "write_test_files", lambda *_: (_ for _ in ()).throw(RuntimeError("power")))
        with pytest.raises(RuntimeError, match="power"):
            run(config, tmp_path / "broken")
    resumed = run(config, tmp_path / "broken", resume=True)
    assert (resumed / "scores.json").read_bytes() == (whole / "scores.json").read_bytes()
    with monkeypatch.context() as patch:
        stop_at(patch, 20)
        with pytest.raises(RuntimeError, match="power"):
            run(config, tmp_path / "early")
    early = run(config, tmp_path / "early", resume=True)
    assert read_run(early)["head"] == read_run(whole)["head"]


def test_runs_that_are_trained_together_get_their_heads_as_each_does_by_itself(
    small: dict[str, Any], tmp_path: Path
) -> None:
    configs = [resolve([], {**small, "model.head.kind": "ridge", "seed_everything": seed}) for seed in (0, 1)]
    tasks = [
        {"config": config, "folder": str(tmp_path / f"{number}"), "facts": {}} for number, config in enumerate(configs)
    ]
    errors: list[Exception | None] = []
    run_together(tasks, lambda number, error, seconds: errors.append(error))
    assert errors == [None, None]
    together, alone = read_run(tmp_path / "1")["head"], read_run(run(configs[1], tmp_path / "alone"))["head"]
    assert together["chosen"] == alone["chosen"]
    for one, other in zip(together["tried"], alone["tried"], strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_a_run_fails_when_another_head_than_the_chosen_one_is_restored(
    fixed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = judge_module.restore

    def spoilt(module: Any, path: Path) -> None:
        original(module, path)
        with torch.no_grad():
            module.network.head.weight.zero_()

    monkeypatch.setattr(judge_module, "restore", spoilt)
    with pytest.raises(RunError, match="restored weights"):
        run(resolve([], fixed), tmp_path / "run")


def test_a_fit_that_cannot_be_says_why_in_the_runs_folder_and_can_be_begun_anew(
    fixed: dict[str, Any], tmp_path: Path
) -> None:
    settings = {**of(fixed, "Codebook"), "model.learner.init_args.words": 20_000}
    with pytest.raises(UsageError, match="fewer than the 20000 words"):
        run(resolve([], settings), tmp_path / "run")
    record = read_run(tmp_path / "run")
    assert (record["status"], record["diverged"]) == ("failed", False)
    assert "20000 words" in record["error"]
    assert read_run(run(resolve([], of(fixed, "Codebook")), tmp_path / "run"))["status"] == "done"


def test_a_fitted_learner_meets_a_changed_device_too(fixed: dict[str, Any], tmp_path: Path) -> None:
    folder = run(resolve([], {**fixed, "inferences": ["running", "without-gyroscope"]}), tmp_path / "run")
    one, other = (
        pd.read_parquet(folder / "predictions" / f"{name}.parquet") for name in ("running", "without-gyroscope")
    )
    assert one["truth"].equals(other["truth"])
    assert not one.filter(like="probability:").equals(other.filter(like="probability:"))


def test_an_activity_with_one_training_window_is_named(fixed: dict[str, Any]) -> None:
    _, data, _ = parts(resolve([], fixed))
    data.setup()
    assert shown_once(data) == []
    first = data.activities[0]
    kept = np.flatnonzero(data.train.label != 0).tolist() + np.flatnonzero(data.train.label == 0)[:1].tolist()
    data.train = taken(data.train, np.isin(np.arange(len(data.train)), kept))
    assert shown_once(data) == [f"{first} has one training window: nothing is learnt of how it differs."]


def test_doubts_of_a_fit_are_in_the_record(fixed: dict[str, Any], tmp_path: Path) -> None:
    settings = {"model.head.options.c": [1000.0], "model.head.options.most_iterations": 1}
    record = read_run(run(resolve([], {**fixed, **settings}), tmp_path / "run"))
    assert record["warnings"] == ["the SVM with C = 1000 had not converged after 1 iterations."]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model.norm.placement": "every"}, r"model\.norm\.placement is every"),
        ({"model.head": {"kind": "softmax"}}, "head softmax cannot be trained"),
        ({"inferences": ["running", "population"]}, "inference population is one of norms"),
        ({"probes": True}, "HandCrafted is fitted at once"),
    ],
)
def test_what_only_steps_have_is_refused_before_anything_runs(
    change: dict[str, Any], match: str, fixed: dict[str, Any]
) -> None:
    settings = {
        name: value for name, value in fixed.items() if not (name.startswith("model.head") and "model.head" in change)
    }
    with pytest.raises(UsageError, match=match):
        resolve([], {**settings, **change})


def test_runs_from_before_there_were_heads_still_count(small: dict[str, Any], fixed: dict[str, Any]) -> None:
    config = resolve([], small)
    assert config["model"]["head"] == dataclasses.asdict(Head())
    before = json.loads(json.dumps(config))
    del before["model"]["head"]
    assert identity(before) == identity(config)
    assert identity(resolve([], {**small, "model.head.kind": "ridge"}))["config"] != identity(config)["config"]
    assert obstacle(resolve([], fixed)) == "it is fitted at once, not step by step"
