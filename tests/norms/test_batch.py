"""Batch normalisation and its two relatives against their equations in float64, on fresh random inputs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from har.errors import UsageError
from har.norms.base import set_total_steps
from har.norms.batch import BatchNorm, BatchRenorm, GhostBatchNorm

EPSILON = 1e-3  # large enough that forgetting it fails


def random_input(channels: int = 3) -> Tensor:
    offset_C = torch.randn(1, channels, 1, 1, dtype=torch.float64) * 5
    return torch.randn(7, channels, 11, 1, dtype=torch.float64) * 3 + offset_C


def batch_norm(channels: int, momentum: float = 0.1) -> nn.Module:
    return with_random_affine(BatchNorm(channels, EPSILON, momentum))


def with_random_affine(layer: nn.Module) -> nn.Module:
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.uniform_(-1, 1)
    return layer.double()


def test_training_uses_the_biased_batch_variance() -> None:
    layer, x = batch_norm(3), random_input()
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    expected = layer.weight.view(1, -1, 1, 1) * (x - mean) / (variance + EPSILON).sqrt() + layer.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(layer(x), expected)


def test_running_update_is_unbiased_and_momentum_weighs_the_new_value() -> None:
    momentum = 0.3
    layer, x = batch_norm(3, momentum), random_input()
    layer(x)
    n = x.shape[0] * x.shape[2]
    values_CN = x.transpose(0, 1).reshape(3, -1)
    torch.testing.assert_close(layer.running_mean, momentum * values_CN.mean(1))
    biased = values_CN.var(1, correction=0)
    torch.testing.assert_close(
        layer.running_var, (1 - momentum) * torch.ones(3).double() + momentum * biased * n / (n - 1)
    )


def test_inference_uses_the_running_statistics() -> None:
    layer, x = batch_norm(3), random_input()
    for _ in range(3):
        layer(random_input())
    layer.eval()
    mean, variance = layer.running_mean.clone(), layer.running_var.clone()
    view = (1, -1, 1, 1)
    expected = layer.weight.view(view) * (x - mean.view(view)) / (variance.view(view) + EPSILON).sqrt()
    torch.testing.assert_close(layer(x), expected + layer.bias.view(view))
    torch.testing.assert_close(layer.running_mean, mean)


def test_backward_has_the_two_batch_statistics_of_the_gradient() -> None:
    layer, x = batch_norm(3), random_input().requires_grad_()
    delta = torch.randn_like(x)
    layer(x).backward(delta)
    mean = x.detach().mean((0, 2, 3), keepdim=True)
    deviation = (x.detach().var((0, 2, 3), correction=0, keepdim=True) + EPSILON).sqrt()
    x_hat = (x.detach() - mean) / deviation
    g = layer.weight.detach().view(1, -1, 1, 1) * delta
    g_mean = g.mean((0, 2, 3), keepdim=True)
    psi = (g * x_hat).mean((0, 2, 3), keepdim=True)
    torch.testing.assert_close(x.grad, (g - g_mean - x_hat * psi) / deviation)
    torch.testing.assert_close(layer.weight.grad, (delta * x_hat).sum((0, 2, 3)))
    torch.testing.assert_close(layer.bias.grad, delta.sum((0, 2, 3)))


def statistics(layer: nn.Module) -> tuple[Tensor, Tensor]:
    return layer.running_mean.clone(), layer.running_var.clone()


def twins(other: nn.Module) -> nn.Module:
    """A batch norm with the parameters of another layer."""
    twin = BatchNorm(3, EPSILON, 0.1).double()
    twin.load_state_dict(other.state_dict(), strict=False)
    return twin


def same_training_step(one: nn.Module, other: nn.Module, x: Tensor) -> None:
    """Outputs, gradients and running statistics of a training step are equal."""
    delta, results = torch.randn_like(x), []
    for layer in (one, other):
        inputs = x.clone().requires_grad_()
        y = layer(inputs)
        y.backward(delta)
        results.append([y, inputs.grad, layer.weight.grad, layer.bias.grad, *statistics(layer)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("size", [7, 100])
def test_a_ghost_as_large_as_the_batch_is_batch_norm(size: int) -> None:
    ghost = with_random_affine(GhostBatchNorm(3, EPSILON, 0.1, size=size))
    same_training_step(ghost, twins(ghost), random_input())


def test_ghosts_are_batch_norms_of_the_chunks_one_after_another() -> None:
    ghost, x = with_random_affine(GhostBatchNorm(3, EPSILON, 0.1, size=3)), random_input()
    twin = twins(ghost)
    expected = torch.cat([twin(x[:3]), twin(x[3:6]), twin(x[6:])])
    torch.testing.assert_close(ghost(x), expected)
    for a, b in zip(statistics(ghost), statistics(twin), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(ghost.eval()(x), twin.eval()(x))


def renorm(**options: float) -> BatchRenorm:
    layer = with_random_affine(BatchRenorm(3, EPSILON, 0.1, **options))
    layer.running_mean.normal_()
    layer.running_var.uniform_(0.5, 20)
    return layer


def test_renormalisation_with_closed_bounds_is_batch_norm() -> None:
    layer = renorm(largest_ratio=1.0, largest_shift=0.0)
    same_training_step(layer, twins(layer), random_input())


def test_renormalisation_without_clipping_gives_inferences_output_in_training() -> None:
    layer, x = renorm(largest_ratio=1e6, largest_shift=1e6), random_input()
    expected = copy.deepcopy(layer).eval()(x)
    torch.testing.assert_close(layer(x), expected)


def test_renormalisation_clips_both_corrections_and_keeps_them_out_of_the_gradient() -> None:
    layer, x = renorm(largest_ratio=1.2, largest_shift=0.3), random_input().requires_grad_()
    layer.running_var[0], layer.running_mean[0] = 1.0, 100.0  # far from any batch, so that both are clipped
    mean, variance = statistics(layer)
    view, over = (1, -1, 1, 1), (0, 2, 3)
    centre, spread = x.detach().mean(over), (x.detach().var(over, correction=0) + EPSILON).sqrt()
    sigma = (variance + EPSILON).sqrt()
    r, d = (spread / sigma).clamp(1 / 1.2, 1.2), ((centre - mean) / sigma).clamp(-0.3, 0.3)
    assert (r != spread / sigma).any()
    assert (d != (centre - mean) / sigma).any()
    delta = torch.randn_like(x)
    y = layer(x)
    y.backward(delta)
    x_hat = (x.detach() - centre.view(view)) / spread.view(view)
    gamma, beta = layer.weight.detach().view(view), layer.bias.detach().view(view)
    torch.testing.assert_close(y, gamma * (x_hat * r.view(view) + d.view(view)) + beta)
    g = gamma * delta
    psi = (g * x_hat).mean(over, keepdim=True)
    torch.testing.assert_close(x.grad, (r / spread).view(view) * (g - g.mean(over, keepdim=True) - x_hat * psi))
    torch.testing.assert_close(layer.weight.grad, (delta * (x_hat * r.view(view) + d.view(view))).sum(over))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
def test_chunks_train_as_batch_norms_of_them_one_after_another(size: int, momentum: float | None) -> None:
    """Output, gradients and running statistics, whatever is left for the last chunk."""
    ghost = with_random_affine(GhostBatchNorm(3, EPSILON, momentum, size=size))
    twin = twins(ghost)
    twin.momentum = momentum
    for _ in range(2):
        x = random_input().requires_grad_()
        delta = torch.randn_like(x)
        y, expected = ghost(x), torch.cat([twin(chunk) for chunk in x.split(size)])
        torch.testing.assert_close(y, expected)
        slopes = [
            torch.autograd.grad(output, [x, layer.weight, layer.bias], delta)
            for output, layer in ((y, ghost), (expected, twin))
        ]
        for a, b in zip(*slopes, strict=True):
            torch.testing.assert_close(a, b)
        for a, b in zip(statistics(ghost), statistics(twin), strict=True):
            torch.testing.assert_close(a, b)
    assert ghost.num_batches_tracked == twin.num_batches_tracked


def test_chunks_of_windows_far_from_zero_keep_their_variance() -> None:
    """An offset of 10 000 with a deviation of 2, in float32: E[x²] − E[x]² would give 8 or 0 for 4."""
    x = torch.randn(8, 3, 500, 1) * 2 + 1e4
    ghost = GhostBatchNorm(3, EPSILON, 1.0, size=4)
    y = ghost(x)
    torch.testing.assert_close(y.std((0, 2, 3)), torch.ones(3), atol=0.02, rtol=0)
    torch.testing.assert_close(ghost.running_var, torch.full((3,), 4.0), atol=0.4, rtol=0)


@pytest.mark.parametrize("made", [BatchNorm, GhostBatchNorm, BatchRenorm])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_statistics_of_a_channel_that_are_not_finite_are_left_out_and_counted(made: type, value: float) -> None:
    layer = made(3, EPSILON, 0.1).double()
    layer(random_input())
    mean, variance = statistics(layer)
    x = random_input()
    x[0, 1, 0] = value
    layer(x)
    moved = layer.running_mean != mean
    assert moved.tolist() == [True, False, True]
    assert torch.equal(layer.running_var[1], variance[1])
    assert torch.isfinite(layer.running_var).all()
    assert layer.skipped == 1
    assert "skipped" not in layer.state_dict()
    layer.reset_running_stats()
    assert layer.skipped == 0


def test_batch_norm_is_torchs_to_the_last_bit() -> None:
    layer, torchs = BatchNorm(3, EPSILON, 0.1), nn.BatchNorm2d(3, EPSILON, 0.1)
    for _ in range(3):
        x = random_input().float()
        delta, results = torch.randn_like(x), []
        for one in (layer, torchs):
            inputs = x.clone().requires_grad_()
            y = one(inputs)
            y.backward(delta)
            results.append([y, inputs.grad, *statistics(one), one.num_batches_tracked])
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert layer.state_dict().keys() == torchs.state_dict().keys()


@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
def test_renormalisation_updates_its_statistics_as_batch_norm_does(momentum: float | None) -> None:
    layer = renorm()
    layer.momentum = momentum
    twin = twins(layer)
    twin.momentum = momentum
    for _ in range(3):
        x = random_input()
        layer(x)
        twin(x)
    for a, b in zip(statistics(layer), statistics(twin), strict=True):
        torch.testing.assert_close(a, b)
    assert layer.num_batches_tracked == twin.num_batches_tracked


def test_the_bounds_of_renormalisation_grow_over_shares_of_the_run() -> None:
    layer = renorm(warmup=0.2, ratio_full=0.6, shift_full=1.0)
    set_total_steps(layer, 10)
    grown = []
    for _ in range(10):
        layer(random_input())
        grown.append((layer._grown(0.6).item(), layer._grown(1.0).item()))
    assert grown[:2] == [(0, 0), (0, 0)]
    assert [ratio for ratio, _ in grown[2:]] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1])
    assert [shift for _, shift in grown[2:]] == pytest.approx([k / 8 for k in range(1, 9)])


def test_a_pass_that_measures_does_not_widen_the_bounds() -> None:
    layer = renorm().train()
    set_total_steps(layer, 10)
    layer(random_input())
    with torch.no_grad():
        for _ in range(5):
            layer(random_input())
    assert int(layer.steps) == 1


def test_renormalisation_in_its_warm_up_is_batch_norm() -> None:
    layer = renorm(warmup=0.5, ratio_full=0.5, shift_full=0.5)
    set_total_steps(layer, 2)
    same_training_step(layer, twins(layer), random_input())
    x = random_input()
    assert not torch.allclose(layer(x), twins(layer)(x))


def test_renormalisation_by_chunks_counts_one_step_and_updates_by_chunk() -> None:
    layer = renorm(size=3)
    twin, x = copy.deepcopy(layer), random_input()
    twin.size = None
    y = layer(x)
    steps = twin.steps.clone()
    for k, chunk in enumerate(x.split(3)):
        torch.testing.assert_close(y[3 * k : 3 * k + 3], twin(chunk))
    assert layer.steps == steps + 1
    torch.testing.assert_close(layer.running_var, twin.running_var)


@pytest.mark.parametrize("size", [2, 3])
def test_the_gradients_of_renormalised_chunks_are_those_of_their_formula(size: int) -> None:
    """With r and d held constant, as autograd of the formula written out chunk by chunk."""
    layer = renorm(size=size, largest_ratio=1.2, largest_shift=0.3)
    x = random_input().requires_grad_()
    delta = torch.randn_like(x)
    view, over, parts = (1, -1, 1, 1), (0, 2, 3), []
    mean, variance = statistics(layer)
    for chunk in x.split(size):
        n = chunk.numel() / 3
        centre, spread = chunk.mean(over), (chunk.var(over, correction=0) + EPSILON).sqrt()
        sigma = (variance + EPSILON).sqrt()
        r = (spread / sigma).clamp(1 / 1.2, 1.2).detach()
        d = ((centre - mean) / sigma).clamp(-0.3, 0.3).detach()
        x_hat = (chunk - centre.view(view)) / spread.view(view)
        parts.append(layer.weight.view(view) * (x_hat * r.view(view) + d.view(view)) + layer.bias.view(view))
        mean = (0.9 * mean + 0.1 * centre).detach()
        variance = (0.9 * variance + 0.1 * (spread**2 - EPSILON) * n / (n - 1)).detach()
    expected = torch.autograd.grad(torch.cat(parts), [x, layer.weight, layer.bias], delta)
    y = layer(x)
    torch.testing.assert_close(y, torch.cat(parts))
    for a, b in zip(torch.autograd.grad(y, [x, layer.weight, layer.bias], delta), expected, strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(layer.running_var, variance)


@pytest.mark.parametrize(
    "wrong",
    [
        {"largest_ratio": 0.5},
        {"largest_shift": -1.0},
        {"warmup": 0.3, "shift_full": 0.2},
        {"ratio_full": 1.2},
        {"warmup": -0.1},
        {"size": 0},
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        BatchRenorm(3, EPSILON, 0.1, **wrong)


@pytest.mark.parametrize("kind", [GhostBatchNorm, BatchRenorm])
def test_chunked_norms_stacked_under_vmap_train_as_they_do_alone(kind: type[BatchNorm]) -> None:
    alone = [with_random_affine(kind(3, EPSILON, 0.1, size=2)) for _ in range(3)]  # type: ignore[call-arg]
    base = copy.deepcopy(alone[0]).to("meta")
    parameters, buffers = stack_module_state(alone)

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return (functional_call(base, (parameters, buffers), x) ** 3).sum()

    for _ in range(2):
        x_MNCT1 = torch.randn(3, 5, 3, 7, 1, dtype=torch.float64)
        gradients = vmap(grad(loss))(parameters, buffers, x_MNCT1)
        for k, layer in enumerate(alone):
            layer.zero_grad()
            (layer(x_MNCT1[k]) ** 3).sum().backward()
            for name, parameter in layer.named_parameters():
                torch.testing.assert_close(gradients[name][k], parameter.grad)
            for name, buffer in layer.named_buffers():
                torch.testing.assert_close(buffers[name][k], buffer)


@pytest.mark.parametrize("kind", [GhostBatchNorm, BatchRenorm])
@pytest.mark.parametrize(("windows", "size"), [(5, 2), (4, 1), (1, 3)])
def test_one_value_per_channel_is_refused_in_training(kind: type[BatchNorm], windows: int, size: int) -> None:
    """As torch refuses it of a batch; two samples are enough."""
    layer = kind(3, 1e-5, 0.1, size=size).train()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    with pytest.raises((UsageError, ValueError), match="per channel"):
        layer(torch.randn(windows, 3, 1, 1))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items() if name != "steps")
    assert layer(torch.randn(windows, 3, 2, 1)).isfinite().all()
    assert layer.eval()(torch.randn(windows, 3, 1, 1)).isfinite().all()
