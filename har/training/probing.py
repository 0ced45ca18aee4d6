"""One measurement of all probes: which windows pass through the network in which mode, and what is taken on the way.

The network's weights, buffers, modes and gradients, and torch's random state, are to the bit what they were before
(`har.norms.freeze`). Formulas stand in `har.norms.diagnostics`, `flow`, `landscape` and `recoverable`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from har.norms.diagnostics import (
    Moments,
    Statistics,
    effective_size,
    estimation_shift,
    left_mean,
    mode_gap,
    small_gamma,
    subject_correlation,
    variance_shift,
)
from har.norms.flow import Backward, activation_probes, chunk_size, gradient_probes, spread_probes
from har.norms.folding import affine_of
from har.norms.freeze import unchanged
from har.norms.landscape import SHARES, along_gradient, batch_loss, trained_parameters
from har.norms.places import Place, places, watched
from har.norms.steps import noise_probes, step_probes
from har.seeds import derive_seed
from har.training.datamodule import HarDataModule
from har.training.passes import BatchNorms, means, training_pass
from har.training.recoverables import Questions
from har.training.samples import Sample, of_each_activity, random_batches, spread
from har.training.sensitivities import batch_mate_probes, sensor_probes
from har.training.updates import last_step

NETWORK = -1  # depth of what belongs to no layer


@dataclass
class Rows:
    """The rows of one measurement, as columns and values of `har.evaluation.probes`."""

    step: int
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, group: str, place: Place | None, probes: Mapping[str, float], at: float = math.nan) -> None:
        """Add values by probe; `place` None stands for the network as a whole."""
        layer: dict[str, Any] = {"depth": NETWORK, "layer": "", "kind": "", "side": ""}
        if place is not None:
            layer = {
                "depth": place.depth,
                "layer": place.name,
                "kind": type(place.layer).__name__,
                "side": place.side,
            }
        for probe, value in probes.items():
            self.rows.append({"step": self.step, "group": group, **layer, "probe": probe, "at": at, "value": value})

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the seconds that a part of the measurement takes."""
        start = time.perf_counter()
        yield
        self.add("", None, {f"cost.{part}": time.perf_counter() - start})


