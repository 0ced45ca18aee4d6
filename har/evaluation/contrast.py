"""Paired differences over subjects: estimate, interval, test, and one written rule that makes a verdict of them.

The unit is the subject. Whatever lies below it (windows, recordings, repeats) is averaged first, so that a contrast of
variants a and b is one number d_s per subject: the mean over repeats of score(a) - score(b).

- interval, fewer than 20 subjects: mean ± t(0.975, S-1) · s_d / √S; else a bootstrap over subjects (crossed with
  repeats where a repeat has one seed for all folds). Bootstraps under-cover with few subjects.
- p: two-sided sign-flip test on the mean, all 2^S sign vectors up to 20 subjects, else 100 000 random ones.
- several contrasts: Holm's step-down adjustment over all that the study declares; where even the smallest possible
  p stays at 0.05 or above by it, the design cannot show any difference and its contrasts are described only.

The rule of the verdict stands in `verdict` and, in prose, in `docs/statistics.md`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from har.evaluation.numbers import number, with_minus

ROPE = 0.01  # region of practical equivalence: ±1 point of F1
ALPHA = 0.05
POWER = 0.80
_BOOTSTRAP_FROM = 20  # subjects
_BOOTSTRAP_DRAWS = 10_000
_EXACT_UP_TO = 20  # subjects: 2^20 sums take 8 MB
_FLIP_DRAWS = 100_000
_CHUNK = 10_000  # draws held in memory at a time
_SEED = 20_180_405  # results are the same at every evaluation of the same files
_TIE = 1e-9  # sums that differ by less than this share of Σ|d| are ties that rounding has parted


@dataclass(frozen=True)
class Estimate:
    """What the paired differences of one contrast say, before the other contrasts are looked at.

    Attributes:
        subjects: S.
        repeats: Most repeats that a subject has.
        mean: Mean over subjects of d_s, in F1.
        sd: Standard deviation over subjects of d_s; None for one subject.
        interval: 95 % interval of the mean; None for one subject.
        method: How the interval was made.
        p: Two-sided sign-flip p.
    """

    subjects: int
    repeats: int
    mean: float
    sd: float | None
    interval: tuple[float, float] | None
    method: str
    p: float


def estimate(difference_SR: np.ndarray, *, shared_repeats: bool = False) -> Estimate:
    """Estimate a contrast from its paired differences.

    Args:
        difference_SR: float64 (subjects, repeats), score of a minus score of b; NaN where a pair is missing. Every
            subject has at least one pair.
        shared_repeats: Whether a repeat has one seed for all subjects, so that repeats are resampled jointly.

    Returns:
        The estimate.

    Raises:
        ValueError: When there is no subject, or a subject has no pair.
    """
    known_SR = ~np.isnan(difference_SR)
    if not len(difference_SR) or not known_SR.any(axis=1).all():
        raise ValueError("every subject needs at least one paired difference, and there must be a subject")
    difference_S = np.nanmean(difference_SR, axis=1)
    interval, method = mean_interval(difference_SR, shared_repeats=shared_repeats)
    return Estimate(
        subjects=len(difference_S),
        repeats=int(known_SR.sum(axis=1).max()),
        mean=float(difference_S.mean()),
        sd=float(difference_S.std(ddof=1)) if len(difference_S) > 1 else None,
        interval=interval,
        method=method,
        p=sign_flip_p(difference_S),
    )


def mean_interval(
    difference_SR: np.ndarray, *, shared_repeats: bool = False, draws: int = _BOOTSTRAP_DRAWS
) -> tuple[tuple[float, float] | None, str]:
    """Return the 95 % interval of the mean of d_s, None for one subject, and how it was made.

    Args:
        difference_SR: float64 (subjects, repeats), NaN where a pair is missing; every subject has one.
        shared_repeats: Whether a repeat has one seed for all subjects, so that repeats are resampled jointly.
        draws: Number of resamples of a bootstrap.
    """
    if len(difference_SR) >= _BOOTSTRAP_FROM:
        method = "crossed bootstrap over subjects and repeats" if shared_repeats else "bootstrap over subjects"
        return bootstrap_interval(difference_SR, shared_repeats=shared_repeats, draws=draws), method
    if len(difference_SR) > 1:
        return t_interval(np.nanmean(difference_SR, axis=1)), "t over subjects"
    return None, "none: one subject"


def t_interval(difference_S: np.ndarray) -> tuple[float, float]:
    """Return the 95 % t interval of the mean of d_s, float64 (subjects,), at least two."""
    from scipy.special import stdtrit

    S = len(difference_S)
    mean = float(difference_S.mean())
    half = float(stdtrit(S - 1, 1 - ALPHA / 2)) * float(difference_S.std(ddof=1)) / math.sqrt(S)
    return mean - half, mean + half


def bootstrap_interval(
    difference_SR: np.ndarray, *, shared_repeats: bool = False, draws: int = _BOOTSTRAP_DRAWS, seed: int = _SEED
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean; subjects, and shared repeats, are resampled.

    Args:
        difference_SR: float64 (subjects, repeats), NaN where a pair is missing.
        shared_repeats: Resample the repeats too, jointly for all subjects.
        draws: Number of resamples.
        seed: Of the random generator.

    Returns:
        Lower and upper end.
    """
    generator = np.random.default_rng(seed)
    S, R = difference_SR.shape
    known_SR = (~np.isnan(difference_SR)).astype(float)
    filled_SR = np.nan_to_num(difference_SR)
    means: list[np.ndarray] = []
    for start in range(0, draws, _CHUNK):
        B = min(_CHUNK, draws - start)
        times_BS = generator.multinomial(S, np.full(S, 1 / S), size=B)
        times_BR = generator.multinomial(R, np.full(R, 1 / R), size=B) if shared_repeats else np.ones((B, R))
        pairs_BS = times_BR @ known_SR.T
        total_BS = times_BR @ filled_SR.T
        mean_BS = np.divide(total_BS, pairs_BS, out=np.zeros_like(total_BS), where=pairs_BS > 0)
        times_BS = times_BS * (pairs_BS > 0)  # a draw may leave a subject without any of its repeats
        count_B = np.maximum(times_BS.sum(axis=1), 1)
        means.append((times_BS * mean_BS).sum(axis=1) / count_B)
    low, high = np.quantile(np.concatenate(means), [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def sign_flip_p(difference_S: np.ndarray, *, draws: int = _FLIP_DRAWS, seed: int = _SEED) -> float:
    """Return the two-sided p of the sign-flip test on the mean of d_s.

    Under the null hypothesis d_s is symmetric about 0, so every pattern of signs is as likely as the one seen.

    Args:
        difference_S: float64 (subjects,).
        draws: Random sign vectors for more than 20 subjects; p is then (hits + 1) / (draws + 1).
        seed: Of the random generator.

    Returns:
        p in (0, 1].
    """
    size_S = np.abs(difference_S)
    bar = abs(float(difference_S.sum())) - _TIE * float(size_S.sum())
    if len(difference_S) <= _EXACT_UP_TO:
        sums = np.zeros(1)
        for size in size_S:
            sums = np.concatenate([sums + size, sums - size])
        return float(np.mean(np.abs(sums) >= bar))
    generator, hits = np.random.default_rng(seed), 0
    for start in range(0, draws, _CHUNK):
        sign_BS = generator.integers(0, 2, size=(min(_CHUNK, draws - start), len(size_S)), dtype=np.int8) * 2.0 - 1.0
        hits += int((np.abs(sign_BS @ size_S) >= bar).sum())
    return (hits + 1) / (draws + 1)


def corrected_t_p(difference_S: np.ndarray) -> float:
    """Return the two-sided p of the corrected resampled t test, which takes training sets that overlap to heart.

    Its variance of the mean is s² (1/S + ρ/(1 − ρ)) with ρ = 1/S, the share of the data that a fold of
    leave-one-subject-out tests. Nadeau and Bengio, Inference for the generalization error, Machine Learning 52, 2003.
    Very conservative here (at 0.05 it rejects 0.6 to 1 % of true null hypotheses): a sensitivity, no test.

    Args:
        difference_S: float64 (subjects,), at least two.
    """
    from scipy.special import stdtr

    S = len(difference_S)
    error = float(difference_S.std(ddof=1)) * math.sqrt(1 / S + 1 / (S - 1))
    mean = abs(float(difference_S.mean()))
    if error <= _TIE * mean:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(S - 1, -mean / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given.

    Sorted ascending, p̃_(i) = max over j ≤ i of min(1, (k - j + 1) · p_(j)). Holm, Scand. J. Statist. 6, 1979.

    Args:
        p_values: One p per contrast of the declared family.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, position in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted


def smallest_p(subjects: int) -> float:
    """Return the smallest two-sided p that the sign-flip test can give: 2 / 2^S up to 20 subjects.

    Args:
        subjects: S; with none, and with one, nothing below 1 is possible.
    """
    return min(1.0, 2.0 / 2**subjects) if subjects <= _EXACT_UP_TO else 1 / (_FLIP_DRAWS + 1)


def smallest_holm(subjects: Sequence[int]) -> list[float]:
    """Return the smallest Holm-adjusted p that each contrast of a family can come to, whatever its data.

    With S subjects in each of m contrasts that is m · 2 / 2^S. An adjusted p never falls where some p rises, so the
    adjustment of the smallest p-values is the smallest adjustment also where contrasts differ in their subjects.

    Args:
        subjects: S of every contrast that the study declares; 0 where one cannot be computed.
    """
    return holm([smallest_p(count) for count in subjects])


def minimum_detectable_effect(sd: float, subjects: int, contrasts: int) -> float:
    """Return the true mean difference that a two-sided paired t test at 0.05 / m finds with a power of 80 %.

    0.05 / m is the first step of Holm's adjustment: a contrast that passes it is significant whatever the others are.

    Args:
        sd: Standard deviation of d_s over subjects.
        subjects: S, at least two.
        contrasts: m, the declared contrasts.

    Returns:
        The difference, in the unit of `sd`.
    """
    from scipy.special import nctdtr, stdtrit

    freedom = subjects - 1
    critical = float(stdtrit(freedom, 1 - ALPHA / contrasts / 2))
    low, high = 0.0, 1.0

    def power(shift: float) -> float:
        # The far tail, below 1e-3 of the power here, is left out: cdflib loses it at few degrees of freedom.
        return 1.0 - float(nctdtr(freedom, shift, critical))

    while power(high) < POWER:
        high *= 2
    for _ in range(60):  # halvings to the last bit of a float64
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) < POWER else (low, middle)
    return high * sd / math.sqrt(subjects)


def verdict(mean: float, interval: tuple[float, float] | None, p_holm: float, smallest: float) -> str:
    """Return the verdict of a contrast, by the rule of `docs/statistics.md`.

    Args:
        mean: Mean difference a - b, in F1.
        interval: Its 95 % interval; None for one subject.
        p_holm: Holm-adjusted sign-flip p.
        smallest: The smallest Holm-adjusted p that the design allows, see `smallest_holm`.

    Returns:
        ``better``, ``worse``, ``better but negligible``, ``worse but negligible``, ``equivalent`` or ``undecided``.
    """
    if smallest >= ALPHA or interval is None:
        return "undecided"
    if p_holm < ALPHA:
        return ("better" if mean > 0 else "worse") + ("" if abs(mean) > ROPE else " but negligible")
    return "equivalent" if interval[0] >= -ROPE and interval[1] <= ROPE else "undecided"


def limit(subjects: int, contrasts: int, smallest: float) -> str:
    """Return the reason why a design cannot show any difference, as the words that follow a colon.

    Args:
        subjects: S.
        contrasts: m, the declared contrasts.
        smallest: The smallest Holm-adjusted p that the design allows.
    """
    counts = f"{subjects} subject{plural(subjects)} and {contrasts} contrast{plural(contrasts)}"
    return f"with {counts} the smallest possible Holm p is {number(smallest, 'p')}"


def claim(a: str, b: str, word: str) -> str:
    """Return what a verdict says of two variants, without numbers.

    Args:
        a: Name of the first variant.
        b: Name of the second.
        word: As `verdict` returns it.
    """
    return {
        "better": f"{a} is better than {b}",
        "worse": f"{a} is worse than {b}",
        "better but negligible": f"{a} is better than {b}, but negligibly so (at most 1 F1 point)",
        "worse but negligible": f"{a} is worse than {b}, but negligibly so (at most 1 F1 point)",
        "equivalent": f"{a} and {b} are equivalent within ±1 F1 point",
        "undecided": f"Whether {a} is better than {b} is undecided",
    }[word]


def sentence(a: str, b: str, result: Estimate, p_holm: float, smallest: float, contrasts: int) -> str:
    """Return the one sentence that states a contrast and its verdict.

    Args:
        a: Name of the first variant.
        b: Name of the second, the one that is subtracted.
        result: The estimate of a - b.
        p_holm: Holm-adjusted sign-flip p.
        smallest: The smallest Holm-adjusted p that the design allows, see `smallest_holm`.
        contrasts: m, the declared contrasts.
    """
    few = smallest >= ALPHA
    word = verdict(result.mean, result.interval, p_holm, smallest)
    stated = claim(a, b, word)
    if few:
        stated += f" (descriptive only: {limit(result.subjects, contrasts, smallest)})"
    ends = "no interval from one subject"
    if result.interval is not None:
        low, high = (with_minus(number(end, "points")) for end in result.interval)
        ends = f"95 % interval {low} to {high}{'' if few else _at_odds(word, result.interval, contrasts)}"
    p = "no test" if few else f"Holm p = {number(p_holm, 'p')}"
    S, K = result.subjects, result.repeats
    counts = f"S = {S} subject{plural(S)}, K = {K} repeat{plural(K)}"
    return f"{stated}: {with_minus(number(result.mean, 'points'))} F1 points ({ends}, {p}, {counts})."


def _at_odds(word: str, interval: tuple[float, float], contrasts: int) -> str:
    """Return the words that follow an interval which seems to tell another story than the verdict."""
    contains = interval[0] <= 0 <= interval[1]
    if word.startswith(("better", "worse")) and contains:
        return ", which contains 0 and so does not confirm the test"
    if word == "undecided" and not contains:
        return " by itself, not adjusted as p is" if contrasts > 1 else ", which the test does not confirm"
    return ""


def plural(count: int) -> str:
    """Return the plural ending of a counted word."""
    return "" if count == 1 else "s"
