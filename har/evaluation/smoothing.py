"""Decisions smoothed over neighbouring windows, from a run's predictions and the transitions of its training labels.

| smoothing | decision | reads ahead |
|---|---|---|
| `majority5` | the most frequent one of 5 neighbours, two on either side, fewer at the ends of a series | two windows |
| `hmm` | that of the most probable sequence of a hidden Markov model (Viterbi) | to the end of the series |
| `hmm-causal` | the most probable activity given the windows so far (forward filter) | no |

A series is made of windows of one recording that follow one another by the step; smoothing begins anew with each. The
states of the model are the activities, its emissions the network's probabilities divided by the shares π of the
training windows (p(x|k) ∝ p(k|x)/π_k), it begins with π, and its transitions are

    a_kj = (n_kj + K π_j) / (n_k + K)

with n_kj how often a training window with label j follows one with k, n_k their sum over j. What training never showed
is so as if windows were independent, and where it is all like that, nothing changes. K = activities, T = windows of a
series.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from har.errors import DataError, UsageError, unknown
from har.evaluation.arms import CAUSAL, HMM, MAJORITY
from har.evaluation.predictions import PROBABILITY, TIME_TOLERANCE_S, activities_of, codes_of
from har.files import parse_json

TRANSITIONS = Path("transitions.json")


@dataclass(frozen=True)
class Chain:
    """The hidden Markov model of a run.

    Attributes:
        activities: K names.
        step_s: From one window's begin to the next's.
        prior_K: Share of the training windows with each label.
        transition_KK: Probability of the next label, rows: the label before.
    """

    activities: list[str]
    step_s: float
    prior_K: np.ndarray
    transition_KK: np.ndarray


def check_smoothing(name: str) -> str:
    """Return the name of a smoothing.

    Raises:
        UsageError: It is not known, or a majority is of an even number of windows, or of one.
    """
    majority = MAJORITY.fullmatch(name)
    if majority and (int(majority[1]) % 2 == 0 or majority[1] == "1"):
        raise UsageError(
            f"smoothing {name} has not equally many windows on either side.", "Take an odd number, such as majority5."
        )
    if not majority and name not in (HMM, CAUSAL):
        raise unknown("smoothing", name, [HMM, CAUSAL, "majority5"])
    return name


def read_chain(folder: Path) -> Chain:
    """Read the transitions of a run.

    Raises:
        DataError: The file is missing or damaged.
    """
    path = folder / TRANSITIONS
    if not path.is_file():
        raise DataError(
            f"{folder} has no {TRANSITIONS}, so there is no hidden Markov model to smooth with.",
            "Make the run again, which writes it from the training labels; or smooth by majority5, which needs none.",
        )
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
        count_K, count_KK = np.array(found["windows"], float), np.array(found["transitions"], float)
        activities, step_s = [str(name) for name in found["activities"]], float(found["step_s"])
        K = len(activities)
        sound = count_K.shape == (K,) and count_KK.shape == (K, K) and (count_K > 0).all() and (count_KK >= 0).all()
    except (OSError, KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise DataError(f"{path} is damaged.", "Make the run again.")
    prior_K = count_K / count_K.sum()
    transition_KK = (count_KK + K * prior_K) / (count_KK.sum(axis=1, keepdims=True) + K)
    return Chain(activities, step_s, prior_K, transition_KK)


def smoothed(path: Path, predictions: pd.DataFrame, smoothing: str, chain: Chain | None) -> pd.DataFrame:
    """Return predictions with smoothed decisions; windows and truth are as they were.

    Args:
        path: The predictions file, named in errors.
        predictions: As `har.evaluation.predictions.read_predictions` returns it.
        smoothing: As in the table above.
        chain: The model of the run; None for a majority, for which the step is the least time between two windows.

    Returns:
        The same rows and columns. The probabilities are what stands behind a decision: the share of the votes, or the
        model's probability of each activity given the whole series (`hmm`), or given the windows so far.

    Raises:
        DataError: The model is of other activities.
    """
    activities = activities_of(predictions)
    if chain is not None and chain.activities != activities:
        raise DataError(f"{path}: its activities are not those of {TRANSITIONS}.", "Make the run again.")
    names = [f"{PROBABILITY}{name}" for name in activities]
    probability_NK = predictions[names].to_numpy(np.float64)
    code_N = codes_of(predictions["prediction"], activities)
    new_NK, new_N = probability_NK.copy(), code_N.copy()
    for rows in _series(predictions, None if chain is None else chain.step_s):
        new_N[rows], new_NK[rows] = _smooth(smoothing, probability_NK[rows], code_N[rows], chain)
    decided = {"prediction": np.array(activities, dtype=object)[new_N]}
    columns = {name: new_NK[:, k].astype(np.float32) for k, name in enumerate(names)}
    return predictions.assign(**decided, **columns)


def viterbi(emission_TK: np.ndarray, prior_K: np.ndarray, transition_KK: np.ndarray) -> np.ndarray:
    """Return the most probable sequence of states, int64 (T,); of equally probable ones the first states.

    Args:
        emission_TK: p(x_t | k) up to a factor of each window.
        prior_K: Probabilities of the first state.
        transition_KK: Probabilities of the next state, rows: the state before.
    """
    with np.errstate(divide="ignore"):  # a probability of 0 is a logarithm of -inf
        emission_TK, prior_K, transition_KK = (np.log(value) for value in (emission_TK, prior_K, transition_KK))
    best_K = prior_K + emission_TK[0]
    before_TK = np.zeros(emission_TK.shape, np.int64)
    for t in range(1, len(emission_TK)):
        reached_KK = best_K[:, None] + transition_KK
        before_TK[t] = reached_KK.argmax(axis=0)
        best_K = reached_KK.max(axis=0) + emission_TK[t]
    state_T = np.empty(len(emission_TK), np.int64)
    state_T[-1] = best_K.argmax()
    for t in range(len(emission_TK) - 1, 0, -1):
        state_T[t - 1] = before_TK[t, state_T[t]]
    return state_T


def forward(emission_TK: np.ndarray, prior_K: np.ndarray, transition_KK: np.ndarray) -> np.ndarray:
    """Return the probability of each state given the windows so far, (T, K); arguments as of `viterbi`."""
    alpha_TK = np.empty_like(emission_TK)
    coming_K = prior_K
    for t, emission_K in enumerate(emission_TK):
        alpha_TK[t] = coming_K * emission_K
        alpha_TK[t] /= alpha_TK[t].sum()
        coming_K = alpha_TK[t] @ transition_KK
    return alpha_TK


def posterior(emission_TK: np.ndarray, prior_K: np.ndarray, transition_KK: np.ndarray) -> np.ndarray:
    """Return the probability of each state given the whole series, (T, K); arguments as of `viterbi`."""
    gamma_TK = forward(emission_TK, prior_K, transition_KK)
    beta_K = np.ones(len(prior_K))
    for t in range(len(emission_TK) - 2, -1, -1):
        beta_K = transition_KK @ (emission_TK[t + 1] * beta_K)
        beta_K /= beta_K.sum()
        gamma_TK[t] *= beta_K
        gamma_TK[t] /= gamma_TK[t].sum()
    return gamma_TK


def _smooth(
    smoothing: str, probability_TK: np.ndarray, code_T: np.ndarray, chain: Chain | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return decisions and what stands behind them for one series."""
    if chain is None:
        return _majority(int(smoothing.removeprefix("majority")), probability_TK, code_T)
    model = (probability_TK / chain.prior_K, chain.prior_K, chain.transition_KK)
    if smoothing == HMM:
        return viterbi(*model), posterior(*model)
    alpha_TK = forward(*model)
    return alpha_TK.argmax(axis=1), alpha_TK


