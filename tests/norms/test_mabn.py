"""Moving average batch norm against a slow reference of its equations in float64, against autograd, and under vmap."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from har.norms.base import set_total_steps
from har.norms.mabn import MovingAverageBatchNorm

C, T = 3, 5
EPSILON = 1e-3
VIEW = (1, -1, 1, 1)


def made(**options: Any) -> MovingAverageBatchNorm:
    layer = MovingAverageBatchNorm(C, EPSILON, **options)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.uniform_(-1, 1)
    return layer.double()


def random_input(windows: int = 6) -> Tensor:
    spread = torch.rand(1, C, 1, 1, dtype=torch.float64) * 3 + 0.2
    return (torch.randn(windows, C, T, 1, dtype=torch.float64) * spread).requires_grad_()


class Slow:
    """The equations one batch at a time, with lists for histories and no tensor that outlives a step."""

    def __init__(self, layer: MovingAverageBatchNorm, warm: int = 0, renormalise: int = 0) -> None:
        self.weight, self.bias = layer.weight.detach().clone(), layer.bias.detach().clone()
        self.memory, self.decay, self.clip = len(layer.moments), layer.decay, layer.clip
        self.warm, self.renormalise = warm, max(warm, renormalise)
        self.moments: list[tuple[Tensor, int]] = []
        self.slopes: list[tuple[Tensor, int]] = []
        self.average: Tensor | None = None

    def _mean(self, history: list[tuple[Tensor, int]], step: int) -> Tensor:
        own, _ = history[-1]
        if len(history) <= self.memory or step < self.warm:
            return own
        last = history[-self.memory :]
        return sum(value * n for value, n in last) / sum(n for _, n in last)

    def step(self, x: Tensor, delta: Tensor, step: int, size: int | None = None) -> tuple[Tensor, ...]:
        """Return the output, and the gradients of x, γ and β; chunks of `size` windows count as batches."""
        parts = list(zip(x.split(size or len(x)), delta.split(size or len(x)), strict=True))
        moments, counts = [], []
        for chunk, _ in parts:
            counts.append(chunk.shape[0] * chunk.shape[2])
            self.moments.append(((chunk**2).mean((0, 2, 3)), counts[-1]))
            moments.append(self._mean(self.moments, step))
        own = sum(moment * n for moment, n in zip(moments, counts, strict=True)) / sum(counts)
        average = own if self.average is None else self.average
        self.average = self.decay * average + (1 - self.decay) * own
        found = [
            self._chunk(chunk, error, moment, average, step)
            for (chunk, error), moment in zip(parts, moments, strict=True)
        ]
        y, to_x, to_weight, to_bias = zip(*found, strict=True)
        return torch.cat(y), torch.cat(to_x), sum(to_weight), sum(to_bias)

    def _chunk(self, x: Tensor, delta: Tensor, moment: Tensor, average: Tensor, step: int) -> tuple[Tensor, ...]:
        r = ((moment + EPSILON) / (average + EPSILON)).sqrt().clamp(1 / self.clip, self.clip)
        r = r if step > self.renormalise else torch.ones_like(r)
        z = x / (moment + EPSILON).sqrt().view(VIEW)
        y = z * r.view(VIEW)
        g = self.weight.view(VIEW) * delta * r.view(VIEW)
        self.slopes.append(((g * z).mean((0, 2, 3)), x.shape[0] * x.shape[2]))
        slope = self._mean(self.slopes, step)
        to_x = (g - z * slope.view(VIEW)) / (moment + EPSILON).sqrt().view(VIEW)
        out = self.weight.view(VIEW) * y + self.bias.view(VIEW)
        return out, to_x, (delta * y).sum((0, 2, 3)), delta.sum((0, 2, 3))


def trained(layer: MovingAverageBatchNorm, x: Tensor, delta: Tensor) -> tuple[Tensor, ...]:
    """One training step of a layer: output and gradients."""
    y = layer(x)
    return y.detach(), *torch.autograd.grad(y, [x, layer.weight, layer.bias], delta)


def close(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


@settings(max_examples=25)
@given(
    memory=st.integers(1, 5),
    clip=st.sampled_from([1.0, 1.05, 5.0]),
    warm=st.integers(0, 6),
    renormalise=st.integers(0, 6),
    sizes=st.lists(st.integers(1, 7), min_size=12, max_size=12),
)
def test_every_step_equals_the_slow_reference(
    memory: int, clip: float, warm: int, renormalise: int, sizes: list[int]
) -> None:
    """Whatever the history's length, the schedule and the sizes of the batches."""
    layer = made(memory=memory, clip=clip, warmup=warm / 16, renormalise_from=renormalise / 16, decay=0.9)
    set_total_steps(layer, 16)
    slow = Slow(layer, warm, renormalise)
    for step, windows in enumerate(sizes, start=1):
        x = random_input(windows)
        delta = torch.randn_like(x)
        close(trained(layer, x, delta), slow.step(x.detach(), delta, step))
        torch.testing.assert_close(layer.running_var, slow.average)


