"""Each probe of a norm's statistics against a closed form, a simulation or numpy, on fresh random inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.metrics import log_loss
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from har.norms.diagnostics import (
    Moments,
    Statistics,
    effective_size,
    estimation_shift,
    gap,
    left_mean,
    mode_gap,
    small_gamma,
    subject_correlation,
    variance_shift,
)
from har.norms.mabn import MovingAverageBatchNorm
from har.norms.statistics import measure

EPSILON = 1e-2  # large enough that forgetting it fails


def random_statistics(channels: int = 5, epsilon: float = EPSILON) -> Statistics:
    return Statistics(torch.randn(channels).double(), torch.rand(channels).double() + 0.1, epsilon)


def windows(*, subjects: int = 1, count: int = 6, samples: int = 9, channels: int = 3, **sd: float) -> Tensor:
    """Return float64 (subjects·count, channels, samples, 1) with components of deviation sd[subject|window|sample]."""

    def part(name: str, *shape: int) -> Tensor:
        return sd.get(name, 0.0) * torch.randn(*shape).double()

    x = part("subject", subjects, 1, channels, 1) + part("window", subjects, count, channels, 1)
    return (x + part("sample", subjects, count, channels, samples)).flatten(0, 1)[..., None]


@settings(max_examples=30)
@given(count=st.integers(1, 9), samples=st.integers(1, 12), offset=st.sampled_from([0.0, 9.8, 1e4]))
def test_moments_are_those_of_numpy_and_pool_to_those_of_all_elements(count: int, samples: int, offset: float) -> None:
    x = (torch.randn(count, 3, samples, 1) * 2 + offset).float()
    moments = Moments.of(x)
    exact = x.double().numpy()[..., 0]
    np.testing.assert_allclose(moments.mean_NC, exact.mean(2), rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(moments.variance_NC, exact.var(2), rtol=1e-4, atol=1e-5)
    parts = [moments.split(2)[i] for i in range(len(moments.split(2)))]
    mean_C, variance_C = Moments.joined(parts).pooled()
    np.testing.assert_allclose(mean_C, exact.mean((0, 2)), rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(variance_C, exact.var((0, 2)), rtol=1e-4, atol=1e-5)
    assert moments.samples == samples


def test_features_without_time_are_windows_of_one_sample() -> None:
    moments = Moments.of(torch.randn(4, 3))
    assert moments.samples == 1
    assert (moments.variance_NC == 0).all()


def test_the_gap_is_that_of_two_normal_distributions_and_zero_for_equal_ones() -> None:
    batch, stored = random_statistics(), random_statistics()
    found = gap(batch, stored)
    m, v = batch.mean_C.numpy(), batch.spread_C.numpy() + EPSILON
    rm, rv = stored.mean_C.numpy(), stored.spread_C.numpy() + EPSILON
    assert found["bn.mean_gap"] == pytest.approx(np.mean(np.abs(m - rm) / np.sqrt(rv)))
    assert found["bn.logvar_gap"] == pytest.approx(np.mean(np.abs(np.log(v / rv))))
    kl_C = kl_divergence(Normal(batch.mean_C, torch.tensor(v).sqrt()), Normal(stored.mean_C, torch.tensor(rv).sqrt()))
    assert found["bn.kl"] == pytest.approx(float(kl_C.mean()))
    assert set(gap(stored, stored).values()) == {0.0}


def test_a_norm_without_a_mean_has_the_gap_of_its_second_moment_alone() -> None:
    layer = MovingAverageBatchNorm(3, EPSILON).double()
    layer.running_var.copy_(torch.rand(3) + 0.5)
    x = windows(window=1, sample=2) + 3
    found = gap(Statistics.measured(layer, Moments.of(x)), Statistics.stored(layer))
    second_C = x.square().mean((0, 2, 3)) + EPSILON
    expected = (second_C / (layer.running_var + EPSILON)).log().abs().mean()
    assert found["bn.logvar_gap"] == pytest.approx(float(expected))
    assert "bn.mean_gap" not in found
    assert "bn.esm_mean" not in estimation_shift(Statistics.stored(layer), Statistics.measured(layer, Moments.of(x)))


def test_the_shift_is_that_of_its_formula() -> None:
    stored, expected = random_statistics(), random_statistics()
    found = estimation_shift(stored, expected)
    mean, variance = expected.mean_C.numpy(), expected.spread_C.numpy() + EPSILON
    distance = np.linalg.norm(stored.mean_C.numpy() - mean)
    assert found["bn.esm_mean"] == pytest.approx(distance / np.linalg.norm(np.sqrt(variance)))
    ratio_C = (stored.spread_C.numpy() + EPSILON) / variance
    assert found["bn.esm_var"] == pytest.approx(np.mean(np.abs(np.log(ratio_C))))
    assert variance_shift(stored, expected) == pytest.approx(np.mean(np.maximum(ratio_C, 1 / ratio_C)))


def test_the_shift_is_zero_where_the_population_is_stored() -> None:
    x = windows(count=10, window=1, sample=2) + 5
    layer = nn.Sequential(nn.BatchNorm2d(3)).double()
    population = measure(layer, x.split(4))["0"]
    layer[0].running_mean.copy_(population["running_mean"])
    layer[0].running_var.copy_(population["running_var"])
    stored, seen = Statistics.stored(layer[0]), Statistics.measured(layer[0], Moments.of(x))
    assert estimation_shift(stored, seen) == pytest.approx({"bn.esm_mean": 0, "bn.esm_var": 0}, abs=1e-12)
    assert variance_shift(stored, seen) == pytest.approx(1)


def test_stored_statistics_are_a_copy() -> None:
    layer = nn.BatchNorm2d(3).double()
    stored = Statistics.stored(layer)
    layer(windows(sample=1) + 4)
    assert (stored.mean_C == 0).all()


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_dropout_in_front_shifts_the_variance_as_the_closed_form_says(share: float) -> None:
    mean, deviation = 1.5, 0.7
    x = mean + deviation * torch.randn(4000, 2, 25, 1).double()
    norm = nn.BatchNorm2d(2, momentum=1.0).double()
    network = nn.Sequential(nn.Dropout(share), norm)
    network.train()(x)
    found = variance_shift(Statistics.stored(norm), Statistics.measured(norm, Moments.of(x)))
    # x/(1 − p) with probability 1 − p, else 0
    closed = ((deviation**2 + mean**2) / (1 - share) - mean**2) / deviation**2
    assert found == pytest.approx(closed, rel=0.02)


def test_the_mean_that_is_left_is_a_part_of_the_root_of_the_second_moment() -> None:
    x = torch.randn(7, 4, 11, 1).double() * 2 + torch.tensor([0.0, -3.0, 1.0, 20.0]).view(4, 1, 1)
    values_CE = x.transpose(0, 1).flatten(1).numpy()
    expected = np.abs(values_CE.mean(1)) / np.sqrt((values_CE**2).mean(1) + EPSILON)
    assert left_mean(Moments.of(x), EPSILON) == pytest.approx(expected.mean())
    assert left_mean(Moments.of(x - x.mean((0, 2, 3), keepdim=True)), EPSILON) == pytest.approx(0, abs=1e-12)
    assert left_mean(Moments.of(torch.full((5, 2, 3, 1), -1e3)), EPSILON) == pytest.approx(1)
    assert left_mean(Moments.of(torch.zeros(5, 2, 3, 1)), EPSILON) == 0


@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.66])
def test_a_batch_of_correlated_windows_is_worth_what_its_correlation_says(correlation: float) -> None:
    samples, batch = 16, 8
    sd = {"window": math.sqrt(correlation), "sample": math.sqrt(1 - correlation)}
    x = windows(count=40_000, samples=samples, channels=2, **sd)
    found = effective_size(Moments.of(x[:10_000]), batch)
    design = 1 + correlation * (samples - 1)
    assert found["bn.deff"] == pytest.approx(design, rel=0.06)
    assert found["bn.neff"] == pytest.approx(batch * samples / design, rel=0.06)
    means_BC = x.view(-1, batch, 2, samples).mean((1, 3))  # of batches that were really drawn
    total_C = x.var((0, 2, 3), correction=0)
    assert found["bn.between_share"] == pytest.approx(float((means_BC.var(0) / total_C).mean()), rel=0.08)


def test_the_effective_size_is_unbiased_for_few_windows_and_leaves_constant_channels_out() -> None:
    x = windows(subjects=10_000, count=4, samples=5, channels=1, window=1, sample=1)
    constant = torch.cat([x, torch.full_like(x, 3.0)], dim=1)
    parts = [Moments.of(part) for part in constant.split(4)]
    # numerator and denominator apart, since a mean of quotients is biased whatever they are
    between = torch.stack([part.mean_NC[:, 0].var() for part in parts]).mean()
    total = torch.stack([part.mean_NC[:, 0].var() + part.variance_NC[:, 0].mean() for part in parts]).mean()
    assert float(between) == pytest.approx(1 + 1 / 5, rel=0.05)
    assert float(total) == pytest.approx(2, rel=0.05)
    both, one = effective_size(parts[0], 4), effective_size(Moments.of(x[:4]), 4)
    assert both == pytest.approx(one)


def test_the_correlation_of_subjects_is_the_component_of_variance_however_few_windows_there_are() -> None:
    components = {"subject": 1.0, "window": 2.0, "sample": 0.5}
    total = sum(sd**2 for sd in components.values())
    x = windows(subjects=2000, count=3, samples=4, channels=6, **components)
    subject_N = torch.arange(2000).repeat_interleave(3)
    kept = torch.rand(len(x)) < 0.9  # unequal numbers
    found = subject_correlation(Moments.of(x[kept]), subject_N[kept])
    assert found == pytest.approx(1 / total, abs=0.03)
    alone = subject_correlation(Moments.of(windows(subjects=2000, count=3, channels=6, window=1)), subject_N)
    assert alone == pytest.approx(0, abs=0.03)


def test_the_correlation_of_subjects_is_the_plain_share_for_many_windows() -> None:
    x = windows(subjects=5, count=3000, samples=1, channels=1, subject=2.0, window=1.0)
    subject_N = torch.arange(5).repeat_interleave(3000)
    means_S = x.view(5, -1).mean(1)
    assert subject_correlation(Moments.of(x), subject_N) == pytest.approx(float(means_S.var() / x.var()), abs=2e-3)


def test_one_subject_has_no_correlation() -> None:
    assert math.isnan(subject_correlation(Moments.of(windows(sample=1)), torch.zeros(6, dtype=torch.int64)))
    assert math.isnan(subject_correlation(Moments.of(windows(sample=1)), torch.arange(6)))


def test_modes_differ_by_loss_divergence_and_flips() -> None:
    training, inference = torch.randn(20, 4), torch.randn(20, 4)
    label_N = torch.randint(0, 4, (20,))
    found = mode_gap(training, inference, label_N)
    log_p, log_q = (log_softmax(logits.double().numpy(), axis=1) for logits in (training, inference))
    losses = [log_loss(label_N, np.exp(log), labels=range(4)) for log in (log_p, log_q)]
    assert found["gap.mode_loss"] == pytest.approx(losses[0] - losses[1])
    assert found["gap.kl"] == pytest.approx(np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=1)))
    assert found["gap.flip"] == pytest.approx(np.mean(log_p.argmax(1) != log_q.argmax(1)))
    assert set(mode_gap(training, training, label_N).values()) == {0.0}


def test_small_factors_are_counted_by_size() -> None:
    layer = nn.BatchNorm2d(4)
    layer.weight.data = torch.tensor([1.0, 0.009, -0.009, -0.5])
    assert small_gamma(layer) == 0.5
