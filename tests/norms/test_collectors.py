"""Moments collected batch by batch: those of everything at once, in float64, and of groups with equal shares."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from har.norms.collectors import Averaged, Pooled, in_equal_shares
from tests.norms.test_statistics import windows


@settings(max_examples=40)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.sampled_from([0.0, 1e4]), st.integers(0, 2**31 - 1))
def test_pooled_moments_are_those_of_everything_at_once(sizes: list[int], offset: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(sum(sizes), 3, 5, generator=generator) * 2 + offset).float()
    x[:, 1] -= offset  # channels of their own
    collector = Pooled()
    for batch in x.split(sizes):
        collector.add(batch)
    mean_C, variance_C = collector.moments()
    torch.testing.assert_close(mean_C, x.double().mean((0, 2)), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(variance_C, x.double().var((0, 2), correction=0), rtol=1e-9, atol=1e-12)


def test_a_formula_in_float32_would_fail_where_merging_does_not() -> None:
    x = (torch.randn(4000, 1, 4) * 2 + 1e4).float()
    collector = Pooled()
    for batch in x.split(32):
        collector.add(batch)
    naive = (x**2).mean() - x.mean() ** 2
    exact = x.double().var(correction=0)
    assert abs(naive.double() - exact) > 0.1
    assert abs(collector.moments()[1][0] - exact) < 1e-6


def test_averages_are_those_that_torch_keeps_without_momentum() -> None:
    x = windows()
    collector = Averaged()
    norm = nn.BatchNorm2d(3, momentum=None).double()
    for batch in x.split(5):
        collector.add(batch)
        norm(batch)
    for mine, torchs in zip(collector.moments(), (norm.running_mean, norm.running_var), strict=True):
        torch.testing.assert_close(mine, torchs)


def test_averaged_variance_is_low_by_the_share_between_windows_and_pooled_is_not() -> None:
    """E[unbiased v_B] / σ² = 1 − ρ·(T − 1)/(B·T − 1) for windows that share an offset of variance ρ."""
    share, samples, size, count, channels = 0.66, 20, 4, 8000, 8  # the channels repeat the experiment
    own, shared = torch.randn(count, channels, samples), torch.randn(count, channels, 1)
    x = math.sqrt(1 - share) * own + math.sqrt(share) * shared
    pooled, averaged = Pooled(), Averaged()
    for batch in x.split(size):
        pooled.add(batch)
        averaged.add(batch)
    expected = 1 - share * (samples - 1) / (size * samples - 1)
    assert averaged.moments()[1].mean().item() == pytest.approx(expected, abs=0.03)  # seven standard errors
    assert pooled.moments()[1].mean().item() == pytest.approx(1.0, abs=0.03)
    assert expected < 0.85


@settings(max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.sampled_from([0.0, 1e4]), st.integers(0, 2**31 - 1))
def test_equal_shares_are_weights_of_one_over_the_size_of_a_group(sizes: list[int], offset: float, seed: int) -> None:
    """Against weighted means over all elements at once, each weighing 1/(groups · elements of its group)."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(len(sizes), 3, 1, generator=generator).repeat_interleave(torch.tensor(sizes), 0)
    x = (torch.randn(sum(sizes), 3, 5, generator=generator) + 2 * own + offset).float()
    moments = []
    for group in x.split(sizes):
        collector = Pooled()
        for batch in group.split(4):
            collector.add(batch)
        moments.append(collector.moments())
    mean_C, variance_C = in_equal_shares(moments)
    shares = [1 / (len(sizes) * size * 5) for size in sizes for _ in range(size)]
    weight_N = torch.tensor(shares, dtype=torch.float64)[:, None, None]
    expected_C = (weight_N * x.double()).sum((0, 2))
    torch.testing.assert_close(mean_C, expected_C, rtol=1e-12, atol=1e-12)
    spread_C = (weight_N * (x.double() - expected_C[:, None]) ** 2).sum((0, 2))
    torch.testing.assert_close(variance_C, spread_C, rtol=1e-9, atol=1e-9)