def test_with_a_memory_of_one_and_no_renormalisation_it_is_autograd_of_the_plain_formula() -> None:
    layer = made(memory=1, clip=1.0)
    for _ in range(4):
        x = random_input()
        delta = torch.randn_like(x)
        y = layer.weight.view(VIEW) * x / ((x**2).mean((0, 2, 3), keepdim=True) + EPSILON).sqrt()
        plain = y + layer.bias.view(VIEW)
        expected = (plain.detach(), *torch.autograd.grad(plain, [x, layer.weight, layer.bias], delta))
        close(trained(layer, x, delta), expected)


def test_with_a_memory_of_one_it_is_autograd_with_the_renormalisation_held_constant() -> None:
    layer = made(memory=1, decay=0.5)
    trained(layer, random_input(), torch.ones(6, C, T, 1).double())
    x = random_input()
    moment = (x**2).mean((0, 2, 3), keepdim=True)
    r = ((moment + EPSILON) / (layer.running_var.view(VIEW) + EPSILON)).sqrt().clamp(0.2, 5).detach()
    assert (r - 1).abs().max() > 0.01
    plain = layer.weight.view(VIEW) * r * x / (moment + EPSILON).sqrt() + layer.bias.view(VIEW)
    delta = torch.randn_like(x)
    expected = (plain.detach(), *torch.autograd.grad(plain, [x, layer.weight, layer.bias], delta))
    close(trained(layer, x, delta), expected)


@pytest.mark.parametrize(("memory", "holds"), [(1, True), (3, False)])
def test_a_longer_memory_is_not_the_derivative_of_the_forward_pass(memory: int, holds: bool) -> None:
    layer = made(memory=memory, clip=1.0)
    for _ in range(4):
        layer(random_input()).sum().backward()

    def fresh(x: Tensor) -> Tensor:
        return copy.deepcopy(layer)(x)

    assert torch.autograd.gradcheck(fresh, random_input(), raise_exception=False) is holds


def test_training_gives_inferences_output_while_nothing_is_clipped() -> None:
    layer = made(memory=4, clip=1e6)
    for _ in range(6):
        x = random_input()
        expected = copy.deepcopy(layer).eval()(x)
        y = layer(x)
        if layer.steps > 1:  # the first batch starts the average
            torch.testing.assert_close(y, expected)
        y.sum().backward()


def test_inference_is_an_affine_map_of_the_average() -> None:
    layer = made()
    layer.running_var.uniform_(0.5, 3)
    x = random_input()
    expected = layer.weight.view(VIEW) * x / (layer.running_var.view(VIEW) + EPSILON).sqrt() + layer.bias.view(VIEW)
    torch.testing.assert_close(layer.eval()(x), expected)


def test_the_average_starts_as_the_first_batch_whatever_it_was() -> None:
    layer, x = made(decay=0.98), random_input()
    layer(x * 100)
    torch.testing.assert_close(layer.running_var, ((x * 100) ** 2).mean((0, 2, 3)))


def test_histories_hold_the_last_batches_oldest_first() -> None:
    layer, batches = made(memory=3), [random_input(windows) for windows in (4, 6, 2, 5, 1)]
    for x in batches:
        layer(x).sum().backward()
    torch.testing.assert_close(layer.moments, torch.stack([(x**2).sum((0, 2, 3)) for x in batches[-3:]]))
    assert layer.moment_counts.tolist() == layer.slope_counts.tolist() == [2 * T, 5 * T, 1 * T]
    assert layer.steps == 5


