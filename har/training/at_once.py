"""A fit that is no gradient descent: features from training windows, then a head whose setting validation chooses.

What a fit is given are windows of training and of validation subjects (`Sides`); test windows are not within its reach.
Features and heads are fitted on training windows alone. Every value that a head tries is scored on the validation
windows as an evaluation of a trained run is (macro F1, policy ``present``), the most regular first, and the first of
equally good ones is taken.

A trained learner may have such a head too: when its best weights are restored, the head is fitted anew on the features
that they give, and takes the place of the one that was trained with them (`fit_head_anew`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional

from har.files import write_text
from har.learners.classifier import Classifier, InputScaling
from har.learners.fitted import FittedFeatures
from har.learners.heads import Head, Material
from har.training.begin import Begun
from har.training.callbacks import add_metrics
from har.training.checkpoint import WholeFileIO, load_checkpoint
from har.training.datamodule import HarDataModule, WindowLoader, loader_in_order
from har.training.evaluations import MONITOR, validation_scores
from har.training.inference import predicted_plainly
from har.training.outcome import Fitted
from har.windows.segment import WindowIndex, gather
from har.windows.store import Store

CHOSEN = "head"  # of a checkpoint and of run.json: which head was chosen, of all that were tried


@dataclasses.dataclass(frozen=True)
class Sides:
    """The windows that a fit may see. There are no test windows among them, nor a way to them.

    Signals are read by permission (`har.windows.permit`): a window of `train` that is of no training subject, or one of
    `validation` that is of a test subject, is a `LeakageError` where it is read.

    Attributes:
        training: The store as what is fitted may read it: training subjects alone.
        train: What features and heads are fitted on.
        choosing: The store as what is chosen by may read it: validation subjects too.
        validation: What is scored to choose a head's setting.
    """

    training: Store
    train: WindowIndex
    choosing: Store
    validation: WindowIndex

    @classmethod
    def of(cls, data: HarDataModule) -> Sides:
        """Take both sides from a data module that is set up."""
        signal_TC = data.signal_for("a fit of features or head")
        return cls(dataclasses.replace(data.store, signal_TC=signal_TC), data.train, data.store, data.validation)


class TrainingWindows:
    """The training windows as features are fitted on: behind the input scaling; see `har.learners.fitted.Windows`.

    Args:
        sides: What the fit may see.
        scaling: The fixed scaling of the input.
    """

    def __init__(self, sides: Sides, scaling: InputScaling) -> None:
        self._sides, self._scaling = sides, scaling

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._sides.train)

    def batches(self) -> Iterator[Tensor]:
        """Yield all windows in their order, a few at a time."""
        for x_NTC, _ in loader_in_order(self._sides.training, self._sides.train):
            yield self._scaling(x_NTC)

    def taken(self, numbers_N: npt.NDArray[np.int64]) -> Tensor:
        """Return some windows by their numbers."""
        train = self._sides.train
        x_NTC: Tensor = self._scaling(
            torch.from_numpy(gather(self._sides.training.signal_TC, train.start[numbers_N], train.samples))
        )
        return x_NTC


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which head was chosen, of all that were tried.

    Attributes:
        place: Its number among them, counted from 1.
        tried: For each its setting, and its loss and macro F1 on the validation windows.
        doubts: One sentence for each fit that is doubtful.
    """

    place: int
    tried: list[dict[str, float]]
    doubts: list[str]

    @property
    def score(self) -> float:
        """Validation macro F1 of the chosen one."""
        return self.tried[self.place - 1][MONITOR]

    def record(self, head: Head) -> dict[str, Any]:
        """Return what run.json says of it."""
        chosen = {
            name: value for name, value in self.tried[self.place - 1].items() if not name.startswith("validation")
        }
        return {"kind": head.kind, "chosen": chosen, "tried": self.tried}


@torch.no_grad()
def choose_head(network: Classifier, head: Head, sides: Sides, seed: int, threads: int) -> Choice:
    """Fit the head on the features of the training windows, and leave the one in it that does best on validation.

    Args:
        network: The classifier, its features trained or fitted. Its head is replaced; it is put in inference mode.
        head: Which head that is.
        sides: What the fit may see.
        seed: The run's seed.
        threads: Threads of scikit-learn.
    """
    network.eval()
    features_ND = np.empty((len(sides.train), network.features.features), np.float32)
    done = 0
    for found_ND, _ in _features(network, loader_in_order(sides.training, sides.train)):
        features_ND[done : done + len(found_ND)] = found_ND.cpu().numpy()
        done += len(found_ND)
    label_N, activities = sides.train.label.astype(np.int64), len(sides.train.activities)
    validation = list(_features(network, loader_in_order(sides.choosing, sides.validation)))
    tried: list[dict[str, float]] = []
    doubts: list[str] = []
    best: dict[str, Tensor] = {}
    place = 0
    with threadpool_limits(threads):
        for candidate in head.candidates(Material(features_ND, label_N, activities), seed):
            network.head.load_state_dict(candidate.state)
            decisions = ((network.head(found_ND), found_N) for found_ND, found_N in validation)
            tried.append({**candidate.tried, **_scores(decisions, activities)})
            doubts += [candidate.doubt] if candidate.doubt else []
            if not best or tried[-1][MONITOR] > tried[place - 1][MONITOR]:
                best, place = candidate.state, len(tried)
    network.head.load_state_dict(best)
    return Choice(place, tried, doubts)


