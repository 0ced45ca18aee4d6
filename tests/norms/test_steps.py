"""What steps mean: angles against rotations, and the noise scale against gradients whose law is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from har.norms.steps import noise_probes, step_probes


@pytest.mark.parametrize("angle", [1e-9, 0.01, 1.0, 3.0])
def test_the_angle_of_a_step_is_that_between_the_weights_before_and_after(angle: float) -> None:
    basis = torch.linalg.qr(torch.randn(6, 2, dtype=torch.float64)).Q.T
    before = 3.0 * basis[0]
    after = 5.0 * (math.cos(angle) * basis[0] + math.sin(angle) * basis[1])  # a change of length turns nothing
    found = step_probes(after.view(2, 3), 0.1, (after - before).view(2, 3))
    assert found["lr.angle"] == pytest.approx(angle, rel=1e-5)
    assert found["lr.effective"] == pytest.approx(0.1 / 25)


def test_a_step_of_gradient_descent_turns_a_free_weight_as_the_effective_rate_turns_one_of_length_1() -> None:
    """w and c·w at rates η and c²·η: the same direction afterwards, and the same effective rate."""
    x, target = torch.randn(40, 4, dtype=torch.float64), torch.randn(40, 3, dtype=torch.float64)
    turned, found = [], []
    start = torch.randn(3, 4, dtype=torch.float64)
    for scale in (1.0, 7.0):
        layer = nn.Sequential(nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3, eps=1e-15, affine=False)).double()
        layer[0].weight.data = scale * start
        functional.mse_loss(layer(x), target).backward()
        rate = 0.05 * scale**2
        moved = -rate * layer[0].weight.grad
        after = layer[0].weight.detach() + moved
        found.append(step_probes(after, rate, moved))
        turned.append(after / torch.linalg.vector_norm(after))
    torch.testing.assert_close(*turned)
    assert found[0] == pytest.approx(found[1])
    assert found[0]["lr.angle"] > 1e-6  # it turns at all; how far is up to the random start


def test_a_weight_of_nothing_but_zeros_has_no_direction() -> None:
    assert all(math.isnan(value) for value in step_probes(torch.zeros(3), 0.1, torch.ones(3)).values())


def test_noise_is_the_formula_of_two_batch_sizes() -> None:
    gradients = torch.randn(3, 50, dtype=torch.float64) + 0.7
    small, large = 8, 24
    of_small, of_large = (gradients**2).sum(1).mean().item(), (gradients.mean(0) ** 2).sum().item()
    squared = (large * of_large - small * of_small) / (large - small)
    trace = (of_small - of_large) / (1 / small - 1 / large)
    found = noise_probes(list(gradients), small)
    assert found == pytest.approx({"noise.gradient": squared, "noise.trace": trace, "noise.scale": trace / squared})


@pytest.mark.parametrize("batches", [2, 5])
def test_the_estimates_are_unbiased_where_the_law_of_the_gradients_is_known(batches: int) -> None:
    """Windows' gradients with mean G and covariance Σ: over many draws the means are ‖G‖² and tr Σ."""
    generator = np.random.default_rng(7)
    mean_P, deviation_P, windows, draws = generator.normal(size=20), generator.uniform(0.5, 3, 20), 4, 4000
    noise = generator.normal(size=(draws, batches, windows, 20)) * deviation_P
    gradients = torch.from_numpy((mean_P + noise).mean(2))
    found = [noise_probes(list(drawn), windows) for drawn in gradients]
    for name, truth in (("noise.gradient", (mean_P**2).sum()), ("noise.trace", (deviation_P**2).sum())):
        values = np.array([one[name] for one in found])
        error = values.std() / math.sqrt(draws)
        assert error < 0.02 * truth
        assert abs(values.mean() - truth) < 4 * error


def test_one_batch_tells_nothing_and_a_gradient_below_its_noise_has_no_scale() -> None:
    assert noise_probes([torch.ones(3)], 8) == {}
    opposite = noise_probes([torch.ones(3), -torch.ones(3)], 8)
    assert opposite["noise.gradient"] == -3
    assert math.isnan(opposite["noise.scale"])
    assert opposite["noise.trace"] == pytest.approx(8 * 6)  # sum of squares about their mean of 0, by one freedom