class Probing:
    """Measures the probes of a network on fixed samples.

    Args:
        network: The classifier.
        data: Its data module, set up.
        batches: Batches of training windows in training mode.
        windows: Windows of each group in inference mode.
        device: Where the network is.
    """

    def __init__(
        self, network: nn.Module, data: HarDataModule, batches: int, windows: int, device: torch.device
    ) -> None:
        self._network, self._data, self._device, self._windows = network, data, device, windows
        self._seed = derive_seed(data.seed, "probes", "draws")
        self._batches = [(b.x_NTC.to(device), b.label_N.to(device)) for b in random_batches(data, batches)]
        self._places = places(network, self._batches[0][0][:1])
        self._norms = BatchNorms.of(network, self._places)
        self._samples = {
            "train": spread(data.store, data.train, windows),
            "validation": spread(data.store, data.validation, windows),
        }
        # A fixed map per channel takes nothing away, so behind a norm of the batch nothing is read anew.
        self._read = [
            place for place in self._places.readable if place.side == "input" or affine_of(place.layer, 1) is None
        ]
        self._questions = Questions.of(self._samples["train"], data.store)

    def measure(self, step: int, optimizer: torch.optim.Optimizer, rate: float) -> Rows:
        """Measure everything once.

        Args:
            step: Optimiser steps taken, for the rows.
            optimizer: The optimiser, whose last step is the unit of the landscape's distances.
            rate: Learning rate of that step.
        """
        rows = Rows(step)
        with unchanged(self._network, self._seed) as rewind:
            for place in self._places.norms[1::2]:
                rows.add("train", place, {"norm.small_gamma": small_gamma(place.layer)})
            with rows.timed("training_mode"):
                self._in_training(rows, rewind)
            rewind()
            for group, sample in self._samples.items():
                with rows.timed("inference_mode"):
                    moments = self._in_inference(rows, group, sample)
                if group == "train":
                    with rows.timed("recoverable"):
                        self._recover(rows, moments)
            moved = last_step(optimizer, rate)
            for place in self._places.free:
                weight = cast("Tensor", place.layer.weight)
                rows.add("train", place, step_probes(weight, rate, moved.get(weight)))
            with rows.timed("landscape"):
                self._landscape(rows, moved, rewind)
        return rows

    def held_out(self, step: int) -> Rows:
        """Measure, under the chosen weights, the shift of the stored statistics and what should not matter.

        Args:
            step: The step that the weights are from, for the rows.
        """
        rows = Rows(step)
        sample = spread(self._data.store, self._data.test, self._windows)
        with unchanged(self._network, self._seed) as rewind:
            with rows.timed("held_out"):
                seen = self._passed(sample, tuple(source for source, _ in self._norms.pairs))
                for source, stored in self._norms.stored().items():
                    expected = Statistics.measured(source.layer, Moments.of(seen[source]))
                    rows.add("test", source, estimation_shift(stored, expected))
            with rows.timed("sensitivity"):
                deviation_C = self._samples["train"].x_NTC.std((0, 1))
                for probe, at, value in sensor_probes(self._network, sample, deviation_C, self._device):
                    rows.add("test", None, {probe: value}, at)
                size = self._data.batch_size
                mates = of_each_activity(self._data.store, self._data.train, size)
                found = batch_mate_probes(self._network, mates, size, self._seed, self._device, rewind)
                rows.add("train", None, found)
        return rows

    def _in_training(self, rows: Rows, rewind: Callable[[], None]) -> None:
        """Add what the random batches show in training mode."""
        passes = [training_pass(self._network, self._places, self._norms, batch, rewind) for batch in self._batches]
        for source, _ in self._norms.pairs:
            rows.add("train", source, means([one.gaps[source] for one in passes]))
            backward = Backward.joined([one.backward[source] for one in passes])
            for size in backward.sizes:
                rows.add("train", source, backward.noise(size), at=size)
        gradients = {
            place.depth: torch.cat([one.gradients[place.depth] for one in passes]) for place in self._places.ends
        }
        by_depth, whole = gradient_probes(gradients)
        for place in self._places.ends:
            rows.add("train", place, by_depth[place.depth])
        label_N = torch.cat([label_N for _, label_N in self._batches]).cpu()
        rows.add("train", None, noise_probes([one.slope for one in passes], len(self._batches[0][1])))
        logits = [torch.cat([getattr(one, mode) for one in passes]) for mode in ("training_NK", "inference_NK")]
        rows.add("train", None, whole | mode_gap(logits[0], logits[1], label_N))

    def _in_inference(self, rows: Rows, group: str, sample: Sample) -> dict[Place, Moments]:
        """Add what a group's windows show in inference mode; return the moments of what can be read from."""
        found, stored = self._places, self._norms.stored()
        summed = dict.fromkeys((*stored, *found.ends, *(self._read if group == "train" else ())))
        seen = self._passed(sample, tuple(summed), found.activations)
        moments = {place: Moments.of(seen[place]) for place in summed}
        for source, own in stored.items():
            self._add_statistics(rows, group, source, own, moments[source], sample.subject_N)
        for place in found.activations:
            rows.add(group, place, activation_probes(seen[place]))
        for place in found.ends:
            rows.add(group, place, spread_probes(moments[place].mean_NC))
        return moments

    def _add_statistics(
        self, rows: Rows, group: str, source: Place, stored: Statistics, moments: Moments, subject_N: Tensor
    ) -> None:
        """Add what is particular to a norm of the batch."""
        seen = Statistics.measured(source.layer, moments)
        rows.add(group, source, estimation_shift(stored, seen))
        rows.add(group, source, {"bn.subject_icc": subject_correlation(moments, subject_N)})
        if stored.mean_C is None:
            rows.add(group, source, {"bn.left_mean": left_mean(moments, stored.epsilon)})
        if group == "train":
            size = chunk_size(source.layer, self._data.batch_size)
            rows.add(group, source, {"bn.variance_shift": variance_shift(stored, seen)} | effective_size(moments, size))

    def _recover(self, rows: Rows, moments: dict[Place, Moments]) -> None:
        """Add what can be read of the training windows from each place, by readers that have not seen the subject."""
        rows.add("train", None, self._questions.basis())
        found: dict[str, float] = {}
        for place in self._places.readable:
            if place in self._read:
                found = self._questions.answers(moments[place])
            rows.add("train", place, found)  # behind a fixed map per channel, what was read in front of it

    def _landscape(self, rows: Rows, moved: Mapping[Tensor, Tensor], rewind: Callable[[], None]) -> None:
        """Add the loss along its gradient, in units of the optimiser's last step, and the length of that step."""
        if not moved:
            return
        lengths = [float(change.double().square().sum()) for change in moved.values()]
        weights = [float(parameter.detach().double().square().sum()) for parameter in moved]
        rows.add("train", None, {"upd.ratio": math.sqrt(sum(lengths) / sum(weights))})
        self._network.train()
        objective = batch_loss(self._network, *self._batches[0], rewind)
        found = along_gradient(objective, trained_parameters(self._network), math.sqrt(sum(lengths)))
        if found is None:
            return
        rows.add("train", None, {"loss.range": found.loss_range, "loss.smoothness": found.smoothness})
        for share, loss, change in zip(SHARES, found.losses, found.changes, strict=True):
            rows.add("train", None, {"loss.change": loss - found.loss, "loss.gradient_change": change}, at=share)

    def _passed(self, sample: Sample, *wanted: tuple[Place, ...]) -> dict[Place, Tensor]:
        """Pass a sample through in inference mode and return what was seen at the places."""
        self._network.eval()
        with watched(*wanted) as seen, torch.no_grad():
            self._network(sample.x_NTC.to(self._device))
        return seen
