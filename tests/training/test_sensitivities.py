"""Gain, offset and batch mates of a trained network: what the columns of a run's probes are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from har.evaluation.probes import read_probes
from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.initialise import initialise
from har.norms.freeze import unchanged
from har.norms.plan import NormPlan
from har.norms.sensitivity import GAINS, OFFSETS
from har.training.cli import resolve
from har.training.datamodule import HarDataModule
from har.training.record import read_run
from har.training.run import run
from har.training.samples import Sample, of_each_activity
from har.training.sensitivities import batch_mate_probes, sensor_probes
from har.windows.prepare import open_store

CPU = torch.device("cpu")


def drawn(windows: int = 120) -> Sample:
    x_NTC = torch.randn(windows, 20, 3) * 2 + torch.randn(windows, 1, 3)
    label_N, subject_N = torch.arange(windows) % 3, torch.arange(windows) // 30
    return Sample(x_NTC + label_N[:, None, None], label_N, subject_N, subject_N, torch.arange(windows))


def made(plan: NormPlan, dropout: float = 0.9) -> Classifier:
    features = CNN([6, 4], 3, [2, 1], dropout=dropout).build(3, 20, plan)
    network = Classifier(InputScaling("none", torch.zeros(3), torch.ones(3), ["x", "y", "z"]), features, 3)
    initialise(network, 0)
    return network


def with_mates(network: Classifier, sample: Sample) -> dict[str, float]:
    with unchanged(network, 0) as rewind:
        return batch_mate_probes(network, sample, 20, 1, CPU, rewind)


def test_accuracies_are_those_of_inference_on_windows_that_were_changed() -> None:
    network, sample, deviation_C = made(NormPlan()).train(), drawn(), torch.tensor([1.0, 2.0, 3.0])
    network(sample.x_NTC)  # running statistics
    with unchanged(network, 0):
        found = sensor_probes(network, sample, deviation_C, CPU)
    assert network.training
    assert [(probe, at) for probe, at, _ in found] == [
        *(("equi.gain", gain) for gain in GAINS),
        *(("equi.offset", offset) for offset in OFFSETS),
    ]
    network.eval()
    for probe, at, accuracy in found:
        x_NTC = sample.x_NTC * at if probe == "equi.gain" else sample.x_NTC + at * deviation_C
        assert accuracy == float((network(x_NTC).argmax(1) == sample.label_N).double().mean())


@pytest.mark.parametrize(
    ("kind", "matters"), [("batch", True), ("ghost_batch", True), ("batch_renorm", False), ("mabn", False)]
)
def test_batch_mates_matter_to_norms_of_the_batch_unless_they_renormalise_and_leaves_no_trace(
    kind: str, matters: bool
) -> None:
    network, sample = made(NormPlan(kind, momentum=0.9)).train(), drawn()
    network(sample.x_NTC).sum().backward()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = with_mates(network, sample)
    assert list(found) == [f"batch.sensitivity.{mates}" for mates in ("random", "activity", "subject")]
    assert (found["batch.sensitivity.activity"] > 0.01) == matters  # what is not clipped gives what inference does
    assert with_mates(network, sample) == found  # the same batches, from the same buffers
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_without_a_norm_of_the_batch_batch_mates_do_not_matter_and_dropout_is_off() -> None:
    assert max(with_mates(made(NormPlan(placement="none")), drawn()).values()) < 1e-6


def test_as_many_windows_are_taken_of_each_activity(data_root: Path) -> None:
    data = HarDataModule("spar", window_s=2.0, step_s=0.5, root=str(data_root))
    data.setup()
    sample = of_each_activity(data.store, data.train, 5)
    assert np.bincount(sample.label_N).tolist() == [5] * len(data.activities)
    everything = of_each_activity(data.store, data.train, 10**6)
    assert sorted(everything.start_N.tolist()) == sorted(data.train.start.tolist())
    owner = open_store("spar", str(data_root)).recordings.set_index("recording")["subject"]
    assert {data.store.subjects[i] for i in everything.subject_N} == set(owner.loc[data.train.recording])


def test_a_run_has_them_once_of_the_chosen_weights(small: dict[str, Any], tmp_path: Path) -> None:
    probes = {"times": 1, "batches": 1, "windows": 10_000}
    folder = run(resolve([], {**small, "probes": probes}), tmp_path / "run")
    frame = read_probes(folder / "probes.parquet").to_pandas()
    frame = frame[frame["probe"].str.startswith(("equi.", "batch."))]
    assert set(frame["step"]) == {read_run(folder)["best_step"]}
    assert set(frame["depth"]) == {-1}
    gain = frame[frame["probe"] == "equi.gain"].set_index("at")["value"]
    offset = frame[frame["probe"] == "equi.offset"].set_index("at")["value"]
    assert gain[1.0] == offset[0.0]
    scores = accuracy(folder)  # of all test windows, which the sample holds too
    assert gain[1.0] == pytest.approx(scores)
    assert set(frame[frame["group"] == "train"]["probe"]) == {
        "batch.sensitivity.random",
        "batch.sensitivity.activity",
        "batch.sensitivity.subject",
    }


def accuracy(folder: Path) -> float:
    """Share of right windows in a run's predictions."""
    frame = pq.read_table(folder / "predictions" / "running.parquet").to_pandas()
    return float((frame["truth"] == frame["prediction"]).mean())
