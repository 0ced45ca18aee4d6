"""Personalisation: the head of a trained network fitted to what a new subject has labelled, close to what it was.

Features and their norms stay. With features f and labels y of the n labelled windows of one subject, and W₀, b₀ the
trained head, the new one is the minimum of

    1/n Σ cross-entropy(W f + b, y) + λ/2 (|W − W₀|² + |b − b₀|²)

which is convex and has one solution. λ is the one with the best macro F1 over the validation subjects, each of whom is
met in the same way: their first seconds are fitted to, and the rest is scored. N = windows, D = features,
K = activities.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from har.errors import UsageError
from har.evaluation.measures import macro_f1
from har.training.datamodule import HarDataModule, loader_in_order
from har.windows.segment import WindowIndex
from har.windows.set_aside import apart_from, first_of_each_activity, subject_of_each

if TYPE_CHECKING:
    from har.training.module import HarModule

RIDGES = (10.0, 1.0, 0.1, 0.01, 0.001)  # λ that are tried, the most faithful first: it wins where two do equally well

Head = tuple[Tensor, Tensor]  # weight_KD and bias_K
Lesson = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # rows to learn from, rows to score; of one subject


def require_labels(seconds: int, data: HarDataModule) -> None:
    """Refuse to learn from more than is set aside, or where there is nothing to choose λ by.

    Args:
        seconds: Labelled seconds of each activity.
        data: The data module, set up.

    Raises:
        UsageError: When it is so.
    """
    name = f"personal-{seconds}s"
    if seconds > data.set_aside_s:
        raise UsageError(
            f"inference {name} needs the first {seconds} s of each activity, and data.set_aside_s is "
            f"{data.set_aside_s:g}.",
            f"Set data.set_aside_s to {seconds} at least; no inference is scored on what is set aside.",
        )
    for part, index in (("test", data.set_aside), ("validation", data.validation)):
        if not list(_lessons(data, index, seconds, scored=part == "validation")):
            raise UsageError(
                f"no {part} subject of fold {data.fold.name} has what inference {name} needs: a window within the "
                f"first {seconds} s of an activity{', and windows beyond them' if part == 'validation' else ''}.",
                "Use as many seconds as a window has at least, and fewer than a subject's activities last.",
            )


def personalised(seconds: int, module: HarModule, data: HarDataModule) -> npt.NDArray[np.float32]:
    """Return probability_NK, float32 (test windows, activities), of each test subject by a head of their own.

    Args:
        seconds: Labelled seconds of each activity.
        module: The trained module.
        data: The data module, set up, its test opened.
    """
    head = module.network.head
    assert isinstance(head, nn.Linear)  # noqa: S101 - of a head that is trained (`har.training.possible`)
    own = (head.weight.detach().double().cpu(), head.bias.detach().double().cpu())
    ridge = _chosen(seconds, module, data, own)
    known_ND, scored_ND = (_features(module, data, index) for index in (data.set_aside, data.test))
    label_N = torch.from_numpy(data.set_aside.label.astype(np.int64))
    known_N, subject_N = (subject_of_each(data.store, index) for index in (data.set_aside, data.test))
    probability_NK = np.empty((len(data.test), len(data.activities)), np.float32)
    heads = dict.fromkeys(np.unique(subject_N), own)  # of a subject without a label it stays as it is
    for rows, _ in _lessons(data, data.set_aside, seconds, scored=False):
        heads[known_N[rows[0]]] = fit_near(own, known_ND[rows], label_N[rows], ridge)
    for subject, (weight_KD, bias_K) in heads.items():
        rows = np.flatnonzero(subject_N == subject)
        logits_NK = functional.linear(scored_ND[rows], weight_KD, bias_K)
        probability_NK[rows] = torch.softmax(logits_NK, dim=1).float().numpy()
    return probability_NK


def fit_near(own: Head, features_ND: Tensor, label_N: Tensor, ridge: float) -> Head:
    """Return the head that fits some windows and is near another; see the module.

    Args:
        own: The other head, float64.
        features_ND: float64 (windows, features).
        label_N: int64 (windows,).
        ridge: λ.
    """
    weight_KD, bias_K = (value.clone().requires_grad_() for value in own)
    solver = torch.optim.LBFGS(
        [weight_KD, bias_K], max_iter=500, tolerance_grad=1e-8, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        away = (weight_KD - own[0]).square().sum() + (bias_K - own[1]).square().sum()
        value = functional.cross_entropy(functional.linear(features_ND, weight_KD, bias_K), label_N) + ridge / 2 * away
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.inference_mode(False), torch.enable_grad():
        solver.step(loss)  # type: ignore[no-untyped-call]
    return weight_KD.detach(), bias_K.detach()


def _chosen(seconds: int, module: HarModule, data: HarDataModule, own: Head) -> float:
    """Return the λ with the best mean of macro F1 (``present``) over the validation subjects."""
    features_ND = _features(module, data, data.validation)
    label_N, activities = data.validation.label.astype(np.int64), len(data.activities)
    lessons = list(_lessons(data, data.validation, seconds, scored=True))
    scores = []
    for ridge in RIDGES:
        found = []
        for rows, rest in lessons:
            head = fit_near(own, features_ND[rows], torch.from_numpy(label_N[rows]), ridge)
            decision_N = functional.linear(features_ND[rest], *head).argmax(1).numpy()
            cells = np.bincount(label_N[rest] * activities + decision_N, minlength=activities**2)
            found.append(macro_f1(cells.reshape(activities, activities), "present"))
        scores.append(np.mean(found))
    return RIDGES[int(np.argmax(scores))]


def _lessons(data: HarDataModule, index: WindowIndex, seconds: int, *, scored: bool) -> Iterator[Lesson]:
    """Yield for each subject what is learnt from and what is scored; nothing of one who lacks it (`scored`: either)."""
    subject_N = subject_of_each(data.store, index)
    used_N = first_of_each_activity(data.store, index, seconds)
    rest_N = apart_from(index, used_N)
    for subject in np.unique(subject_N):
        rows, rest = (np.flatnonzero(chosen_N & (subject_N == subject)) for chosen_N in (used_N, rest_N))
        if len(rows) and (len(rest) or not scored):
            yield rows, rest


@torch.no_grad()
def _features(module: HarModule, data: HarDataModule, index: WindowIndex) -> Tensor:
    """Return features_ND, float64 (windows, features), of windows, the network in inference mode."""
    network = module.network.eval()
    batches = (x_NTC.to(module.device) for x_NTC, _ in loader_in_order(data.store, index))
    return torch.cat([network.features(network.scaling(x_NTC)).cpu().double() for x_NTC in batches])
