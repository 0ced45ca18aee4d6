"""The loss along its gradient: closed forms of a quadratic, a slow reference for every kind, and no trace left."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.initialise import initialise
from har.norms.base import set_total_steps
from har.norms.freeze import unchanged
from har.norms.landscape import SHARES, along_gradient, batch_loss, trained_parameters
from har.norms.layers import KINDS
from har.norms.plan import NormPlan


def trained(kind: str, steps: int = 3) -> tuple[Classifier, Tensor, Tensor]:
    """A small network with dropout after a few steps of training, and a batch that it has not seen."""
    features = CNN([6, 4], 3, [2, 1], dropout=0.4).build(3, 20, NormPlan(kind, "every"))
    network = Classifier(InputScaling("none", torch.zeros(3), torch.ones(3), ["x", "y", "z"]), features, 4)
    initialise(network, 1)
    network = network.double().train()
    set_total_steps(network, 2 * steps)
    optimiser = torch.optim.AdamW(network.parameters(), 0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        x_NTC, label_N = batch()
        functional.cross_entropy(network(x_NTC), label_N).backward()
        optimiser.step()
    return network, *batch()


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(24, 20, 3, dtype=torch.float64) * 2 + 1, torch.randint(4, (24,))


@settings(max_examples=30)
@given(st.integers(0, 2**31 - 1), st.floats(1e-3, 10.0))
def test_of_a_quadratic_all_values_have_closed_forms(seed: int, rate: float) -> None:
    """L = ½·wᵀHw + bᵀw: by a·η down the gradient g, L falls by a·η·g·g − ½·a²·η²·gᵀHg and g changes by a·η·Hg."""
    generator = torch.Generator().manual_seed(seed)
    root_DD, b_D, w_D = (torch.randn(*shape, generator=generator).double() for shape in ((5, 5), (5,), (5,)))
    h_DD = root_DD @ root_DD.T
    g_D = h_DD @ w_D + b_D

    def objective(at: Mapping[str, Tensor]) -> Tensor:
        w_D = torch.cat([at["one"], at["two"].flatten()])
        return w_D @ h_DD @ w_D / 2 + b_D @ w_D

    # a step of gradient descent with this rate
    found = along_gradient(objective, {"one": w_D[:2], "two": w_D[2:, None]}, rate * float(g_D.norm()))
    assert found is not None
    loss = float(w_D @ h_DD @ w_D / 2 + b_D @ w_D)
    curve = [loss - a * rate * float(g_D @ g_D) + a**2 * rate**2 / 2 * float(g_D @ h_DD @ g_D) for a in SHARES]
    slope = float((h_DD @ g_D).norm())
    assert found.loss == pytest.approx(loss)
    size = max(map(abs, curve)) + abs(loss)
    assert found.losses == pytest.approx(curve, abs=1e-9 * size)
    assert found.loss_range == pytest.approx(max(curve) - min(curve), abs=1e-9 * size)
    assert found.changes == pytest.approx([a * rate * slope for a in SHARES])
    assert found.smoothness == pytest.approx(slope / float(g_D.norm()))


def test_smoothness_is_the_steepest_of_the_slopes() -> None:
    """L = w⁴/4 from w = 2: the gradient w³ falls by 8 − (2 − s)³ over the distance s."""
    found = along_gradient(lambda at: at["w"].pow(4).sum() / 4, {"w": torch.tensor([2.0]).double()}, 1.0)
    assert found is not None
    assert found.distances == SHARES
    assert found.changes == pytest.approx([8 - (2 - s) ** 3 for s in SHARES])
    assert found.smoothness == pytest.approx((8 - 1.75**3) / 0.25)  # near by it is steeper than far away


def test_a_parameter_that_plays_no_part_changes_nothing() -> None:
    point = {"w": torch.tensor([1.0, 2.0]).double(), "idle": torch.ones(3).double()}
    found = along_gradient(lambda at: at["w"].square().sum(), point, 0.5)
    alone = along_gradient(lambda at: at["w"].square().sum(), {"w": point["w"]}, 0.5)
    assert found == alone


@pytest.mark.parametrize("factor", [0.0, math.inf, math.nan])
def test_without_a_gradient_there_is_no_direction(factor: float) -> None:
    assert along_gradient(lambda at: factor * at["w"].sum(), {"w": torch.ones(2)}, 1.0) is None


@pytest.mark.parametrize("kind", [*KINDS])
def test_every_kind_is_measured_as_a_copy_of_the_network_at_these_weights_would_be(kind: str) -> None:
    network, x_NTC, label_N = trained(kind)
    start, seed, step = trained_parameters(network), 7, 0.3
    with unchanged(network, seed) as rewind:
        found = along_gradient(batch_loss(network, x_NTC, label_N, rewind), start, step)
    assert found is not None
    loss, gradient = by_a_copy(network, start, x_NTC, label_N, seed)
    length = math.sqrt(sum(float(slope.square().sum()) for slope in gradient.values()))
    assert found.loss == pytest.approx(loss, rel=1e-9)
    for place, share in enumerate(SHARES):
        moved = {name: start[name] - share * step / length * gradient[name] for name in start}
        there, slopes = by_a_copy(network, moved, x_NTC, label_N, seed)
        change = math.sqrt(sum(float((slopes[name] - gradient[name]).square().sum()) for name in start))
        assert found.losses[place] == pytest.approx(there, rel=1e-9)
        assert found.changes[place] == pytest.approx(change, rel=1e-6)


def by_a_copy(
    network: Classifier, weights: dict[str, Tensor], x_NTC: Tensor, label_N: Tensor, seed: int
) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of a copy of the network, with other weights and the same buffers, in training mode."""
    other = copy.deepcopy(network).train()
    for name, parameter in other.named_parameters():
        parameter.data.copy_(weights[name])
        parameter.grad = None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        loss = functional.cross_entropy(other(x_NTC), label_N)
    loss.backward()
    return float(loss.detach()), {name: parameter.grad for name, parameter in other.named_parameters()}


@pytest.mark.parametrize("kind", [*KINDS])
def test_nothing_of_a_network_of_any_kind_is_changed(kind: str) -> None:
    network, x_NTC, label_N = trained(kind)
    network.features.block1.eval()  # frozen beside others that are not
    modes = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    random = torch.get_rng_state()
    with unchanged(network, 0) as rewind:
        network.train()
        along_gradient(batch_loss(network, x_NTC, label_N, rewind), trained_parameters(network), 0.1)
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert all(torch.equal(old, new.grad) for old, new in zip(gradients, network.parameters(), strict=True))
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