def test_without_gradients_nothing_is_remembered() -> None:
    layer = made(memory=2)
    trained(layer, random_input(), torch.ones(6, C, T, 1).double())
    before = copy.deepcopy(layer.state_dict())
    with torch.no_grad():
        layer(random_input())
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_a_forward_pass_without_backward_leaves_the_backward_history_in_order() -> None:
    """Its slope averages stay those of the last backward passes: no stale or foreign entry comes in."""
    layer, batches = made(memory=2, clip=1.0), [random_input() for _ in range(5)]
    slopes = []
    for k, x in enumerate(batches):
        y = layer(x)
        if k == 2:
            continue  # a batch that is looked at only
        torch.autograd.grad(y.sum(), x)
        slopes.append(layer.slopes[-1].clone())
    torch.testing.assert_close(layer.slopes, torch.stack(slopes[-2:]))
    torch.testing.assert_close(layer.moments, torch.stack([(x**2).sum((0, 2, 3)) for x in batches[-2:]]))


@pytest.mark.parametrize("windows", [6, 7, 2, 1])
def test_chunks_are_iterations_of_the_moving_averages_and_a_batch_is_one_of_the_exponential(windows: int) -> None:
    """As the authors' code for a normalisation batch inside a larger one has it."""
    layer = made(memory=3, size=2, decay=0.9, clip=1.1)
    slow = Slow(layer)
    for step in range(1, 5):
        x = random_input(windows)
        delta = torch.randn_like(x)
        close(trained(layer, x, delta), slow.step(x.detach(), delta, step, size=2))
        torch.testing.assert_close(layer.running_var, slow.average)
    assert layer.steps == 4


def test_a_batch_that_is_not_finite_leaves_the_state_as_it_was_but_for_the_counts() -> None:
    layer = made(memory=2)
    for _ in range(3):
        layer(random_input()).sum().backward()
    before = copy.deepcopy(layer.state_dict())
    x = random_input()
    x.data[1, 2, 3] = float("inf")
    layer(x).sum().backward()
    after = layer.state_dict()
    assert [name for name in after if not torch.equal(after[name], before[name])] == ["steps"]
    assert (layer.skipped, layer.steps) == (1, 4)
    layer(random_input()).sum().backward()
    assert layer.skipped == 1
    assert not torch.equal(layer.slopes, before["slopes"])


def test_state_survives_save_and_load_between_forward_and_backward_histories() -> None:
    layer, other = made(memory=3), made(memory=3)
    for _ in range(5):
        layer(random_input()).sum().backward()
    other.load_state_dict(copy.deepcopy(layer.state_dict()))
    x = random_input()
    delta = torch.randn_like(x)
    close(trained(layer, x, delta), trained(other, x, delta))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in layer.state_dict().items())


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("inside", [True, False], ids=["gradient inside vmap", "gradient outside vmap"])
def test_networks_stacked_under_vmap_train_as_they_do_alone(size: int | None, inside: bool) -> None:
    options = {"memory": 2, "size": size, "warmup": 0.3, "renormalise_from": 0.5}
    alone = [made(**options) for _ in range(3)]
    set_total_steps(torch.nn.ModuleList(alone), 4)
    base = copy.deepcopy(alone[0]).to("meta")
    parameters, buffers = stack_module_state(alone)  # type: ignore[arg-type]
    parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return (functional_call(base, (parameters, buffers), x) ** 3).sum()

    for _ in range(4):
        x_MNCT1 = torch.randn(3, 5, C, T, 1, dtype=torch.float64)
        if inside:
            gradients = vmap(grad(loss))(parameters, buffers, x_MNCT1)
        else:
            values = dict(parameters)
            total = vmap(loss)(values, buffers, x_MNCT1).sum()
            gradients = dict(zip(values, torch.autograd.grad(total, list(values.values())), strict=True))
        for k, layer in enumerate(alone):
            layer.zero_grad()
            (layer(x_MNCT1[k]) ** 3).sum().backward()
            for name, parameter in layer.named_parameters():
                torch.testing.assert_close(gradients[name][k], parameter.grad)
            for name, buffer in layer.named_buffers():
                torch.testing.assert_close(buffers[name][k], buffer)
