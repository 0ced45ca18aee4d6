"""The mixed model over data sets, against statsmodels, the analysis of variance, and a textbook example."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.formula.api as smf

from har.evaluation.mixed_model import fit


def _drawn(generator, J, omega, repeats, subjects=None):
    """Differences of J data sets, in points so that statsmodels finds its way."""
    found = []
    for _ in range(J):
        S = subjects or int(generator.integers(5, 16))
        difference_SR = 0.8 + generator.normal(0, omega) + generator.normal(0, 2.0, (S, 1))
        found.append(difference_SR + generator.normal(0, 1.5, (S, repeats)))
    return found


def _statsmodels(differences):
    rows = [
        (g, f"{g}-{s}", value)
        for g, difference_SR in enumerate(differences)
        for s, row in enumerate(difference_SR)
        for value in row[~np.isnan(row)]
    ]
    frame = pd.DataFrame(rows, columns=["data_set", "subject", "d"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its search
        model = smf.mixedlm("d ~ 1", frame, groups="data_set", re_formula="1", vc_formula={"subject": "0 + C(subject)"})
        return model.fit(reml=True, method=["lbfgs"])


@pytest.mark.parametrize("case", range(5))
def test_the_fit_equals_statsmodels(case):
    generator = np.random.default_rng([5, case])
    differences = _drawn(generator, int(generator.integers(3, 7)), 2.5, 3)
    for difference_SR in differences:  # some pairs are missing
        difference_SR[generator.random(difference_SR.shape) < 0.2] = np.nan
        difference_SR[:, 0] = np.nan_to_num(difference_SR[:, 0], nan=1.0)
    found, expected = fit(differences), _statsmodels(differences)
    assert found.mean == pytest.approx(expected.fe_params.iloc[0], abs=0.01)
    assert found.error == pytest.approx(expected.bse_fe.iloc[0], rel=0.02)  # its own is by numeric differentiation
    assert found.sd_data_sets == pytest.approx(np.sqrt(expected.cov_re.iloc[0, 0]), rel=0.01)
    assert found.sd_subjects == pytest.approx(np.sqrt(expected.vcomp[0]), rel=0.01)
    assert found.sd_repeats == pytest.approx(np.sqrt(expected.scale), rel=0.01)


@pytest.mark.parametrize("case", range(5))
def test_with_equal_numbers_the_fit_is_the_analysis_of_variance(case):
    generator = np.random.default_rng([6, case])
    J, S, R = 4, 9, 3
    data = np.array(_drawn(generator, J, 3.0, R, subjects=S))
    of_subject, of_set = data.mean(axis=2), data.mean(axis=(1, 2))
    between = S * R * of_set.var(ddof=1)
    among = R * ((of_subject - of_set[:, None]) ** 2).sum() / (J * (S - 1))
    within = ((data - of_subject[:, :, None]) ** 2).sum() / (J * S * (R - 1))
    found = fit(list(data))
    assert found.mean == pytest.approx(data.mean())
    assert found.error == pytest.approx(np.sqrt(between / data.size), rel=1e-3)
    assert found.sd_data_sets == pytest.approx(np.sqrt((between - among) / (S * R)), rel=1e-3)
    assert found.sd_subjects == pytest.approx(np.sqrt((among - within) / R), rel=1e-3)
    assert found.sd_repeats == pytest.approx(np.sqrt(within), rel=1e-3)
    assert found.weight_J == pytest.approx([1 / J] * J)
    half = scipy.stats.t.ppf(0.975, J - 1) * found.error
    assert found.interval == pytest.approx((found.mean - half, found.mean + half))
    assert found.p == pytest.approx(2 * scipy.stats.t.sf(abs(found.mean) / found.error, J - 1))


def test_the_dyestuff_of_davies_and_goldsmith_gives_its_published_estimates():
    yields = [
        [1545, 1440, 1440, 1520, 1580],
        [1540, 1555, 1490, 1560, 1495],
        [1595, 1550, 1605, 1510, 1560],
        [1445, 1440, 1595, 1465, 1545],
        [1595, 1630, 1515, 1635, 1625],
        [1520, 1455, 1450, 1480, 1445],
    ]
    found = fit([np.array(batch, dtype=float)[:, None] for batch in yields])
    assert found.mean == pytest.approx(1527.5)
    assert found.error == pytest.approx(19.383, abs=0.01)
    assert found.sd_data_sets == pytest.approx(42.00, abs=0.02)
    assert found.sd_subjects == pytest.approx(49.51, abs=0.02)
    assert found.sd_repeats is None


def test_data_sets_that_agree_have_no_spread_and_weigh_by_their_subjects():
    rows = np.array([[1.0], [2.0], [3.0], [4.0]])
    found = fit([rows, rows, np.tile(rows, (4, 1))])
    assert found.sd_data_sets == 0
    assert found.weight_J == pytest.approx([1 / 6, 1 / 6, 4 / 6])
    assert found.mean == pytest.approx(2.5)


def test_no_likelihood_is_larger_than_that_of_the_fit():
    from har.evaluation.mixed_model import _deviance, _subjects

    generator = np.random.default_rng(9)
    differences = _drawn(generator, 5, 0.4, 2)
    found = fit(differences)
    subjects = _subjects(differences)
    for _ in range(300):
        variances = generator.exponential([0.3, 4.0, 2.0])
        assert _deviance(subjects, *variances) >= found.deviance - 1e-6


def test_differences_without_any_spread_are_certain():
    found = fit([np.full((4, 2), 0.5)] * 3)
    assert (found.mean, found.error, found.p, found.interval) == (0.5, 0.0, 0.0, (0.5, 0.5))
    assert fit([np.zeros((4, 2))] * 3).p == 1.0


def test_two_data_sets_are_too_few():
    with pytest.raises(ValueError, match="needs 3 data sets"):
        fit([np.ones((4, 1))] * 2)


@pytest.mark.slow
def test_without_a_true_difference_few_are_claimed():
    shares = {}
    for J in (3, 5):
        for omega in (0.0, 2.0):
            generator = np.random.default_rng([11, J, int(omega)])
            hits = 0
            for _ in range(400):
                differences = [difference_SR - 0.8 for difference_SR in _drawn(generator, J, omega, 3)]
                hits += fit(differences).p < 0.05
            shares[J, omega] = hits / 400
    print("rejected true null hypotheses, by data sets and spread between them:", shares)  # noqa: T201 - -rP shows it
    assert max(shares.values()) <= 0.07
