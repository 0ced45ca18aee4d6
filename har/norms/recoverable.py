"""What a layer's activations still know of a window: amplitude, gravity, who wears the sensor, what is done.

Each answer is how well a linear reader does that has seen other subjects (or other recordings), from what is left of a
window at this layer. The difference between the answers in front of a norm and behind it is what the norm took away.

**What is read.** Of each channel, over the samples of the window: the mean, divided by the channel's deviation s over
all windows and samples, and the logarithm of the deviation. Any fixed map s·x + t per channel (batch norm in inference,
a z-score) therefore changes nothing of what can be read, beyond its rounding.

**Precision.** A ridge penalty n·τ² on n windows is the same as reading every feature with independent noise of variance
τ² (the linear case of Bishop 1995, Neural Computation 7, page 108). The smallest penalty is τ = 0.01: one per cent of a
channel's deviation, or one per cent of an amplitude. Without this floor a norm would hide nothing, because of ε:
instance norm leaves the amplitude in the sixth decimal, where no network looks for it. Larger τ are chosen by inner
validation.

**No leaks.** Windows overlap, so windows of one recording never stand on both sides: `by_subject` and `by_block` make
the folds. The penalty is chosen on folds of the fitting part. A score is of all folds' windows together, each predicted
by a reader that was fitted without its fold.

N = windows, D = features (2·channels), M = values to be recovered, K = classes, P = penalties.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from har.norms.diagnostics import Moments

NOISES = (0.01, 0.05, 0.2, 1.0, 5.0)  # τ; at the last one hardly anything is read
_ROUNDING = 1e-6  # what float32 activations say of a channel's size, and nothing finer is read
_SMALLEST_DEVIATION = 1e-3  # of a channel's usual one: where it is off, its logarithm ends here
_FEWEST_FOLDS = 3  # one to judge, and two to choose the penalty with


@dataclass(frozen=True)
class Recovered:
    """How well something is read from activations.

    Attributes:
        score: R² of values (1: all, 0: no better than their mean, which a poor reader may fall below); of classes the
            mean over them of the share that is recognised.
        chance: Score of a reader who knows nothing: 0 of values, 1/K of classes.
        windows: Windows that were judged.
        folds: Folds that they were judged in.
    """

    score: float
    chance: float
    windows: int
    folds: int


# Sums of a fold's windows, which those of a fitting part are sums of; each of (x_ND, y_NM) is float64.
_Sums = tuple[Tensor, ...]
_Sum = Callable[[Tensor, Tensor], _Sums]
# (sums of the fitting part, penalties_P) to weights_PDM and biases_PM
_Fit = Callable[[_Sums, Tensor], tuple[Tensor, Tensor]]
# (prediction_NM, what a reader without features says_NM, y_NM) to a score
_Score = Callable[[Tensor, Tensor, Tensor], float]


def features(moments: Moments) -> Tensor:
    """Return what is read of windows, float64 (windows, 2·channels): scaled means, then logarithms of deviations.

    Args:
        moments: Of all windows to be used.
    """
    within_C = moments.variance_NC.mean(0)
    mean_C, variance_C = moments.pooled()
    rounding_C = (_ROUNDING**2 * (mean_C.square() + variance_C)).clamp(min=torch.finfo(torch.float64).tiny)
    deviation_C = torch.maximum(variance_C, rounding_C).sqrt()
    least_C = torch.maximum(_SMALLEST_DEVIATION**2 * within_C, rounding_C)
    return torch.cat([(moments.mean_NC - mean_C) / deviation_C, (moments.variance_NC + least_C).log() / 2], dim=1)


def amplitude(x_NTC: Tensor, deviation_C: Tensor) -> Tensor:
    """Return the logarithm of each window's movement, float64 (windows, 1).

    The root mean square over samples and channels, about the window's own mean (which is gravity's part), of channels
    divided by their deviations, so that sensors of different units count alike. A window without any movement counts as
    one with a thousandth of the usual.

    Args:
        x_NTC: Windows in the store's units.
        deviation_C: Deviation of each channel over the training windows, above 0.
    """
    variance_N = (x_NTC.double().var(1, correction=0) / deviation_C.double() ** 2).mean(1)
    return (variance_N + _SMALLEST_DEVIATION**2).log()[:, None] / 2


def by_subject(subject_N: Tensor, folds: int) -> Tensor:
    """Divide windows into folds so that no subject stands in two.

    Args:
        subject_N: int64 (windows,), number of the subject.
        folds: Folds wanted; there are never more than subjects.

    Returns:
        int64 (windows,), the fold of each window. Subjects with many windows are dealt out first.
    """
    subjects, counts = torch.unique(subject_N, return_counts=True)
    sizes = [0] * min(folds, len(subjects))
    fold_N = torch.empty_like(subject_N)
    for place in torch.argsort(counts, descending=True, stable=True).tolist():
        fold = sizes.index(min(sizes))
        sizes[fold] += int(counts[place])
        fold_N[subject_N == subjects[place]] = fold
    return fold_N


def by_block(subject_N: Tensor, recording_N: Tensor, start_N: Tensor, samples: int, folds: int) -> Tensor:
    """Divide windows into folds that have every subject in each, and no sample in two.

    Where each subject has a recording for every fold, whole recordings are dealt out in turn, so what tells a recording
    (how the sensor sat that day) does not help. Otherwise each recording is cut into stretches of time, one a fold, and
    of two windows that share samples across a cut the later one is left out.

    Args:
        subject_N: int64 (windows,), number of the subject.
        recording_N: int64 (windows,), number of the recording.
        start_N: int64 (windows,), first sample.
        samples: Samples of a window.
        folds: Folds.

    Returns:
        int64 (windows,), the fold of each window, -1 for one that is left out.
    """
    fold_N = torch.full_like(subject_N, -1)
    own = {int(subject): torch.unique(recording_N[subject_N == subject]) for subject in torch.unique(subject_N)}
    if all(len(recordings) >= folds for recordings in own.values()):
        for recordings in own.values():
            for place, recording in enumerate(recordings):
                fold_N[recording_N == recording] = place % folds
        return fold_N
    for recording in torch.unique(recording_N):
        rows = torch.nonzero(recording_N == recording).flatten()
        rows = rows[torch.argsort(start_N[rows])]
        reached = -1  # where the windows of earlier stretches end
        for fold, stretch in enumerate(torch.tensor_split(rows, folds)):
            free = stretch[start_N[stretch] >= reached]
            fold_N[free] = fold
            reached = max([reached, *(start_N[free] + samples).tolist()])
    return fold_N


def recovered_values(features_ND: Tensor, target_NM: Tensor, fold_N: Tensor) -> Recovered | None:
    """Return how well values are read by ridge regression.

    R² = 1 − Σ(y − ŷ)²/Σ(y − ȳ)², over windows and values together, ȳ being the mean of the fitting windows.

    Args:
        features_ND: From `features`.
        target_NM: float (windows, values).
        fold_N: From `by_subject`; -1 leaves a window out.

    Returns:
        None where there are fewer than three folds or the values do not vary.
    """
    found = _judged(features_ND, target_NM.double(), fold_N, _value_sums, _ridge, _explained)
    return None if found is None else Recovered(found[0], 0.0, *found[1:])


def recovered_classes(features_ND: Tensor, label_N: Tensor, fold_N: Tensor) -> Recovered | None:
    """Return how well classes are read by linear discriminants, all classes taken as equally frequent.

    Args:
        features_ND: From `features`.
        label_N: int64 (windows,), any numbers.
        fold_N: From `by_subject` or `by_block`; -1 leaves a window out.

    Returns:
        None where there are fewer than three folds or two classes.
    """
    kept = fold_N >= 0
    classes, place_N = torch.unique(label_N[kept], return_inverse=True)
    if len(classes) < 2:
        return None
    shown_NK = torch.nn.functional.one_hot(place_N, len(classes)).double()
    found = _judged(features_ND[kept], shown_NK, fold_N[kept], _class_sums, _discriminants, _recognised)
    return None if found is None else Recovered(found[0], 1 / len(classes), *found[1:])


def _judged(
    x_ND: Tensor, y_NM: Tensor, fold_N: Tensor, sums: _Sum, fit: _Fit, score: _Score
) -> tuple[float, int, int] | None:
    """Return the score of nested cross-validation, the windows and the folds; None where there is no score."""
    kept = fold_N >= 0
    x_ND, y_NM, fold_N = x_ND[kept] - x_ND[kept].mean(0), y_NM[kept], fold_N[kept]
    rows = [torch.nonzero(fold_N == fold).flatten() for fold in torch.unique(fold_N)]
    if len(rows) < _FEWEST_FOLDS or bool((y_NM == y_NM[0]).all()):
        return None
    of_folds = [torch.stack(part) for part in zip(*(sums(x_ND[own], y_NM[own]) for own in rows), strict=True)]
    penalty_P = torch.tensor(NOISES, dtype=torch.float64) ** 2

    def without(*left_out: int) -> tuple[_Sums, Tensor]:
        inside = [fold for fold in range(len(rows)) if fold not in left_out]
        base_M = torch.cat([y_NM[rows[fold]] for fold in inside]).mean(0)
        return tuple(part[inside].sum(0) for part in of_folds), base_M

    # inner[i] holds what readers without the folds i and j say of j
    inner_FPNM = y_NM.new_zeros(len(rows), len(penalty_P), *y_NM.shape)
    inner_FNM = y_NM.new_zeros(len(rows), *y_NM.shape)
    for one, other in itertools.combinations(range(len(rows)), 2):
        fitting, base_M = without(one, other)
        weights_PDM, biases_PM = fit(fitting, penalty_P)
        for outer, judged in ((one, rows[other]), (other, rows[one])):
            inner_FPNM[outer][:, judged] = x_ND[judged] @ weights_PDM + biases_PM[:, None]
            inner_FNM[outer][judged] = base_M
    prediction_NM, base_NM = torch.empty_like(y_NM), torch.empty_like(y_NM)
    for fold, own in enumerate(rows):
        rest = fold_N != fold_N[own[0]]
        scores = [score(said_NM[rest], inner_FNM[fold][rest], y_NM[rest]) for said_NM in inner_FPNM[fold]]
        best = scores.index(max(scores))  # the smallest of equally good penalties
        fitting, base_NM[own] = without(fold)
        weights_PDM, biases_PM = fit(fitting, penalty_P[best : best + 1])
        prediction_NM[own] = x_ND[own] @ weights_PDM[0] + biases_PM[0]
    return score(prediction_NM, base_NM, y_NM), len(y_NM), len(rows)


def _value_sums(x_ND: Tensor, y_NM: Tensor) -> _Sums:
    """Return the number of windows, and the sums of x, y, x·xᵀ and x·yᵀ."""
    return torch.tensor(float(len(x_ND))), x_ND.sum(0), y_NM.sum(0), x_ND.T @ x_ND, x_ND.T @ y_NM


def _ridge(sums: _Sums, penalty_P: Tensor) -> tuple[Tensor, Tensor]:
    """Return ridge regressions: minimal mean squared error plus penalty times squared weights, free intercept."""
    count, x_D, y_M, square_DD, product_DM = sums
    mean_D, mean_M = x_D / count, y_M / count
    covariance_DD = square_DD / count - torch.outer(mean_D, mean_D)
    weights_PDM = _solved(covariance_DD, product_DM / count - torch.outer(mean_D, mean_M), penalty_P)
    return weights_PDM, mean_M - mean_D @ weights_PDM


def _class_sums(x_ND: Tensor, shown_NK: Tensor) -> _Sums:
    """Return the number of windows and the sum of x of each class, and the sum of x·xᵀ."""
    return shown_NK.sum(0), shown_NK.T @ x_ND, x_ND.T @ x_ND


def _discriminants(sums: _Sums, penalty_P: Tensor) -> tuple[Tensor, Tensor]:
    """Return linear discriminant functions: the covariance within classes plus the penalty, equal priors.

    A class that no window shows is never predicted.
    """
    count_K, x_KD, square_DD = sums
    there_K = count_K > 0
    mean_KD = x_KD / count_K.clamp(min=1)[:, None]
    covariance_DD = (square_DD - x_KD.T @ mean_KD) / count_K.sum()
    weights_PDK = _solved(covariance_DD, mean_KD.T, penalty_P)
    biases_PK = -(mean_KD.T * weights_PDK).sum(1) / 2
    return weights_PDK, biases_PK.masked_fill(~there_K, -math.inf)


def _solved(matrix_DD: Tensor, right_DM: Tensor, penalty_P: Tensor) -> Tensor:
    """Return (matrix + penalty·1)⁻¹·right for each penalty, float64 (penalties, D, M)."""
    factor_PDD = torch.linalg.cholesky(matrix_DD + penalty_P[:, None, None] * torch.eye(len(matrix_DD)).double())
    return torch.cholesky_solve(right_DM.expand(len(penalty_P), -1, -1), factor_PDD)


def _explained(prediction_NM: Tensor, base_NM: Tensor, y_NM: Tensor) -> float:
    """Return R² against the means of the fitting windows."""
    return 1 - float((y_NM - prediction_NM).square().sum() / (y_NM - base_NM).square().sum())


def _recognised(prediction_NK: Tensor, base_NK: Tensor, shown_NK: Tensor) -> float:
    """Return the mean over the classes that are shown of the share of their windows that is recognised."""
    right_N = prediction_NK.argmax(1) == shown_NK.argmax(1)
    count_K = shown_NK.sum(0)
    return float(((shown_NK.T @ right_N.double())[count_K > 0] / count_K[count_K > 0]).mean())
