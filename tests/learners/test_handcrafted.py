"""Hand-crafted features against numpy and scipy, one by one, and their scaling against scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats
from sklearn.preprocessing import MinMaxScaler

from har.errors import UsageError
from har.learners.handcrafted import FEATURES, HandCrafted, unscaled
from har.norms.plan import NormPlan
from tests.learners.small import Few

NONE = NormPlan(placement="none")
Vector = npt.NDArray[np.float64]


def spectrum(x_T: Vector) -> Vector:
    return np.abs(np.fft.rfft(x_T))[1:] ** 2


def entropy(x_T: Vector) -> float:
    power_F = spectrum(x_T)
    return float(stats.entropy(power_F / power_F.sum()) / np.log(len(power_F)))


REFERENCES: dict[str, Callable[[Vector], float]] = {
    "maximum": np.max,
    "minimum": np.min,
    "mean": np.mean,
    "deviation": np.std,
    "mean_crossings": lambda x: np.count_nonzero(np.diff(np.signbit(x - x.mean()))),
    "percentile_20": lambda x: np.percentile(x, 20),
    "percentile_50": np.median,
    "percentile_80": lambda x: np.percentile(x, 80),
    "interquartile_range": stats.iqr,
    "skewness": stats.skew,
    "kurtosis": stats.kurtosis,
    "autocorrelation": lambda x: np.sum((x - x.mean())[1:] * (x - x.mean())[:-1]) / np.sum((x - x.mean()) ** 2),
    "first_difference": lambda x: np.mean(np.abs(np.diff(x))),
    "first_difference_normalised": lambda x: np.mean(np.abs(np.diff(stats.zscore(x)))),
    "second_difference": lambda x: np.mean(np.abs(np.diff(x, n=2))),
    "second_difference_normalised": lambda x: np.mean(np.abs(np.diff(stats.zscore(x), n=2))),
    "spectral_energy": lambda x: spectrum(x).sum() / len(x),
    "spectral_entropy": entropy,
}


def test_the_features_are_eighteen() -> None:
    assert tuple(REFERENCES) == FEATURES
    assert len(FEATURES) == 18


@pytest.mark.parametrize("samples", [3, 4, 31, 64])
def test_each_feature_is_that_of_numpy_or_scipy(samples: int) -> None:
    x_NTC = torch.randn(7, samples, 2) * torch.tensor([1.0, 5.0]) + torch.tensor([9.8, 0.0])
    found_NDC = unscaled(x_NTC).reshape(7, 18, 2)
    for place, (name, reference) in enumerate(REFERENCES.items()):
        if samples == 3 and name == "spectral_entropy":
            continue  # of one frequency there is no entropy
        expected_NC = np.apply_along_axis(reference, 1, x_NTC.double().numpy())
        np.testing.assert_allclose(found_NDC[:, place], expected_NC, rtol=1e-9, atol=1e-9, err_msg=name)


def test_a_constant_window_has_no_shape_and_no_nan() -> None:
    x_NTC = torch.full((1, 20, 1), 0.1)
    found = dict(zip(FEATURES, unscaled(x_NTC)[0].tolist(), strict=True))
    assert found["mean"] == pytest.approx(0.1)
    assert {name for name, value in found.items() if abs(value) > 1e-12} == {
        "maximum", "minimum", "mean", "percentile_20", "percentile_50", "percentile_80",
    }  # fmt: skip


def test_scaling_is_that_of_the_training_windows_and_constant_features_are_0() -> None:
    network = HandCrafted().build(3, 25, NONE)
    train_NTC, fresh_NTC = torch.randn(20, 25, 3), torch.randn(9, 25, 3) * 3
    train_NTC[:, :, 1] = 2.0  # a constant channel
    network.fit(Few(train_NTC), 0)
    scaler = MinMaxScaler().fit(unscaled(train_NTC))
    expected_ND = scaler.transform(unscaled(fresh_NTC))
    expected_ND[:, scaler.data_range_ == 0] = 0
    np.testing.assert_allclose(network(fresh_NTC), expected_ND, rtol=1e-5, atol=1e-6)
    assert 0 < (scaler.data_range_ == 0).sum() <= 18
    assert network(train_NTC).min() == 0
    assert network(train_NTC).max() == 1


def test_a_window_without_second_differences_is_refused() -> None:
    with pytest.raises(UsageError, match=r"2 samples is too short .* at least 3"):
        HandCrafted().build(3, 2, NONE)
