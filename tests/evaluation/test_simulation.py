"""Studies simulated whole: how often a difference is claimed that is not there, and found that is.

The figures stand in docs/statistics.md. Model: d_{sk} = difference + variant × subject N(0, 0.02) + seed N(0, ω) + rest
N(0, 0.015), 5 repeats; the seed effect is one per repeat where the folds share their seeds, and one per subject and
repeat where seeds are nested in folds.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import scipy.stats

from har.evaluation.contrast import (
    ROPE,
    bootstrap_interval,
    corrected_t_p,
    estimate,
    holm,
    sign_flip_p,
    smallest_holm,
    t_interval,
    verdict,
)
from har.evaluation.practical import signed_rank

TAU, SIGMA, K = 0.02, 0.015, 5
SUBJECTS = (6, 10, 24, 30)
FEW, MANY = 1500, 4000  # studies: for bootstraps, and for what is quick
DIFFERS = ("better", "worse", "better but negligible", "worse but negligible")

# The published table of false-positive rates, from two independent programs: procedure, ω, whether folds share seeds.
PUBLISHED = {
    ("t over all pairs", 0.0, False): (0.320, 0.310, 0.303, 0.307),
    ("t over all pairs", 0.006, True): (0.335, 0.340, 0.365, 0.390),
    ("t over seeds", 0.0, False): (0.42, 0.42, 0.42, 0.43),
    ("t over subjects", 0.0, False): (0.048, 0.050, 0.054, 0.050),
    ("t over subjects", 0.006, True): (0.058, 0.065, 0.092, 0.104),
    ("t over subjects", 0.006, False): (0.049, 0.050, 0.053, 0.050),
    ("sign-flip", 0.0, False): (0.029, 0.047, 0.057, 0.046),
    ("corrected t", 0.0, False): (0.009, 0.009, 0.004, 0.009),
    ("crossed bootstrap", 0.0, False): (0.089, 0.059, 0.051, 0.049),
    ("crossed bootstrap", 0.006, True): (0.091, 0.084, 0.057, 0.047),
}


def _study(generator, S, *, omega=0.0, shared=False, difference=0.0):
    """The differences of one study: float64 (subjects, repeats)."""
    seeds = generator.normal(0, omega, (1 if shared else S, K))
    return difference + generator.normal(0, TAU, (S, 1)) + seeds + generator.normal(0, SIGMA, (S, K))


def _excludes_zero(interval):
    low, high = interval
    return not low <= 0 <= high


REJECTS = {
    "t over all pairs": lambda d: scipy.stats.ttest_1samp(d.ravel(), 0).pvalue < 0.05,
    "t over seeds": lambda d: scipy.stats.ttest_1samp(d.mean(axis=0), 0).pvalue < 0.05,
    "t over subjects": lambda d: _excludes_zero(t_interval(d.mean(axis=1))),
    "sign-flip": lambda d: sign_flip_p(d.mean(axis=1), draws=2000) < 0.05,
    "corrected t": lambda d: corrected_t_p(d.mean(axis=1)) < 0.05,
    "bootstrap of subjects": lambda d: _excludes_zero(bootstrap_interval(d, draws=2000)),
    "crossed bootstrap": lambda d: _excludes_zero(bootstrap_interval(d, shared_repeats=True, draws=2000)),
}


def _rates(procedure, omega, shared, studies):
    """Share of studies without a difference in which a procedure claims one, by number of subjects."""
    found = []
    for S in SUBJECTS:
        generator = np.random.default_rng([S, int(1000 * omega), shared])
        rejected = [REJECTS[procedure](_study(generator, S, omega=omega, shared=shared)) for _ in range(studies)]
        found.append(float(np.mean(rejected)))
    words = " ".join(f"{rate:.3f}" for rate in found)
    print(f"{procedure}, ω = {omega}, {'shared' if shared else 'nested'} seeds: {words}")  # noqa: T201 - -rP shows it
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("procedure", "omega", "shared"), PUBLISHED, ids=str)
def test_the_false_positive_table_is_regenerated(procedure, omega, shared):
    found = _rates(procedure, omega, shared, FEW if "bootstrap" in procedure else MANY)
    assert found == pytest.approx(PUBLISHED[procedure, omega, shared], abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("omega", "shared"), [(0.0, False), (0.006, False), (0.006, True)])
def test_the_bootstrap_of_subjects_claims_as_much_as_theory_says(omega, shared):
    """Its interval is ±1.96 s √((S − 1)/S) / √S but for skewness, so t_{S−1} beyond 1.96 √((S − 1)/S) rejects.

    A seed effect that folds share is no spread between subjects, and widens the distribution of that t.
    """
    expected = []
    for S in SUBJECTS:
        variance = (TAU**2 + (SIGMA**2 + (0 if shared else omega**2)) / K) / S
        wider = np.sqrt(1 + (omega**2 / K if shared else 0) / variance)
        expected.append(2 * scipy.stats.t.sf(1.96 * np.sqrt((S - 1) / S) / wider, S - 1))
    assert _rates("bootstrap of subjects", omega, shared, FEW) == pytest.approx(expected, abs=0.03)


def _holm_share(planted, null):
    """Share of families of four contrasts whose first, the only one with a difference, has a Holm p below 0.05."""
    others = np.resize(null, (len(planted), 3))
    return float(np.mean([holm([p, *rest])[0] < 0.05 for p, rest in zip(planted, others, strict=True)]))


@pytest.mark.slow
def test_null_studies_are_called_different_as_seldom_as_stated():
    generator = np.random.default_rng(1)
    words = []
    for _ in range(5000):  # by the code that judges real studies, with seeds nested in folds
        found = estimate(_study(generator, 24, omega=0.006))
        words.append(verdict(found.mean, found.interval, holm([found.p])[0], smallest_holm([24])[0]))
    share = float(np.mean([word in DIFFERS for word in words]))
    print(f"called different without a difference: {share:.4f}; {Counter(words)}")  # noqa: T201 - -rP shows it
    assert share <= 0.06


@pytest.mark.slow
def test_a_planted_difference_is_found_as_often_as_stated():
    generator = np.random.default_rng(2)
    planted = [sign_flip_p(_study(generator, 24, difference=0.013).mean(axis=1)) for _ in range(20_000)]
    null = [sign_flip_p(_study(generator, 24).mean(axis=1)) for _ in range(3000)]
    alone = float(np.mean(np.array(planted) < 0.05))
    together = float(np.mean([holm(planted[i : i + 4])[0] < 0.05 for i in range(0, 20_000, 4)]))
    one = _holm_share(planted, null)
    print(f"found: {alone:.3f} alone, {one:.3f} of four contrasts, {together:.3f} where all four differ")  # noqa: T201
    shift = 0.013 * np.sqrt(24 / (TAU**2 + SIGMA**2 / K))
    exact = scipy.stats.nct.sf(scipy.stats.t.isf(0.025, 23), 23, shift)  # of the t test: 0.824
    assert alone == pytest.approx(exact, abs=0.015)
    assert alone == pytest.approx(0.80, abs=0.03)
    assert one < together < alone


@pytest.mark.slow
def test_equivalence_is_seldom_claimed_at_the_edge_of_its_region():
    shares = {}
    for S in (10, 24):
        for difference in (0.0, 0.01):  # none, and one point: the edge of what counts as equivalent
            generator = np.random.default_rng([S, int(1000 * difference)])
            means = [_study(generator, S, difference=difference).mean(axis=1) for _ in range(1000)]
            by_interval = np.mean([low >= -ROPE and high <= ROPE for low, high in map(t_interval, means)])
            by_bayes = np.mean([signed_rank(means_S, draws=4000)[1] >= 0.95 for means_S in means])
            shares[S, difference] = (float(by_interval), float(by_bayes))
    print("called equivalent by the interval and by the Bayesian test:", shares)  # noqa: T201 - -rP shows it
    for (_, difference), found in shares.items():
        assert max(found) <= (0.05 if difference else 0.35)
