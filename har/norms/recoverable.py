"""What a layer's activations still know of a window: amplitude, gravity, who wears the sensor, what is done.

Each answer is how well a linear reader does that has seen other subjects (or other recordings), from what is left of a
window at this layer. The difference between the answers in front of a norm and behind it is what the norm took away.

**What is read.** Of each channel, over the samples of the window: the mean, divided by the channel's deviation s over
all windows and samples, and the logarithm of the deviation. Any fixed map s·x + t per channel (batch norm in inference,
a z-score) therefore changes nothing of what can be read, beyond its rounding.

**Precision.** Features are rounded to two decimals: one per cent of a channel's deviation, or of an amplitude. Without
this a norm would hide nothing, because of ε: instance norm leaves the amplitude in the sixth decimal, where no network
looks for it. The reader's penalty on n windows is n·τ² with τ = 0.1, which is the same as reading each feature with an
independent error of 0.1 (the linear case of Bishop 1995, Neural Computation 7, page 108). It is fixed and not chosen
anew for every layer: on 512 windows and 12 to 512 features of networks trained on SPAR, choosing τ from 0.01 to 5 by
inner validation changed no score by more than 0.06, and took ten times as long.

**No leaks.** Windows overlap, so windows of one recording never stand on both sides: `by_subject` and `by_block` make
the folds. A score is of all folds' windows together, each judged by a reader that was fitted without its fold.

N = windows, D = features (2·channels), M = values to be recovered, K = classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from har.norms.diagnostics import Moments

_PENALTY = 0.1**2  # τ²
_PRECISION = 0.01
_ROUNDING = 1e-5  # of a channel's size; what is smaller may be the rounding of float32
_SMALLEST_DEVIATION = 1e-3  # of a channel's usual one: where it is off, its logarithm ends here


@dataclass(frozen=True)
class _Sums:
    """All that a reader is fitted on. Where y has a column of zeros and ones for each class, y_M counts classes."""

    count: int
    x_D: Tensor
    y_M: Tensor
    xx_DD: Tensor
    xy_DM: Tensor

    @staticmethod
    def of(x_ND: Tensor, y_NM: Tensor) -> _Sums:
        """Take them of windows."""
        return _Sums(len(x_ND), x_ND.sum(0), y_NM.sum(0), x_ND.T @ x_ND, x_ND.T @ y_NM)

    @staticmethod
    def added(parts: list[_Sums]) -> _Sums:
        """Put windows together."""
        columns = zip(*((part.x_D, part.y_M, part.xx_DD, part.xy_DM) for part in parts), strict=True)
        return _Sums(sum(part.count for part in parts), *(torch.stack(column).sum(0) for column in columns))


# sums of the fitting windows to weights_DM and bias_M
_Fit = Callable[[_Sums], tuple[Tensor, Tensor]]


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
    level_NC = (moments.variance_NC + least_C).log() / 2
    feature_ND = torch.cat([(moments.mean_NC - mean_C) / deviation_C, level_NC - level_NC.mean(0)], dim=1)
    return (feature_ND / _PRECISION).round() * _PRECISION


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


def recovered_values(features_ND: Tensor, target_NM: Tensor, fold_N: Tensor) -> float | None:
    """Return how well values are read by ridge regression.

    R² = 1 − Σ(y − ŷ)²/Σ(y − ȳ)², over windows and values together, ȳ being the mean of the fitting windows.

    Args:
        features_ND: From `features`.
        target_NM: float (windows, values).
        fold_N: From `by_subject`; -1 leaves a window out.

    Returns:
        None where there is one fold, the values do not vary, or a feature is not finite, as in a run that diverges.
    """
    kept = fold_N >= 0
    y_NM = target_NM[kept].double()
    rows = _rows(fold_N[kept])
    if len(rows) < 2 or bool((y_NM == y_NM[0]).all()) or not bool(features_ND[kept].isfinite().all()):
        return None
    said_NM, base_NM = _said(features_ND[kept], y_NM, rows, _ridge)
    return 1 - float((y_NM - said_NM).square().sum() / (y_NM - base_NM).square().sum())


def recovered_classes(features_ND: Tensor, label_N: Tensor, fold_N: Tensor) -> float | None:
    """Return how well classes are read by linear discriminants, all classes taken as equally frequent.

    Args:
        features_ND: From `features`.
        label_N: int64 (windows,), any numbers.
        fold_N: From `by_subject` or `by_block`; -1 leaves a window out.

    Returns:
        None where there is one fold or one class, or a feature is not finite.
    """
    kept = fold_N >= 0
    classes, place_N = torch.unique(label_N[kept], return_inverse=True)
    rows = _rows(fold_N[kept])
    if len(rows) < 2 or len(classes) < 2 or not bool(features_ND[kept].isfinite().all()):
        return None
    shown_NK = torch.nn.functional.one_hot(place_N, len(classes)).double()
    said_NK, _ = _said(features_ND[kept], shown_NK, rows, _discriminants)
    right_N = said_NK.argmax(1) == place_N
    return float((shown_NK.T @ right_N.double() / shown_NK.sum(0)).mean())


def _rows(fold_N: Tensor) -> list[Tensor]:
    """Return the windows of each fold."""
    return [torch.nonzero(fold_N == fold).flatten() for fold in torch.unique(fold_N)]


def _said(x_ND: Tensor, y_NM: Tensor, rows: list[Tensor], fit: _Fit) -> tuple[Tensor, Tensor]:
    """Return what is said of each window by a reader who was fitted on the other folds, and the mean of y there."""
    x_ND = x_ND - x_ND.mean(0)  # for the rounding of sums of squares; readers have an intercept
    sums = [_Sums.of(x_ND[own], y_NM[own]) for own in rows]
    said_NM, base_NM = torch.empty_like(y_NM), torch.empty_like(y_NM)
    for own, left_out in zip(rows, sums, strict=True):
        others = _Sums.added([part for part in sums if part is not left_out])
        weights_DM, bias_M = fit(others)
        said_NM[own] = x_ND[own] @ weights_DM + bias_M
        base_NM[own] = others.y_M / others.count
    return said_NM, base_NM


def _ridge(sums: _Sums) -> tuple[Tensor, Tensor]:
    """Return ridge regressions: least mean squared error plus penalty times squared weights, free intercept."""
    x_D, y_M = sums.x_D / sums.count, sums.y_M / sums.count
    within_DD = sums.xx_DD / sums.count - torch.outer(x_D, x_D)
    weights_DM = _solved(within_DD, sums.xy_DM / sums.count - torch.outer(x_D, y_M))
    return weights_DM, y_M - x_D @ weights_DM


def _discriminants(sums: _Sums) -> tuple[Tensor, Tensor]:
    """Return linear discriminant functions: the covariance within classes plus the penalty, equal priors.

    A class that no window shows is never predicted.
    """
    mean_DK = sums.xy_DM / sums.y_M.clamp(min=1)
    within_DD = (sums.xx_DD - mean_DK @ sums.xy_DM.T) / sums.count
    weights_DK = _solved(within_DD, mean_DK)
    bias_K = -(mean_DK * weights_DK).sum(0) / 2
    return weights_DK, bias_K.masked_fill(sums.y_M == 0, -math.inf)


def _solved(matrix_DD: Tensor, right_DM: Tensor) -> Tensor:
    """Return (matrix + penalty·1)⁻¹·right."""
    matrix_DD.diagonal().add_(_PENALTY)
    return torch.cholesky_solve(right_DM, torch.linalg.cholesky(matrix_DD))