@torch.no_grad()
def validation_score(network: Classifier, sides: Sides) -> float:
    """Return macro F1 (policy ``present``) over all validation windows together, as `choose_head` scores.

    Args:
        network: The classifier, in inference mode afterwards.
        sides: The windows.
    """
    network.eval()
    found = _features(network, loader_in_order(sides.choosing, sides.validation))
    decisions = ((network.head(found_ND), label_N) for found_ND, label_N in found)
    return _scores(decisions, len(sides.train.activities))[MONITOR]


def _features(network: Classifier, loader: WindowLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features and labels of each batch, where the network is."""
    device = network.scaling.mean.device
    for x_NTC, label_N in loader:
        yield network.features(network.scaling(x_NTC.to(device))), label_N.to(device)


def _scores(decisions: Iterator[tuple[Tensor, Tensor]], activities: int) -> dict[str, float]:
    """Return loss and macro F1 of decisions (logits_NK, label_N), batch by batch."""
    counts_KK = np.zeros((activities, activities), np.int64)
    loss = 0.0
    for logits_NK, label_N in decisions:
        loss += float(functional.cross_entropy(logits_NK, label_N, reduction="sum"))
        cells = torch.bincount(label_N * activities + logits_NK.argmax(1), minlength=activities**2)
        counts_KK += cells.reshape(activities, activities).cpu().numpy()
    return validation_scores(counts_KK, loss, 0)


def fit_at_once(begun: Begun) -> tuple[Fitted, dict[str, Any]]:
    """Fit features and head of a run, and write its metrics and ``best.ckpt``.

    Each value that the head tries is an evaluation: a line of metrics, whose step is its number.

    Args:
        begun: The run.

    Returns:
        What the fit has left, and what run.json says of it.

    Raises:
        UsageError: When the windows cannot be fitted to.
        LeakageError: When a window is not its side's.
    """
    clock = time.monotonic()
    module, sides = begun.module, Sides.of(begun.data)
    network = module.network.eval()
    assert isinstance(network.features, FittedFeatures)  # noqa: S101 - of a learner that is fitted at once
    threads = begun.config["threads"]
    with torch.no_grad(), threadpool_limits(threads):
        network.features.fit(TrainingWindows(sides, network.scaling), module.seed)
    choice = choose_head(network, module.head, sides, module.seed, threads)
    path = begun.folder / "metrics.jsonl"
    write_text(path, "")
    for place, tried in enumerate(choice.tried, start=1):
        add_metrics(path, step=place, scores=tried, seconds=time.monotonic() - clock)
    chosen = _save(begun, {"global_step": choice.place}, choice)
    begun.record["warnings"] += choice.doubts
    again = partial(validation_score, network, sides)
    return Fitted(choice.score, again, partial(predicted_plainly, module)), chosen


def fit_head_anew(begun: Begun, fitted: Fitted) -> tuple[Fitted, dict[str, Any]]:
    """Fit a trained run's head anew on the features of its best weights, and write ``best.ckpt`` with it.

    Args:
        begun: The run, its best weights restored.
        fitted: What its training has left.

    Returns:
        The same with the score of the new head, and what run.json says of it.

    Raises:
        LeakageError: When a window is not its side's.
    """
    module, sides = begun.module, Sides.of(begun.data)
    choice = choose_head(module.network, module.head, sides, module.seed, begun.config["threads"])
    chosen = _save(begun, load_checkpoint(begun.best), choice)
    begun.record["warnings"] += choice.doubts
    again = partial(validation_score, module.network, sides)
    return dataclasses.replace(fitted, score=choice.score, again=again), chosen


def _save(begun: Begun, content: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """Write ``best.ckpt``: other content with the weights as they are now; return what run.json says of the head."""
    module = begun.module
    chosen = {CHOSEN: choice.record(module.head)}
    weights = {"state_dict": module.state_dict(), "recipe": module.recipe}
    begun.best.parent.mkdir(exist_ok=True)
    WholeFileIO().save_checkpoint({**content, **weights, **chosen}, begun.best)
    return chosen