def _majority(count: int, probability_TK: np.ndarray, code_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most frequent decision around each window and the shares of the votes.

    Of equally frequent ones it is the window's own, if among them, else the one with the largest mean probability.
    """
    T, K = probability_TK.shape
    vote_TK = np.eye(K)[code_T]
    low_T, high_T = np.maximum(np.arange(T) - count // 2, 0), np.minimum(np.arange(T) + count // 2 + 1, T)
    votes_TK, weight_TK = (
        np.diff(np.vstack([np.zeros((1, K)), value.cumsum(axis=0)])[np.stack([low_T, high_T], axis=1)], axis=1)[:, 0]
        for value in (vote_TK, probability_TK)
    )
    share_TK = votes_TK / (high_T - low_T)[:, None]
    tied_TK = votes_TK == votes_TK.max(axis=1, keepdims=True)
    own_T = tied_TK[np.arange(T), code_T]
    chosen_T = np.where(own_T, code_T, np.where(tied_TK, weight_TK, -1.0).argmax(axis=1))
    return chosen_T, share_TK


def _series(predictions: pd.DataFrame, step_s: float | None) -> list[np.ndarray]:
    """Return the rows of each series, in the order of time."""
    recording_N, start_N = predictions["recording"].to_numpy(), predictions["start_s"].to_numpy()
    order = np.lexsort((start_N, recording_N))
    later_N, same_N = np.diff(start_N[order]), np.diff(recording_N[order]) == 0
    if step_s is None:
        step_s = float(later_N[same_N].min()) if same_N.any() else 0.0
    apart_N = ~same_N | (np.abs(later_N - step_s) > TIME_TOLERANCE_S)
    return np.split(order, np.flatnonzero(apart_N) + 1)
