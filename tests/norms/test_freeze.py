"""A network that was looked at is what it was, to the bit, whatever was done to it."""

from __future__ import annotations

import copy
from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

from har.learners.cnn import CNN
from har.norms.base import set_total_steps
from har.norms.freeze import unchanged
from har.norms.layers import KINDS
from har.norms.plan import NormPlan


def network(kind: str = "batch") -> nn.Module:
    made = CNN([4, 4], 3, [2, 1], dropout=0.5).build(3, 20, NormPlan(kind))
    set_total_steps(made, 4)  # so that every phase is reached
    return made


def step(made: nn.Module) -> Tensor:
    loss = made(torch.randn(6, 20, 3)).square().mean()
    torch.autograd.grad(loss, [p for p in made.parameters() if p.requires_grad], materialize_grads=True)
    return loss.detach()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_given_back(kind: str, fails: bool) -> None:
    made = network(kind)
    for _ in range(3):
        step(made)
    made.get_submodule("block1").eval()
    state, modes = copy.deepcopy(made.state_dict()), [module.training for module in made.modules()]
    gradients = [parameter.grad for parameter in made.parameters()]
    random = torch.get_rng_state()
    with suppress(ZeroDivisionError), unchanged(made, 7):
        made.train()
        for _ in range(3):
            step(made)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.randn_like(parameter))
        made.eval()
        if fails:
            _ = 1 / 0
    after = made.state_dict()
    assert after.keys() == state.keys()
    assert all(torch.equal(after[name], state[name]) for name in state)
    assert [module.training for module in made.modules()] == modes
    assert [parameter.grad for parameter in made.parameters()] == gradients
    assert torch.equal(torch.get_rng_state(), random)


def test_what_is_tried_again_after_a_rewind_comes_out_the_same() -> None:
    made = network("mabn").train()
    with unchanged(made, 7) as rewind:
        first = [step(made) for _ in range(3)]
        assert first[0] != first[1]
        rewind()
        assert [step(made) for _ in range(3)] == first
    with unchanged(made, 8):
        assert step(made) != first[0]


def test_gradients_are_there_where_the_caller_has_switched_them_off() -> None:
    made = network()
    x = torch.randn(6, 20, 3)
    with torch.inference_mode(), unchanged(made, 7):
        loss = made.train()(x).square().mean()
        (gradient,) = torch.autograd.grad(loss, [made.get_parameter("block1.conv.weight")])
    assert gradient.abs().sum() > 0
    assert torch.is_grad_enabled()
