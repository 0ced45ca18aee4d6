"""One difference over several data sets: a mixed model with random data sets, subjects within them, and repeats.

    d_{gsr} = μ + u_g + e_{gs} + ε_{gsr},   u ~ N(0, ω²),  e ~ N(0, τ²),  ε ~ N(0, σ²)

that is ``d ~ 1 + (1 | data set) + (1 | data set:subject)``, fitted by restricted maximum likelihood. With one mean and
nested random effects the likelihood has a closed form: the repeats of a subject enter by their mean and their sum of
squares, the subjects of a data set by their weighted mean. μ is the weighted mean of these, and its interval is that of
Student's t with one degree of freedom fewer than there are data sets: data sets are the sample here, and there are few.
What that costs and keeps is simulated in `docs/statistics.md`.

Source: Pinheiro and Bates, Mixed-effects models in S and S-PLUS, 2000, section 2.2; the degrees of freedom are those of
their nested designs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from har.evaluation.contrast import ALPHA

FEWEST = 3  # data sets; with two, their spread has one degree of freedom
_FLOOR = 1e-6  # of the spread of all differences: smaller deviations are taken for 0
_STARTS = (0.1, 1.0)  # deviations that the search begins from, in the same unit


@dataclass(frozen=True)
class MixedFit:
    """What the mixed model says of a difference. J = data sets.

    Attributes:
        mean: μ.
        error: Its standard error.
        interval: 95 % interval of μ.
        p: Two-sided p of μ = 0.
        sd_data_sets: ω.
        sd_subjects: τ; where no subject has two repeats, it holds what would be σ too.
        sd_repeats: σ; None where no subject has two repeats.
        weight_J: Share of each data set in μ.
        deviance: −2 log restricted likelihood, up to a constant of the data.
    """

    mean: float
    error: float
    interval: tuple[float, float]
    p: float
    sd_data_sets: float
    sd_subjects: float
    sd_repeats: float | None
    weight_J: list[float]
    deviance: float


@dataclass(frozen=True)
class _Subjects:
    """Every subject of every data set by what the likelihood needs of it. S = subjects of all data sets.

    Attributes:
        data_set_S: Number of its data set.
        repeats_S: How many repeats it has.
        mean_S: Their mean.
        square_S: Their sum of squares about it.
    """

    data_set_S: np.ndarray
    repeats_S: np.ndarray
    mean_S: np.ndarray
    square_S: np.ndarray


def fit(differences: Sequence[np.ndarray]) -> MixedFit:
    """Fit the model.

    Args:
        differences: For each data set float64 (subjects, repeats), NaN where a pair is missing; every subject has one.

    Raises:
        ValueError: When there are fewer than three data sets, or one has no subject.
    """
    if len(differences) < FEWEST or not all(len(difference_SR) for difference_SR in differences):
        raise ValueError(f"the model needs {FEWEST} data sets with subjects")
    subjects = _subjects(differences)
    known = np.concatenate([difference_SR[~np.isnan(difference_SR)] for difference_SR in differences])
    scale = float(known.std())
    repeated = bool((subjects.repeats_S > 1).any())
    if scale <= 1e-12 * max(1.0, float(np.abs(known).max())):  # all differences are the same
        sd_3 = np.zeros(3)
    else:
        sd_3 = scale * _search(_scaled(subjects, scale), repeated=repeated)
    mean, error, weight_J = _mean(subjects, *(sd_3**2))
    return MixedFit(
        mean=mean,
        error=error,
        interval=_interval(mean, error, len(differences)),
        p=_p(mean, error, len(differences)),
        sd_data_sets=float(sd_3[0]),
        sd_subjects=float(sd_3[1]),
        sd_repeats=float(sd_3[2]) if repeated else None,
        weight_J=weight_J.tolist(),
        deviance=_deviance(subjects, *(sd_3**2)),
    )


def _subjects(differences: Sequence[np.ndarray]) -> _Subjects:
    """Return the subjects of all data sets, one after the other."""
    repeats, means, squares = [], [], []
    for difference_SR in differences:
        mean_S = np.nanmean(difference_SR, axis=1)
        repeats.append((~np.isnan(difference_SR)).sum(axis=1))
        means.append(mean_S)
        squares.append(np.nansum((difference_SR - mean_S[:, None]) ** 2, axis=1))
    data_set_S = np.repeat(np.arange(len(differences)), [len(found) for found in means])
    return _Subjects(data_set_S, np.concatenate(repeats), np.concatenate(means), np.concatenate(squares))


def _scaled(subjects: _Subjects, scale: float) -> _Subjects:
    """Return the subjects in another unit of difference."""
    return _Subjects(subjects.data_set_S, subjects.repeats_S, subjects.mean_S / scale, subjects.square_S / scale**2)


def _search(subjects: _Subjects, *, repeated: bool) -> np.ndarray:
    """Return the deviations (ω, τ, σ) of the largest restricted likelihood, those at the floor as 0."""
    from scipy.optimize import minimize

    lowest = [0.0, 0.0, _FLOOR] if repeated else [0.0, _FLOOR]

    def deviance(sd: np.ndarray) -> float:
        return _deviance(subjects, *(np.append(sd, np.zeros(3 - len(sd))) ** 2))

    found = [
        minimize(deviance, start, method="L-BFGS-B", bounds=[(low, None) for low in lowest], options={"ftol": 1e-13})
        for start in product(_STARTS, repeat=len(lowest))
    ]
    best = min(found, key=lambda result: float(result.fun)).x
    sd_3: np.ndarray = np.append(best, np.zeros(3 - len(best)))
    return np.where(sd_3 <= 10 * _FLOOR, 0.0, sd_3)


def _deviance(subjects: _Subjects, omega2: float, tau2: float, sigma2: float) -> float:
    """Return −2 log restricted likelihood of three variances, up to a constant."""
    free = int((subjects.repeats_S - 1).sum())
    within = free * math.log(sigma2) + float(subjects.square_S.sum()) / sigma2 if free and sigma2 else 0.0
    variance_S = np.maximum(tau2 + sigma2 / subjects.repeats_S, _FLOOR**2)
    centre_J, variance_J, precision_J = _data_sets(subjects, variance_S, omega2)
    mean = float((centre_J / variance_J).sum() / (1 / variance_J).sum())
    of_subjects = np.log(variance_S).sum() + ((subjects.mean_S - centre_J[subjects.data_set_S]) ** 2 / variance_S).sum()
    of_data_sets = (np.log(precision_J) + np.log(variance_J) + (centre_J - mean) ** 2 / variance_J).sum()
    return within + float(of_subjects + of_data_sets) + math.log(float((1 / variance_J).sum()))


def _data_sets(subjects: _Subjects, variance_S: np.ndarray, omega2: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each data set's weighted mean, the variance of that about μ, and its precision within the data set."""
    precision_J = np.bincount(subjects.data_set_S, 1 / variance_S)
    centre_J = np.bincount(subjects.data_set_S, subjects.mean_S / variance_S) / precision_J
    return centre_J, omega2 + 1 / precision_J, precision_J


def _mean(subjects: _Subjects, omega2: float, tau2: float, sigma2: float) -> tuple[float, float, np.ndarray]:
    """Return μ, its standard error and the share of each data set; without any spread all subjects weigh the same."""
    variance_S = tau2 + sigma2 / subjects.repeats_S
    known = bool((variance_S > 0).all())
    centre_J, variance_J, _ = _data_sets(subjects, variance_S if known else np.ones(len(variance_S)), omega2)
    weight_J = 1 / variance_J
    mean = float((weight_J * centre_J).sum() / weight_J.sum())
    return mean, float(1 / math.sqrt(weight_J.sum())) if known else 0.0, weight_J / weight_J.sum()


def _interval(mean: float, error: float, J: int) -> tuple[float, float]:
    """Return the 95 % interval of μ with J − 1 degrees of freedom."""
    from scipy.special import stdtrit

    half = float(stdtrit(J - 1, 1 - ALPHA / 2)) * error
    return mean - half, mean + half


def _p(mean: float, error: float, J: int) -> float:
    """Return the two-sided p of μ = 0 with J − 1 degrees of freedom."""
    from scipy.special import stdtr

    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(J - 1, -abs(mean) / error))
