"""Do two numbers of each subject rise together? Spearman's rank correlation, with an interval and a test over subjects.

- interval: 95 % percentiles of 2 000 resamples of the subjects; a little too short with ten subjects and fewer.
- p: two-sided permutation test on the correlation, all S! orders up to 7 subjects, else 10 000 random ones and then
  (hits + 1) / (draws + 1). It holds its level whatever the distributions, and with ties.

Neither says which of the two is the cause, or whether a third thing is.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

FEWEST = 3  # subjects: two are always perfectly correlated
_EXACT_UP_TO = 7  # subjects: 5 040 orders
_ORDERS = 10_000
_DRAWS = 2_000
_SEED = 20_180_405  # the same files give the same numbers
_TIE = 1e-9  # correlations that differ by less are ties that rounding has parted


@dataclass(frozen=True)
class Association:
    """The rank correlation of two numbers over subjects.

    Attributes:
        subjects: S.
        rho: Spearman's correlation, ties at their mean rank.
        interval: Its 95 % interval.
        p: Two-sided permutation p.
        smallest: The smallest p that so many subjects allow.
    """

    subjects: int
    rho: float
    interval: tuple[float, float]
    p: float
    smallest: float


def associate(x_S: np.ndarray, y_S: np.ndarray) -> Association | None:
    """Return the association of two numbers of each subject.

    Args:
        x_S: float64 (subjects,).
        y_S: float64 (subjects,), of the same subjects.

    Returns:
        The association; None with fewer than three subjects, or where one of the two is the same for all of them.
    """
    rho = rank_correlation(x_S, y_S)
    if rho is None:
        return None
    drawn_B = _correlations(_times(len(x_S)), _ranking(x_S), _ranking(y_S))
    low, high = np.nanquantile(drawn_B, [0.025, 0.975])  # a draw of equal values has no correlation
    return Association(len(x_S), rho, (float(low), float(high)), _permutation_p(x_S, y_S, rho), smallest_p(len(x_S)))


def rank_correlation(x_S: np.ndarray, y_S: np.ndarray) -> float | None:
    """Return the correlation alone; None where `associate` returns None."""
    if len(x_S) < FEWEST or is_constant(x_S) or is_constant(y_S):
        return None
    return float(_correlations(np.ones((1, len(x_S))), _ranking(x_S), _ranking(y_S))[0])


def is_constant(x_S: np.ndarray) -> bool:
    """Tell whether values are equal but for rounding."""
    return bool(np.ptp(x_S) <= _TIE * np.abs(x_S).max())


def smallest_p(subjects: int) -> float:
    """Return the smallest two-sided p that the permutation test can give without ties: 2 / S! up to 7 subjects."""
    if subjects < FEWEST:
        return 1.0
    return 2 / math.factorial(subjects) if subjects <= _EXACT_UP_TO else 1 / (_ORDERS + 1)


def _ranking(x_S: np.ndarray) -> np.ndarray:
    """Return what each subject (columns) adds to the mean rank of each (rows): 1 below it, ½ where equal."""
    ranking_SS: np.ndarray = (x_S[None, :] < x_S[:, None]) + 0.5 * (x_S[None, :] == x_S[:, None])
    return ranking_SS


def _correlations(times_BS: np.ndarray, below_SS: np.ndarray, low_SS: np.ndarray) -> np.ndarray:
    """Return the rank correlation of each draw: float64 (draws,), NaN where one of the two is constant.

    Args:
        times_BS: How often each draw takes each subject.
        below_SS: `_ranking` of the one number.
        low_SS: Of the other.
    """
    middle = times_BS.shape[1] / 2  # mean of the ranks, less the half that `_ranking` leaves out
    x_BS, y_BS = times_BS @ below_SS.T - middle, times_BS @ low_SS.T - middle
    both_B, x_B, y_B = (
        (times_BS * one * other).sum(axis=1) for one, other in ((x_BS, y_BS), (x_BS, x_BS), (y_BS, y_BS))
    )
    spread_B = np.sqrt(x_B * y_B)
    rho_B: np.ndarray = np.divide(both_B, spread_B, out=np.full(len(both_B), np.nan), where=spread_B > _TIE)
    return rho_B


def _permutation_p(x_S: np.ndarray, y_S: np.ndarray, rho: float) -> float:
    """Return the share of orders of one number whose correlation with the other is at least as large."""
    x_rank_S, y_rank_S = (_ranking(values_S).sum(axis=1) - len(values_S) / 2 for values_S in (x_S, y_S))
    spread = math.sqrt(float(x_rank_S @ x_rank_S) * float(y_rank_S @ y_rank_S))
    rho_B = x_rank_S[_orders(len(x_S))] @ y_rank_S / spread
    hits = int((np.abs(rho_B) >= abs(rho) - _TIE).sum())
    return hits / len(rho_B) if len(x_S) <= _EXACT_UP_TO else (hits + 1) / (len(rho_B) + 1)


@lru_cache(maxsize=8)
def _orders(S: int) -> np.ndarray:
    """Return orders of S subjects: int64 (orders, subjects)."""
    if S <= _EXACT_UP_TO:
        return np.array(list(itertools.permutations(range(S))))
    orders: np.ndarray = np.random.default_rng(_SEED).permuted(np.tile(np.arange(S), (_ORDERS, 1)), axis=1)
    return orders


@lru_cache(maxsize=8)
def _times(S: int) -> np.ndarray:
    """Return how often each draw takes each of S subjects: float64 (draws, subjects)."""
    return np.random.default_rng(_SEED).multinomial(S, np.full(S, 1 / S), size=_DRAWS).astype(float)
