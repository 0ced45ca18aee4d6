"""Probes of activations and gradients against scipy, numpy and autograd, on fresh random inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kurtosis
from torch import Tensor, nn
from torch.nn import functional

from har.norms.base import set_total_steps
from har.norms.diagnostics import Moments, Statistics
from har.norms.flow import Backward, activation_probes, chunk_size, gradient_probes, spread_probes
from har.norms.layers import KINDS

EPSILON = 1e-3


def test_activations_are_described_as_by_scipy() -> None:
    h = functional.relu(torch.randn(7, 4, 11, 1) * (0.5 + torch.rand(4, 1, 1)) + torch.rand(4, 1, 1))
    h[:, 2] = 0.0  # a dead channel
    found = activation_probes(h)
    values_CE = h.double().transpose(0, 1).flatten(1).numpy()
    alive = values_CE.max(1) > 0
    assert found["act.mean"] == pytest.approx(values_CE.mean(), rel=1e-5)
    assert found["act.rms"] == pytest.approx(np.sqrt((values_CE**2).mean()), rel=1e-5)
    assert found["act.zero_frac"] == pytest.approx((values_CE == 0).mean())
    assert found["act.dead"] == pytest.approx(1 - alive.mean())
    assert found["act.kurt"] == pytest.approx(kurtosis(values_CE[alive], axis=1).mean(), rel=1e-3, abs=1e-3)


def test_a_channel_at_its_threshold_is_dead_wherever_that_lies() -> None:
    h = torch.randn(5, 2, 8, 1)
    h[:, 1] = -0.3
    assert activation_probes(h)["act.dead"] == 0.5


def test_directions_are_counted_as_by_numpy() -> None:
    h = torch.randn(9, 5) + 0.5
    found = spread_probes(h)
    matrix = h.double().numpy()
    expected = np.linalg.norm(matrix, "fro") ** 2 / np.linalg.norm(matrix, 2) ** 2
    assert found["act.stable_rank"] == pytest.approx(expected)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[~np.eye(9, dtype=bool)]
    assert found["act.cosine"] == pytest.approx(cosines.mean())
    one = spread_probes(torch.ones(4, 3))
    assert (one["act.stable_rank"], one["act.cosine"]) == (pytest.approx(1), pytest.approx(1))
    assert all(math.isnan(value) for value in spread_probes(torch.zeros(4, 3)).values())


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_features_that_are_not_finite_have_no_directions(value: float) -> None:
    h = torch.randn(9, 5)
    h[4, 2] = value
    found = spread_probes(h)
    assert set(found) == {"act.stable_rank", "act.cosine"}
    assert all(math.isnan(value) for value in found.values())


def test_gradients_are_compared_from_depth_to_depth() -> None:
    gradients = {depth: torch.randn(6, 3, 50 // depth, 1) * 1.3 ** (-depth) for depth in (3, 1, 2)}
    by_depth, whole = gradient_probes(gradients)
    rms = {depth: np.sqrt((value.double().numpy() ** 2).mean()) for depth, value in gradients.items()}
    for depth in (1, 2, 3):
        assert by_depth[depth]["grad.rms"] == pytest.approx(rms[depth])
    assert by_depth[1]["grad.layer_ratio"] == pytest.approx(rms[1] / rms[2])
    assert by_depth[2]["grad.layer_ratio"] == pytest.approx(rms[2] / rms[3])
    assert "grad.layer_ratio" not in by_depth[3]
    slope = np.polyfit([1, 2, 3], np.log([rms[1], rms[2], rms[3]]), 1)[0]
    assert whole["grad.slope"] == pytest.approx(slope)
    assert math.isnan(gradient_probes({1: torch.randn(3)})[1]["grad.slope"])
    assert math.isnan(gradient_probes({1: torch.zeros(3), 2: torch.ones(3)})[1]["grad.slope"])


def norm(kind: str, **options: int) -> nn.Module:
    layer = KINDS[kind].build(4, 6, EPSILON, 0.1, **options).double().train()
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.uniform_(-1, 1)
    return layer


def passed(layer: nn.Module, windows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, ∂L/∂y for a random linear loss, and autograd's ∂L/∂x."""
    x = (torch.randn(windows, 4, 6, 1).double() * 2 + torch.randn(1, 4, 1, 1)).requires_grad_()
    delta = torch.randn(windows, 4, 6, 1).double() / windows
    (slope,) = torch.autograd.grad((layer(x) * delta).sum(), [x])
    return x.detach(), delta, slope


