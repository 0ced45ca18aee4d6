"""What a mean and its p do not say: how often a beats b, and how probable it is that they differ in practice.

**P(a > b)** is the share of (subject, repeat) in which a scores higher, ties counted half; repeats are averaged within
a subject first. Its interval resamples subjects (and repeats where folds share their seeds); one without length means
that all subjects agree, not that nothing is uncertain.

**Bayesian signed-rank test** (Benavoli et al., A Bayesian Wilcoxon signed-rank test based on the Dirichlet process,
ICML 2014; Benavoli et al., Time for a change, JMLR 18(77), 2017). The distribution of d_s over subjects has a Dirichlet
process for its prior, so that a draw from the posterior weighs the observed d_s, and one pseudo-observation at 0 of
strength 1/2, at random. With such weights w, the mass of "better" is Σ_ij w_i w_j over the pairs whose mean
(d_i + d_j)/2 lies above the region of practical equivalence, of "worse" over those below it, and of "equivalent" over
the rest. Each probability is the share of the draws in which that mass is the largest of the three.

Neither takes part in the verdict; see `docs/statistics.md` for why.
"""

from __future__ import annotations

import numpy as np

from har.evaluation.contrast import ROPE, bootstrap_interval

DECISION = 0.95  # a probability from which on the Bayesian test decides
_PRIOR = 0.5  # strength of the pseudo-observation at 0
_DRAWS = 50_000  # standard error of a probability: at most 0.0022
_CHUNK = 10_000
_SEED = 20_180_405
_TIE = 1e-12  # differences of F1 below this are rounding


def superiority(difference_SR: np.ndarray, *, shared_repeats: bool = False) -> tuple[float, tuple[float, float] | None]:
    """Return P(a > b) and its 95 % interval over subjects.

    Args:
        difference_SR: float64 (subjects, repeats), score of a minus score of b; NaN where a pair is missing.
        shared_repeats: Whether a repeat has one seed for all subjects, so that repeats are resampled jointly.

    Returns:
        The probability, and its interval; None for one subject.
    """
    wins_SR = np.where(np.abs(difference_SR) <= _TIE, 0.5, (difference_SR > 0).astype(float))
    wins_SR[np.isnan(difference_SR)] = np.nan
    share = float(np.nanmean(wins_SR, axis=1).mean())
    return share, bootstrap_interval(wins_SR, shared_repeats=shared_repeats) if len(wins_SR) > 1 else None


def signed_rank(
    difference_S: np.ndarray, rope: float = ROPE, *, draws: int = _DRAWS, seed: int = _SEED
) -> tuple[float, float, float]:
    """Return the probabilities that a is worse than b, practically equivalent to it, and better.

    Args:
        difference_S: float64 (subjects,), mean over repeats of score(a) - score(b).
        rope: Half the width of the region of practical equivalence.
        draws: From the posterior.
        seed: Of the random generator.

    Returns:
        Three numbers that sum to 1.
    """
    generator = np.random.default_rng(seed)
    value_Z = np.append(0.0, difference_S)
    order = np.argsort(value_Z, kind="stable")
    value_Z, strength_Z = value_Z[order], np.where(order == 0, _PRIOR, 1.0)
    won = np.zeros(3, dtype=np.int64)
    for start in range(0, draws, _CHUNK):
        weight_BZ = generator.dirichlet(strength_Z, min(_CHUNK, draws - start))
        better_B = _mass_above(value_Z, weight_BZ, 2 * rope)
        worse_B = _mass_above(-value_Z[::-1], weight_BZ[:, ::-1], 2 * rope)
        masses_B3 = np.stack([worse_B, 1 - worse_B - better_B, better_B], axis=1)
        won += np.bincount(masses_B3.argmax(axis=1), minlength=3)
    worse, equivalent, better = (won / draws).tolist()
    return worse, equivalent, better


def decision(worse: float, equivalent: float, better: float) -> str:
    """Return ``worse``, ``equivalent`` or ``better`` where its probability reaches 0.95, else ``none``."""
    named = {"worse": worse, "equivalent": equivalent, "better": better}
    return next((name for name, probability in named.items() if probability >= DECISION), "none")


def _mass_above(value_Z: np.ndarray, weight_BZ: np.ndarray, bar: float) -> np.ndarray:
    """Return the mass of the pairs whose sum is above a bar, those at it counted half: float64 (draws,).

    Args:
        value_Z: float64 (values,), ascending.
        weight_BZ: float64 (draws, values), their weights in each draw.
        bar: What the sum of two values is compared with.
    """
    nothing_B1 = np.zeros((len(weight_BZ), 1))
    from_BZ = np.hstack([np.cumsum(weight_BZ[:, ::-1], axis=1)[:, ::-1], nothing_B1])  # mass of the values from each on
    above, reaching = (np.searchsorted(value_Z, bar - value_Z, side=side) for side in ("right", "left"))
    mass_B: np.ndarray = (weight_BZ * (from_BZ[:, above] + from_BZ[:, reaching])).sum(axis=1) / 2
    return mass_B