@pytest.mark.parametrize(
    ("kind", "options"),
    [("batch", {}), ("ghost_batch", {"size": 4}), ("ghost_batch", {"size": 16}), ("batch_renorm", {})],
)
def test_backward_statistics_are_those_that_batch_norm_subtracts(kind: str, options: dict[str, int]) -> None:
    layer = norm(kind, **options)
    set_total_steps(layer, 1000)  # renormalisation is off in its first step
    x, delta, slope = passed(layer, 9)
    moments = Moments.of(x)
    found = Backward.of(layer, x, moments, delta)
    size = chunk_size(layer, 9)
    assert size == min(options.get("size", 9), 9)
    expected = []
    for first in range(0, 9, size):
        rows = slice(first, first + size)
        part = Statistics.measured(layer, Moments.of(x[rows]))
        mean, deviation = (value[None, :, None, None] for value in (part.mean_C, part.used.sqrt()))
        normalised, g = (x[rows] - mean) / deviation, delta[rows] * layer.weight[:, None, None]
        g_B = found.gradient_NC[rows].mean(0)[:, None, None]
        psi_B = found.product_NC[rows].mean(0)[:, None, None]
        expected.append((g - g_B - normalised * psi_B) / deviation)
    torch.testing.assert_close(slope, torch.cat(expected).detach(), rtol=1e-9, atol=1e-12)


def test_backward_statistics_of_the_norm_without_a_mean_are_its_own() -> None:
    layer = norm("mabn", memory=1)
    set_total_steps(layer, 1000)  # r is 1 in its first step
    x, delta, slope = passed(layer, 9)
    found = Backward.of(layer, x, Moments.of(x), delta)
    deviation = (x.square().mean((0, 2, 3)) + EPSILON).sqrt()[:, None, None]
    z, g = x / deviation, delta * layer.weight[:, None, None]
    expected = (g - z * found.product_NC.mean(0)[:, None, None]) / deviation
    torch.testing.assert_close(slope, expected.detach(), rtol=1e-9, atol=1e-12)


def test_noise_of_backward_statistics_is_the_deviation_between_chunks() -> None:
    layer = norm("batch")
    parts = []
    for _ in range(2):
        x, delta, _ = passed(layer, 16)
        parts.append((Backward.of(layer, x, Moments.of(x), delta), x, delta))
    joined = Backward.joined([part for part, _, _ in parts])
    assert joined.sizes == [2, 4, 8]
    weight = layer.weight.detach().numpy()[:, None]
    g = np.concatenate([delta.numpy()[..., 0] * weight for _, _, delta in parts])
    normalised = np.concatenate(
        [functional.batch_norm(x, None, None, training=True, eps=EPSILON).numpy()[..., 0] for _, x, _ in parts]
    )
    for size in joined.sizes:
        noise = joined.noise(size)
        for name, value in (("bn.gB", g), ("bn.Psi", g * normalised)):
            chunks = value.reshape(32 // size, size, 4, 6).mean((1, 3))
            expected = np.sqrt((chunks.var(0, ddof=1) / (g**2).mean((0, 2))).mean())
            assert noise[name] == pytest.approx(expected)


def test_windows_that_fill_no_chunk_are_left_out() -> None:
    g, power = torch.randn(11, 2).double(), torch.ones(2).double()
    assert Backward(g, g, power).noise(4) == pytest.approx(Backward(g[:8], g[:8], power).noise(4))


def test_independent_gradients_average_out() -> None:
    windows, samples = 4096, 10
    g = torch.randn(windows, 3, samples).double() * 5
    backward = Backward(g.mean(2), (g * torch.randn_like(g)).mean(2), g.square().mean((0, 2)))
    for size in (2, 16):
        for value in backward.noise(size).values():
            assert value == pytest.approx(1 / math.sqrt(size * samples), rel=0.15)


def test_a_channel_without_gradient_plays_no_part() -> None:
    g = torch.randn(16, 2).double()
    alone = Backward(g[:, :1], g[:, :1], torch.ones(1).double()).noise(4)
    g[:, 1] = 0
    assert Backward(g, g, torch.tensor([1.0, 0.0]).double()).noise(4) == pytest.approx(alone)
